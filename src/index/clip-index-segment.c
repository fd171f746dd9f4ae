/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of vectors: a page of header, then [segment,dim] float32, little endian. Entry N is row N % segment of the file
 * N / segment. Which rows count is the database's to say. */
#include "clip-index-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define MAGIC "CLIPVEC1"
#define SUFFIX ".vec"

typedef struct {
  char magic[8];
  guint32 dim, segment; /* little endian, as all */
  guint64 first;        /* number of the first entry */
  guint32 crc;          /* of what is before */
} Header;

char *
clip_index_segment_directory (const char *path)
{
  return g_strconcat (path, ".vectors", NULL);
}

char *
clip_index_segment_path (const char *directory, guint64 number)
{
  g_autofree char *name = g_strdup_printf ("%010" G_GUINT64_FORMAT SUFFIX, number);
  return g_build_filename (directory, name, NULL);
}

guint32
clip_index_checksum (const void *vector, guint dim)
{
  return (guint32) crc32 (0, vector, (uInt) (dim * sizeof (float)));
}

static Header
make_header (const ClipIndexMeta *meta, guint64 number)
{
  Header header = { .dim = GUINT32_TO_LE (meta->dim), .segment = GUINT32_TO_LE (meta->segment),
    .first = GUINT64_TO_LE (number * meta->segment) };
  memcpy (header.magic, MAGIC, sizeof header.magic);
  header.crc = GUINT32_TO_LE ((guint32) crc32 (0, (const Bytef *) &header, G_STRUCT_OFFSET (Header, crc)));
  return header;
}

static gboolean
check_header (const void *found, const char *path, const ClipIndexMeta *meta, guint64 number, GError **error)
{
  const Header want = make_header (meta, number);
  if (memcmp (found, &want, G_STRUCT_OFFSET (Header, crc) + sizeof want.crc) == 0)
    return TRUE;
  return clip_index_fail (error,
      "%s: its header is not that of a file of %u vectors of %u values from entry %" G_GUINT64_FORMAT
      "; it is damaged, or not of this store", path, meta->segment, meta->dim, number * meta->segment);
}

static gboolean
fail_errno (GError **error, const char *path, const char *what)
{
  int code = errno;
  return clip_index_fail (error, "%s: cannot be %s: %s", path, what, g_strerror (code));
}

static gboolean
write_header (int fd, const char *path, const ClipIndexMeta *meta, guint64 number, GError **error)
{
  const Header header = make_header (meta, number);
  guint8 page[CLIP_INDEX_HEADER] = { 0 };
  memcpy (page, &header, sizeof header);
  if (ftruncate (fd, 0) == 0 && pwrite (fd, page, sizeof page, 0) == (gssize) sizeof page)
    return TRUE;
  return fail_errno (error, path, "written");
}

static gboolean
read_header (int fd, const char *path, const ClipIndexMeta *meta, guint64 number, GError **error)
{
  guint8 page[CLIP_INDEX_HEADER];
  if (pread (fd, page, sizeof page, 0) != (gssize) sizeof page)
    return clip_index_fail (error, "%s: is cut within its header", path);
  return check_header (page, path, meta, number, error);
}

int
clip_index_segment_open (const char *directory, const ClipIndexMeta *meta, guint64 id, GError **error)
{
  guint64 number = id / meta->segment, rows = id % meta->segment;
  g_autofree char *path = clip_index_segment_path (directory, number);
  int fd = g_open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) {
    fail_errno (error, path, "opened");
    return -1;
  }
  off_t size = (off_t) (CLIP_INDEX_HEADER + rows * meta->dim * sizeof (float));
  /* a file without bytes is new: entries before @id, if there are any, have all been deleted */
  gboolean fresh = rows == 0 || lseek (fd, 0, SEEK_END) == 0;
  gboolean ok = fresh ? write_header (fd, path, meta, number, error) : read_header (fd, path, meta, number, error);
  if (ok && ftruncate (fd, size) != 0)
    ok = fail_errno (error, path, "cut");
  if (ok)
    return fd;
  close (fd);
  return -1;
}

gboolean
clip_index_segment_count (
    const char *directory, const ClipIndexMeta *meta, guint64 number, guint64 *count, GError **error)
{
  g_autofree char *path = clip_index_segment_path (directory, number);
  struct stat info;
  *count = 0;
  if (g_lstat (path, &info) != 0)
    return errno == ENOENT || fail_errno (error, path, "read");
  if (info.st_size > CLIP_INDEX_HEADER)
    *count = (guint64) (info.st_size - CLIP_INDEX_HEADER) / (meta->dim * sizeof (float));
  return TRUE;
}

GMappedFile *
clip_index_segment_map (
    const char *directory, const ClipIndexMeta *meta, guint64 number, guint64 count, GError **error)
{
  g_autofree char *path = clip_index_segment_path (directory, number);
  g_autoptr (GError) cause = NULL;
  if (g_file_test (path, G_FILE_TEST_EXISTS) && !g_file_test (path, G_FILE_TEST_IS_REGULAR)) {
    clip_index_fail (error, "%s: is not a regular file", path);
    return NULL;
  }
  g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, &cause);
  if (!file) {
    if (!g_error_matches (cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
      clip_index_fail (error, "%s", cause->message);
    return NULL;
  }
  gsize size = g_mapped_file_get_length (file), row = meta->dim * sizeof (float);
  if (size < CLIP_INDEX_HEADER + count * row) {
    clip_index_fail (error,
        "%s: is cut: it has %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " vectors; opening the store with clipindex "
        "repairs its end", path, (guint64) (size > CLIP_INDEX_HEADER ? (size - CLIP_INDEX_HEADER) / row : 0), count);
    return NULL;
  }
  return check_header (g_mapped_file_get_contents (file), path, meta, number, error) ? g_steal_pointer (&file) : NULL;
}

/* FALSE: not one of ours */
static gboolean
parse_name (const char *name, guint64 *number)
{
  char *end;
  if (!g_ascii_isdigit (*name))
    return FALSE;
  *number = g_ascii_strtoull (name, &end, 10);
  return g_str_equal (end, SUFFIX);
}

gboolean
clip_index_segment_prune (const char *directory, guint64 first, guint64 last, guint *removed, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, error);
  const char *name;
  guint64 number;
  *removed = 0;
  while (dir && (name = g_dir_read_name (dir))) {
    if (!parse_name (name, &number) || (number >= first && number <= last))
      continue;
    g_autofree char *path = g_build_filename (directory, name, NULL);
    if (g_unlink (path) != 0)
      return fail_errno (error, path, "removed");
    (*removed)++;
  }
  return dir != NULL;
}

guint64
clip_index_segment_usage (const char *directory, guint *files)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;
  guint64 number, bytes = 0;
  *files = 0;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (directory, name, NULL);
    struct stat info;
    if (!parse_name (name, &number) || g_lstat (path, &info) != 0)
      continue;
    bytes += (guint64) info.st_size;
    (*files)++;
  }
  return bytes;
}
