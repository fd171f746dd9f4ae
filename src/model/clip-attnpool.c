/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-attnpool.h"

#include "ops/clip-ops.h"

struct _ClipAttnpool {
  guint width, heads, pixels, embed_dim;
  ClipBuffer *positions;              /* [pixels+1, width] */
  ClipLinear *q, *out;                /* [width,width]; [embed_dim,width] */
  ClipBuffer *keys, *values, *values_bias; /* [width,width], keys packed for clip_op_head_keys() */
};

static ClipBuffer *
load_keys (ClipQueue *queue, ClipWeights *weights, guint width, guint heads, GError **error)
{
  gsize count = (gsize) width * width;
  g_autofree float *weight = g_new (float, count);
  g_autoptr (ClipBuffer) keys
      = clip_buffer_new (clip_queue_get_device (queue), count * sizeof (float), error);
  if (!keys || !clip_weights_read (weights, "vision.pool.k.weight", weight, count, error))
    return NULL;
  float *packed = clip_buffer_map (keys, queue, CL_MAP_WRITE, error);
  if (!packed)
    return NULL;
  clip_op_head_keys_pack (weight, width, heads, width, packed);
  clip_buffer_unmap (keys, queue, packed);
  return g_steal_pointer (&keys);
}

ClipAttnpool *
clip_attnpool_load (ClipQueue *queue, ClipWeights *weights, GError **error)
{
  const ClipModelConfig *config = clip_weights_get_config (weights);
  guint width = 32 * config->vision.width, side = config->image_size / 32;
  g_autoptr (ClipAttnpool) p = g_new0 (ClipAttnpool, 1);
  p->width = width;
  p->heads = config->vision.heads;
  p->pixels = side * side;
  p->embed_dim = config->embed_dim;
  if (p->heads == 0 || width % p->heads != 0) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "the attention pool has %u heads for a width of %u, expected a divisor", p->heads, width);
    return NULL;
  }
  gsize positions = (gsize) (p->pixels + 1) * width;
  if (!(p->positions = clip_load_vector (queue, weights, positions, error, "vision.pool.positions"))
      || !(p->q = clip_load_linear (queue, weights, CLIP_PRECISION_FP32, width, width, TRUE, 1, error, "vision.pool.q"))
      || !(p->keys = load_keys (queue, weights, width, p->heads, error))
      || !(p->values = clip_load_vector (
               queue, weights, (gsize) width * width, error, "vision.pool.v.weight"))
      || !(p->values_bias = clip_load_vector (queue, weights, width, error, "vision.pool.v.bias"))
      || !(p->out = clip_load_linear (
               queue, weights, CLIP_PRECISION_FP32, p->embed_dim, width, TRUE, 1, error, "vision.pool.out")))
    return NULL;
  return g_steal_pointer (&p);
}

void
clip_attnpool_free (ClipAttnpool *p)
{
  g_clear_pointer (&p->positions, clip_buffer_unref);
  g_clear_pointer (&p->q, clip_linear_free);
  g_clear_pointer (&p->keys, clip_buffer_unref);
  g_clear_pointer (&p->values, clip_buffer_unref);
  g_clear_pointer (&p->values_bias, clip_buffer_unref);
  g_clear_pointer (&p->out, clip_linear_free);
  g_free (p);
}

void
clip_attnpool_scratch (const ClipAttnpool *p, gsize *x, gsize *qkv)
{
  gsize per_head = (gsize) p->heads * p->width;
  *x = MAX (per_head, (gsize) (p->pixels + 1) * p->heads);
  *qkv = MAX ((gsize) (p->pixels + 1) * p->width, p->width);
}

gboolean
clip_attnpool_run (ClipAttnpool *p, ClipQueue *q, ClipScratch *s, ClipBuffer *x, guint n, ClipBuffer *out,
    gsize offset, GError **error)
{
  guint w = p->width, tokens = p->pixels + 1;
  ClipBuffer *spare = x == s->x ? s->norm : s->x, *all = s->qkv, *query = s->hidden;
  /* spare and x, whose pixels are spent once the tokens are there, take turns */
  return clip_op_mean_token (q, x, p->positions, n, p->pixels, w, all, error)
         && clip_linear_run (
             p->q, q, n, all, 0, tokens * w, CLIP_ACTIVATION_NONE, NULL, query, 0, w, error)
         && clip_op_head_keys (q, query, p->keys, n, w, p->heads, w, spare, error)
         && clip_op_head_scores (q, spare, all, n, p->heads, tokens, w, x, error)
         && clip_op_softmax (q, x, n * p->heads, tokens, error)
         && clip_op_head_mix (q, x, all, n, p->heads, tokens, w, spare, error)
         && clip_op_head_values (
             q, spare, p->values, p->values_bias, n, w, p->heads, w, query, error)
         && clip_linear_run (p->out, q, n, query, 0, w, CLIP_ACTIVATION_NONE, NULL, out, offset,
             p->embed_dim, error);
}
