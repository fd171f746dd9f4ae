/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layouts of the CLBlast backend: right with several sets of parameters, and without a kernel that copies. */
#include "config.h"

#include "../faults/faults.h"
#include "gemm/clip-gemm-parameters.h"
#include "gemm/clip-gemm-private.h"
#include "gemm/clip-gemm-trial.h"
#include "values.h"

#include <math.h>
#include <string.h>

static ClipQueue *queue;

/* names as in clip-gemm-parameters.c: GEMMK KREG KWG KWI MDIMA MDIMC MWG NDIMB NDIMC NWG SA SB STRM STRN VWM VWN */
static const ClipGemmSet sets[] = {
  { { 0, 1, 16, 2, 8, 8, 16, 8, 8, 32, 0, 0, 0, 0, 2, 4 } },
  { { 0, 1, 32, 2, 16, 8, 64, 8, 8, 16, 1, 1, 1, 0, 4, 1 } },
  { { 1, 4, 1, 1, 4, 4, 32, 8, 8, 32, 0, 0, 0, 0, 2, 2 } },
};
static const guint tiles[][3] = { { 32, 16, 16 }, { 16, 64, 32 }, { 32, 32, 4 } };

static void
use (guint index)
{
  g_autoptr (GError) error = NULL;
  ClipDevice *device = clip_queue_get_device (queue);
  const ClipGemmSet all_large = { { 1 } };
  g_assert_true (clip_gemm_set_check (CLIP_GEMM_XGEMM, &sets[index], &error));
  g_assert_true (clip_gemm_set_apply (CLIP_GEMM_XGEMM, &sets[index], device, &error));
  g_assert_true (clip_gemm_set_apply (CLIP_GEMM_ROUTINE, &all_large, device, &error));
}

typedef struct {
  guint m, n, k, offset, gap; /* offset and gap: in floats, of A and C */
  gboolean bias, residual, in_place;
  guint arranged; /* calls of the kernel that arranges A, for each set: bits */
} Case;

/* Sums in double, and kernels counted by their names: all products are "large". */
static void
check (const Case *t, guint set)
{
  g_autoptr (GError) error = NULL;
  const guint lda = t->k + t->gap, ldc = t->n + t->gap;
  const guint a_count = t->offset + t->m * lda, c_count = t->offset + t->m * ldc;
  g_autofree float *a = values_uniform (a_count, 1), *w = values_uniform (t->n * t->k, 2), *bias = values_uniform (t->n, 3);
  g_autofree float *before = values_uniform (c_count, 4), *got = g_new (float, c_count);
  g_autoptr (ClipBuffer) ab = values_upload (queue, a, a_count), cb = values_upload (queue, before, c_count),
      other = values_upload (queue, before, c_count);
  g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (
      &clip_linear_clblast, queue, w, t->bias ? bias : NULL, t->n, t->k, &error);
  g_assert_no_error (error);
  ClipBuffer *residual = !t->residual ? NULL : t->in_place ? cb : other;
  fault_clear_kernels ();
  clip_linear_run (linear, queue, t->m, ab, t->offset, lda, CLIP_ACTIVATION_NONE, residual, cb, t->offset, ldc, &error);
  clip_buffer_read (cb, queue, 0, got, c_count * sizeof (float), &error);
  g_assert_no_error (error);
  for (guint i = 0; i < c_count; i++) {
    const guint row = (i - t->offset) / ldc, column = (i - t->offset) % ldc;
    double sum = t->bias ? bias[column % t->n] : 0;
    if (i < t->offset || column >= t->n) {
      g_assert_cmpfloat (got[i], ==, before[i]);
      continue;
    }
    for (guint x = 0; x < t->k; x++)
      sum += (double) a[t->offset + row * lda + x] * w[column * t->k + x];
    const double want = sum + (t->residual ? before[i] : 0);
    if (!(fabs (got[i] - want) < 1e-4))
      g_error ("set %u, m=%u n=%u k=%u: [%u,%u] is %g, expected %g", set, t->m, t->n, t->k, row, column, got[i], want);
  }
  const guint arranged = fault_count_kernel (set == 2 ? "arrange_rows" : "arrange_columns");
  g_assert_cmpuint (fault_count_kernel ("Xgemm"), ==, 1);
  g_assert_cmpuint (arranged, ==, t->arranged >> set & 1);
  const guint finished = fault_count_kernel ("epilogue");
  g_assert_cmpuint (fault_count (FAULT_RUN), ==, 1 + arranged + finished); /* none of CLBlast's copies */
  const gboolean whole = t->n % tiles[set][1] == 0 && t->m % tiles[set][0] == 0 && t->offset + t->gap == 0;
  g_assert_cmpuint (finished, ==, t->bias || t->residual || !whole);
}

