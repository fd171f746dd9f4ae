/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a ModifiedResNet needs beside products, against naive twins. */
#include "harness.h"
#include "ops/clip-ops.h"
#include "resnet-twins.h"
#include "twins.h"

static void
test_im2col_pixels (void)
{
  static const guint sizes[] = { 1, 2, 3, 8, 33, 64 };
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;
    guint size = sizes[i], side = (size + 1) / 2, first = i % 2, batch = 2;
    gsize inputs = (gsize) (first + batch) * 3 * size * size, count = (gsize) batch * side * side * 27;
    g_autofree float *pixels = new_values (inputs, VALUES_RANDOM), *want = g_new (float, count);
    g_autoptr (ClipBuffer) bx = upload_floats (pixels, inputs), by = new_output (count);
    clip_op_im2col_pixels (queue, bx, first, batch, size, by, &error);
    g_assert_no_error (error);
    twin_im2col_pixels (pixels, first, batch, size, want);
    g_autofree float *got = download (by, count);
    g_assert_cmpmem (got, count * sizeof (float), want, count * sizeof (float));
  }
}

static void
test_im2col (void)
{
  static const guint shapes[][5] = { { 1, 1, 1, 0, 1 }, { 2, 3, 5, 0, 12 }, { 7, 7, 16, 40, 20 }, { 4, 2, 33, 15, 1 } };
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (GError) error = NULL;
    guint height = shapes[i][0], width = shapes[i][1], channels = shapes[i][2], first = shapes[i][3];
    guint rows = shapes[i][4];
    gsize inputs = (gsize) 2 * height * width * channels, count = (gsize) rows * 9 * channels;
    g_autofree float *x = new_values (inputs, VALUES_RANDOM), *want = g_new (float, count);
    g_autoptr (ClipBuffer) bx = upload_floats (x, inputs), by = new_output (count);
    rows = MIN (rows, 2 * height * width - first);
    count = (gsize) rows * 9 * channels;
    clip_op_im2col (queue, bx, height, width, channels, first, rows, by, &error);
    g_assert_no_error (error);
    twin_im2col (x, height, width, channels, first, rows, want);
    g_autofree float *got = download (by, count);
    g_assert_cmpmem (got, count * sizeof (float), want, count * sizeof (float));
  }
}

static void
test_avgpool (void)
{
  static const guint shapes[][3] = { { 2, 2, 1 }, { 4, 6, 16 }, { 5, 3, 17 }, { 8, 8, 100 }, { 1, 1, 4 } };
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    for (guint kind = 0; kind < N_VALUES; kind++) {
      g_autoptr (GError) error = NULL;
      guint height = shapes[i][0], width = shapes[i][1], channels = shapes[i][2], batch = 3;
      gsize inputs = (gsize) batch * height * width * channels;
      gsize count = (gsize) batch * (height / 2) * (width / 2) * channels;
      g_autofree float *x = new_values (inputs, kind), *want = g_new (float, count + 1);
      g_autoptr (ClipBuffer) bx = upload_floats (x, inputs), by = new_output (count);
      clip_op_avgpool (queue, bx, batch, height, width, channels, by, &error);
      g_assert_no_error (error);
      twin_avgpool (x, batch, height, width, channels, want);
      g_autofree float *got = download (by, count);
      assert_near (got, want, count, kind == VALUES_LARGE ? 5e-3 : 5e-7); /* values of 1e4 may cancel */
    }
  }
}

