/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Row-wise operations: kernels/rows.cl. */
#include "clip-ops.h"

/* Work-items a row on devices that are not CPUs; a power of two. */
#define GROUP_SIZE 64

static gsize
group_size (ClipQueue *queue)
{
  return clip_device_is_cpu (clip_queue_get_device (queue)) ? 1 : GROUP_SIZE;
}

static cl_kernel
row_kernel (ClipQueue *queue, const char *name, GError **error)
{
  guint width = clip_device_get_vector_width (clip_queue_get_device (queue));
  g_autofree char *options = g_strdup_printf (
      "-DV=%u -DWG=%u", width, (guint) group_size (queue));
  return clip_queue_get_kernel (queue, "rows", name, options, error);
}

static gboolean
run_rows (ClipQueue *queue, cl_kernel kernel, guint rows, GError **error)
{
  gsize local = group_size (queue), global = local * rows;
  return clip_queue_run (queue, kernel, 1, &global, &local, error);
}

gboolean
clip_op_layernorm (ClipQueue *queue, ClipBuffer *x, gsize x_offset, gsize x_stride, ClipBuffer *gamma,
    ClipBuffer *beta, float eps, guint rows, guint width, ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (width > 0, FALSE);
  if (rows == 0)
    return TRUE;
  cl_kernel kernel = row_kernel (queue, "layernorm", error);
  cl_ulong offset = x_offset, stride = x_stride;
  cl_int n = (cl_int) width;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG (offset), CLIP_ARG (stride),
             CLIP_ARG_BUFFER (gamma), CLIP_ARG_BUFFER (beta), CLIP_ARG (eps), CLIP_ARG (n),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && run_rows (queue, kernel, rows, error);
}

gboolean
clip_op_l2_norm (
    ClipQueue *queue, ClipBuffer *x, guint rows, guint width, ClipBuffer *norms, GError **error)
{
  g_return_val_if_fail (width > 0, FALSE);
  if (rows == 0)
    return TRUE;
  cl_kernel kernel = row_kernel (queue, "l2_norm", error);
  cl_int n = (cl_int) width;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG (n), CLIP_ARG_BUFFER (norms),
             CLIP_ARGS_END)
         && run_rows (queue, kernel, rows, error);
}

gboolean
clip_op_softmax (ClipQueue *queue, ClipBuffer *x, guint rows, guint width, GError **error)
{
  g_return_val_if_fail (width > 0, FALSE);
  if (rows == 0)
    return TRUE;
  cl_kernel kernel = row_kernel (queue, "softmax", error);
  cl_int n = (cl_int) width;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG (n), CLIP_ARGS_END)
         && run_rows (queue, kernel, rows, error);
}
