/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Temporal pooling against a naive twin that keeps every frame and computes anew. */
#include "classify/clip-pool.h"

#include <math.h>
#include <string.h>

#define D 5
#define MAX_FRAMES 400

typedef struct {
  guint64 time[MAX_FRAMES];
  float x[MAX_FRAMES][D];
  guint n;
} History;

static void
normalise (double *v)
{
  double square = 0;
  for (guint i = 0; i < D; i++)
    square += v[i] * v[i];
  for (guint i = 0; i < D; i++)
    v[i] = square > 1e-18 ? v[i] / sqrt (square) : 0.0;
}

static guint
naive_mean (const History *h, guint64 window, double *out)
{
  guint count = 0;
  guint64 newest = h->time[h->n - 1];
  memset (out, 0, D * sizeof *out);
  for (guint f = 0; f < h->n; f++) {
    if (window > 0 && newest - h->time[f] >= window && f + 1 < h->n)
      continue;
    count++;
    for (guint i = 0; i < D; i++)
      out[i] += h->x[f][i];
  }
  normalise (out);
  return count;
}

/* The definition unrolled: each frame's weight is what was left of it by all later ones. */
static guint
naive_ema (const History *h, guint64 window, double *out)
{
  memset (out, 0, D * sizeof *out);
  for (guint f = 0; f < h->n; f++) {
    double weight = f == 0 ? 1.0 : 1.0 - exp (-(double) (h->time[f] - h->time[f - 1]) / window);
    weight *= exp (-(double) (h->time[h->n - 1] - h->time[f]) / window);
    for (guint i = 0; i < D; i++)
      out[i] += weight * h->x[f][i];
  }
  normalise (out);
  return h->n;
}

static void
random_unit (GRand *rand, float *x)
{
  double v[D];
  for (guint i = 0; i < D; i++)
    v[i] = g_rand_double_range (rand, -1, 1) + (i == 0);
  normalise (v);
  for (guint i = 0; i < D; i++)
    x[i] = (float) v[i];
}

static void
check (ClipPool *pool, guint want_count, const double *want)
{
  float got[D];
  g_assert_cmpuint (clip_pool_get (pool, got, NULL), ==, want_count);
  for (guint i = 0; i < D; i++)
    g_assert_cmpfloat_with_epsilon (got[i], want[i], 1e-5);
}

static void
test_against_twin (gconstpointer data)
{
  ClipPooling pooling = GPOINTER_TO_UINT (data);
  static const guint64 windows[] = { 1, 1000, 30000, 1000000 };
  GRand *rand = g_rand_new_with_seed (5);
  for (guint w = 0; w < G_N_ELEMENTS (windows); w++) {
    g_autoptr (ClipPool) pool = clip_pool_new (D);
    g_autofree History *h = g_new0 (History, 1);
    guint64 time = 17;
    for (; h->n < MAX_FRAMES;) {
      double want[D];
      time += (guint64) g_rand_int_range (rand, 1, h->n % 50 == 49 ? 100000 : 2000);
      h->time[h->n] = time;
      random_unit (rand, h->x[h->n]);
      clip_pool_push (pool, pooling, windows[w], time, h->x[h->n]);
      h->n++;
      guint count = pooling == CLIP_POOLING_MEAN ? naive_mean (h, windows[w], want) : naive_ema (h, windows[w], want);
      check (pool, count, want);
    }
  }
  g_rand_free (rand);
}

static void
test_all_since_start (void)
{
  GRand *rand = g_rand_new_with_seed (6);
  g_autoptr (ClipPool) pool = clip_pool_new (D);
  g_autofree History *h = g_new0 (History, 1);
  double want[D];
  guint64 start;
  float out[D];
  for (; h->n < 100; h->n++) {
    h->time[h->n] = 40 + h->n;
    random_unit (rand, h->x[h->n]);
    clip_pool_push (pool, CLIP_POOLING_MEAN, 0, h->time[h->n], h->x[h->n]);
  }
  check (pool, naive_mean (h, 0, want), want);
  clip_pool_get (pool, out, &start);
  g_assert_cmpuint (start, ==, 40);
  g_rand_free (rand);
}

/* Taking out of the sum what was put in leaves nothing behind, also after hours. */
static void
test_drift (void)
{
  GRand *rand = g_rand_new_with_seed (7);
  g_autoptr (ClipPool) pool = clip_pool_new (D);
  g_autofree History *h = g_new0 (History, 1);
  for (guint f = 0; f < 1000000; f++) {
    float x[D];
    random_unit (rand, x);
    clip_pool_push (pool, CLIP_POOLING_MEAN, 10, f, x);
    if (f < 1000000 - 10)
      continue;
    h->time[h->n] = f;
    memcpy (h->x[h->n++], x, sizeof x);
  }
  double want[D];
  check (pool, naive_mean (h, 10, want), want);
  g_rand_free (rand);
}

static void
test_begins_anew (void)
{
  const float a[D] = { 1 }, b[D] = { 0, 1 };
  const double want_b[D] = { 0, 1 };
  g_autoptr (ClipPool) pool = clip_pool_new (D);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, 50, a);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, 20, b); /* time goes back: a seek */
  check (pool, 1, want_b);
  clip_pool_push (pool, CLIP_POOLING_EMA, 100, 30, a);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, 40, b);
  check (pool, 1, want_b);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 0, 50, b);
  check (pool, 1, want_b);
  clip_pool_reset (pool);
  const double nothing[D] = { 0 };
  check (pool, 0, nothing);
}

/* Without a clock the mean is that of all frames, and ema, which cannot weigh them, the newest. */
static void
test_unknown_time (void)
{
  const float a[D] = { 1 }, b[D] = { 0, 1 };
  const double want_b[D] = { 0, 1 }, want_both[D] = { G_SQRT2 / 2, G_SQRT2 / 2 };
  g_autoptr (ClipPool) pool = clip_pool_new (D);
  for (guint i = 0; i < 2; i++)
    clip_pool_push (pool, CLIP_POOLING_EMA, 100, CLIP_TIME_NONE, i ? b : a);
  check (pool, 1, want_b);
  for (guint i = 0; i < 2; i++)
    clip_pool_push (pool, CLIP_POOLING_MEAN, 100, CLIP_TIME_NONE, i ? b : a);
  check (pool, 2, want_both);
  /* one frame without a time among others does not empty the window */
  clip_pool_reset (pool);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, 5000, a);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, CLIP_TIME_NONE, b);
  check (pool, 2, want_both);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, 5100, b);
  check (pool, 1, want_b);
}

static void
test_opposite_embeddings (void)
{
  const float a[D] = { 0.6f, 0.8f }, b[D] = { -0.6f, -0.8f };
  const double nothing[D] = { 0 };
  g_autoptr (ClipPool) pool = clip_pool_new (D);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, 1, a);
  clip_pool_push (pool, CLIP_POOLING_MEAN, 100, 2, b);
  check (pool, 2, nothing);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/pool/mean", GUINT_TO_POINTER (CLIP_POOLING_MEAN), test_against_twin);
  g_test_add_data_func ("/pool/ema", GUINT_TO_POINTER (CLIP_POOLING_EMA), test_against_twin);
  g_test_add_func ("/pool/all-since-start", test_all_since_start);
  g_test_add_func ("/pool/drift", test_drift);
  g_test_add_func ("/pool/begins-anew", test_begins_anew);
  g_test_add_func ("/pool/unknown-time", test_unknown_time);
  g_test_add_func ("/pool/opposite-embeddings", test_opposite_embeddings);
  return g_test_run ();
}
