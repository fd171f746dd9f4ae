/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention of one query an item: kernels/pool-attention.cl. */
#include "clip-ops.h"

gboolean
clip_op_pool_attention (ClipQueue *queue, ClipBuffer *q, gboolean q_shared, ClipBuffer *kv, guint batch,
    guint length, guint width, guint heads, ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (heads > 0 && width % heads == 0 && width / heads <= 256 && length > 0, FALSE);
  if (batch == 0)
    return TRUE;
  g_autofree char *options = g_strdup_printf ("-DHD=%u", width / heads);
  cl_kernel kernel = clip_queue_get_kernel (queue, "pool-attention", "pool_attention", options, error);
  cl_int stride = q_shared ? 0 : (cl_int) width, l = (cl_int) length, w = (cl_int) width;
  gsize global[] = { heads, batch };
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (q), CLIP_ARG (stride), CLIP_ARG_BUFFER (kv),
             CLIP_ARG (l), CLIP_ARG (w), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}
