/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attention pooling without keys and values: kernels/heads.cl. */
#include "clip-ops.h"

#define LANES 16

gboolean
clip_op_mean_token (ClipQueue *queue, ClipBuffer *x, ClipBuffer *positions, guint batch, guint n, guint width,
    ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (n > 0, FALSE);
  gsize global[] = { width, batch };
  cl_int count = (cl_int) n;
  if (batch == 0)
    return TRUE;
  cl_kernel kernel = clip_queue_get_kernel (queue, "heads", "mean_token", "-DHD=1", error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG_BUFFER (positions),
             CLIP_ARG (count), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}

void
clip_op_head_keys_pack (const float *weight, guint width, guint heads, guint inputs, float *packed)
{
  guint head_dim = width / heads;
  for (guint h = 0; h < heads; h++)
    for (guint block = 0; block < inputs; block += LANES)
      for (guint d = 0; d < head_dim; d++)
        for (guint i = 0; i < LANES; i++)
          *packed++ = weight[((gsize) h * head_dim + d) * inputs + block + i];
}

static cl_kernel
head_kernel (ClipQueue *queue, const char *name, guint head_dim, GError **error)
{
  g_autofree char *options = g_strdup_printf ("-DHD=%u", head_dim);
  return clip_queue_get_kernel (queue, "heads", name, options, error);
}

gboolean
clip_op_head_keys (ClipQueue *queue, ClipBuffer *q, ClipBuffer *weight, guint batch, guint width, guint heads,
    guint inputs, ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (heads > 0 && width % heads == 0 && inputs > 0 && inputs % LANES == 0, FALSE);
  gsize global[] = { inputs / LANES, heads };
  cl_int count = (cl_int) batch;
  if (batch == 0)
    return TRUE;
  cl_kernel kernel = head_kernel (queue, "head_keys", width / heads, error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (q), CLIP_ARG_BUFFER (weight),
             CLIP_ARG (count), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, global, NULL, error);
}

gboolean
clip_op_head_scores (ClipQueue *queue, ClipBuffer *u, ClipBuffer *x, guint batch, guint heads, guint n, guint width,
    ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (n > 0 && heads > 0 && width % LANES == 0, FALSE);
  gsize global[] = { n, heads, batch };
  cl_int blocks = (cl_int) (width / LANES);
  if (batch == 0)
    return TRUE;
  cl_kernel kernel = head_kernel (queue, "head_scores", 1, error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (u), CLIP_ARG_BUFFER (x), CLIP_ARG (blocks),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, NULL, error);
}

gboolean
clip_op_head_mix (ClipQueue *queue, ClipBuffer *p, ClipBuffer *x, guint batch, guint heads, guint n, guint width,
    ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (n > 0 && heads > 0 && width > 0 && width % LANES == 0, FALSE);
  gsize global[] = { width / LANES, heads, batch };
  cl_int count = (cl_int) n;
  if (batch == 0)
    return TRUE;
  cl_kernel kernel = head_kernel (queue, "head_mix", 1, error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (p), CLIP_ARG_BUFFER (x), CLIP_ARG (count),
             CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, NULL, error);
}

gboolean
clip_op_head_values (ClipQueue *queue, ClipBuffer *x, ClipBuffer *weight, ClipBuffer *bias, guint batch, guint width,
    guint heads, guint inputs, ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (heads > 0 && width % heads == 0 && inputs % LANES == 0, FALSE);
  gsize global = width;
  cl_int count = (cl_int) batch, blocks = (cl_int) (inputs / LANES);
  if (batch == 0)
    return TRUE;
  cl_kernel kernel = head_kernel (queue, "head_values", width / heads, error);
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARG_BUFFER (weight),
             CLIP_ARG_BUFFER (bias), CLIP_ARG (count), CLIP_ARG (blocks), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 1, &global, NULL, error);
}
