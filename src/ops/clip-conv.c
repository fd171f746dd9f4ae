/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a ModifiedResNet needs beside products: kernels/conv.cl. */
#include "clip-shared.h"

gboolean
clip_op_im2col_pixels (ClipQueue *queue, ClipBuffer *pixels, guint first, guint batch, guint size, ClipBuffer *y,
    GError **error)
{
  gsize side = (size + 1) / 2, global[] = { side, batch * side };
  cl_int f = (cl_int) first, s = (cl_int) size;
  if (batch == 0 || size == 0)
    return TRUE;
  cl_kernel kernel = clip_shared_get_kernel (queue, "conv", "im2col_pixels", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (pixels), CLIP_ARG (f), CLIP_ARG (s),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}

gboolean
clip_op_im2col (ClipQueue *queue, ClipBuffer *x, guint height, guint width, guint channels, guint first, guint rows,
    ClipBuffer *y, GError **error)
{
  gsize global[] = { clip_shared_get_items (queue, channels), 9, rows };
  cl_int h = (cl_int) height, w = (cl_int) width, c = (cl_int) channels;
  cl_ulong f = first;
  if (rows == 0)
    return TRUE;
  cl_kernel kernel = clip_shared_get_kernel (queue, "conv", "im2col", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG (h), CLIP_ARG (w), CLIP_ARG (c),
             CLIP_ARG (f), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, NULL, error);
}

gboolean
clip_op_avgpool (ClipQueue *queue, ClipBuffer *x, guint batch, guint height, guint width, guint channels,
    ClipBuffer *y, GError **error)
{
  gsize global[] = { clip_shared_get_items (queue, channels), width / 2, (gsize) batch * (height / 2) };
  cl_int h = (cl_int) height, w = (cl_int) width, c = (cl_int) channels;
  if (global[1] == 0 || global[2] == 0)
    return TRUE;
  cl_kernel kernel = clip_shared_get_kernel (queue, "conv", "avgpool", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG (h), CLIP_ARG (w), CLIP_ARG (c),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, NULL, error);
}
