/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-line-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clip-error.h"

/* How long a line may be that is taken for cut by a crash */
#define TAIL_MAX (64 << 20)

typedef struct {
  ClipTransport parent;
  ClipLineFileSettings settings; /* owns path */
  int fd;
  gint64 size, opened, synced; /* times are monotonic */
  gboolean dirty;
} LineFile;

static gboolean
fail (LineFile *file, const char *what, GError **error)
{
  return clip_disk_error (error, file->settings.path, what, errno);
}

/* The size up to and including the last newline, -1 when there is none within reach */
static gint64
find_last_newline (int fd, gint64 size)
{
  char block[4096];
  for (gint64 end = size; end > 0 && size - end < TAIL_MAX;) {
    gsize n = (gsize) MIN (end, (gint64) sizeof block);
    if (pread (fd, block, n, end - (gint64) n) != (gssize) n)
      return -1;
    for (gsize i = n; i > 0; i--) {
      if (block[i - 1] == '\n')
        return end - (gint64) (n - i);
    }
    end -= (gint64) n;
  }
  return size <= TAIL_MAX ? 0 : -1;
}

/* Nothing of a file that is not ours may be cut away. */
static gboolean
is_json_lines (int fd, gint64 size)
{
  char first;
  return size == 0 || (pread (fd, &first, 1, 0) == 1 && first == '{');
}

static gboolean
repair (LineFile *file, GError **error)
{
  gint64 whole = find_last_newline (file->fd, file->size);
  if (whole < 0 || !is_json_lines (file->fd, file->size)) {
    g_autofree char *name = g_filename_display_name (file->settings.path);
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED,
        "%s: this is not a file of JSON lines, and nothing is appended to it; name another file", name);
    return FALSE;
  }
  if (whole == file->size)
    return TRUE;
  if (ftruncate (file->fd, whole) != 0)
    return fail (file, "cannot remove the line that a crash has cut", error);
  g_info ("%s: removed a line of %" G_GINT64_FORMAT " bytes that a crash had cut", file->settings.path,
      file->size - whole);
  file->size = whole;
  return TRUE;
}

static gboolean
sync_file (LineFile *file, GError **error)
{
  file->synced = g_get_monotonic_time ();
  if (file->dirty && fdatasync (file->fd) != 0)
    return fail (file, "cannot bring what was written to the disk", error);
  file->dirty = FALSE;
  return TRUE;
}

static void
close_file (ClipTransport *transport)
{
  LineFile *file = (LineFile *) transport;
  g_autoptr (GError) error = NULL;
  if (file->fd < 0)
    return;
  if (file->settings.sync != CLIP_SYNC_NONE && !sync_file (file, &error))
    g_warning ("%s", error->message);
  close (file->fd);
  file->fd = -1;
}

static gboolean
open_locked (LineFile *file, GError **error)
{
  struct stat status;
  if (!clip_disk_lock (file->fd, file->settings.path, error))
    return FALSE;
  if (fstat (file->fd, &status) != 0)
    return fail (file, "cannot read its size", error);
  file->size = status.st_size;
  if (S_ISREG (status.st_mode))
    return repair (file, error);
  g_autofree char *name = g_filename_display_name (file->settings.path);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED,
      "%s: expected a regular file; for a pipe or a terminal use clipjson and fdsink", name);
  return FALSE;
}

