/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A store for reading: a snapshot of the rows, and the files of vectors mapped. */
#include "clip-index-private.h"

/* How often a store is looked at anew whose oldest entries were deleted while it was opened. */
#define ATTEMPTS 5

static gboolean
read_bounds (ClipIndex *index, GError **error)
{
  gint64 first, end, n;
  if (!clip_index_database_get_int (index->db, "SELECT min(id) FROM frames", (gint64) index->meta.next, &first, error)
      || !clip_index_database_get_int (index->db, "SELECT max(id) + 1 FROM frames", first, &end, error)
      || !clip_index_database_get_int (index->db, "SELECT count(*) FROM frames", 0, &n, error))
    return FALSE;
  if (first < 0 || end < first || (guint64) end > index->meta.next || n > end - first)
    return clip_index_fail (error, "its entries are not where they should be; the file is damaged");
  index->first = (guint64) first;
  index->end = (guint64) end;
  index->dense = n == end - first;
  return TRUE;
}

/* Returns: FALSE without an error when a file is not there */
static gboolean
map_segments (ClipIndex *index, GError **error)
{
  const ClipIndexMeta *meta = &index->meta;
  g_autofree char *directory = clip_index_segment_directory (index->path);
  g_ptr_array_set_size (index->segments, 0);
  if (index->first == index->end)
    return TRUE;
  index->first_segment = index->first / meta->segment;
  for (guint64 number = index->first_segment; number <= (index->end - 1) / meta->segment; number++) {
    guint64 rows = MIN (index->end - number * meta->segment, meta->segment);
    GMappedFile *file = clip_index_segment_map (directory, meta, number, rows, error);
    if (!file)
      return FALSE;
    g_ptr_array_add (index->segments, file);
  }
  return TRUE;
}

static gboolean
take_snapshot (ClipIndex *index, GError **error)
{
  return clip_index_database_run (index->db, "BEGIN", error)
         && clip_index_database_read_meta (index->db, &index->meta, error) && read_bounds (index, error);
}

static gboolean
open_files (ClipIndex *index, GError **error)
{
  index->db = clip_index_database_open (index->path, FALSE, error);
  for (guint i = 0; index->db && i < ATTEMPTS; i++) {
    g_autoptr (GError) cause = NULL;
    if (!take_snapshot (index, error))
      return FALSE;
    if (map_segments (index, &cause))
      return TRUE;
    if (cause) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return FALSE;
    }
    if (!clip_index_database_run (index->db, "COMMIT", error))
      return FALSE;
  }
  if (index->db) {
    g_autofree char *directory = clip_index_segment_directory (index->path);
    clip_index_fail (error, "a file of vectors of it is missing in %s; they belong together", directory);
  }
  return FALSE;
}

ClipIndex *
clip_index_open (const char *path, GError **error)
{
  g_autoptr (ClipIndex) index = g_new0 (ClipIndex, 1);
  index->path = g_strdup (path);
  index->segments = g_ptr_array_new_with_free_func ((GDestroyNotify) g_mapped_file_unref);
  if (open_files (index, error))
    return g_steal_pointer (&index);
  g_autofree char *name = g_filename_display_name (path);
  g_prefix_error (error, "%s: ", name);
  return NULL;
}

void
clip_index_free (ClipIndex *index)
{
  if (!index)
    return;
  g_clear_pointer (&index->select_row, sqlite3_finalize);
  sqlite3_close (index->db);
  g_ptr_array_unref (index->segments);
  g_free (index->meta.model);
  g_free (index->path);
  g_free (index);
}

const char *
clip_index_get_model (ClipIndex *index)
{
  return index->meta.model;
}

guint
clip_index_get_embed_dim (ClipIndex *index)
{
  return index->meta.dim;
}

void
clip_index_get_bounds (ClipIndex *index, guint64 *first, guint64 *end)
{
  *first = index->first;
  *end = index->end;
}

