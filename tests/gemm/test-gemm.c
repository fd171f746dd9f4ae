/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All backends of ClipLinear against a naive twin that sums in double. */
#include "ops/clip-ops.h"
#include "reduced.h"
#include "values.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#define GUARD 12345.0f

typedef enum { INPUT_RANDOM, INPUT_EXTREME, INPUT_WIDE } Input;
typedef enum { RESIDUAL_NONE, RESIDUAL_OTHER, RESIDUAL_SAME } Residual;

typedef struct {
  guint m, n, k;
  guint a_offset, a_gap, c_offset, c_gap; /* in floats; a gap follows each row */
  Input input;
  gboolean bias;
  ClipActivation activation;
  Residual residual;
} Case;

static ClipDevice *device;
static ClipQueue *queue;

static double
naive_activation (double x, ClipActivation activation)
{
  switch (activation) {
    case CLIP_ACTIVATION_QUICK_GELU:
      return x / (1 + exp (-1.702 * x));
    case CLIP_ACTIVATION_GELU:
      return 0.5 * x * erfc (-x / sqrt (2.0));
    case CLIP_ACTIVATION_GELU_TANH:
      return 0.5 * x * (1 + tanh (sqrt (2 / G_PI) * (x + 0.044715 * x * x * x)));
    case CLIP_ACTIVATION_RELU:
      return MAX (x, 0);
    case CLIP_ACTIVATION_SUM_RELU: /* after the residual */
    default:
      return x;
  }
}

static float *
make_values (gsize count, Input input, guint32 seed)
{
  static const float extreme[] = { 0.0f, -0.0f, 1e-38f, -1e-38f, 1e-45f, 1.0f, -1.0f, 1e15f, -1e15f, 30.0f, -30.0f };
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  float *values = g_new (float, count);
  for (gsize i = 0; i < count; i++) {
    float uniform = (float) g_rand_double_range (rand, -1, 1);
    if (input == INPUT_EXTREME)
      values[i] = extreme[g_rand_int_range (rand, 0, G_N_ELEMENTS (extreme))];
    else
      values[i] = input == INPUT_WIDE ? uniform * 8 : uniform;
  }
  return values;
}

/* Element by element; the bound grows with the sum of magnitudes, and with K as fp32 sums do. @a and @w are as the
 * backend's arithmetic sees them. */
static void
compare (const ClipLinearBackend *backend, const Case *t, const float *a, const float *w, const float *bias, const float *before, const float *c)
{
  guint lda = t->k + t->a_gap, ldc = t->n + t->c_gap;
  for (guint i = 0; i < t->m; i++) {
    for (guint j = 0; j < t->n; j++) {
      gsize at = t->c_offset + (gsize) i * ldc + j;
      double sum = t->bias ? bias[j] : 0, size = fabs (sum);
      for (guint x = 0; x < t->k; x++) {
        double product = (double) a[t->a_offset + (gsize) i * lda + x] * w[(gsize) j * t->k + x];
        sum += product;
        size += fabs (product);
      }
      double extra = t->residual == RESIDUAL_NONE ? 0 : before[at];
      double expected = naive_activation (sum, t->activation) + extra;
      if (t->activation == CLIP_ACTIVATION_SUM_RELU)
        expected = MAX (expected, 0);
      double bound = 1.2e-7 * (4 + sqrt (t->k)) * size * 1.2 + 3e-7 * (fabs (expected) + fabs (extra)) + 2e-7;
      bound += 1.2 * reduced_slack (backend, a + t->a_offset + (gsize) i * lda, w + (gsize) j * t->k, t->k);
      if (!(fabs (c[at] - expected) <= bound))
        g_error ("m=%u n=%u k=%u activation %d residual %d input %d: [%u,%u] is %.9g, expected %.9g +- %.2g",
            t->m, t->n, t->k, t->activation, t->residual, t->input, i, j, c[at], expected, bound);
    }
  }
}