static gboolean
open_file (ClipTransport *transport, GError **error)
{
  LineFile *file = (LineFile *) transport;
  /* O_NONBLOCK: a pipe that nobody reads is an error and no place to hang */
  file->fd = open (file->settings.path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (file->fd < 0)
    return fail (file, "cannot open for writing", error);
  if (!open_locked (file, error)) {
    close (file->fd);
    file->fd = -1;
    return FALSE;
  }
  file->opened = file->synced = g_get_monotonic_time ();
  return TRUE;
}

static gboolean
is_open (ClipTransport *transport)
{
  return ((LineFile *) transport)->fd >= 0;
}

/* "dir/labels" and ".jsonl" */
static void
split_path (const char *path, char **stem, const char **suffix)
{
  const char *slash = strrchr (path, '/'), *dot = strrchr (path, '.');
  *suffix = dot && dot > (slash ? slash + 1 : path) ? dot : path + strlen (path);
  *stem = g_strndup (path, (gsize) (*suffix - path));
}

/* (transfer full): a name that is not taken, later than all before */
static char *
aside_name (const char *path)
{
  g_autofree char *stem = NULL;
  const char *suffix;
  split_path (path, &stem, &suffix);
  for (gint64 now = g_get_real_time ();; now++) {
    g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (now / G_USEC_PER_SEC);
    g_autofree char *seconds = g_date_time_format (time, "%Y%m%dT%H%M%S");
    g_autofree char *name = g_strdup_printf ("%s-%s.%06dZ%s", stem, seconds, (int) (now % G_USEC_PER_SEC), suffix);
    if (!g_file_test (name, G_FILE_TEST_EXISTS))
      return g_steal_pointer (&name);
  }
}

static gboolean
is_aside (const char *name, const char *prefix, const char *suffix)
{
  const char *form = "00000000T000000.000000Z";
  if (!g_str_has_prefix (name, prefix))
    return FALSE;
  for (name += strlen (prefix); *form; form++, name++) {
    if (*form == '0' ? !g_ascii_isdigit (*name) : *name != *form)
      return FALSE;
  }
  return g_str_equal (name, suffix);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

static void
remove_old_files (const LineFile *file)
{
  g_autofree char *stem = NULL, *directory = g_path_get_dirname (file->settings.path);
  const char *suffix, *name;
  split_path (file->settings.path, &stem, &suffix);
  g_autofree char *base = g_path_get_basename (stem), *prefix = g_strconcat (base, "-", NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  while (dir && (name = g_dir_read_name (dir))) {
    if (is_aside (name, prefix, suffix))
      g_ptr_array_add (names, g_build_filename (directory, name, NULL));
  }
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i + file->settings.max_files < names->len; i++)
    g_unlink (g_ptr_array_index (names, i));
}

static gboolean
rotate (LineFile *file, GError **error)
{
  g_autofree char *aside = aside_name (file->settings.path);
  if (g_rename (file->settings.path, aside) != 0)
    return fail (file, "cannot put the full file aside", error);
  close_file (&file->parent);
  if (file->settings.max_files)
    remove_old_files (file);
  return open_file (&file->parent, error);
}

static gboolean
is_full (const LineFile *file, gsize more)
{
  const ClipLineFileSettings *s = &file->settings;
  if (file->size == 0)
    return FALSE;
  return (s->rotate_size && (guint64) file->size + more > s->rotate_size)
         || (s->rotate_interval && g_get_monotonic_time () - file->opened >= s->rotate_interval);
}

static gboolean
send_line (ClipTransport *transport, const ClipMessage *message, guint64 id, GError **error)
{
  LineFile *file = (LineFile *) transport;
  if (is_full (file, message->length) && !rotate (file, error))
    return FALSE;
  if (!clip_disk_append (file->fd, file->settings.path, file->size, message->line, message->length, error))
    return FALSE;
  file->size += (gint64) message->length;
  file->dirty = TRUE;
  if (file->settings.sync == CLIP_SYNC_EACH && !sync_file (file, error))
    return FALSE;
  transport->acknowledged (id, transport->data);
  return TRUE;
}

static gboolean
dispatch (ClipTransport *transport, GError **error)
{
  LineFile *file = (LineFile *) transport;
  if (file->settings.sync == CLIP_SYNC_INTERVAL
      && g_get_monotonic_time () - file->synced >= file->settings.sync_interval && !sync_file (file, error))
    return FALSE;
  return !is_full (file, 0) || rotate (file, error);
}

static void
free_file (ClipTransport *transport)
{
  LineFile *file = (LineFile *) transport;
  g_free ((char *) file->settings.path);
  g_free (file);
}

ClipTransport *
clip_line_file_new (const ClipLineFileSettings *settings)
{
  static const ClipTransportClass klass
      = { "file", 1, open_file, close_file, is_open, send_line, NULL, dispatch, free_file };
  LineFile *file = g_new0 (LineFile, 1);
  file->parent.klass = &klass;
  file->settings = *settings;
  file->settings.path = g_strdup (settings->path);
  file->fd = -1;
  return &file->parent;
}
