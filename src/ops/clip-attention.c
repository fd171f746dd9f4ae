/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scaled dot-product attention: kernels/attention.cl for CPU devices, attention-group.cl for others. */
#include "clip-ops.h"

#define GROUP_SIZE 64
#define BUNDLE 4 /* keys that a work-item of a group takes at a time */
/* Floats of a tile of keys: with as many values they are 16 KB of local memory */
#define TILE_FLOATS 2048

typedef struct {
  cl_kernel kernel;
  guint queries, items; /* of a work-group */
} Plan;

/* Four work-items share a query until there are work-groups enough without that. */
static gboolean
plan_groups (ClipQueue *queue, guint batch, guint length, guint heads, guint head_dim, Plan *plan, GError **error)
{
  gsize groups = (gsize) batch * heads * ((length - 1) / GROUP_SIZE + 1);
  guint parts = groups < 4 * clip_device_get_compute_units (clip_queue_get_device (queue)) ? 4 : 1;
  guint keys = CLAMP (TILE_FLOATS / head_dim, 4 * BUNDLE, 64) / (4 * BUNDLE) * (4 * BUNDLE);
  g_autofree char *options
      = g_strdup_printf ("-DHD=%u -DQUERIES=%u -DPARTS=%u -DKEYS=%u", head_dim, GROUP_SIZE / parts, parts, keys);
  plan->kernel = clip_queue_get_kernel (queue, "attention-group", "attention_group", options, error);
  plan->queries = GROUP_SIZE / parts;
  plan->items = GROUP_SIZE;
  return plan->kernel != NULL;
}

static gboolean
plan_lanes (ClipQueue *queue, guint head_dim, Plan *plan, GError **error)
{
  guint width = clip_device_get_vector_width (clip_queue_get_device (queue));
  g_autofree char *options = g_strdup_printf ("-DHD=%u -DVW=%u", head_dim, width);
  plan->kernel = clip_queue_get_kernel (queue, "attention", "attention", options, error);
  plan->queries = width;
  plan->items = 1;
  return plan->kernel != NULL;
}

gboolean
clip_op_attention (ClipQueue *queue, ClipBuffer *qkv, ClipBuffer *lengths, guint batch, guint length, guint width,
    guint heads, gboolean causal, ClipBuffer *y, GError **error)
{
  g_return_val_if_fail (heads > 0 && width % heads == 0 && width / heads <= 256, FALSE);
  if (batch == 0 || length == 0)
    return TRUE;
  guint head_dim = width / heads;
  gboolean cpu = clip_device_is_cpu (clip_queue_get_device (queue));
  Plan plan;
  if (!(cpu ? plan_lanes (queue, head_dim, &plan, error)
            : plan_groups (queue, batch, length, heads, head_dim, &plan, error)))
    return FALSE;
  cl_int has_lengths = lengths != NULL, l = (cl_int) length, w = (cl_int) width, c = causal != FALSE;
  gsize blocks = (length - 1) / plan.queries + 1;
  gsize global[] = { blocks * plan.items, heads, batch }, local[] = { plan.items, 1, 1 };
  return clip_kernel_set_args (plan.kernel, error, CLIP_ARG_BUFFER (qkv), CLIP_ARG_BUFFER (lengths),
             CLIP_ARG (has_lengths), CLIP_ARG (l), CLIP_ARG (w), CLIP_ARG (c), CLIP_ARG_BUFFER (y), CLIP_ARGS_END)
         && clip_queue_run (queue, plan.kernel, 3, global, local, error);
}