/* Nothing beside the m x n region may change. */
static void
check_guards (const Case *t, const float *before, const float *c, gsize count)
{
  guint ldc = t->n + t->c_gap;
  for (gsize i = 0; i < count; i++) {
    gsize from_start = i - t->c_offset;
    gboolean inside = i >= t->c_offset && from_start / ldc < t->m && from_start % ldc < t->n;
    if (!inside && before[i] != c[i])
      g_error ("m=%u n=%u k=%u: float %" G_GSIZE_FORMAT " beside the result changed", t->m, t->n, t->k, i);
  }
}

/* Where no residual is read the result's place holds NaN: a product times beta = 0 must not see it. */
static float *
make_before (const Case *t, gsize count)
{
  float *before = make_values (count, INPUT_RANDOM, 4);
  for (gsize i = 0; i < count; i++) {
    gsize row = (i - t->c_offset) / (t->n + t->c_gap), column = (i - t->c_offset) % (t->n + t->c_gap);
    if (i < t->c_offset || row >= t->m || column >= t->n)
      before[i] = GUARD;
    else if (t->residual == RESIDUAL_NONE)
      before[i] = NAN;
  }
  return before;
}

static void
run_case (const ClipLinearBackend *backend, const Case *t)
{
  g_autoptr (GError) error = NULL;
  guint lda = t->k + t->a_gap, ldc = t->n + t->c_gap;
  gsize a_count = t->a_offset + (gsize) t->m * lda + 1, c_count = t->c_offset + (gsize) t->m * ldc + 5;
  g_autofree float *a = make_values (a_count, t->input, 1);
  g_autofree float *w = make_values ((gsize) t->n * t->k, t->input == INPUT_EXTREME ? INPUT_RANDOM : t->input, 2);
  g_autofree float *bias = make_values (t->n, INPUT_RANDOM, 3), *before = make_before (t, c_count);
  g_autofree float *result = g_new (float, c_count);
  reduced_fit (backend, a, a_count);
  g_autoptr (ClipBuffer) a_buffer = values_upload (queue, a, a_count), c = values_upload (queue, before, c_count),
      other = values_upload (queue, before, c_count);
  g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (
      backend, queue, w, t->bias ? bias : NULL, t->n, t->k, &error);
  g_assert_no_error (error);
  ClipBuffer *residual = t->residual == RESIDUAL_NONE ? NULL : t->residual == RESIDUAL_SAME ? c : other;
  clip_linear_run (linear, queue, t->m, a_buffer, t->a_offset, lda, t->activation, residual, c, t->c_offset, ldc, &error);
  g_assert_no_error (error);
  clip_buffer_read (c, queue, 0, result, c_count * sizeof (float), &error);
  g_assert_no_error (error);
  for (guint i = 0; i < t->m; i++)
    reduced_row (backend, a + t->a_offset + (gsize) i * lda, t->k);
  reduced_weights (backend, w, t->n, t->k);
  compare (backend, t, a, w, bias, before, result);
  check_guards (t, before, result, c_count);
}

static const guint all_m[] = { 1, 2, 13, 14, 15, 50, 77, 257 };
static const guint all_n[] = { 1, 3, 16, 31, 32, 33, 96, 100, 768 };
static const guint all_k[] = { 1, 2, 5, 64, 100, 768, 3072 };

static gboolean
is_cheap (const Case *t)
{
  return (gsize) t->m * t->n * t->k < 4000000;
}

static void
test_shapes (gconstpointer backend)
{
  guint i = 0;
  for (guint m = 0; m < G_N_ELEMENTS (all_m); m++) {
    for (guint n = 0; n < G_N_ELEMENTS (all_n); n++) {
      for (guint k = 0; k < G_N_ELEMENTS (all_k); k++, i++) {
        Case t = { all_m[m], all_n[n], all_k[k] };
        t.input = i % 3;
        t.bias = i % 2;
        t.residual = i / 2 % 3;
        t.activation = t.input == INPUT_EXTREME ? CLIP_ACTIVATION_NONE : i / 3 % 6;
        t.a_offset = i % 4 * 5, t.a_gap = i % 5 * 3, t.c_offset = i % 7, t.c_gap = i % 3 * 7;
        if (is_cheap (&t))
          run_case (backend, &t);
      }
    }
  }
}

