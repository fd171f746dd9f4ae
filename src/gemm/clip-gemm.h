/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* C[M,N] = act (A[M,K] * W[N,K]^T + bias[N]) + residual[M,N] with constant W, and 3x3 convolutions as such
 * a product. */
#pragma once

#include "clip-precision.h"

G_BEGIN_DECLS

typedef enum {
  CLIP_ACTIVATION_NONE,
  CLIP_ACTIVATION_QUICK_GELU, /* x * sigmoid (1.702 x) */
  CLIP_ACTIVATION_GELU,       /* exact, erf */
  CLIP_ACTIVATION_GELU_TANH,
  CLIP_ACTIVATION_RELU,
  CLIP_ACTIVATION_SUM_RELU, /* max (x + residual, 0): the residual is added first */
} ClipActivation;

/**
 * ClipLinear:
 *
 * A constant weight matrix in the layout of the backend that was chosen for it
 * (packed panels on CPU devices, CLBlast's own elsewhere).
 */
typedef struct _ClipLinear ClipLinear;

/**
 * clip_linear_new:
 * @precision: not AUTO; see clip_precision_check(). Products of few inputs stay fp32, they cost nothing
 * @weight: (array): [n,k] row-major float32, as PyTorch's Linear stores it; only read during the call
 * @bias: (array) (nullable): [n]
 * @typical_m: rows that a call will usually have: the shape class for which the backend is chosen
 *
 * The backend for fp32 is chosen per device and shape class by measuring once; the choice is cached
 * on disk. GST_CLIP_GEMM=panel or clblast forces one.
 */
ClipLinear *clip_linear_new (ClipQueue *queue, ClipPrecision precision, const float *weight, const float *bias, guint n,
    guint k, guint typical_m, GError **error);
/**
 * clip_linear_new_conv3:
 * @weight: (array): [n,9 channels] in the order (dy, dx, channel)
 * @pixels: of an item, usually
 *
 * As clip_linear_new() for clip_linear_run_conv3() alone: in fp32 and by panels, by Winograd's minimal filtering where
 * it is faster; GST_CLIP_GEMM=panel forces the products without it.
 */
ClipLinear *clip_linear_new_conv3 (ClipQueue *queue, ClipPrecision precision, const float *weight, const float *bias,
    guint n, guint channels, guint pixels, GError **error);
void clip_linear_free (ClipLinear *linear);
/** clip_linear_get_backend: "panel", "clblast", or e.g. "bf16 (AMX)", "fp16 (tensor cores)" */
const char *clip_linear_get_backend (ClipLinear *linear);

/**
 * clip_linear_run:
 * @a: [m,k] float32, row-major, starting at float @a_offset with row stride @lda
 * @residual: (nullable): [m,n] with @c's stride and offset; may be @c itself
 * @c: [m,n] float32, row-major, starting at float @c_offset with row stride @ldc; not @a
 *
 * Enqueues; does not wait. m may be 0.
 */
gboolean clip_linear_run (ClipLinear *linear, ClipQueue *queue, guint m, ClipBuffer *a,
    gsize a_offset, guint lda, ClipActivation activation, ClipBuffer *residual, ClipBuffer *c,
    gsize c_offset, guint ldc, GError **error);

/** clip_linear_can_normalise: whether clip_linear_run_normalised() may be called: not on CLBlast */
gboolean clip_linear_can_normalise (ClipLinear *linear);

/**
 * clip_linear_run_normalised:
 * @x: [m,k] dense
 * @gamma, @beta: [k]
 * @c: [m,n] dense; not @x
 * @pack: write @c for clip_linear_run_packed() of the next product, see clip_linear_can_pack()
 *
 * As clip_op_layernorm() and clip_linear_run() after it, in one. Enqueues; does not wait.
 */
gboolean clip_linear_run_normalised (ClipLinear *linear, ClipQueue *queue, guint m, ClipBuffer *x, ClipBuffer *gamma,
    ClipBuffer *beta, float eps, ClipActivation activation, ClipBuffer *c, gboolean pack, GError **error);

/** clip_linear_can_pack: whether @linear can write its result as @next packs it: then it goes through memory
 * once, and a reduced precision rounds it there */
gboolean clip_linear_can_pack (ClipLinear *linear, ClipLinear *next);
/** clip_linear_run_packed: as clip_linear_run() with a dense [m,n] @c, on what was written for it with @pack */
gboolean clip_linear_run_packed (ClipLinear *linear, ClipQueue *queue, guint m, ClipBuffer *a, ClipBuffer *residual,
    ClipBuffer *c, GError **error);

/**
 * clip_linear_run_conv3:
 * @linear: its k is 9 channels, in the order (dy, dx, channel)
 * @a: [batch,height,width,channels] float32
 * @c: [batch*height*width, n] float32; not @a
 *
 * A 3x3 convolution of stride 1 with a border of zeros. The rows of A are gathered where they are
 * used: nothing larger than clip_queue_get_scratch() already is for a product of that size, and on
 * CPU devices much less. Enqueues; does not wait.
 */
gboolean clip_linear_run_conv3 (ClipLinear *linear, ClipQueue *queue, guint batch, guint height,
    guint width, ClipBuffer *a, ClipActivation activation, ClipBuffer *c, GError **error);

/** clip_linear_measure_peak: GFLOP/s of fused multiply-adds in registers alone, -1 on error */
double clip_linear_measure_peak (ClipQueue *queue, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipLinear, clip_linear_free)

G_END_DECLS
