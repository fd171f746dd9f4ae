/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The CLBlast backend, for GPUs: the product is CLBlast's, kernels/epilogue.cl does the rest. */
#include "clip-gemm-private.h"

#include <clblast_c.h>

static gboolean
clblast_pack (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  gsize weight_size = (gsize) linear->n * linear->k * sizeof (float), bias_size = linear->n * sizeof (float);
  g_autofree float *zeros = bias ? NULL : g_new0 (float, linear->n);
  linear->weight = clip_buffer_new (device, weight_size, error);
  if (!linear->weight || !clip_buffer_write (linear->weight, queue, 0, weight, weight_size, error))
    return FALSE;
  linear->bias = clip_buffer_new (device, bias_size, error);
  return linear->bias && clip_buffer_write (linear->bias, queue, 0, bias ? bias : zeros, bias_size, error);
}

/* to = A * W^T + beta * to */
static gboolean
multiply (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, float beta, ClipBuffer *to,
    gsize offset, guint stride, GError **error)
{
  cl_command_queue cl = clip_queue_get_cl (queue);
  CLBlastStatusCode code = CLBlastSgemm (CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeYes,
      call->m, linear->n, linear->k, 1.0f, clip_buffer_get_mem (call->a), call->a_offset, call->lda,
      clip_buffer_get_mem (linear->weight), 0, linear->k, beta, clip_buffer_get_mem (to), offset, stride,
      &cl, NULL);
  if (code == CLBlastSuccess)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
      "CLBlast failed with status %d on [%u,%u] x [%u,%u]^T; GST_CLIP_GEMM=panel avoids it", code, call->m,
      linear->k, linear->n, linear->k);
  return FALSE;
}

static gboolean
finish (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, ClipBuffer *product,
    gsize product_offset, guint product_stride, gboolean add_residual, GError **error)
{
  cl_kernel kernel = clip_queue_get_kernel (queue, "epilogue", "epilogue", NULL, error);
  if (!kernel)
    return FALSE;
  cl_ulong p_offset = product_offset, c_offset = call->c_offset;
  cl_uint ldp = product_stride, ldc = call->ldc;
  cl_int activation = call->activation, add = add_residual;
  const gsize global[2] = { linear->n, call->m };
  return clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (product), CLIP_ARG (p_offset), CLIP_ARG (ldp),
             CLIP_ARG_BUFFER (linear->bias), CLIP_ARG (activation), CLIP_ARG (add),
             CLIP_ARG_BUFFER (add ? call->residual : call->c), CLIP_ARG_BUFFER (call->c),
             CLIP_ARG (c_offset), CLIP_ARG (ldc), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}

static gboolean
run_product (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  gboolean plain = call->activation == CLIP_ACTIVATION_NONE, in_place = call->residual == call->c;
  if (in_place && plain) {
    return multiply (linear, queue, call, 1.0f, call->c, call->c_offset, call->ldc, error)
           && (!linear->has_bias
               || finish (linear, queue, call, call->c, call->c_offset, call->ldc, FALSE, error));
  }
  if (in_place) { /* the residual must survive the product */
    gsize size = (gsize) call->m * linear->n * sizeof (float);
    ClipBuffer *product = clip_queue_get_scratch (queue, size, error);
    return product && multiply (linear, queue, call, 0.0f, product, 0, linear->n, error)
           && finish (linear, queue, call, product, 0, linear->n, TRUE, error);
  }
  gboolean nothing_left = plain && !linear->has_bias && !call->residual;
  return multiply (linear, queue, call, 0.0f, call->c, call->c_offset, call->ldc, error)
         && (nothing_left
             || finish (linear, queue, call, call->c, call->c_offset, call->ldc, call->residual != NULL, error));
}

static gboolean
clblast_run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  return call->height ? clip_linear_run_gathered (linear, queue, call, run_product, error) : run_product (linear, queue, call, error);
}

const ClipLinearBackend clip_linear_clblast = { "clblast", clblast_pack, clblast_run };