/* Each height of a tile, alone and beside its neighbour */
static void
test_heights (gconstpointer backend)
{
  for (guint m = 1; m <= 45; m++)
    run_case (backend, &(Case){ .m = m, .n = 48, .k = 37, .bias = TRUE, .a_gap = 2, .c_gap = 1, .c_offset = 3 });
}

static void
test_activations (gconstpointer backend)
{
  for (ClipActivation activation = CLIP_ACTIVATION_NONE; activation <= CLIP_ACTIVATION_SUM_RELU; activation++) {
    for (Residual residual = RESIDUAL_NONE; residual <= RESIDUAL_SAME; residual++) {
      for (guint i = 0; i < 6; i++) {
        Case t = { .m = 15, .n = 100, .k = i < 3 ? 1 : 64, .input = i % 3, .bias = i % 2, .c_gap = i, .c_offset = 2 * i };
        t.activation = activation;
        t.residual = residual;
        run_case (backend, &t);
      }
    }
  }
}

static void
test_model_shapes (gconstpointer backend)
{
  run_case (backend, &(Case){ .m = 50, .n = 768, .k = 768, .bias = TRUE, .residual = RESIDUAL_SAME });
  run_case (backend, &(Case){ .m = 257, .n = 100, .k = 768, .activation = CLIP_ACTIVATION_QUICK_GELU, .bias = TRUE });
  run_case (backend, &(Case){ .m = 50, .n = 96, .k = 3072, .residual = RESIDUAL_OTHER });
}

/* Many rows and a small W, which the panels take in slices */
static void
test_many_rows (gconstpointer backend)
{
  static const guint rows[] = { 3136, 2049, 9000 };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    for (Residual residual = RESIDUAL_NONE; residual <= RESIDUAL_SAME; residual++) {
      run_case (backend, &(Case){ .m = rows[i], .n = 40, .k = 64 + i, .bias = TRUE, .residual = residual,
                             .activation = CLIP_ACTIVATION_SUM_RELU, .a_gap = i, .c_gap = 2 * i, .c_offset = i });
      run_case (backend, &(Case){ .m = rows[i], .n = 33, .k = 65, .residual = residual, .a_offset = i });
    }
    run_case (backend, &(Case){ .m = rows[i], .n = 64, .k = 65, .activation = CLIP_ACTIVATION_RELU, .bias = TRUE });
  }
}

/* W is too large for the panels to take a tile at a time */
static void
test_large_slices (void)
{
  run_case (&clip_linear_panel, &(Case){ .m = 501, .n = 130, .k = 1030, .residual = RESIDUAL_SAME, .bias = TRUE,
                                    .activation = CLIP_ACTIVATION_SUM_RELU, .a_gap = 3, .c_gap = 1, .a_offset = 2 });
}

/* A NaN or an infinity stays visible, in its own row only. In a row of bytes there is no place for an infinity. */
static void
test_not_finite (gconstpointer backend)
{
  gboolean is_bytes = ((const ClipLinearBackend *) backend)->precision == CLIP_PRECISION_INT8;
  enum { M = 20, N = 40, K = 24 };
  g_autoptr (GError) error = NULL;
  g_autofree float *a = make_values (M * K, INPUT_RANDOM, 1), *w = make_values (N * K, INPUT_RANDOM, 2);
  g_autofree float *result = g_new (float, M * N);
  a[3 * K + 5] = NAN;
  a[7 * K + 2] = INFINITY;
  g_autoptr (ClipBuffer) a_buffer = values_upload (queue, a, M * K), c = values_upload (queue, result, M * N);
  g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (backend, queue, w, NULL, N, K, &error);
  for (ClipActivation activation = CLIP_ACTIVATION_NONE; activation <= CLIP_ACTIVATION_RELU; activation++) {
    clip_linear_run (linear, queue, M, a_buffer, 0, K, activation, NULL, c, 0, N, &error);
    clip_buffer_read (c, queue, 0, result, M * N * sizeof (float), &error);
    g_assert_no_error (error);
    for (guint i = 0; i < M * N; i++) {
      if (i / N == 3)
        g_assert_true (isnan (result[i]));
      else
        g_assert_true (i / N == 7 || isfinite (result[i]));
      if (i / N == 7 && w[i % N * K + 2] > 0)
        g_assert_true (is_bytes ? isnan (result[i]) : isinf (result[i]));
    }
  }
}

