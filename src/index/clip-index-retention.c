/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is too old or too much goes, the oldest first: rows at once, files of vectors when none of their rows is left. */
#include "clip-index-private.h"

/* Rows deleted in one transaction: the queue is served between two. */
#define BATCH 4096
#define INTERVAL G_USEC_PER_SEC

static gboolean
delete_before (ClipIndexFiles *files, guint64 first, GError **error)
{
  g_autofree char *sql = g_strdup_printf ("DELETE FROM frames WHERE id < %" G_GUINT64_FORMAT, first);
  guint removed;
  if (first <= files->first)
    return TRUE;
  /* rows first: a reader that finds a file gone looks again, and finds the rows gone too */
  if (!clip_index_database_run (files->db, sql, error))
    return FALSE;
  files->first = first;
  return clip_index_segment_prune (files->directory, first / files->meta.segment, files->meta.next / files->meta.segment,
      &removed, error);
}

/* @first: (out): the oldest of the next entries that is young enough; at most BATCH are looked at */
static gboolean
find_young (ClipIndexFiles *files, guint64 *first, GError **error)
{
  gint64 limit = g_get_real_time () - (gint64) MIN (files->options.max_age, G_MAXINT32) * G_USEC_PER_SEC;
  g_autofree char *sql = g_strdup_printf (
      "SELECT id, stored FROM frames WHERE id >= %" G_GUINT64_FORMAT " ORDER BY id LIMIT %d", files->first, BATCH);
  g_autoptr (sqlite3_stmt) rows = clip_index_database_prepare (files->db, sql, error);
  int code;
  *first = files->first;
  if (!rows)
    return FALSE;
  while ((code = sqlite3_step (rows)) == SQLITE_ROW && sqlite3_column_int64 (rows, 1) < limit)
    *first = (guint64) sqlite3_column_int64 (rows, 0) + 1;
  return code == SQLITE_ROW || code == SQLITE_DONE || clip_index_database_fail (files->db, error);
}

static gboolean
measure (ClipIndexFiles *files, guint64 *bytes, GError **error)
{
  gint64 pages, free_pages, page;
  guint n;
  if (!clip_index_database_get_int (files->db, "PRAGMA page_count", 0, &pages, error)
      || !clip_index_database_get_int (files->db, "PRAGMA freelist_count", 0, &free_pages, error)
      || !clip_index_database_get_int (files->db, "PRAGMA page_size", 0, &page, error))
    return FALSE;
  *bytes = clip_index_segment_usage (files->directory, &n) + (guint64) (MAX (pages - free_pages, 0) * page);
  return TRUE;
}

/* Whole files only, and never the one that is written. */
static gboolean
shrink (ClipIndexFiles *files, GError **error)
{
  const guint segment = files->meta.segment;
  guint64 bytes = 0;
  if (!measure (files, &bytes, error))
    return FALSE;
  while (bytes > files->options.max_size && files->first / segment < files->meta.next / segment) {
    if (!delete_before (files, (files->first / segment + 1) * segment, error) || !measure (files, &bytes, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
clip_index_files_retain (ClipIndexFiles *files, GError **error)
{
  guint64 first;
  gint64 now = g_get_monotonic_time ();
  if (!files->meta.model || (files->retained && now - files->retained < INTERVAL))
    return TRUE;
  files->retained = now;
  if (files->options.max_age > 0) {
    guint64 before = files->first;
    if (!find_young (files, &first, error) || !delete_before (files, first, error))
      return FALSE;
    if (first - before >= BATCH)
      files->retained = 0; /* there may be more */
  }
  return files->options.max_size == 0 || shrink (files, error);
}
