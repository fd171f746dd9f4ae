/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A product that is computed with parameters of CLBlast: checked first, then timed. */
#include "clip-gemm-clblast-private.h"
#include "clip-gemm-trial.h"

#include <math.h>

#define ROUNDS 3 /* the fastest counts */
#define CALLS 4  /* enqueued at once, as a model does */

struct _ClipTrial {
  ClipQueue *queue;
  ClipGemmShape shape;
  float *weight;    /* [n,k] */
  double *signs;    /* [n]: s */
  double *expected; /* [m]: A (W^T s) */
  float *result;    /* [m,n] */
  ClipBuffer *a, *c;
};

static float *
random_values (gsize count, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  float *values = g_new (float, count);
  for (gsize i = 0; i < count; i++)
    values[i] = (float) g_rand_double_range (rand, -0.5, 0.5);
  return values;
}

static double *
random_signs (guint count)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  double *signs = g_new (double, count);
  for (guint i = 0; i < count; i++)
    signs[i] = g_rand_boolean (rand) ? 1 : -1;
  return signs;
}

/* A (W^T s) */
static double *
expect (const ClipGemmShape *shape, const float *a, const float *weight, const double *signs)
{
  g_autofree double *column = g_new0 (double, shape->k);
  double *expected = g_new0 (double, shape->m);
  for (guint j = 0; j < shape->n; j++) {
    for (guint x = 0; x < shape->k; x++)
      column[x] += signs[j] * (double) weight[(gsize) j * shape->k + x];
  }
  for (guint i = 0; i < shape->m; i++) {
    for (guint x = 0; x < shape->k; x++)
      expected[i] += (double) a[(gsize) i * shape->k + x] * column[x];
  }
  return expected;
}

ClipTrial *
clip_trial_new (ClipQueue *queue, const ClipGemmShape *shape, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  const gsize a_count = (gsize) shape->m * shape->k, c_size = (gsize) shape->m * shape->n * sizeof (float);
  g_autofree float *a = random_values (a_count, 1);
  g_autoptr (ClipTrial) trial = g_new0 (ClipTrial, 1);
  trial->queue = clip_queue_ref (queue);
  trial->shape = *shape;
  trial->weight = random_values ((gsize) shape->n * shape->k, 2);
  trial->signs = random_signs (shape->n);
  trial->expected = expect (shape, a, trial->weight, trial->signs);
  trial->result = g_malloc (c_size);
  trial->a = clip_buffer_new (device, a_count * sizeof (float), error);
  trial->c = trial->a ? clip_buffer_new (device, c_size, error) : NULL;
  if (!trial->c || !clip_buffer_write (trial->a, queue, 0, a, a_count * sizeof (float), error))
    return NULL;
  return g_steal_pointer (&trial);
}

void
clip_trial_free (ClipTrial *trial)
{
  g_free (trial->weight);
  g_free (trial->signs);
  g_free (trial->expected);
  g_free (trial->result);
  g_clear_pointer (&trial->a, clip_buffer_unref);
  g_clear_pointer (&trial->c, clip_buffer_unref);
  clip_queue_unref (trial->queue);
  g_free (trial);
}

static gboolean
enqueue (ClipTrial *trial, ClipLinear *linear, GError **error)
{
  const ClipGemmShape *s = &trial->shape;
  return clip_linear_run (
      linear, trial->queue, s->m, trial->a, 0, s->k, CLIP_ACTIVATION_NONE, NULL, trial->c, 0, s->n, error);
}

/* What a kernel leaves out must not be what another wrote there before. */
static gboolean
poison (ClipTrial *trial, ClipBuffer *buffer, GError **error)
{
  const gsize size = clip_buffer_get_size (buffer);
  float *values = clip_buffer_map (buffer, trial->queue, CL_MAP_WRITE, error);
  for (gsize i = 0; values && i < size / sizeof (float); i++)
    values[i] = NAN;
  if (values)
    clip_buffer_unmap (buffer, trial->queue, values);
  return values != NULL;
}

static gboolean
run_poisoned (ClipTrial *trial, ClipLinear *linear, GError **error)
{
  ClipBuffer *scratch = clip_queue_get_scratch_at (trial->queue, CLIP_CLBLAST_SCRATCH_C, sizeof (float), error);
  return scratch && poison (trial, scratch, error) && poison (trial, trial->c, error) && enqueue (trial, linear, error);
}

/* Errors of rounding in a sum of K products, and then in one of N such sums with signs: some sqrt (K N) of the products'
 * size, with a wide margin. A single wrong element of C is larger by far. */
static gboolean
check (ClipTrial *trial, GError **error)
{
  const ClipGemmShape *s = &trial->shape;
  const double tolerance = 1e-6 * sqrt ((double) s->k * s->n) * (1 + sqrt (s->k) / 4);
  for (guint i = 0; i < s->m; i++) {
    double sum = 0;
    for (guint j = 0; j < s->n; j++)
      sum += trial->signs[j] * (double) trial->result[(gsize) i * s->n + j];
    if (fabs (sum - trial->expected[i]) <= tolerance)
      continue;
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "the product [%u,%u] x [%u,%u] is wrong in row %u", s->m, s->k,
        s->k, s->n, i);
    return FALSE;
  }
  return TRUE;
}

/* Seconds of a call */
static double
time_round (ClipTrial *trial, ClipLinear *linear, guint calls, GError **error)
{
  const gint64 start = g_get_monotonic_time ();
  for (guint i = 0; i < calls; i++) {
    if (!enqueue (trial, linear, error))
      return -1;
  }
  if (!clip_queue_finish (trial->queue, error))
    return -1;
  return (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC / calls;
}

double
clip_trial_time (ClipTrial *trial, double enough, GError **error)
{
  const ClipGemmShape *s = &trial->shape;
  const gsize size = (gsize) s->m * s->n * sizeof (float);
  g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (
      &clip_linear_clblast, trial->queue, trial->weight, NULL, s->n, s->k, error);
  if (!linear || !run_poisoned (trial, linear, error)
      || !clip_buffer_read (trial->c, trial->queue, 0, trial->result, size, error) || !check (trial, error))
    return -1;
  double best = time_round (trial, linear, 1, error);
  for (guint i = 0; i < ROUNDS && best > 0 && best < enough; i++) {
    const double seconds = time_round (trial, linear, CALLS, error);
    best = seconds < 0 ? -1 : MIN (best, seconds);
  }
  return best < 0 ? -1 : MAX (best, 1e-9); /* a clock of microseconds */
}