/* All of the activations' curves: A is a grid, W is 1. */
static void
test_curves (gconstpointer backend)
{
  enum { COUNT = 40001 };
  g_autoptr (GError) error = NULL;
  g_autofree float *x = g_new (float, COUNT), *result = g_new (float, COUNT);
  for (guint i = 0; i < COUNT; i++)
    x[i] = (i - 20000.0f) / 1000;
  x[0] = -3e38f, x[1] = 3e38f, x[2] = -88, x[3] = -90, x[4] = 1e20f, x[5] = -1e20f;
  reduced_fit (backend, x, COUNT);
  g_autoptr (ClipBuffer) a = values_upload (queue, x, COUNT), c = values_upload (queue, result, COUNT);
  g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (backend, queue, (float[]){ 1 }, NULL, 1, 1, &error);
  for (ClipActivation activation = CLIP_ACTIVATION_NONE; activation <= CLIP_ACTIVATION_RELU; activation++) {
    double worst = 0;
    clip_linear_run (linear, queue, COUNT, a, 0, 1, activation, NULL, c, 0, 1, &error);
    clip_buffer_read (c, queue, 0, result, COUNT * sizeof (float), &error);
    g_assert_no_error (error);
    for (guint i = 0; i < COUNT; i++) {
      reduced_row (backend, &x[i], 1);
      double expected = naive_activation (x[i], activation);
      double distance = fabs (result[i] - expected) / MAX (fabs ((double) x[i]), 1e-30);
      g_assert_true (isfinite (result[i]) && (distance <= 5e-7 || x[i] == 0));
      worst = MAX (worst, x[i] == 0 ? 0 : distance);
    }
    g_test_message ("activation %d: worst distance %.2g of |x|", activation, worst);
  }
}

/* A norm within a product is one before it, but for roundings that fall to the other side. */
static void
test_normalised (gconstpointer backend)
{
  static const guint widths[] = { 1, 31, 64, 100, 768 };
  for (guint i = 0; i < G_N_ELEMENTS (widths); i++) {
    guint k = widths[i], m = 19, n = 40;
    g_autoptr (GError) error = NULL;
    g_autofree float *x = make_values (m * k, INPUT_WIDE, 1), *w = make_values (n * k, INPUT_RANDOM, 2);
    g_autofree float *gamma = make_values (k, INPUT_WIDE, 3), *beta = make_values (k, INPUT_RANDOM, 4);
    g_autofree float *one = g_new0 (float, m * n), *two = g_new (float, m * n);
    g_autoptr (ClipBuffer) xb = values_upload (queue, x, m * k), gb = values_upload (queue, gamma, k),
        bb = values_upload (queue, beta, k), c = values_upload (queue, one, m * n);
    g_autoptr (ClipBuffer) norm = clip_buffer_new (device, m * k * sizeof (float), &error);
    g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (backend, queue, w, NULL, n, k, &error);
    clip_op_layernorm (queue, xb, 0, k, gb, bb, 1e-5f, m, k, norm, &error);
    clip_linear_run (linear, queue, m, norm, 0, k, CLIP_ACTIVATION_NONE, NULL, c, 0, n, &error);
    clip_buffer_read (c, queue, 0, one, m * n * sizeof (float), &error);
    clip_linear_run_normalised (linear, queue, m, xb, gb, bb, 1e-5f, CLIP_ACTIVATION_NONE, c, FALSE, &error);
    clip_buffer_read (c, queue, 0, two, m * n * sizeof (float), &error);
    g_assert_no_error (error);
    double difference = 0, size = 0;
    for (guint j = 0; j < m * n; j++) {
      difference += pow (one[j] - two[j], 2);
      size += pow (one[j], 2);
    }
    g_assert_true (size > 0 && difference <= 1e-6 * size);
  }
}

