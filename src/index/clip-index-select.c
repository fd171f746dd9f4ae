/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which entries a search looks at. */
#include "clip-index-private.h"

/* A bit for each entry: they come by run and not in order. */
typedef struct {
  guint64 first, n;
  guint64 *words;
} Marks;

static void
marks_clear (Marks *marks)
{
  g_clear_pointer (&marks->words, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Marks, marks_clear)

static inline gboolean
is_marked (const Marks *marks, guint64 i)
{
  return i < marks->n && (marks->words[i / 64] >> i % 64 & 1);
}

/* (transfer full): stretches without a gap */
static GArray *
make_ranges (const Marks *marks)
{
  GArray *ranges = g_array_new (FALSE, FALSE, sizeof (ClipIndexRange));
  for (guint64 i = 0; i < marks->n; i++) {
    if (!is_marked (marks, i))
      continue;
    ClipIndexRange range = { marks->first + i, 0 };
    while (is_marked (marks, i))
      i++;
    range.end = marks->first + i;
    g_array_append_val (ranges, range);
  }
  return ranges;
}

/* (transfer full): the statement. Runs are named also where any will do, because the indices begin with them. */
static sqlite3_stmt *
prepare (ClipIndex *index, const ClipIndexFilter *filter, GError **error)
{
  const char *column = filter->utc ? "utc" : "time";
  g_autoptr (GString) sql = g_string_new ("SELECT id FROM frames WHERE run IN (SELECT id FROM runs");
  g_string_append (sql, filter->source ? " WHERE source = ?1)" : ")");
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

static gboolean
mark (ClipIndex *index, const ClipIndexFilter *filter, Marks *marks, GError **error)
{
  if (filter->source && !check_source (index, filter->source, error))
    return FALSE;
  g_autoptr (sqlite3_stmt) statement = prepare (index, filter, error);
  int code = SQLITE_DONE;
  while (statement && (code = sqlite3_step (statement)) == SQLITE_ROW) {
    guint64 i = (guint64) sqlite3_column_int64 (statement, 0) - marks->first;
    if (i >= marks->n)
      return clip_index_fail (error, "its indices and entries disagree; the file is damaged");
    marks->words[i / 64] |= G_GUINT64_CONSTANT (1) << i % 64;
  }
  return statement && (code == SQLITE_DONE || clip_index_database_fail (index->db, error));
}

GArray *
clip_index_select (ClipIndex *index, const ClipIndexFilter *filter, GError **error)
{
  const guint64 n = index->end - index->first;
  gboolean all = !filter->source && filter->from == CLIP_INDEX_NO_TIME && filter->to == CLIP_INDEX_NO_TIME;
  if (all && index->dense) {
    GArray *ranges = g_array_new (FALSE, FALSE, sizeof (ClipIndexRange));
    ClipIndexRange range = { index->first, index->end };
    return g_array_append_val (ranges, range);
  }
  g_auto (Marks) marks = { index->first, n, g_new0 (guint64, n / 64 + 1) };
  if (mark (index, filter, &marks, error))
    return make_ranges (&marks);
  g_prefix_error (error, "%s: ", index->path);
  return NULL;
}