static void
test_mean_token (void)
{
  static const guint shapes[][2] = { { 1, 1 }, { 9, 512 }, { 49, 100 }, { 196, 64 } };
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (GError) error = NULL;
    guint n = shapes[i][0], width = shapes[i][1], batch = 2;
    gsize inputs = (gsize) batch * n * width, count = (gsize) batch * (n + 1) * width;
    g_autofree float *x = new_values (inputs, VALUES_RANDOM), *want = g_new (float, count);
    g_autofree float *positions = new_values ((gsize) (n + 1) * width, VALUES_RANDOM);
    g_autoptr (ClipBuffer) bx = upload_floats (x, inputs), by = new_output (count);
    g_autoptr (ClipBuffer) bp = upload_floats (positions, (gsize) (n + 1) * width);
    clip_op_mean_token (queue, bx, bp, batch, n, width, by, &error);
    g_assert_no_error (error);
    twin_mean_token (x, positions, batch, n, width, want);
    g_autofree float *got = download (by, count);
    assert_near (got, want, count, 2e-6);
  }
}

typedef struct {
  guint batch, heads, head_dim, n, inputs;
} HeadCase;

static const HeadCase head_cases[] = { { 1, 1, 1, 1, 16 }, { 2, 3, 5, 4, 32 }, { 3, 8, 64, 10, 512 }, { 1, 2, 7, 50, 48 } };

static void
check_head_weights (const HeadCase *t)
{
  g_autoptr (GError) error = NULL;
  guint width = t->heads * t->head_dim;
  gsize weights = (gsize) width * t->inputs, mixed = (gsize) t->batch * t->heads * t->inputs;
  g_autofree float *w = new_values (weights, VALUES_RANDOM), *packed = g_new (float, weights);
  g_autofree float *q = new_values (t->batch * width, VALUES_RANDOM), *x = new_values (mixed, VALUES_RANDOM);
  g_autofree float *want_keys = g_new (float, mixed), *want_values = g_new (float, t->batch * width);
  clip_op_head_keys_pack (w, width, t->heads, t->inputs, packed);
  g_autoptr (ClipBuffer) bw = upload_floats (w, weights), bp = upload_floats (packed, weights);
  g_autoptr (ClipBuffer) bq = upload_floats (q, t->batch * width), bx = upload_floats (x, mixed);
  g_autoptr (ClipBuffer) keys = new_output (mixed), values = new_output (t->batch * width);
  clip_op_head_keys (queue, bq, bp, t->batch, width, t->heads, t->inputs, keys, &error);
  g_assert_no_error (error);
  /* the first row of q serves as the bias */
  clip_op_head_values (queue, bx, bw, bq, t->batch, width, t->heads, t->inputs, values, &error);
  g_assert_no_error (error);
  twin_head_keys (q, w, t->batch, width, t->heads, t->inputs, want_keys);
  twin_head_values (x, w, q, t->batch, width, t->heads, t->inputs, want_values);
  g_autofree float *got_keys = download (keys, mixed), *got_values = download (values, t->batch * width);
  assert_near (got_keys, want_keys, mixed, 5e-6);
  assert_near (got_values, want_values, t->batch * width, 2e-5);
}

static void
check_head_tokens (const HeadCase *t)
{
  g_autoptr (GError) error = NULL;
  guint width = t->inputs;
  gsize scores = (gsize) t->batch * t->heads * t->n, tokens = (gsize) t->batch * t->n * width;
  gsize mixed = (gsize) t->batch * t->heads * width;
  g_autofree float *u = new_values (mixed, VALUES_RANDOM), *x = new_values (tokens, VALUES_RANDOM);
  g_autofree float *p = new_values (scores, VALUES_RANDOM), *want_scores = g_new (float, scores);
  g_autofree float *want_mix = g_new (float, mixed);
  g_autoptr (ClipBuffer) bu = upload_floats (u, mixed), bx = upload_floats (x, tokens), bp = upload_floats (p, scores);
  g_autoptr (ClipBuffer) by = new_output (scores), bz = new_output (mixed);
  clip_op_head_scores (queue, bu, bx, t->batch, t->heads, t->n, width, by, &error);
  g_assert_no_error (error);
  clip_op_head_mix (queue, bp, bx, t->batch, t->heads, t->n, width, bz, &error);
  g_assert_no_error (error);
  twin_head_scores (u, x, t->batch, t->heads, t->n, width, want_scores);
  twin_head_mix (p, x, t->batch, t->heads, t->n, width, want_mix);
  g_autofree float *got_scores = download (by, scores), *got_mix = download (bz, mixed);
  assert_near (got_scores, want_scores, scores, 2e-5);
  assert_near (got_mix, want_mix, mixed, 5e-6);
}

