/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backends of 16 bits for GPUs: kernels/gemm-half.cl says how they work. */
#include "clip-gemm-panel-private.h"

#include "ops/clip-ops.h"

#include <math.h>
#include <string.h>

/* As in the kernel */
#define ITEMS 128
#define STEP 32
#define PAD 128
/* Below this many steps a part of K is not worth its share of the sum that follows */
#define MIN_STEPS 4

typedef struct {
  guint bm, bn;          /* values of C that a work-group computes */
  guint parts, per_part; /* of K, and steps of each */
} Plan;

static guint
divide_up (guint a, guint b)
{
  return (a - 1) / b + 1;
}

static guint
count_groups (guint m, guint n, guint bm, guint bn)
{
  return divide_up (m, bm) * divide_up (n, bn);
}

/* Large tiles where there are enough of them for all compute units; where there are too few small ones, K is split.
 * Two work-groups a unit hide each other's waiting. */
static Plan
make_plan (const ClipLinear *linear, ClipQueue *queue, guint m, gboolean may_split)
{
  guint units = clip_device_get_compute_units (clip_queue_get_device (queue)), steps = divide_up (linear->k, STEP);
  Plan plan = { 64, 64, 1, steps };
  if (linear->backend->level == CLIP_DOT_MATRIX && count_groups (m, linear->n, 128, 64) >= units) {
    plan.bm = 128;
    return plan;
  }
  guint groups = count_groups (m, linear->n, plan.bm, plan.bn);
  if (may_split && groups < units) {
    plan.per_part = MAX (divide_up (steps, 2 * units / groups), MIN_STEPS);
    plan.parts = divide_up (steps, plan.per_part);
  }
  return plan;
}

