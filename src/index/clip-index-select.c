/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which entries a search looks at. */
#include "clip-index-private.h"

static gint
compare (gconstpointer a, gconstpointer b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;
  return x < y ? -1 : x > y;
}

/* (transfer full): stretches without a gap */
static GArray *
make_ranges (GArray *ids)
{
  GArray *ranges = g_array_new (FALSE, FALSE, sizeof (ClipIndexRange));
  for (guint i = 0; i < ids->len; i++) {
    guint64 id = g_array_index (ids, guint64, i);
    ClipIndexRange *last = ranges->len ? &g_array_index (ranges, ClipIndexRange, ranges->len - 1) : NULL;
    ClipIndexRange range = { id, id + 1 };
    if (last && last->end == id)
      last->end++;
    else
      g_array_append_val (ranges, range);
  }
  return ranges;
}

/* (transfer full): the statement; limits that are not set are not asked for, so that an index serves it */
static sqlite3_stmt *
prepare (ClipIndex *index, const ClipIndexFilter *filter, GError **error)
{
  const char *column = filter->utc ? "utc" : "time";
  g_autoptr (GString) sql = g_string_new ("SELECT id FROM frames WHERE 1");
  if (filter->source)
    g_string_append (sql, " AND run IN (SELECT id FROM runs WHERE source = ?1)");
  if (filter->from != CLIP_INDEX_NO_TIME)
    g_string_append_printf (sql, " AND %s >= ?2", column);
  if (filter->to != CLIP_INDEX_NO_TIME)
    g_string_append_printf (sql, " AND %s <= ?3", column);
  sqlite3_stmt *statement = clip_index_database_prepare (index->db, sql->str, error);
  if (!statement)
    return NULL;
  if (filter->source)
    sqlite3_bind_text (statement, 1, filter->source, -1, SQLITE_TRANSIENT);
  if (filter->from != CLIP_INDEX_NO_TIME)
    sqlite3_bind_int64 (statement, 2, filter->from);
  if (filter->to != CLIP_INDEX_NO_TIME)
    sqlite3_bind_int64 (statement, 3, filter->to);
  return statement;
}

static gboolean
check_source (ClipIndex *index, const char *source, GError **error)
{
  g_autoptr (sqlite3_stmt) statement
      = clip_index_database_prepare (index->db, "SELECT DISTINCT source FROM runs ORDER BY source", error);
  g_autoptr (GString) names = g_string_new (NULL);
  int code;
  if (!statement)
    return FALSE;
  while ((code = sqlite3_step (statement)) == SQLITE_ROW) {
    const char *name = (const char *) sqlite3_column_text (statement, 0);
    if (g_strcmp0 (name, source) == 0)
      return TRUE;
    if (names->len < 500)
      g_string_append_printf (names, "%s%s", names->len ? ", " : "", name ? name : "");
  }
  if (code != SQLITE_DONE)
    return clip_index_database_fail (index->db, error);
  return clip_index_fail (error, "has no source \"%s\"; it has: %s", source, names->len ? names->str : "none");
}

GArray *
clip_index_select (ClipIndex *index, const ClipIndexFilter *filter, GError **error)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint64));
  gboolean all = !filter->source && filter->from == CLIP_INDEX_NO_TIME && filter->to == CLIP_INDEX_NO_TIME;
  if (all && index->dense) {
    GArray *ranges = g_array_new (FALSE, FALSE, sizeof (ClipIndexRange));
    ClipIndexRange range = { index->first, index->end };
    return g_array_append_val (ranges, range);
  }
  g_autoptr (sqlite3_stmt) statement
      = filter->source && !check_source (index, filter->source, error) ? NULL : prepare (index, filter, error);
  int code = SQLITE_DONE;
  gboolean sorted = TRUE;
  while (statement && (code = sqlite3_step (statement)) == SQLITE_ROW) {
    guint64 id = (guint64) sqlite3_column_int64 (statement, 0);
    if (id < index->first || id >= index->end) {
      clip_index_fail (error, "%s: its indices and entries disagree; the file is damaged", index->path);
      return NULL;
    }
    sorted = sorted && (ids->len == 0 || g_array_index (ids, guint64, ids->len - 1) < id);
    g_array_append_val (ids, id);
  }
  if (statement && code != SQLITE_DONE)
    clip_index_database_fail (index->db, error);
  if (!statement || code != SQLITE_DONE) {
    g_prefix_error (error, "%s: ", index->path);
    return NULL;
  }
  if (!sorted)
    g_array_sort (ids, compare);
  return make_ranges (ids);
}
