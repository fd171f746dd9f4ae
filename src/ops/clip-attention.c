/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scaled dot-product attention: kernels/attention.cl. */
#include "clip-ops.h"

gboolean
clip_op_attention (ClipQueue *queue, ClipBuffer *qkv, ClipBuffer *lengths, guint batch, guint length, guint width,
    guint heads, gboolean causal, ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (heads > 0 && width % heads == 0 && width / heads <= 256, FALSE);
  if (batch == 0 || length == 0)
    return TRUE;
  guint device_width = clip_device_get_vector_width (clip_queue_get_device (queue));
  guint lanes = device_width >= 16 ? 16 : device_width >= 8 ? 8 : 4; /* queries of a work-item */
  g_autofree char *options = g_strdup_printf ("-DHD=%u -DVW=%u", width / heads, lanes);
  cl_kernel kernel = clip_queue_get_kernel (queue, "attention", "attention", options, error);
  cl_int has_lengths = lengths != NULL, l = (cl_int) length, w = (cl_int) width, c = causal != FALSE;
  gsize global[] = { (length + lanes - 1) / lanes, heads, batch }, local[] = { 1, 1, 1 };
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (qkv), CLIP_ARG_BUFFER (lengths),
             CLIP_ARG (has_lengths), CLIP_ARG (l), CLIP_ARG (w), CLIP_ARG (c), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, local, error);
}
