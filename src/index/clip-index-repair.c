/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a crash leaves: vectors whose rows were not committed, or, after a loss of power, rows whose vectors are gone. */
#include "clip-index-private.h"

#include <string.h>

/* The rows of the last batches, which a loss of power may have parted from their vectors. */
#define ROWS_CHECKED 4096

static gboolean
checksum_is_right (const ClipIndexMeta *meta, GMappedFile *file, guint64 id, gint64 crc)
{
  const char *data = g_mapped_file_get_contents (file) + CLIP_INDEX_HEADER;
  return clip_index_checksum (data + id % meta->segment * meta->dim * sizeof (float), meta->dim) == crc;
}

typedef struct {
  guint64 number, count; /* of the segment that was looked at last */
  GMappedFile *file;
} Look;

static gboolean
look_at (ClipIndexFiles *files, guint64 number, Look *look, GError **error)
{
  if (look->number == number)
    return TRUE;
  g_clear_pointer (&look->file, g_mapped_file_unref);
  look->number = number;
  if (!clip_index_segment_count (files->directory, &files->meta, number, &look->count, error))
    return FALSE;
  if (look->count > 0)
    look->file = clip_index_segment_map (files->directory, &files->meta, number, look->count, error);
  return look->count == 0 || look->file;
}

/* @end: (inout): goes back over rows whose vectors are missing or broken, as far as they are the last ones;
 * @found: (out): a row was found that has its vector */
static gboolean
find_end (ClipIndexFiles *files, sqlite3_stmt *rows, guint64 *end, gboolean *found, GError **error)
{
  const guint segment = files->meta.segment;
  Look look = { .number = G_MAXUINT64 };
  int code;
  gboolean ok = TRUE;
  *found = FALSE;
  while (ok && !*found && (code = sqlite3_step (rows)) == SQLITE_ROW) {
    guint64 id = (guint64) sqlite3_column_int64 (rows, 0);
    ok = look_at (files, id / segment, &look, error);
    *found = ok && id % segment < look.count
             && checksum_is_right (&files->meta, look.file, id, sqlite3_column_int64 (rows, 1));
    if (!*found)
      *end = id;
  }
  g_clear_pointer (&look.file, g_mapped_file_unref);
  return ok && (*found || code == SQLITE_DONE || clip_index_database_fail (files->db, error));
}

/* A crash costs the last batch at most: more is damage that nobody should repair in silence. */
static gboolean
check_tail (ClipIndexFiles *files, guint64 *end, GError **error)
{
  g_autofree char *sql = g_strdup_printf ("SELECT id, crc FROM frames ORDER BY id DESC LIMIT %d", ROWS_CHECKED);
  g_autoptr (sqlite3_stmt) rows = clip_index_database_prepare (files->db, sql, error);
  gboolean found = FALSE;
  gint64 last = 0;
  if (!rows || !clip_index_database_get_int (files->db, "SELECT max(id) FROM frames", -1, &last, error))
    return FALSE;
  if (last >= (gint64) files->meta.next)
    return clip_index_fail (error, "has entries behind its end; the file is damaged");
  if (last < 0)
    return TRUE;
  if (!find_end (files, rows, end, &found, error))
    return FALSE;
  return found || clip_index_fail (error,
      "the vectors of its last %" G_GUINT64_FORMAT " entries are missing or damaged in %s; restore a copy of that "
      "directory, or begin a new store", files->meta.next - *end, files->directory);
}

static gboolean
delete_rows (ClipIndexFiles *files, guint64 end, GError **error)
{
  g_autofree char *sql = g_strdup_printf ("DELETE FROM frames WHERE id >= %" G_GUINT64_FORMAT, end);
  return clip_index_database_run (files->db, "BEGIN IMMEDIATE", error)
         && clip_index_database_run (files->db, sql, error)
         && clip_index_database_set_int (files->db, "next", (gint64) end, error)
         && clip_index_database_run (files->db, "COMMIT", error);
}

/* Cuts what lies behind the last row. @vectors: (out): how many were there */
static gboolean
cut_vectors (ClipIndexFiles *files, guint64 *vectors, GError **error)
{
  const ClipIndexMeta *meta = &files->meta;
  guint64 count, used = meta->next % meta->segment, last = meta->next / meta->segment;
  guint removed;
  gint64 first;
  if (!clip_index_database_get_int (files->db, "SELECT min(id) FROM frames", (gint64) meta->next, &first, error)
      || !clip_index_segment_count (files->directory, meta, last, &count, error))
    return FALSE;
  *vectors = count > used ? count - used : 0;
  if (used > 0) {
    files->segment = clip_index_segment_open (files->directory, meta, meta->next, error);
    if (files->segment < 0)
      return FALSE;
    return clip_index_segment_prune (files->directory, (guint64) first / meta->segment, last, &removed, error);
  }
  if (last == 0)
    return clip_index_segment_prune (files->directory, 1, 0, &removed, error);
  return clip_index_segment_prune (files->directory, (guint64) first / meta->segment, last - 1, &removed, error);
}

/* A first batch whose rows were not committed; more cannot be of this store. */
static gboolean
clean_new (ClipIndexFiles *files, GError **error)
{
  guint n, removed;
  clip_index_segment_usage (files->directory, &n);
  if (n > 1)
    return clip_index_fail (error, "is new, but %s holds the vectors of another store; move that away", files->directory);
  return clip_index_segment_prune (files->directory, 1, 0, &removed, error);
}

gboolean
clip_index_files_repair (ClipIndexFiles *files, GError **error)
{
  guint64 end = files->meta.next, vectors = 0, rows;
  if (!files->meta.model)
    return clean_new (files, error);
  if (!check_tail (files, &end, error))
    return FALSE;
  rows = files->meta.next - end;
  if (rows > 0 && !delete_rows (files, end, error))
    return FALSE;
  files->meta.next = end;
  if (!cut_vectors (files, &vectors, error))
    return FALSE;
  if (rows > 0 || vectors > 0)
    files->repair = g_strdup_printf ("%s was not closed properly: %" G_GUINT64_FORMAT " rows without vectors were "
        "deleted, %" G_GUINT64_FORMAT " vectors without rows cut off", files->path, rows, vectors);
  return TRUE;
}