static void
test_layouts (void)
{
  static const Case cases[] = {
    { .m = 64, .n = 128, .k = 64, .arranged = 3 }, /* the third set takes A as it is */
    { .m = 64, .n = 128, .k = 64, .bias = TRUE, .residual = TRUE, .arranged = 3 },
    { .m = 64, .n = 128, .k = 64, .residual = TRUE, .in_place = TRUE, .arranged = 3 },
    { .m = 50, .n = 128, .k = 64, .bias = TRUE, .arranged = 7 },
    { .m = 64, .n = 100, .k = 64, .arranged = 3 },
    { .m = 64, .n = 128, .k = 27, .arranged = 7 },
    { .m = 1, .n = 1, .k = 1, .arranged = 7 },
    { .m = 33, .n = 65, .k = 31, .offset = 5, .gap = 3, .bias = TRUE, .residual = TRUE, .arranged = 7 },
    { .m = 33, .n = 65, .k = 31, .offset = 5, .gap = 3, .residual = TRUE, .in_place = TRUE, .arranged = 7 },
    { .m = 64, .n = 128, .k = 64, .offset = 4, .arranged = 7 },
    { .m = 64, .n = 128, .k = 64, .gap = 8, .arranged = 7 },
  };
  for (guint set = 0; set < G_N_ELEMENTS (sets); set++) {
    use (set);
    for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
      check (&cases[i], set);
  }
}

/* What the backend found by asking CLBlast is what CLBlast was told. M and N change places in kernel 0. */
static void
test_tiles (void)
{
  for (guint set = 0; set < G_N_ELEMENTS (sets); set++) {
    g_autoptr (GError) error = NULL;
    use (set);
    g_autoptr (ClipLinear) linear
        = clip_linear_new_with_backend (&clip_linear_clblast, queue, (float[]){ 1 }, NULL, 1, 1, &error);
    g_assert_no_error (error);
    g_assert_cmpint (linear->layout.swapped, ==, set < 2);
    g_assert_cmpuint (linear->layout.tile_m, ==, tiles[set][0]);
    g_assert_cmpuint (linear->layout.tile_n, ==, tiles[set][1]);
    g_assert_cmpuint (linear->layout.tile_k, ==, tiles[set][2]);
  }
}

/* Parameters with which CLBlast is known to compute wrongly are refused, whoever set them. */
static void
test_wrong_tiles (void)
{
  g_autoptr (GError) error = NULL;
  const ClipGemmSet set = { { 1, 4, 1, 1, 4, 4, 32, 8, 8, 16, 0, 0, 0, 0, 2, 2 } };
  use (0);
  g_assert_false (clip_gemm_set_check (CLIP_GEMM_XGEMM, &set, NULL));
  g_assert_true (clip_gemm_set_apply (CLIP_GEMM_XGEMM, &set, clip_queue_get_device (queue), &error));
  g_autoptr (ClipLinear) linear
      = clip_linear_new_with_backend (&clip_linear_clblast, queue, (float[]){ 1 }, NULL, 1, 1, &error);
#ifdef CLBLAST_HAS_ANY_TILES
  g_assert_nonnull (linear);
#else
  g_assert_null (linear);
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE);
  g_assert_nonnull (strstr (error->message, "wrong products"));
#endif
}

/* A small product is one kernel, which reads what lies there. */
static void
test_direct (void)
{
  g_autoptr (GError) error = NULL;
  const ClipGemmSet none_large = { { CLIP_GEMM_MAX_THRESHOLD } };
  g_autofree float *values = values_uniform (40 * 50, 1);
  g_autoptr (ClipBuffer) a = values_upload (queue, values, 40 * 50), c = values_upload (queue, values, 40 * 50);
  use (0);
  g_assert_true (clip_gemm_set_apply (CLIP_GEMM_ROUTINE, &none_large, clip_queue_get_device (queue), &error));
  g_autoptr (ClipLinear) linear
      = clip_linear_new_with_backend (&clip_linear_clblast, queue, values, NULL, 30, 50, &error);
  fault_clear_kernels ();
  g_assert_true (clip_linear_run (linear, queue, 40, a, 0, 50, CLIP_ACTIVATION_NONE, NULL, c, 0, 30, &error));
  g_assert_cmpuint (fault_count (FAULT_RUN), ==, 1);
  g_assert_cmpuint (fault_count_kernel ("XgemmDirectNT"), ==, 1);
}

/* A kernel that leaves a result out is found, whatever lay there before: the right values of a run before it. */
static void
test_trial (void)
{
  static const ClipGemmShape shapes[] = { { 64, 128, 64, 1 }, { 50, 100, 30, 1 } };
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (GError) error = NULL;
    use (i);
    g_autoptr (ClipTrial) trial = clip_trial_new (queue, &shapes[i], &error);
    g_assert_no_error (error);
    for (guint round = 0; round < 2; round++) {
      g_assert_cmpfloat (clip_trial_time (trial, INFINITY, &error), >, 0);
      g_assert_no_error (error);
      fault_skip_kernel ("Xgemm");
      g_assert_cmpfloat (clip_trial_time (trial, INFINITY, &error), ==, -1);
      g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TUNING);
      g_clear_error (&error);
      fault_skip_kernel (NULL);
    }
    fault_inject (FAULT_RUN, 1, TRUE);
    g_assert_cmpfloat (clip_trial_time (trial, INFINITY, &error), ==, -1);
    g_assert_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE);
    fault_inject (FAULT_RUN, 0, FALSE);
  }
}

