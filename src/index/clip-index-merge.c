/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Neighbouring hits of one source become one span. */
#include "clip-index-private.h"

typedef struct {
  ClipIndexRow row;
  gdouble score;
} Found;

static void
found_clear (gpointer data)
{
  clip_index_row_clear (&((Found *) data)->row);
}

static void
span_free (gpointer data)
{
  ClipIndexSpan *span = data;
  clip_index_row_clear (&span->best);
  g_free (span);
}

/* The clock by which neighbours are told; CLIP_INDEX_NO_TIME when the entry has neither */
static gint64
time_of (const ClipIndexRow *row)
{
  return row->time != CLIP_INDEX_NO_TIME ? row->time : row->utc;
}

static gint
compare_time (gconstpointer a, gconstpointer b)
{
  const ClipIndexRow *x = &((const Found *) a)->row, *y = &((const Found *) b)->row;
  if (x->run != y->run)
    return x->run < y->run ? -1 : 1;
  gint64 s = time_of (x), t = time_of (y);
  return s < t ? -1 : s > t ? 1 : x->id < y->id ? -1 : x->id > y->id;
}

static gint
compare_score (gconstpointer a, gconstpointer b)
{
  const ClipIndexSpan *x = *(ClipIndexSpan *const *) a, *y = *(ClipIndexSpan *const *) b;
  return x->score > y->score ? -1 : x->score < y->score ? 1 : x->best.id < y->best.id ? -1 : x->best.id > y->best.id;
}

static ClipIndexRow
steal_row (ClipIndexRow *row)
{
  ClipIndexRow stolen = *row;
  row->source = row->object_class = row->labels = NULL;
  return stolen;
}

static gboolean
is_neighbour (const ClipIndexSpan *span, gint64 last, const ClipIndexRow *row, gint64 gap)
{
  gint64 time = time_of (row);
  return gap >= 0 && span && span->best.run == row->run && time != CLIP_INDEX_NO_TIME && last != CLIP_INDEX_NO_TIME
         && (guint64) time - (guint64) last <= (guint64) gap;
}

/* Running times are in order within a run. What UTC is, is not always known, and a clock may have been set. */
static void
extend (ClipIndexSpan *span, Found *found)
{
  const ClipIndexRow *row = &found->row;
  span->end = row->time;
  if (row->utc != CLIP_INDEX_NO_TIME) {
    span->utc_start = span->utc_start == CLIP_INDEX_NO_TIME ? row->utc : MIN (span->utc_start, row->utc);
    span->utc_end = MAX (span->utc_end, row->utc);
  }
  span->hits++;
  if (found->score > span->score) {
    clip_index_row_clear (&span->best);
    span->score = found->score;
    span->best = steal_row (&found->row);
  }
}

static ClipIndexSpan *
new_span (Found *found)
{
  ClipIndexSpan *span = g_new0 (ClipIndexSpan, 1);
  span->score = found->score;
  span->start = span->end = found->row.time;
  span->utc_start = span->utc_end = found->row.utc;
  span->hits = 1;
  span->best = steal_row (&found->row);
  return span;
}

static gboolean
read_rows (ClipIndex *index, GArray *hits, GArray *rows, GError **error)
{
  for (guint i = 0; i < hits->len; i++) {
    const ClipIndexHit *hit = &g_array_index (hits, ClipIndexHit, i);
    Found found = { .score = hit->score };
    if (!clip_index_read_row (index, hit->id, &found.row, error))
      return FALSE;
    g_array_append_val (rows, found);
  }
  return TRUE;
}

GPtrArray *
clip_index_merge (ClipIndex *index, GArray *hits, gint64 gap, GError **error)
{
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (Found));
  g_array_set_clear_func (rows, found_clear);
  if (!read_rows (index, hits, rows, error))
    return NULL;
  g_array_sort (rows, compare_time);
  GPtrArray *spans = g_ptr_array_new_with_free_func (span_free);
  ClipIndexSpan *span = NULL;
  gint64 last = CLIP_INDEX_NO_TIME;
  for (guint i = 0; i < rows->len; i++) {
    Found *found = &g_array_index (rows, Found, i);
    gint64 time = time_of (&found->row);
    if (is_neighbour (span, last, &found->row, gap))
      extend (span, found);
    else
      g_ptr_array_add (spans, span = new_span (found));
    last = time;
  }
  g_ptr_array_sort (spans, compare_score);
  return spans;
}
