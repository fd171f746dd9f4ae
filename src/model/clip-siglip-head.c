/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-siglip-head.h"

#include "ops/clip-ops.h"

/* Rows of the products after pooling: the pictures of a batch */
#define POOLED_ROWS 1

struct _ClipSiglipHead {
  ClipTransformerConfig config;
  ClipBuffer *query; /* [width]: the probe is a weight, so its projection never changes */
  ClipLinear *kv;    /* [2 width, width] */
  ClipLinear *out, *fc1, *fc2;
  ClipNorm ln;
};

/* query = Wq probe + bq, in double precision */
static gboolean
compute_query (ClipWeights *weights, guint width, float *query, GError **error)
{
  g_autofree float *probe = g_new (float, width);
  g_autofree float *matrix = g_new (float, (gsize) width * width);
  if (!clip_weights_read (weights, "vision.pool.probe", probe, width, error)
      || !clip_weights_read (
          weights, "vision.pool.attn.q.weight", matrix, (gsize) width * width, error)
      || !clip_weights_read (weights, "vision.pool.attn.q.bias", query, width, error))
    return FALSE;
  for (guint i = 0; i < width; i++) {
    double sum = query[i];
    for (guint k = 0; k < width; k++)
      sum += (double) matrix[(gsize) i * width + k] * probe[k];
    query[i] = (float) sum;
  }
  return TRUE;
}

static ClipBuffer *
load_query (ClipQueue *queue, ClipWeights *weights, guint width, GError **error)
{
  g_autofree float *query = g_new (float, width);
  if (!compute_query (weights, width, query, error))
    return NULL;
  g_autoptr (ClipBuffer) buffer
      = clip_buffer_new (clip_queue_get_device (queue), width * sizeof (float), error);
  if (!buffer || !clip_buffer_write (buffer, queue, 0, query, width * sizeof (float), error))
    return NULL;
  return g_steal_pointer (&buffer);
}

/* keys and values in one product */
static ClipLinear *
load_kv (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, guint width, guint rows, GError **error)
{
  gsize square = (gsize) width * width;
  g_autofree float *weight = g_new (float, 2 * square);
  g_autofree float *bias = g_new (float, (gsize) 2 * width);
  if (!clip_weights_read (weights, "vision.pool.attn.k.weight", weight, square, error)
      || !clip_weights_read (weights, "vision.pool.attn.v.weight", weight + square, square, error)
      || !clip_weights_read (weights, "vision.pool.attn.k.bias", bias, width, error)
      || !clip_weights_read (weights, "vision.pool.attn.v.bias", bias + width, width, error))
    return NULL;
  return clip_linear_new (queue, precision, weight, bias, 2 * width, width, rows, error);
}

ClipSiglipHead *
clip_siglip_head_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision,
    const ClipTransformerConfig *config, guint typical_rows, GError **error)
{
  guint w = config->width, m = config->mlp_width;
  g_autoptr (ClipSiglipHead) h = g_new0 (ClipSiglipHead, 1);
  h->config = *config;
  if (!(h->query = load_query (queue, weights, w, error))
      || !(h->kv = load_kv (queue, weights, precision, w, typical_rows, error))
      || !(h->out = clip_load_linear (
               queue, weights, precision, w, w, TRUE, POOLED_ROWS, error, "vision.pool.attn.out"))
      || !clip_load_norm (queue, weights, w, &h->ln, error, "vision.pool.ln")
      || !(h->fc1 = clip_load_linear (
               queue, weights, precision, m, w, TRUE, POOLED_ROWS, error, "vision.pool.mlp.fc1"))
      || !(h->fc2 = clip_load_linear (
               queue, weights, precision, w, m, TRUE, POOLED_ROWS, error, "vision.pool.mlp.fc2")))
    return NULL;
  return g_steal_pointer (&h);
}

void
clip_siglip_head_free (ClipSiglipHead *h)
{
  g_clear_pointer (&h->query, clip_buffer_unref);
  g_clear_pointer (&h->kv, clip_linear_free);
  g_clear_pointer (&h->out, clip_linear_free);
  g_clear_pointer (&h->fc1, clip_linear_free);
  g_clear_pointer (&h->fc2, clip_linear_free);
  clip_norm_clear (&h->ln);
  g_free (h);
}

/* a = out (attention (query, kv (norm))); x = a + fc2 (activation (fc1 (ln (a)))) */
gboolean
clip_siglip_head_run (
    ClipSiglipHead *h, ClipQueue *q, ClipScratch *s, guint n, guint length, GError **error)
{
  guint w = h->config.width, m = h->config.mlp_width;
  return clip_linear_run (h->kv, q, n * length, s->norm, 0, w, CLIP_ACTIVATION_NONE, NULL, s->qkv, 0,
             2 * w, error)
         /* the tokens are spent once keys and values are there */
         && clip_op_pool_attention (
             q, h->query, TRUE, s->qkv, n, length, w, h->config.heads, s->norm, error)
         && clip_linear_run (
             h->out, q, n, s->norm, 0, w, CLIP_ACTIVATION_NONE, NULL, s->x, 0, w, error)
         && clip_op_layernorm (q, s->x, 0, w, h->ln.gamma, h->ln.beta, h->config.layernorm_eps, n, w,
             s->norm, error)
         && clip_linear_run (
             h->fc1, q, n, s->norm, 0, w, h->config.activation, NULL, s->hidden, 0, m, error)
         && clip_linear_run (
             h->fc2, q, n, s->hidden, 0, m, CLIP_ACTIVATION_NONE, s->x, s->x, 0, w, error);
}