/* What a product packs for the next one is to the last bit what the next one would have packed. */
static void
test_packed (gconstpointer backend)
{
  static const guint rows[] = { 1, 2, 5, 13, 16, 17, 50, 97 };
  enum { K = 70, N = 96, OUT = 40 };
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    guint m = rows[i];
    g_autoptr (GError) error = NULL;
    g_autofree float *x = make_values (m * K, INPUT_RANDOM, 1), *w = make_values (N * K, INPUT_RANDOM, 2);
    g_autofree float *w2 = make_values (OUT * N, INPUT_RANDOM, 3), *gamma = make_values (K, INPUT_RANDOM, 4);
    g_autofree float *one = g_new0 (float, m * OUT), *two = g_new0 (float, m * OUT);
    g_autoptr (ClipBuffer) xb = values_upload (queue, x, m * K), gb = values_upload (queue, gamma, K),
        c = values_upload (queue, one, m * OUT);
    g_autoptr (ClipBuffer) hidden = clip_buffer_new (device, m * N * sizeof (float), &error);
    g_autoptr (ClipLinear) first = clip_linear_new_with_backend (backend, queue, w, NULL, N, K, &error);
    g_autoptr (ClipLinear) next = clip_linear_new_with_backend (backend, queue, w2, NULL, OUT, N, &error);
    g_assert_true (clip_linear_can_pack (first, next) && !clip_linear_can_pack (next, first));
    clip_linear_run_normalised (first, queue, m, xb, gb, gb, 1e-5f, CLIP_ACTIVATION_GELU, hidden, FALSE, &error);
    clip_linear_run (next, queue, m, hidden, 0, N, CLIP_ACTIVATION_NONE, NULL, c, 0, OUT, &error);
    clip_buffer_read (c, queue, 0, one, m * OUT * sizeof (float), &error);
    clip_linear_run_normalised (first, queue, m, xb, gb, gb, 1e-5f, CLIP_ACTIVATION_GELU, hidden, TRUE, &error);
    clip_linear_run_packed (next, queue, m, hidden, NULL, c, &error);
    clip_buffer_read (c, queue, 0, two, m * OUT * sizeof (float), &error);
    g_assert_no_error (error);
    g_assert_cmpmem (one, m * OUT * sizeof (float), two, m * OUT * sizeof (float));
    g_assert_cmpfloat (fabsf (one[0]), >, 0);
  }
}

static void
test_zero_rows (gconstpointer backend)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipBuffer) a = values_upload (queue, (float[]){ 1 }, 1), c = values_upload (queue, (float[]){ 2 }, 1);
  g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (backend, queue, (float[]){ 1 }, NULL, 1, 1, &error);
  g_assert_true (clip_linear_run (linear, queue, 0, a, 0, 1, 0, NULL, c, 0, 1, &error));
}

static void
test_forced (void)
{
  g_autoptr (GError) error = NULL;
  const char *names[] = { "panel", "clblast" };
  for (guint i = 0; i < 2; i++) {
    g_setenv ("GST_CLIP_GEMM", names[i], TRUE);
    g_autoptr (ClipLinear) linear = clip_linear_new (queue, CLIP_PRECISION_FP32, (float[]){ 1 }, NULL, 1, 1, 1, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (clip_linear_get_backend (linear), ==, names[i]);
  }
  g_setenv ("GST_CLIP_GEMM", "fastest", TRUE);
  g_assert_null (clip_linear_new (queue, CLIP_PRECISION_FP32, (float[]){ 1 }, NULL, 1, 1, 1, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE);
  g_assert_nonnull (strstr (error->message, "fastest"));
  g_unsetenv ("GST_CLIP_GEMM");
}

static char *
only_file_in (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name = dir ? g_dir_read_name (dir) : NULL;
  return name ? g_build_filename (folder, name, NULL) : NULL;
}

/* A damaged file is ignored and written anew; what the file says is obeyed. The process remembers
 * choices, so each step is a process of its own. */
static void
choose_in_subprocess (const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipLinear) linear = clip_linear_new (queue, CLIP_PRECISION_FP32, (float[]){ 1 }, NULL, 1, 1, 1, &error);
  g_assert_no_error (error);
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "gst-clip", "gemm", NULL);
  g_autofree char *path = only_file_in (folder), *text = NULL;
  g_assert_true (path && g_file_get_contents (path, &text, NULL, NULL));
  g_assert_nonnull (strstr (text, clip_linear_get_backend (linear)));
  if (expected)
    g_assert_cmpstr (clip_linear_get_backend (linear), ==, expected);
}