/* to the nearest, ties to even */
static guint16
to_fp16 (float value)
{
  guint32 bits, magnitude;
  memcpy (&bits, &value, sizeof bits);
  guint16 sign = bits >> 16 & 0x8000;
  magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00;
  if (magnitude >= 0x477ff000) /* 65520 */
    return sign | 0x7c00;
  if (magnitude < 0x38800000) { /* subnormal: the unit of a float of 0.5 is that of these */
    float shifted = fabsf (value) + 0.5f;
    memcpy (&bits, &shifted, sizeof bits);
    return sign | (guint16) (bits - 0x3f000000);
  }
  return sign | (guint16) ((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

/* w[k / 32][columns][32] */
static gboolean
half_pack (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias, GError **error)
{
  guint n = linear->n, k = linear->k, columns = divide_up (n, PAD) * PAD;
  gboolean is_bf16 = linear->backend->precision == CLIP_PRECISION_BF16;
  gsize size = (gsize) divide_up (k, STEP) * columns * STEP * sizeof (guint16);
  linear->weight = clip_buffer_new (clip_queue_get_device (queue), size, error);
  guint16 *to = linear->weight ? clip_buffer_map (linear->weight, queue, CL_MAP_WRITE, error) : NULL;
  if (!to)
    return FALSE;
  memset (to, 0, size);
  for (guint column = 0; column < n; column++, weight += k) {
    for (guint i = 0; i < k; i++)
      to[((gsize) (i / STEP) * columns + column) * STEP + i % STEP]
          = is_bf16 ? clip_dot_to_bf16 (weight[i]) : to_fp16 (weight[i]);
  }
  clip_buffer_unmap (linear->weight, queue, to);
  return clip_panel_pack_bias (linear, queue, bias, columns, error);
}

/* How A lies, as the kernel's option -DA */
static guint
get_layout (const ClipLinear *linear, const ClipLinearCall *call)
{
  if (call->a_packed)
    return 0;
  return linear->k % 4 == 0 && call->lda % 4 == 0 && call->a_offset % 4 == 0 ? 1 : 2;
}

static char *
make_options (const ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const Plan *plan)
{
  gboolean tensor = linear->backend->level == CLIP_DOT_MATRIX;
  gboolean emulated = tensor && clip_device_is_pretended (clip_queue_get_device (queue));
  return g_strdup_printf ("-DBM=%u -DBN=%u -DBF16=%d -DHOW=%d -DA=%u -DC_PACKED=%d -DSPLIT=%d", plan->bm, plan->bn,
      linear->backend->precision == CLIP_PRECISION_BF16, emulated ? 2 : tensor ? 1 : 0, get_layout (linear, call),
      call->c_packed, plan->parts > 1);
}

/* The products, or where K is split their parts from float @sums_offset of @sums on */
static gboolean
multiply (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const Plan *plan, const char *options,
    ClipBuffer *sums, gsize sums_offset, GError **error)
{
  cl_kernel kernel = clip_queue_get_kernel (queue, "gemm-half", "gemm_half", options, error);
  cl_uint m = call->m, n = linear->n, k = linear->k, per_part = plan->per_part, lda = call->lda, ldc = call->ldc;
  cl_ulong a_offset = call->a_offset, c_offset = sums ? sums_offset : call->c_offset;
  cl_int activation = call->activation, add = call->residual != NULL;
  ClipBuffer *c = sums ? sums : call->c;
  const gsize local[] = { ITEMS, 1, 1 };
  const gsize global[] = { (gsize) divide_up (m, plan->bm) * ITEMS, divide_up (n, plan->bn), plan->parts };
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (m), CLIP_ARG (n), CLIP_ARG (k), CLIP_ARG (per_part),
             CLIP_ARG_BUFFER (call->a), CLIP_ARG (a_offset), CLIP_ARG (lda), CLIP_ARG_BUFFER (linear->weight),
             CLIP_ARG_BUFFER (linear->bias), CLIP_ARG (activation), CLIP_ARG (add),
             CLIP_ARG_BUFFER (add && !sums ? call->residual : c), CLIP_ARG_BUFFER (c), CLIP_ARG (c_offset),
             CLIP_ARG (ldc), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, local, error);
}

static gboolean
add_parts (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const Plan *plan, const char *options,
    ClipBuffer *sums, gsize offset, GError **error)
{
  cl_kernel kernel = clip_queue_get_kernel (queue, "gemm-half", "gemm_half_sum", options, error);
  cl_uint m = call->m, n = linear->n, parts = plan->parts, ldc = call->ldc;
  cl_ulong sums_offset = offset, c_offset = call->c_offset;
  cl_int activation = call->activation, add = call->residual != NULL;
  const gsize global[] = { divide_up (n, 2), m };
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (m), CLIP_ARG (n), CLIP_ARG (parts),
             CLIP_ARG_BUFFER (sums), CLIP_ARG (sums_offset), CLIP_ARG_BUFFER (linear->bias), CLIP_ARG (activation),
             CLIP_ARG (add), CLIP_ARG_BUFFER (add ? call->residual : call->c), CLIP_ARG_BUFFER (call->c),
             CLIP_ARG (c_offset), CLIP_ARG (ldc), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}

/* The scratch memory holds A normalised, and behind it the parts' sums. */
static gboolean
run_plan (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const Plan *plan, GError **error)
{
  const ClipLinearNorm *norm = call->norm;
  gsize normalised = norm ? ((gsize) call->m * linear->k + PAD - 1) / PAD * PAD : 0;
  gsize sums = plan->parts > 1 ? (gsize) plan->parts * call->m * divide_up (linear->n, PAD) * PAD : 0;
  ClipLinearCall product = *call;
  ClipBuffer *scratch = NULL;
  if (normalised + sums > 0 && !(scratch = clip_queue_get_scratch (queue, (normalised + sums) * sizeof (float), error)))
    return FALSE;
  if (norm) {
    if (!clip_op_layernorm (queue, call->a, call->a_offset, call->lda, norm->gamma, norm->beta, norm->eps, call->m,
            linear->k, scratch, error))
      return FALSE;
    product.a = scratch;
    product.a_offset = 0;
    product.lda = linear->k;
  }
  g_autofree char *options = make_options (linear, queue, &product, plan);
  return multiply (linear, queue, &product, plan, options, sums > 0 ? scratch : NULL, normalised, error)
         && (sums == 0 || add_parts (linear, queue, &product, plan, options, scratch, normalised, error));
}

/* For rows that lie in the scratch memory themselves */
static gboolean
run_unsplit (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  Plan plan = make_plan (linear, queue, call->m, FALSE);
  return run_plan (linear, queue, call, &plan, error);
}

static gboolean
half_run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  if (call->height > 0)
    return clip_linear_run_gathered (linear, queue, call, run_unsplit, error);
  Plan plan = make_plan (linear, queue, call->m, TRUE);
  return run_plan (linear, queue, call, &plan, error);
}

#define BACKEND(name, precision, level) { name, half_pack, half_run, CLIP_PRECISION_##precision, CLIP_DOT_##level }

const ClipLinearBackend clip_linear_half[2][2] = {
  { BACKEND ("fp16 (OpenCL C)", FP16, PORTABLE), BACKEND ("fp16 (tensor cores)", FP16, MATRIX) },
  { BACKEND ("bf16 (OpenCL C)", BF16, PORTABLE), BACKEND ("bf16 (tensor cores)", BF16, MATRIX) },
};

const ClipLinearBackend *
clip_half_get (ClipPrecision precision, ClipDotLevel level)
{
  return &clip_linear_half[precision == CLIP_PRECISION_BF16][level == CLIP_DOT_MATRIX];
}

/* A product of small integers, which is exact, in a shape with edges */
#define CHECK_M 131
#define CHECK_N 70
#define CHECK_K 264

static gboolean
check_plan (ClipLinear *linear, ClipQueue *queue, const Plan *plan, const float *a, const float *w, GError **error)
{
  g_autofree float *got = g_new0 (float, CHECK_M * CHECK_N);
  gsize size = CHECK_M * CHECK_N * sizeof (float);
  g_autoptr (ClipBuffer) ab = clip_buffer_new (clip_queue_get_device (queue), CHECK_M * CHECK_K * sizeof (float), error);
  g_autoptr (ClipBuffer) c = ab ? clip_buffer_new (clip_queue_get_device (queue), size, error) : NULL;
  const ClipLinearCall call = { .m = CHECK_M, .a = ab, .lda = CHECK_K, .c = c, .ldc = CHECK_N };
  if (!c || !clip_buffer_write (ab, queue, 0, a, CHECK_M * CHECK_K * sizeof (float), error)
      || !run_plan (linear, queue, &call, plan, error) || !clip_buffer_read (c, queue, 0, got, size, error))
    return FALSE;
  for (guint i = 0; i < CHECK_M * CHECK_N; i++) {
    float wanted = 0;
    for (guint x = 0; x < CHECK_K; x++)
      wanted += a[i / CHECK_N * CHECK_K + x] * w[i % CHECK_N * CHECK_K + x];
    if (got[i] != wanted) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE, "%s: a product of %g came out as %g", linear->backend->name,
          wanted, got[i]);
      return FALSE;
    }
  }
  return TRUE;
}

