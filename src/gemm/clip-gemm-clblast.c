/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The CLBlast backend, for GPUs: the product is CLBlast's, kernels/epilogue.cl does the rest.
 * clip-gemm-clblast-layout.c says how the matrices lie, and why. */
#include "clip-gemm-clblast-private.h"
#include "clip-gemm-tuning.h"

#include "config.h"

#include <string.h>

#define LINE (64 / sizeof (float))

/* W[N,K] to [K,N] of whole tiles */
static gboolean
pack_weight (ClipLinear *linear, ClipQueue *queue, const float *weight, GError **error)
{
  const guint n = linear->n, k = linear->k;
  const guint ldw = clip_clblast_round_up (n, linear->layout.tile_n);
  const gsize size = (gsize) clip_clblast_round_up (k, linear->layout.tile_k) * ldw * sizeof (float);
  linear->weight = clip_buffer_new (clip_queue_get_device (queue), size, error);
  float *packed = linear->weight ? clip_buffer_map (linear->weight, queue, CL_MAP_WRITE, error) : NULL;
  if (!packed)
    return FALSE;
  memset (packed, 0, size);
  for (guint first = 0; first < k; first += LINE) { /* whole lines of the cache are read */
    for (guint i = 0; i < n; i++) {
      for (guint j = first; j < MIN (first + LINE, k); j++)
        packed[(gsize) j * ldw + i] = weight[(gsize) i * k + j];
    }
  }
  clip_buffer_unmap (linear->weight, queue, packed);
  return TRUE;
}

/* CLBlast has such parameters of its own for some Intel GPUs; results are wrong without an error. */
static gboolean
check_layout (const ClipClblastLayout *layout, ClipDevice *device, GError **error)
{
#ifndef CLBLAST_HAS_ANY_TILES
  if (!layout->swapped && layout->tile_m != layout->tile_n) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
        "CLBlast " CLBLAST_VERSION " computes wrong products with its parameters for %s; gst-clip-1.0 tune finds others, "
        "GST_CLIP_GEMM=panel avoids it", clip_device_get_name (device));
    return FALSE;
  }
#endif
  return TRUE;
}

static gboolean
clblast_pack (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias, GError **error)
{
  const gsize bias_size = linear->n * sizeof (float);
  g_autofree float *zeros = bias ? NULL : g_new0 (float, linear->n);
  clip_gemm_tuning_use (clip_queue_get_device (queue));
  clip_clblast_find_layout (queue, &linear->layout);
  if (!check_layout (&linear->layout, clip_queue_get_device (queue), error)
      || !pack_weight (linear, queue, weight, error))
    return FALSE;
  linear->bias = clip_buffer_new (clip_queue_get_device (queue), bias_size, error);
  return linear->bias && clip_buffer_write (linear->bias, queue, 0, bias ? bias : zeros, bias_size, error);
}

/* C = act (P + bias) + residual */
static gboolean
finish (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipClblastProduct *product,
    GError **error)
{
  cl_kernel kernel = clip_queue_get_kernel (queue, "epilogue", "epilogue", NULL, error);
  if (!kernel)
    return FALSE;
  cl_ulong p_offset = product->c_offset, c_offset = call->c_offset;
  cl_uint ldp = product->ldc, ldc = call->ldc;
  cl_int activation = call->activation, add = call->residual != NULL;
  const gsize global[2] = { linear->n, call->m };
  return clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (product->c), CLIP_ARG (p_offset), CLIP_ARG (ldp),
             CLIP_ARG_BUFFER (linear->bias), CLIP_ARG (activation), CLIP_ARG (add),
             CLIP_ARG_BUFFER (add ? call->residual : call->c), CLIP_ARG_BUFFER (call->c),
             CLIP_ARG (c_offset), CLIP_ARG (ldc), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}

/* A, and with it the result, in whole tiles */
static gboolean
arrange (ClipLinear *linear, ClipQueue *queue, ClipClblastProduct *product, GError **error)
{
  const ClipClblastLayout *layout = &linear->layout;
  const guint m = clip_clblast_round_up (product->m, layout->tile_m);
  const guint k = clip_clblast_round_up (product->k, layout->tile_k);
  const gboolean whole = m == product->m && product->ldc == product->ldw && product->c_offset == 0;
  if (layout->swapped || m != product->m || k != product->k || product->lda != k || product->a_offset != 0) {
    ClipBuffer *to = clip_queue_get_scratch_at (queue, CLIP_CLBLAST_SCRATCH_A, (gsize) m * k * sizeof (float), error);
    if (!to || !clip_clblast_arrange (layout, queue, product, m, k, to, error))
      return FALSE;
  }
  product->n = product->ldw;
  if (whole)
    return TRUE;
  const gsize size = (gsize) m * product->n * sizeof (float);
  product->c = clip_queue_get_scratch_at (queue, CLIP_CLBLAST_SCRATCH_C, size, error);
  product->c_offset = 0;
  product->ldc = product->n;
  return product->c != NULL;
}

static gboolean
run_product (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  const guint ldw = clip_clblast_round_up (linear->n, linear->layout.tile_n);
  ClipClblastProduct product = { .m = call->m, .n = linear->n, .k = linear->k, .a = call->a,
    .a_offset = call->a_offset, .lda = call->lda, .w = linear->weight,
    .ldw = ldw, .c = call->c, .c_offset = call->c_offset, .ldc = call->ldc };
  if (call->residual == call->c) { /* it must survive the product */
    const gsize size = (gsize) call->m * linear->n * sizeof (float);
    product.c = clip_queue_get_scratch_at (queue, CLIP_CLBLAST_SCRATCH_C, size, error);
    product.c_offset = 0;
    product.ldc = linear->n;
  }
  if (!product.c
      || (!clip_clblast_is_bare (&linear->layout, queue, &product) && !arrange (linear, queue, &product, error))
      || !clip_clblast_multiply (&linear->layout, queue, &product, error))
    return FALSE;
  const gboolean plain = call->activation == CLIP_ACTIVATION_NONE && !linear->has_bias && !call->residual;
  return (plain && product.c == call->c) || finish (linear, queue, call, &product, error);
}

static gboolean
clblast_run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  return call->height ? clip_linear_run_gathered (linear, queue, call, run_product, error) : run_product (linear, queue, call, error);
}

const ClipLinearBackend clip_linear_clblast = { "clblast", clblast_pack, clblast_run };
