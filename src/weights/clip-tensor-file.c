/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights/clip-tensor-file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is digested of a file: its beginning, where the header is, and samples spread over the rest */
#define DIGEST_HEAD (256 * 1024)
#define DIGEST_SAMPLES 64
#define DIGEST_SAMPLE 4096
/* A file younger than this may change again within one tick of the clock that dates it */
#define DIGEST_MIN_AGE 2

struct _ClipTensorFile {
  char *name;
  gboolean mapped; /* else the bytes belong to the caller */
  int fd;          /* of the mapped file, -1 without one */
  struct stat info; /* as it was when it was mapped */
  const guint8 *data;
  gsize length;
  GPtrArray *owned;    /* GBytes */
  GHashTable *tensors; /* name -> ClipTensor */
};

ClipTensorFile *
clip_tensor_file_new (const guint8 *data, gsize length, const char *name)
{
  ClipTensorFile *file = g_new0 (ClipTensorFile, 1);
  file->name = g_filename_display_basename (name);
  file->fd = -1;
  file->data = data;
  file->length = length;
  file->owned = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  file->tensors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return file;
}

static gboolean G_GNUC_PRINTF (3, 4)
    fail (ClipTensorFile *file, GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s: %s", file->name, message);
  return FALSE;
}

/* O_NONBLOCK: a named pipe must give an error, not wait for a writer */
static gboolean
map_file (ClipTensorFile *file, const char *path, GError **error)
{
  struct stat info = { 0 };
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat (fd, &info) != 0) {
    int code = errno;
    if (fd >= 0)
      close (fd);
    return fail (file, error, "cannot be read: %s", g_strerror (code));
  }
  gboolean usable
      = S_ISREG (info.st_mode) && info.st_size > 0 && (guint64)info.st_size <= G_MAXSIZE;
  void *map = usable ? mmap (NULL, info.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  int code = errno;
  if (map == MAP_FAILED)
    close (fd);
  if (!usable)
    return fail (
        file, error, "is %s; download it again", S_ISREG (info.st_mode) ? "empty" : "not a file");
  if (map == MAP_FAILED)
    return fail (file, error, "cannot be mapped: %s", g_strerror (code));
  file->mapped = TRUE;
  file->fd = fd;
  file->info = info;
  file->data = map;
  file->length = info.st_size;
  madvise (map, file->length, MADV_SEQUENTIAL);
  return TRUE;
}

ClipTensorFile *
clip_tensor_file_map (const char *path, GError **error)
{
  g_autoptr (ClipTensorFile) file = clip_tensor_file_new (NULL, 0, path);
  return map_file (file, path, error) ? g_steal_pointer (&file) : NULL;
}

void
clip_tensor_file_free (ClipTensorFile *file)
{
  if (!file)
    return;
  if (file->mapped)
    munmap ((void *)file->data, file->length);
  if (file->fd >= 0)
    close (file->fd);
  g_hash_table_unref (file->tensors);
  g_ptr_array_unref (file->owned);
  g_free (file->name);
  g_free (file);
}

ClipTensorFile *
clip_tensor_file_read (
    ClipTensorFile *file, gboolean (*parse) (ClipTensorFile *, GError **), GError **error)
{
  if (!file || parse (file, error))
    return file;
  g_prefix_error (error, "%s: ", file->name);
  clip_tensor_file_free (file);
  return NULL;
}

const guint8 *
clip_tensor_file_get_bytes (ClipTensorFile *file, gsize *length)
{
  *length = file->length;
  return file->data;
}

void
clip_tensor_file_own (ClipTensorFile *file, GBytes *bytes)
{
  g_ptr_array_add (file->owned, g_bytes_ref (bytes));
}

void
clip_tensor_file_add (ClipTensorFile *file, const char *name, const ClipTensor *tensor)
{
  g_hash_table_insert (file->tensors, g_strdup (name), g_memdup2 (tensor, sizeof *tensor));
}

const char *
clip_tensor_file_get_name (ClipTensorFile *file)
{
  return file->name;
}

const ClipTensor *
clip_tensor_file_lookup (ClipTensorFile *file, const char *tensor)
{
  return g_hash_table_lookup (file->tensors, tensor);
}

GList *
clip_tensor_file_get_names (ClipTensorFile *file)
{
  return g_hash_table_get_keys (file->tensors);
}

/* Pages are dropped whole; a neighbour's share of them is read from the file again */
void
clip_tensor_file_drop (ClipTensorFile *file, const ClipTensor *tensor)
{
  if (!file->mapped || tensor->size == 0 || tensor->data < file->data
      || tensor->data >= file->data + file->length)
    return;
  gsize page = sysconf (_SC_PAGESIZE);
  gsize begin = (tensor->data - file->data) / page * page;
  gsize end = tensor->data + tensor->size - file->data;
  madvise ((guint8 *)file->data + begin, end - begin, MADV_DONTNEED);
}

gboolean
clip_tensor_file_check_unchanged (ClipTensorFile *file, GError **error)
{
  struct stat now = { 0 };
  if (file->fd < 0)
    return TRUE;
  if (fstat (file->fd, &now) == 0 && now.st_size == file->info.st_size
      && now.st_mtim.tv_sec == file->info.st_mtim.tv_sec && now.st_mtim.tv_nsec == file->info.st_mtim.tv_nsec)
    return TRUE;
  return fail (file, error, "was changed while it is in use; open the model again");
}

gboolean
clip_tensor_file_digest (ClipTensorFile *file, GChecksum *sum)
{
  const struct stat *info = &file->info;
  const gint64 newest = MAX (info->st_mtim.tv_sec, info->st_ctim.tv_sec);
  if (file->fd < 0 || newest > g_get_real_time () / G_USEC_PER_SEC - DIGEST_MIN_AGE)
    return FALSE;
  const gint64 identity[] = { info->st_size, info->st_ino, info->st_mtim.tv_sec, info->st_mtim.tv_nsec,
    info->st_ctim.tv_sec, info->st_ctim.tv_nsec };
  g_checksum_update (sum, (const guchar *)identity, sizeof identity);
  g_checksum_update (sum, file->data, (gssize)MIN (file->length, DIGEST_HEAD));
  for (guint i = 0; file->length > DIGEST_HEAD && i < DIGEST_SAMPLES; i++) {
    gsize at = (file->length - DIGEST_SAMPLE) / (DIGEST_SAMPLES - 1) * i;
    g_checksum_update (sum, file->data + at, DIGEST_SAMPLE);
  }
  return TRUE;
}

char *
clip_tensor_shape_string (const guint64 *shape, guint n_dims)
{
  GString *text = g_string_new ("[");
  for (guint i = 0; i < n_dims; i++)
    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, i ? "," : "", shape[i]);
  g_string_append_c (text, ']');
  return g_string_free (text, FALSE);
}
