/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: the file of results. A head line says what was computed, then a line for each file. A
 * line is one write, so that only the last one of a killed run can be cut; it is then computed again. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clip-tool-eval.h"
#include "weights/clip-json.h"

#define MAX_LINE (1 << 20)

struct _EvalResults {
  char *path;
  int fd;
};

static gboolean
fail (GError **error, const char *path, const char *message)
{
  g_autofree char *name = g_filename_display_name (path);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "%s: %s", name, message);
  return FALSE;
}

void
eval_results_free (EvalResults *results)
{
  close (results->fd);
  g_free (results->path);
  g_free (results);
}

void
eval_append_path (GString *out, const char *path)
{
  g_string_append (out, "\"file\":");
  tool_json_string (out, path);
  if (g_utf8_validate (path, -1, NULL))
    return;
  g_autofree char *bytes = g_base64_encode ((const guchar *) path, strlen (path));
  g_string_append_printf (out, ",\"file_base64\":\"%s\"", bytes);
}

gboolean
eval_results_write (EvalResults *results, const char *line, GError **error)
{
  g_autofree char *whole = g_strconcat (line, "\n", NULL);
  for (gsize done = 0, length = strlen (whole); done < length;) {
    const ssize_t n = write (results->fd, whole + done, length - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (error, results->path, g_strerror (errno));
    done += (gsize) n;
  }
  return TRUE;
}

/* What must agree before results may be added to others. */
typedef struct {
  char *model, *prompts;
  const char *frames;
} Identity;

static void
identity_clear (Identity *identity)
{
  g_free (identity->model);
  g_free (identity->prompts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Identity, identity_clear)

static gboolean
write_head (EvalResults *results, const Identity *identity, GError **error)
{
  g_autoptr (GString) line = g_string_new (NULL);
  g_string_printf (line,
      "{\"gst_clip_eval\":1,\"model_digest\":\"%s\",\"precision\":\"%s\",\"prompts_digest\":\"%s\",\"frames\":",
      identity->model, clip_precision_get_name (tool_options.precision), identity->prompts);
  tool_json_string (line, identity->frames);
  return eval_results_write (results, g_string_append_c (line, '}')->str, error);
}

static gboolean
check_member (JsonObject *head, const char *member, const char *wanted, const char *what, const char *path,
    GError **error)
{
  const char *found = "";
  if (!clip_json_read_string (head, member, &found, error))
    return FALSE;
  if (g_str_equal (found, wanted))
    return TRUE;
  g_autofree char *message =
      g_strdup_printf ("holds results of %s; name another file, or remove this one", what);
  return fail (error, path, message);
}

static gboolean
check_head (JsonObject *head, const Identity *identity, const char *path, GError **error)
{
  guint version = 0;
  if (!clip_json_read_uint (head, "gst_clip_eval", 0, G_MAXUINT, &version, NULL) || version != 1)
    return fail (error, path, "is no file of results: its first line has no \"gst_clip_eval\":1");
  return check_member (head, "model_digest", identity->model, "another model", path, error) &&
      check_member (head, "precision", clip_precision_get_name (tool_options.precision), "another precision", path,
          error) &&
      check_member (head, "prompts_digest", identity->prompts, "other class names or templates", path, error) &&
      check_member (head, "frames", identity->frames, "other frames of the videos", path, error);
}

/* (transfer full) (nullable): as the bytes that the folder gave */
static char *
read_path (JsonObject *object)
{
  const char *path = NULL, *base64 = NULL;
  clip_json_read_string (object, "file", &path, NULL);
  clip_json_read_string (object, "file_base64", &base64, NULL);
  if (!base64)
    return g_strdup (path);
  gsize length;
  g_autofree guchar *bytes = g_base64_decode (base64, &length);
  return g_strndup ((const char *) bytes, length);
}

/* A line of a file that is still there counts; one that failed is tried again. */
static void
take_line (JsonObject *object, EvalData *data, GHashTable *files)
{
  const guint classes = clip_prompt_set_get_size (data->set);
  g_autofree char *path = read_path (object);
  EvalFile *file = path ? g_hash_table_lookup (files, path) : NULL;
  guint rank = 0, best = EVAL_NO_CLASS;
  if (!file || clip_json_has (object, "error") ||
      !clip_json_read_uint (object, "rank", 1, classes, &rank, NULL) ||
      !clip_json_read_uint (object, "best", 0, classes - 1, &best, NULL) || best == EVAL_NO_CLASS || rank == 0)
    return;
  file->rank = rank;
  file->best = best;
  file->resumed = TRUE;
}

static gboolean
read_line (const char *line, gsize length, guint number, const Identity *identity, const char *path,
    EvalData *data, GHashTable *files, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (JsonNode) node = length <= MAX_LINE ? clip_json_parse (line, length, &cause) : NULL;
  if (!node) {
    g_autofree char *message =
        g_strdup_printf ("line %u: %s", number, cause ? cause->message : "is longer than one of results");
    return fail (error, path, message);
  }
  if (number == 1)
    return check_head (json_node_get_object (node), identity, path, error);
  take_line (json_node_get_object (node), data, files);
  return TRUE;
}

/* @whole: bytes of complete lines */
static gboolean
read_lines (const char *text, gsize whole, const Identity *identity, const char *path, EvalData *data,
    GError **error)
{
  g_autoptr (GHashTable) files = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < data->files->len; i++) {
    EvalFile *file = &g_array_index (data->files, EvalFile, i);
    g_hash_table_insert (files, file->path, file);
  }
  guint number = 1;
  for (const char *line = text, *end = text + whole; line < end; number++) {
    const char *stop = memchr (line, '\n', (gsize) (end - line));
    if (!read_line (line, (gsize) (stop - line), number, identity, path, data, files, error))
      return FALSE;
    line = stop + 1;
  }
  return TRUE;
}

/* Reads what is there, cuts an incomplete last line off, and leaves the file at its end.
 * @empty: receives whether a head is missing */
static gboolean
continue_file (EvalResults *results, const Identity *identity, EvalData *data, gboolean *empty, GError **error)
{
  g_autoptr (GMappedFile) file = g_mapped_file_new_from_fd (results->fd, FALSE, error);
  if (!file)
    return FALSE;
  const char *text = g_mapped_file_get_contents (file);
  gsize whole = text ? g_mapped_file_get_length (file) : 0;
  /* a file of one cut line is cut to nothing only when it is a head of ours that begins there */
  while (whole > 0 && text[whole - 1] != '\n')
    whole--;
  const char *const start = "{\"gst_clip_eval\":1";
  const gsize have = text ? g_mapped_file_get_length (file) : 0;
  if (have > 0 && strncmp (text, start, MIN (have, strlen (start))) != 0)
    return fail (error, results->path, "is no file of results: its first line has no \"gst_clip_eval\":1");
  *empty = whole == 0;
  if (!read_lines (text, whole, identity, results->path, data, error))
    return FALSE;
  if (ftruncate (results->fd, (off_t) whole) != 0)
    return fail (error, results->path, g_strerror (errno));
  return TRUE;
}

/* A pipe could block for ever, so it is opened without waiting and then refused. */
static EvalResults *
open_file (const char *path, gboolean resume, GError **error)
{
  struct stat status;
  const int fd = open (path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd < 0) {
    fail (error, path, g_strerror (errno));
    return NULL;
  }
  g_autoptr (EvalResults) results = g_new0 (EvalResults, 1);
  results->path = g_strdup (path);
  results->fd = fd;
  if (fstat (fd, &status) != 0 || !S_ISREG (status.st_mode))
    fail (error, path, "is not a regular file");
  else if (status.st_size > 0 && !resume)
    fail (error, path, "exists; --resume goes on with it, or remove it");
  else if (flock (fd, LOCK_EX | LOCK_NB) != 0)
    fail (error, path, "is being written by another evaluation");
  else
    return g_steal_pointer (&results);
  return NULL;
}

EvalResults *
eval_results_open (const char *path, gboolean resume, const char *model, char **templates,
    const char *frames, EvalData *data, GError **error)
{
  g_auto (Identity) identity = { .frames = frames };
  gboolean empty = TRUE;
  identity.model = eval_fingerprint_model (model, error);
  if (!identity.model)
    return NULL;
  identity.prompts = eval_fingerprint_prompts (data, templates);
  g_autoptr (EvalResults) results = open_file (path, resume, error);
  if (!results || !continue_file (results, &identity, data, &empty, error) ||
      (empty && !write_head (results, &identity, error)))
    return NULL;
  return g_steal_pointer (&results);
}