/* Does the device's compiler take the kernel, and does it compute? Both tiles, and a split K. */
static gboolean
probe (const ClipLinearBackend *backend, ClipQueue *queue, GError **error)
{
  const guint steps = divide_up (CHECK_K, STEP);
  const Plan plans[] = { { 64, 64, 2, divide_up (steps, 2) }, { 128, 64, 1, steps } };
  g_autofree float *a = g_new (float, CHECK_M * CHECK_K), *w = g_new (float, CHECK_N * CHECK_K);
  for (guint i = 0; i < CHECK_M * CHECK_K; i++)
    a[i] = (float) ((gint) (i * 7 % 29) - 14);
  for (guint i = 0; i < CHECK_N * CHECK_K; i++)
    w[i] = (float) ((gint) (i * 5 % 31) - 15);
  g_autoptr (ClipLinear) linear
      = clip_linear_new_with_backend (backend, queue, w, NULL, CHECK_N, CHECK_K, error);
  guint count = backend->level == CLIP_DOT_MATRIX ? 2 : 1;
  for (guint i = 0; linear && i < count; i++) {
    if (!check_plan (linear, queue, &plans[i], a, w, error))
      return FALSE;
  }
  return linear != NULL;
}

const ClipLinearBackend *
clip_half_find (ClipQueue *queue, ClipPrecision precision, GError **error)
{
  g_autoptr (GError) failure = NULL;
  ClipDotLevel level = clip_dot_get_level (clip_queue_get_device (queue), precision);
  const ClipLinearBackend *backend = clip_half_get (precision, level);
  if (level == CLIP_DOT_PORTABLE)
    return probe (backend, queue, error) ? backend : NULL;
  if (probe (backend, queue, &failure))
    return backend;
  g_info ("gemm: %s is out: %s", backend->name, failure->message);
  backend = clip_half_get (precision, CLIP_DOT_PORTABLE);
  return probe (backend, queue, error) ? backend : NULL;
}