static void
test_choice (void)
{
  const char *text[] = { "\x01 not a key file", "[backend]\ncpu=panel\n", "[backend]\ncpu=clblast\n" };
  const char *step = g_getenv ("TEST_GEMM_STEP");
  if (g_test_subprocess ()) {
    choose_in_subprocess (*step == '2' ? "panel" : *step == '3' ? "clblast" : NULL);
    return;
  }
  if (!clip_device_is_cpu (device)) {
    g_test_skip ("the cached class is that of a CPU device");
    return;
  }
  g_autofree char *cache = g_dir_make_tmp ("clip-gemm-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename (cache, "gst-clip", "gemm", NULL);
  g_setenv ("XDG_CACHE_HOME", cache, TRUE);
  g_unsetenv ("GST_CLIP_CACHE");
  for (guint i = 0; i < 4; i++) {
    g_autofree char *number = g_strdup_printf ("%u", i), *path = only_file_in (folder);
    if (i > 0)
      g_assert_true (path && g_file_set_contents (path, text[i - 1], -1, NULL));
    g_setenv ("TEST_GEMM_STEP", number, TRUE);
    g_test_trap_subprocess (NULL, 120 * G_USEC_PER_SEC, 0);
    g_test_trap_assert_passed ();
  }
  g_autofree char *command = g_strdup_printf ("rm -r '%s'", cache);
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
}

/* On a device that is no CPU: without GST_CLIP_DOT tensor cores where there are some, else OpenCL C */
static void
test_half (void)
{
  static const ClipPrecision precisions[] = { CLIP_PRECISION_FP16, CLIP_PRECISION_BF16 };
  g_autoptr (GError) error = NULL;
  g_autofree float *weight = make_values (128, INPUT_RANDOM, 1);
  for (guint i = 0; i < G_N_ELEMENTS (precisions); i++) {
    ClipDotLevel most = clip_dot_get_level (device, precisions[i]);
    for (ClipDotLevel level = CLIP_DOT_PORTABLE; level <= CLIP_DOT_MATRIX; level += CLIP_DOT_MATRIX) {
      g_setenv ("GST_CLIP_DOT", level == CLIP_DOT_PORTABLE ? "portable" : "matrix", TRUE);
      g_autoptr (ClipLinear) linear = clip_linear_new (queue, precisions[i], weight, NULL, 1, 128, 1, &error);
      g_assert_no_error (error);
      g_assert_true (linear->backend == clip_half_get (precisions[i], MIN (level, most)));
    }
    g_unsetenv ("GST_CLIP_DOT");
  }
}

/* GST_CLIP_DOT names the most that is taken; short sums stay fp32. */
static void
test_reduced (void)
{
  static const char *const levels[] = { "portable", "vector", "matrix" };
  g_autoptr (GError) error = NULL;
  g_autofree float *weight = make_values (128, INPUT_RANDOM, 1);
  if (!clip_device_is_cpu (device)) {
    test_half ();
    return;
  }
  for (ClipPrecision p = CLIP_PRECISION_BF16; p <= CLIP_PRECISION_INT8; p++) {
    ClipDotLevel most = clip_dot_get_level (device, p);
    for (ClipDotLevel level = CLIP_DOT_PORTABLE; level <= CLIP_DOT_MATRIX; level++) {
      g_setenv ("GST_CLIP_DOT", levels[level], TRUE);
      g_autoptr (ClipLinear) linear = clip_linear_new (queue, p, weight, NULL, 1, 128, 1, &error);
      g_autoptr (ClipLinear) shorter = clip_linear_new (queue, p, weight, NULL, 4, 32, 1, &error);
      g_assert_no_error (error);
      const ClipLinearBackend *expected = &clip_linear_dot[p - CLIP_PRECISION_BF16][MIN (level, most)];
      g_assert_cmpstr (clip_linear_get_backend (linear), ==, expected->name);
      g_assert_true (shorter->backend->precision == CLIP_PRECISION_FP32);
    }
    g_unsetenv ("GST_CLIP_DOT");
  }
}

static void
test_precision_names (void)
{
  ClipPrecision precision;
  for (ClipPrecision p = CLIP_PRECISION_FP32; p <= CLIP_PRECISION_AUTO; p++)
    g_assert_true (clip_precision_from_name (clip_precision_get_name (p), &precision) && precision == p);
  g_assert_false (clip_precision_from_name ("int4", &precision));
}

static void
test_precision_levels (void)
{
  for (ClipPrecision p = CLIP_PRECISION_FP32; p < CLIP_PRECISION_AUTO; p++) {
    g_autoptr (GError) error = NULL;
    gboolean offered = p != (clip_device_is_cpu (device) ? CLIP_PRECISION_FP16 : CLIP_PRECISION_INT8);
    g_assert_true (clip_precision_check (p, queue, &error) == offered);
    g_assert_true (offered || g_error_matches (error, CLIP_ERROR, CLIP_ERROR_DEVICE));
    guint level = clip_precision_get_level (p, queue);
    g_assert_cmpuint (level, ==, p == CLIP_PRECISION_FP32 || !offered ? 0 : clip_dot_get_level (device, p));
    g_setenv ("GST_CLIP_DOT", "portable", TRUE); /* nothing is gained without instructions */
    g_assert_cmpuint (clip_precision_get_level (p, queue), ==, 0);
    g_unsetenv ("GST_CLIP_DOT");
  }
}

/* What the device cannot do is an error that says what it can. */
static void
test_precision_refused (void)
{
  g_autoptr (GError) error = NULL;
  gboolean cpu = clip_device_is_cpu (device);
  ClipPrecision refused = cpu ? CLIP_PRECISION_FP16 : CLIP_PRECISION_INT8;
  g_assert_true (clip_precision_check (CLIP_PRECISION_BF16, queue, &error));
  g_assert_false (clip_precision_check (refused, queue, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE);
  g_assert_nonnull (strstr (error->message, cpu ? "precision fp16 needs a GPU" : "precision int8 needs a CPU"));
}

static void
test_class_names (void)
{
  g_autofree char *one = clip_linear_class_name (device, 50, 3072, 768);
  g_assert_cmpstr (one, ==, clip_device_is_cpu (device) ? "cpu" : "m64-n4096-k1024");
}

static void
add (const char *name, GTestDataFunc test)
{
  reduced_add_tests (device, "gemm", name, test);
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
  add ("shapes", test_shapes);
  add ("heights", test_heights);
  add ("activations", test_activations);
  add ("curves", test_curves);
  add ("model-shapes", test_model_shapes);
  add ("many-rows", test_many_rows);
  g_test_add_func ("/gemm/panel/large-slices", test_large_slices);
  add ("not-finite", test_not_finite);
  add ("zero-rows", test_zero_rows);
  if (clip_device_is_cpu (device)) {
    reduced_add_levels (device, CLIP_PRECISION_BF16, "gemm", "normalised", test_normalised);
    reduced_add_levels (device, CLIP_PRECISION_INT8, "gemm", "normalised", test_normalised);
    reduced_add_levels (device, CLIP_PRECISION_BF16, "gemm", "packed", test_packed);
  } else {
    reduced_add_half (device, "gemm", "normalised", test_normalised);
    reduced_add_half (device, "gemm", "packed", test_packed);
  }
  g_test_add_data_func ("/gemm/panel/normalised", &clip_linear_panel, test_normalised);
  g_test_add_data_func ("/gemm/panel/packed", &clip_linear_panel, test_packed);
  g_test_add_func ("/gemm/forced", test_forced);
  g_test_add_func ("/gemm/choice", test_choice);
  g_test_add_func ("/gemm/class-names", test_class_names);
  g_test_add_func ("/gemm/reduced", test_reduced);
  g_test_add_func ("/gemm/precision-names", test_precision_names);
  g_test_add_func ("/gemm/precision-refused", test_precision_refused);
  g_test_add_func ("/gemm/precision-levels", test_precision_levels);
  int status = g_test_run ();
  clip_queue_unref (queue);
  clip_device_unref (device);
  return status;
}