gboolean
clip_index_check_model (ClipIndex *index, const char *model, guint embed_dim, GError **error)
{
  if (!index->meta.model)
    return clip_index_fail (error, "%s: holds nothing yet", index->path);
  if (g_str_equal (index->meta.model, model) && index->meta.dim == embed_dim)
    return TRUE;
  return clip_index_fail (error,
      "%s: holds embeddings of the model %s (%u values), the query's model is %s (%u values); say --model with the one "
      "that clipclassify used", index->path, index->meta.model, index->meta.dim, model, embed_dim);
}

const float *
clip_index_get_vector (ClipIndex *index, guint64 id)
{
  GMappedFile *file = g_ptr_array_index (index->segments, id / index->meta.segment - index->first_segment);
  const char *data = g_mapped_file_get_contents (file) + CLIP_INDEX_HEADER;
  return (const float *) (gconstpointer) (data + id % index->meta.segment * index->meta.dim * sizeof (float));
}

static gint64
column_time (sqlite3_stmt *row, int column)
{
  return sqlite3_column_type (row, column) == SQLITE_NULL ? CLIP_INDEX_NO_TIME : sqlite3_column_int64 (row, column);
}

/* (transfer full): what a damaged file has may be no UTF-8 */
static char *
column_text (sqlite3_stmt *row, int column)
{
  const char *text = (const char *) sqlite3_column_text (row, column);
  return text ? g_utf8_make_valid (text, -1) : NULL;
}

static void
take_row (ClipIndexRow *row, guint64 id, sqlite3_stmt *s)
{
  *row = (ClipIndexRow){ .id = id,
    .run = sqlite3_column_int64 (s, 0),
    .time = column_time (s, 1),
    .utc = column_time (s, 2),
    .x = (guint) sqlite3_column_int64 (s, 3),
    .y = (guint) sqlite3_column_int64 (s, 4),
    .w = (guint) sqlite3_column_int64 (s, 5),
    .h = (guint) sqlite3_column_int64 (s, 6),
    .tracking_id = (guint64) sqlite3_column_int64 (s, 7),
    .object_class = column_text (s, 8),
    .labels = column_text (s, 9),
    .source = column_text (s, 11) };
}

void
clip_index_row_clear (ClipIndexRow *row)
{
  g_clear_pointer (&row->object_class, g_free);
  g_clear_pointer (&row->labels, g_free);
  g_clear_pointer (&row->source, g_free);
}

static gboolean
check_row (ClipIndex *index, const ClipIndexRow *row, gint64 crc, GError **error)
{
  if (!row->labels || !row->source)
    return clip_index_fail (
        error, "%s: entry %" G_GUINT64_FORMAT " lacks its source or labels; the file is damaged", index->path, row->id);
  if (clip_index_checksum (clip_index_get_vector (index, row->id), index->meta.dim) == crc)
    return TRUE;
  return clip_index_fail (error,
      "%s: the vector of entry %" G_GUINT64_FORMAT " is damaged: its checksum is wrong; restore a copy of %s.vectors",
      index->path, row->id, index->path);
}

gboolean
clip_index_read_row (ClipIndex *index, guint64 id, ClipIndexRow *row, GError **error)
{
  if (!index->select_row)
    index->select_row = clip_index_database_prepare (index->db,
        "SELECT run, time, utc, x, y, w, h, track, class, labels, crc, source FROM frames"
        " LEFT JOIN runs ON runs.id = run WHERE frames.id = ?", error);
  sqlite3_stmt *s = index->select_row;
  if (!s)
    return FALSE;
  if (id < index->first || id >= index->end)
    return clip_index_fail (error, "%s: there is no entry %" G_GUINT64_FORMAT, index->path, id);
  sqlite3_bind_int64 (s, 1, (gint64) id);
  int code = sqlite3_step (s);
  gboolean ok = code == SQLITE_ROW;
  if (ok) {
    take_row (row, id, s);
    ok = check_row (index, row, sqlite3_column_int64 (s, 10), error);
  } else if (code == SQLITE_DONE) {
    clip_index_fail (error, "%s: there is no entry %" G_GUINT64_FORMAT, index->path, id);
  } else {
    clip_index_database_fail (index->db, error);
    g_prefix_error (error, "%s: ", index->path);
  }
  sqlite3_reset (s);
  if (!ok && code == SQLITE_ROW)
    clip_index_row_clear (row);
  return ok;
}
