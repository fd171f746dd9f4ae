/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes in and out of a transformer: kernels/embed.cl. */
#include "clip-shared.h"

gboolean
clip_op_patches (
    ClipQueue *queue, ClipBuffer *pixels, guint batch, guint size, guint patch, ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (patch > 0 && patch <= size, FALSE);
  gsize side = size / patch, global[] = { clip_shared_get_items (queue, patch), (gsize) 3 * patch, batch * side * side };
  cl_int s = (cl_int) size, p = (cl_int) patch;
  if (batch == 0)
    return TRUE;
  cl_kernel kernel = clip_shared_get_kernel (queue, "embed", "patches", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (pixels), CLIP_ARG (s), CLIP_ARG (p),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, NULL, error);
}

gboolean
clip_op_embed_image (ClipQueue *queue, ClipBuffer *patches, ClipBuffer *class_embedding, ClipBuffer *positions,
    guint batch, guint n, guint width, ClipBuffer *y, GError **error)
{
  cl_int count = (cl_int) n, w = (cl_int) width, has_class = class_embedding != NULL;
  gsize global[] = { clip_shared_get_items (queue, width), (gsize) n + has_class, batch };
  if (batch == 0)
    return TRUE;
  cl_kernel kernel = clip_shared_get_kernel (queue, "embed", "embed_image", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (patches), CLIP_ARG_BUFFER (class_embedding),
             CLIP_ARG_BUFFER (positions), CLIP_ARG (count), CLIP_ARG (w), CLIP_ARG (has_class),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, NULL, error);
}

gboolean
clip_op_embed_text (ClipQueue *queue, ClipBuffer *ids, ClipBuffer *table, ClipBuffer *positions, guint batch,
    guint length, guint width, ClipBuffer *y, GError **error)
{
  cl_int l = (cl_int) length, w = (cl_int) width;
  gsize global[] = { clip_shared_get_items (queue, width), length, batch };
  if (batch == 0 || length == 0)
    return TRUE;
  cl_kernel kernel = clip_shared_get_kernel (queue, "embed", "embed_text", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (ids), CLIP_ARG_BUFFER (table),
             CLIP_ARG_BUFFER (positions), CLIP_ARG (l), CLIP_ARG (w), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, NULL, error);
}

gboolean
clip_op_gather_rows (
    ClipQueue *queue, ClipBuffer *x, ClipBuffer *rows, guint count, guint width, ClipBuffer *y, GError **error)
{
  cl_int w = (cl_int) width;
  gsize global[] = { clip_shared_get_items (queue, width), count };
  if (count == 0)
    return TRUE;
  cl_kernel kernel = clip_shared_get_kernel (queue, "embed", "gather_rows", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG_BUFFER (rows), CLIP_ARG (w),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}
