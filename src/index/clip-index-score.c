/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The scan: every vector against the query, by threads that keep their best in a heap each. */
#include "clip-index-private.h"

#include <string.h>

typedef float Floats __attribute__ ((vector_size (32), aligned (4), may_alias));
typedef double Doubles __attribute__ ((vector_size (64)));

/* The compiler makes one of these for each width of vectors and the loader takes the widest that the processor has. Sanitizers
 * are not ready yet when the loader asks. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__has_attribute) && !defined(__SANITIZE_ADDRESS__) \
    && !defined(__SANITIZE_THREAD__)
#if __has_attribute(target_clones)
#define CLONES __attribute__ ((target_clones ("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#endif
#ifndef CLONES
#define CLONES
#endif

/* Two floats' product is exact in double, and 500 of them sum with an error of 1e-16: two cosines that differ are told
 * apart, and those of equal vectors are equal. Reading the vectors from memory takes longer than this. */
CLONES gdouble
clip_index_dot (const float *vector, const gdouble *query, guint n)
{
  Doubles a = { 0 }, b = { 0 };
  guint i = 0;
  for (; i + 16 <= n; i += 16) {
    a += __builtin_convertvector (*(const Floats *) (vector + i), Doubles) * *(const Doubles *) (query + i);
    b += __builtin_convertvector (*(const Floats *) (vector + i + 8), Doubles) * *(const Doubles *) (query + i + 8);
  }
  a += b;
  gdouble sum = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
  for (; i < n; i++)
    sum += (gdouble) vector[i] * query[i];
  return sum;
}

typedef struct {
  ClipIndex *index;
  const gdouble *query;
  GArray *ranges;
  guint64 begin, end; /* share of the entries, counted over all ranges */
  guint top;
  ClipIndexHit *heap; /* [top]: the worst first */
  guint n;
  gboolean damaged;
  guint64 damaged_id;
} Share;

/* Whether @a ranks behind @b */
static gboolean
is_worse (const ClipIndexHit *a, const ClipIndexHit *b)
{
  return a->score != b->score ? a->score < b->score : a->id > b->id;
}

static void
sift_down (Share *share, guint i)
{
  ClipIndexHit *heap = share->heap, moved = heap[i];
  for (guint child; (child = 2 * i + 1) < share->n; i = child) {
    if (child + 1 < share->n && is_worse (&heap[child + 1], &heap[child]))
      child++;
    if (!is_worse (&heap[child], &moved))
      break;
    heap[i] = heap[child];
  }
  heap[i] = moved;
}

static void
sift_up (Share *share, guint i)
{
  ClipIndexHit *heap = share->heap, moved = heap[i];
  for (; i > 0 && is_worse (&moved, &heap[(i - 1) / 2]); i = (i - 1) / 2)
    heap[i] = heap[(i - 1) / 2];
  heap[i] = moved;
}

static void
offer (Share *share, const ClipIndexHit *hit)
{
  if (share->n < share->top) {
    share->heap[share->n++] = *hit;
    sift_up (share, share->n - 1);
  } else if (is_worse (&share->heap[0], hit)) {
    share->heap[0] = *hit;
    sift_down (share, 0);
  }
}

static void
scan (Share *share, guint64 first, guint64 end)
{
  const guint dim = share->index->meta.dim, segment = share->index->meta.segment;
  const float *vector = NULL;
  for (guint64 id = first; id < end; id++, vector += dim) {
    if (id == first || id % segment == 0)
      vector = clip_index_get_vector (share->index, id);
    ClipIndexHit hit = { id, clip_index_dot (vector, share->query, dim) };
    if (G_UNLIKELY (!(hit.score >= -G_MAXDOUBLE && hit.score <= G_MAXDOUBLE))) {
      share->damaged = TRUE;
      share->damaged_id = id;
      return;
    }
    offer (share, &hit);
  }
}

static gpointer
work (gpointer data)
{
  Share *share = data;
  guint64 at = 0; /* entries in the ranges before */
  for (guint i = 0; i < share->ranges->len && at < share->end && !share->damaged; i++) {
    const ClipIndexRange *range = &g_array_index (share->ranges, ClipIndexRange, i);
    guint64 n = range->end - range->first;
    guint64 begin = share->begin > at ? share->begin - at : 0, end = MIN (n, share->end - at);
    if (begin < end)
      scan (share, range->first + begin, range->first + end);
    at += n;
  }
  return NULL;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  return is_worse (a, b) ? 1 : is_worse (b, a) ? -1 : 0;
}

static guint64
count_entries (GArray *ranges)
{
  guint64 n = 0;
  for (guint i = 0; i < ranges->len; i++)
    n += g_array_index (ranges, ClipIndexRange, i).end - g_array_index (ranges, ClipIndexRange, i).first;
  return n;
}

/* Too few for a second thread to be worth its start */
#define ENTRIES_ALONE 4096

/* (transfer full): @query as doubles that vector instructions can read */
static gdouble *
widen (const float *query, guint dim)
{
  gdouble *wide = g_aligned_alloc0 (dim, sizeof *wide, 64);
  for (guint i = 0; i < dim; i++)
    wide[i] = query[i];
  return wide;
}

/* The first share is this thread's own. */
static void
run_shares (Share *shares, guint n)
{
  g_autofree GThread **threads = g_new0 (GThread *, n);
  for (guint i = 1; i < n; i++)
    threads[i] = g_thread_new ("clip-index-scan", work, &shares[i]);
  work (&shares[0]);
  for (guint i = 1; i < n; i++)
    g_thread_join (threads[i]);
}

GArray *
clip_index_search (ClipIndex *index, const float *query, GArray *ranges, guint top, GError **error)
{
  guint64 total = count_entries (ranges);
  guint n = total < ENTRIES_ALONE ? 1 : MAX (1, g_get_num_processors ());
  top = (guint) MIN (top, total);
  gdouble *wide = widen (query, index->meta.dim);
  g_autofree Share *shares = g_new0 (Share, n);
  g_autofree ClipIndexHit *heaps = g_new (ClipIndexHit, (gsize) n * top + 1);
  for (guint i = 0; i < n; i++)
    shares[i] = (Share){ index, wide, ranges, total / n * i, i + 1 < n ? total / n * (i + 1) : total, top,
      heaps + (gsize) i * top };
  if (top > 0)
    run_shares (shares, n);
  g_aligned_free (wide);
  g_autoptr (GArray) hits = g_array_new (FALSE, FALSE, sizeof (ClipIndexHit));
  for (guint i = 0; i < n; i++) {
    if (shares[i].damaged) {
      clip_index_fail (error, "%s: the vector of entry %" G_GUINT64_FORMAT " is damaged: it is not finite", index->path,
          shares[i].damaged_id);
      return NULL;
    }
    g_array_append_vals (hits, shares[i].heap, shares[i].n);
  }
  g_array_sort (hits, compare);
  g_array_set_size (hits, MIN (hits->len, top));
  return g_steal_pointer (&hits);
}
