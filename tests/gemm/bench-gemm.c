/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bench-gemm [SECONDS]: GFLOP/s of both backends on the matrices of ViT-B/32's image encoder at batch 1 and
 * 8, next to the device's FMA peak, which is measured anew before each row because clocks change. */
#include "gemm/clip-gemm-private.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct {
  const char *name;
  guint m, n, k;
  ClipActivation activation;
  gboolean residual;
} Shape;

static const Shape shapes[] = {
  { "qkv   x1", 50, 2304, 768, CLIP_ACTIVATION_NONE, FALSE },
  { "out   x1", 50, 768, 768, CLIP_ACTIVATION_NONE, TRUE },
  { "fc1   x1", 50, 3072, 768, CLIP_ACTIVATION_QUICK_GELU, FALSE },
  { "fc2   x1", 50, 768, 3072, CLIP_ACTIVATION_NONE, TRUE },
  { "patch x1", 49, 768, 3072, CLIP_ACTIVATION_NONE, FALSE },
  { "proj  x1", 1, 512, 768, CLIP_ACTIVATION_NONE, FALSE },
  { "qkv   x8", 400, 2304, 768, CLIP_ACTIVATION_NONE, FALSE },
  { "out   x8", 400, 768, 768, CLIP_ACTIVATION_NONE, TRUE },
  { "fc1   x8", 400, 3072, 768, CLIP_ACTIVATION_QUICK_GELU, FALSE },
  { "fc2   x8", 400, 768, 3072, CLIP_ACTIVATION_NONE, TRUE },
  { "patch x8", 392, 768, 3072, CLIP_ACTIVATION_NONE, FALSE },
};

/* Weights go round through more than a processor's cache, as the layers of a model do. */
#define WEIGHT_BYTES (256u << 20)
#define MAX_LINEARS 64
static void
die (const char *what, GError *error)
{
  fprintf (stderr, "bench-gemm: %s: %s\n", what, error ? error->message : "failed");
  exit (1);
}

static float *
make_values (gsize count)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  float *values = g_new (float, count);
  for (gsize i = 0; i < count; i++)
    values[i] = (float) g_rand_double_range (rand, -1, 1);
  return values;
}

static ClipBuffer *
upload (ClipQueue *queue, gsize count)
{
  g_autofree float *values = make_values (count);
  g_autoptr (GError) error = NULL;
  ClipBuffer *buffer = clip_buffer_new (clip_queue_get_device (queue), count * sizeof (float), &error);
  if (!buffer || !clip_buffer_write (buffer, queue, 0, values, count * sizeof (float), &error))
    die ("memory", error);
  return buffer;
}

/* Seconds of a call: the fastest and the mean of those within the time */
static void
time_shape (ClipQueue *queue, const Shape *s, const char *backend, double seconds, double *best, double *mean)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipBuffer) a = upload (queue, (gsize) s->m * s->k), c = upload (queue, (gsize) s->m * s->n);
  g_autofree float *weight = make_values ((gsize) s->n * s->k), *bias = make_values (s->n);
  guint count = CLAMP (WEIGHT_BYTES / ((gsize) s->n * s->k * 4), 1, MAX_LINEARS), runs = 0;
  ClipLinear *linears[MAX_LINEARS];
  g_setenv ("GST_CLIP_GEMM", backend, TRUE);
  for (guint i = 0; i < count; i++) {
    if (!(linears[i] = clip_linear_new (queue, CLIP_PRECISION_FP32, weight, bias, s->n, s->k, s->m, &error)))
      die (backend, error);
  }
  double total = 0;
  *best = G_MAXDOUBLE;
  for (guint i = 0; total < seconds || runs < 3; i++) {
    gint64 start = g_get_monotonic_time ();
    if (!clip_linear_run (linears[i % count], queue, s->m, a, 0, s->k, s->activation, s->residual ? c : NULL, c, 0,
            s->n, &error)
        || !clip_queue_finish (queue, &error))
      die (backend, error);
    double time = MAX ((g_get_monotonic_time () - start) * 1e-6, 1e-6);
    if (i < 2) /* the first compiles */
      continue;
    *best = MIN (*best, time);
    total += time;
    runs++;
  }
  *mean = total / runs;
  for (guint i = 0; i < count; i++)
    clip_linear_free (linears[i]);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  double seconds = argc > 1 ? g_ascii_strtod (argv[1], NULL) : 0.5;
  g_autoptr (ClipDevice) device = clip_device_open (g_getenv ("CLIP_DEVICE"), &error);
  g_autoptr (ClipQueue) queue = device ? clip_queue_new (device, &error) : NULL;
  if (!queue)
    die ("device", error);
  printf ("%s, %u floats a vector\n%-10s%5s%6s%6s%8s%10s%8s%8s%8s%8s%10s\n", clip_device_get_name (device), clip_device_get_vector_width (device),
      "shape", "M", "N", "K", "peak", "panel ms", "GF/s", "mean", "of peak", "W GB/s", "clblast");
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    const Shape *s = &shapes[i];
    double best, mean, other_best, other_mean, giga = 2e-9 * s->m * s->n * s->k;
    double peak = clip_linear_measure_peak (queue, &error);
    time_shape (queue, s, "panel", seconds, &best, &mean);
    peak = MAX (peak, clip_linear_measure_peak (queue, &error));
    time_shape (queue, s, "clblast", seconds, &other_best, &other_mean);
    printf ("%-10s%5u%6u%6u%8.0f%10.3f%8.0f%8.0f%7.0f%%%8.1f%10.0f\n", s->name, s->m, s->n, s->k, peak, best * 1e3,
        giga / best, giga / mean, 100 * giga / best / peak, 4e-9 * s->n * s->k / best, giga / other_best);
  }
  return 0;
}
