/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 3x3 convolutions of all backends of ClipLinear against the definition, summed in double. */
#include "reduced.h"
#include "values.h"

#include <math.h>

#define GUARD 64
#define GUARD_VALUE 12345.0f

typedef struct {
  guint batch, height, width, channels, n;
  ClipActivation activation;
} Case;

static ClipDevice *device;
static ClipQueue *queue;

/* a [batch,height,width,channels]: row [dy][dx][channels] of a pixel's surroundings */
static void
gather (const Case *t, const float *a, guint b, guint y, guint x, float *row)
{
  for (guint tap = 0; tap < 9; tap++, row += t->channels) {
    guint dy = tap / 3, dx = tap % 3;
    gboolean outside = y + dy < 1 || y + dy > t->height || x + dx < 1 || x + dx > t->width;
    const float *pixel = a + (((gsize) b * t->height + y + dy - 1) * t->width + x + dx - 1) * t->channels;
    for (guint c = 0; c < t->channels; c++)
      row[c] = outside ? 0 : pixel[c];
  }
}

/* w [n][dy][dx][channels], as the backend's arithmetic sees it */
static void
compare (const ClipLinearBackend *backend, const Case *t, const float *a, const float *w, const float *bias,
    const float *got)
{
  guint k = 9 * t->channels;
  double bound = 3e-7 * (4 + sqrt (k)) * sqrt (t->channels + 1.0);
  g_autofree float *row = g_new (float, k);
  for (guint i = 0; i < t->batch * t->height * t->width; i++) {
    guint b = i / (t->height * t->width), y = i / t->width % t->height, x = i % t->width;
    gather (t, a, b, y, x, row);
    reduced_row (backend, row, k);
    for (guint n = 0; n < t->n; n++) {
      double want = bias[n];
      for (guint j = 0; j < k; j++)
        want += (double) row[j] * w[(gsize) n * k + j];
      if (t->activation == CLIP_ACTIVATION_RELU)
        want = MAX (want, 0);
      double slack = reduced_slack (backend, row, w + (gsize) n * k, k);
      if (!(fabs (got[(gsize) i * t->n + n] - want) <= bound + slack))
        g_error ("[%u,%u,%u,%u] n %u: item %u, pixel %u,%u, channel %u is %.9g, expected %.9g", t->batch, t->height,
            t->width, t->channels, t->n, b, y, x, n, got[(gsize) i * t->n + n], want);
    }
  }
}

static void
run_case (const ClipLinearBackend *backend, const Case *t)
{
  g_autoptr (GError) error = NULL;
  gsize pixels = (gsize) t->batch * t->height * t->width, count = pixels * t->n;
  g_autofree float *a = values_uniform (pixels * t->channels, 1), *bias = values_uniform (t->n, 3);
  g_autofree float *w = values_uniform ((gsize) t->n * 9 * t->channels, 2), *result = g_new (float, count + GUARD);
  for (gsize i = 0; i < count + GUARD; i++)
    result[i] = GUARD_VALUE;
  g_autoptr (ClipBuffer) a_buffer = values_upload (queue, a, pixels * t->channels),
      c = values_upload (queue, result, count + GUARD);
  g_autoptr (ClipLinear) linear
      = clip_linear_new_with_backend (backend, queue, w, bias, t->n, 9 * t->channels, &error);
  g_assert_no_error (error);
  clip_linear_run_conv3 (linear, queue, t->batch, t->height, t->width, a_buffer, t->activation, c, &error);
  g_assert_no_error (error);
  clip_buffer_read (c, queue, 0, result, (count + GUARD) * sizeof (float), &error);
  g_assert_no_error (error);
  reduced_weights (backend, w, t->n, 9 * t->channels);
  compare (backend, t, a, w, bias, result);
  for (gsize i = count; i < count + GUARD; i++)
    g_assert_cmpfloat (result[i], ==, GUARD_VALUE);
}

static void
test_small (gconstpointer backend)
{
  static const guint sides[][2] = { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 3, 3 }, { 7, 7 }, { 5, 14 }, { 15, 3 } };
  static const guint channels[] = { 1, 3, 8, 16, 17, 40 };
  for (guint s = 0; s < G_N_ELEMENTS (sides); s++)
    for (guint c = 0; c < G_N_ELEMENTS (channels); c++)
      run_case (backend, &(Case){ 1 + s % 3, sides[s][0], sides[s][1], channels[c], 1 + 13 * c,
                             s % 2 ? CLIP_ACTIVATION_RELU : CLIP_ACTIVATION_NONE });
}

/* Shapes as a ModifiedResNet has them, and such that the panels pack as a whole and in slices */
static void
test_model_shapes (gconstpointer backend)
{
  run_case (backend, &(Case){ 1, 56, 56, 32, 32, CLIP_ACTIVATION_RELU });
  run_case (backend, &(Case){ 2, 28, 28, 40, 80, CLIP_ACTIVATION_RELU });
  run_case (backend, &(Case){ 3, 14, 14, 64, 64, CLIP_ACTIVATION_NONE });
  run_case (backend, &(Case){ 2, 7, 7, 128, 96, CLIP_ACTIVATION_RELU });
  run_case (backend, &(Case){ 1, 9, 9, 180, 170, CLIP_ACTIVATION_RELU });
}

/* Odd sides, columns that fill no panel, several items in a part and several parts */
static void
test_winograd (gconstpointer backend)
{
  static const guint sides[][2] = { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 3, 3 }, { 7, 7 }, { 5, 14 }, { 15, 3 }, { 14, 14 } };
  for (guint s = 0; s < G_N_ELEMENTS (sides); s++)
    for (guint c = 1; c <= 3; c++)
      run_case (backend, &(Case){ 1 + s % 3, sides[s][0], sides[s][1], 16 * c, 1 + 29 * c,
                             s % 2 ? CLIP_ACTIVATION_RELU : CLIP_ACTIVATION_NONE });
  run_case (backend, &(Case){ 4, 56, 56, 64, 33, CLIP_ACTIVATION_RELU });
}

static void
add (const char *name, GTestDataFunc test)
{
  reduced_add_tests (device, "conv", name, test);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_test_init (&argc, &argv, NULL);
  device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  add ("small", test_small);
  add ("model-shapes", test_model_shapes);
  g_test_add_data_func ("/conv/winograd", &clip_linear_winograd, test_winograd);
  int status = g_test_run ();
  clip_queue_unref (queue);
  clip_device_unref (device);
  return status;
}