static void
test_heads (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (head_cases); i++) {
    check_head_weights (&head_cases[i]);
    check_head_tokens (&head_cases[i]);
  }
}

/* Pooling in this order gives what attention with all keys and values gives */
static void
test_equals_attention (void)
{
  enum { BATCH = 2, HEADS = 4, N = 10, WIDTH = 64 };
  g_autoptr (GError) error = NULL;
  gsize stride = N * WIDTH;
  g_autofree float *x = new_values (BATCH * N * WIDTH, VALUES_RANDOM), *q = new_values (BATCH * WIDTH, VALUES_RANDOM);
  g_autofree float *w = new_values (2 * WIDTH * WIDTH, VALUES_RANDOM), *bias = new_values (2 * WIDTH, VALUES_RANDOM);
  g_autofree float *kv = g_new (float, BATCH * N * 2 * WIDTH), *want = g_new (float, BATCH * WIDTH);
  g_autofree float *packed = g_new (float, WIDTH * WIDTH);
  for (guint i = 0; i < BATCH * N * 2 * WIDTH; i++) {
    double sum = bias[i % (2 * WIDTH)];
    for (guint k = 0; k < WIDTH; k++)
      sum += (double) w[i % (2 * WIDTH) * WIDTH + k] * x[i / (2 * WIDTH) * WIDTH + k];
    kv[i] = sum;
  }
  twin_pool_attention (q, WIDTH, kv, BATCH, N, WIDTH, HEADS, want);
  clip_op_head_keys_pack (w, WIDTH, HEADS, WIDTH, packed);
  for (guint i = 0; i < BATCH * N * WIDTH; i++)
    x[i] -= i % stride < WIDTH ? 0 : x[i / stride * stride + i % WIDTH];
  g_autoptr (ClipBuffer) bq = upload_floats (q, BATCH * WIDTH), bx = upload_floats (x, BATCH * N * WIDTH);
  g_autoptr (ClipBuffer) keys = upload_floats (packed, WIDTH * WIDTH), bb = upload_floats (bias + WIDTH, WIDTH);
  g_autoptr (ClipBuffer) values = upload_floats (w + WIDTH * WIDTH, WIDTH * WIDTH);
  g_autoptr (ClipBuffer) u = new_output (BATCH * HEADS * WIDTH), p = new_output (BATCH * HEADS * N);
  g_autoptr (ClipBuffer) by = new_output (BATCH * WIDTH);
  g_assert_true (clip_op_head_keys (queue, bq, keys, BATCH, WIDTH, HEADS, WIDTH, u, &error)
                 && clip_op_head_scores (queue, u, bx, BATCH, HEADS, N, WIDTH, p, &error)
                 && clip_op_softmax (queue, p, BATCH * HEADS, N, &error)
                 && clip_op_head_mix (queue, p, bx, BATCH, HEADS, N, WIDTH, u, &error)
                 && clip_op_head_values (queue, u, values, bb, BATCH, WIDTH, HEADS, WIDTH, by, &error));
  g_assert_no_error (error);
  g_autofree float *got = download (by, BATCH * WIDTH);
  assert_near (got, want, BATCH * WIDTH, 2e-5);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  open_queue ();
  g_test_add_func ("/im2col-pixels", test_im2col_pixels);
  g_test_add_func ("/im2col", test_im2col);
  g_test_add_func ("/avgpool", test_avgpool);
  g_test_add_func ("/mean-token", test_mean_token);
  g_test_add_func ("/heads", test_heads);
  g_test_add_func ("/heads-equal-attention", test_equals_attention);
  int result = g_test_run ();
  clip_queue_unref (queue);
  return result;
}