static gboolean
stop_at (const ClipTune *tune, gpointer left)
{
  return (*(guint *) left)-- > 0;
}

/* What computes nothing cannot be tuned; before anything is known there is nothing to keep. */
static void
test_search_ends (void)
{
  g_autoptr (GError) error = NULL;
  const ClipGemmShape shape = { 64, 128, 64, 1 };
  g_autoptr (GArray) shapes = g_array_new (FALSE, FALSE, sizeof (ClipGemmShape));
  guint left = 1;
  g_array_append_val (shapes, shape);
  fault_inject (FAULT_RUN, 1, TRUE);
  g_assert_null (clip_tune_run (queue, shapes, 1, 1, NULL, NULL, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TUNING);
  g_assert_nonnull (strstr (error->message, "none of the products"));
  g_clear_error (&error);
  g_assert_null (clip_tune_run (queue, shapes, 1, 1, stop_at, &left, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TUNING);
  g_assert_nonnull (strstr (error->message, "stopped"));
  fault_inject (FAULT_RUN, 0, FALSE);
}

/* The twin of kernels/gemm-arrange.cl: P[row,column] is A's value there or, beyond A, 0 */
static float
twin (const float *a, guint offset, guint lda, guint m, guint k, guint row, guint column)
{
  return row < m && column < k ? a[offset + row * lda + column] : 0;
}

static void
check_arrange (const char *name, cl_uint m, cl_uint k, cl_uint mp, cl_uint kp)
{
  g_autoptr (GError) error = NULL;
  const gboolean columns = g_str_equal (name, "arrange_columns");
  const gsize global[2] = { (kp + 15) / 16 * 16, (mp + 15) / 16 * 16 }, local[2] = { 16, 16 };
  cl_ulong offset = 3;
  cl_uint lda = k + 2;
  const guint count = 3 + m * lda, guard = 20;
  g_autofree float *a = values_uniform (count, 1), *before = values_uniform (mp * kp + guard, 2);
  g_autofree float *got = g_new (float, mp * kp + guard);
  g_autoptr (ClipBuffer) ab = values_upload (queue, a, count), pb = values_upload (queue, before, mp * kp + guard);
  cl_kernel kernel = clip_queue_get_kernel (queue, "gemm-arrange", name, NULL, &error);
  g_assert_true (kernel
                 && clip_kernel_set_args (kernel, &error, CLIP_ARG_BUFFER (ab), CLIP_ARG (offset), CLIP_ARG (lda),
                     CLIP_ARG (m), CLIP_ARG (k), CLIP_ARG_BUFFER (pb), CLIP_ARG (mp), CLIP_ARG (kp), CLIP_ARGS_END)
                 && clip_queue_run (queue, kernel, 2, global, local, &error)
                 && clip_buffer_read (pb, queue, 0, got, (mp * kp + guard) * sizeof (float), &error));
  for (guint i = 0; i < mp; i++) {
    for (guint j = 0; j < kp; j++)
      g_assert_cmpfloat (got[columns ? j * mp + i : i * kp + j], ==, twin (a, 3, lda, m, k, i, j));
  }
  g_assert_cmpmem (got + mp * kp, guard * sizeof (float), before + mp * kp, guard * sizeof (float));
}

static void
test_arrange (void)
{
  static const guint sizes[][4]
      = { { 1, 1, 1, 1 }, { 1, 1, 8, 4 }, { 16, 32, 16, 32 }, { 15, 17, 32, 18 }, { 50, 27, 64, 32 }, { 3, 100, 4, 112 } };
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    check_arrange ("arrange_rows", sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
    check_arrange ("arrange_columns", sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_test_init (&argc, &argv, NULL);
  g_autofree char *data = g_dir_make_tmp ("clip-clblast-XXXXXX", &error);
  g_assert_no_error (error);
  g_setenv ("XDG_DATA_HOME", data, TRUE);
  g_autoptr (ClipDevice) device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  clip_gemm_tuning_skip (device);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  g_test_add_func ("/clblast/arrange", test_arrange);
  g_test_add_func ("/clblast/layouts", test_layouts);
  g_test_add_func ("/clblast/tiles", test_tiles);
  g_test_add_func ("/clblast/wrong-tiles", test_wrong_tiles);
  g_test_add_func ("/clblast/direct", test_direct);
  g_test_add_func ("/clblast/trial", test_trial);
  g_test_add_func ("/clblast/search-ends", test_search_ends);
  int status = g_test_run ();
  clip_queue_unref (queue);
  g_autofree char *command = g_strdup_printf ("rm -r '%s'", data);
  g_assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  return status;
}
