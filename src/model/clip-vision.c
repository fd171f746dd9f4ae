/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-vision.h"

#include "clip-resnet.h"
#include "clip-siglip-head.h"
#include "ops/clip-ops.h"

struct _ClipVision {
  ClipResnet *resnet; /* and nothing else, or NULL: */
  guint image_size, patch_size, patches, tokens, embed_dim, width;
  float eps;
  guint mlp_width;
  ClipLinear *patch_embed; /* [width, 3 patch patch] */
  ClipBuffer *class_embedding, *positions; /* no class_embedding in SigLIP */
  ClipBuffer *class_rows;                  /* int32 [class_rows_size]: of the class tokens */
  guint class_rows_size;
  ClipNorm ln_pre, ln_post;                /* no ln_pre in SigLIP */
  ClipTransformer *transformer;
  ClipLinear *projection; /* [embed_dim, width]; or: */
  ClipSiglipHead *head;
};

static guint
patch_inputs (const ClipVision *v)
{
  return 3 * v->patch_size * v->patch_size;
}

/* what the class token needs, or what takes its place */
static gboolean
load_pooling (ClipVision *v, ClipQueue *queue, ClipWeights *weights, ClipPrecision precision,
    const ClipModelConfig *config, GError **error)
{
  guint w = v->width;
  if (config->family == CLIP_FAMILY_SIGLIP) {
    v->head = clip_siglip_head_load (queue, weights, precision, &config->vision, v->tokens, error);
    return v->head != NULL;
  }
  v->class_embedding = clip_load_vector (queue, weights, w, error, "vision.class_embedding");
  return v->class_embedding && clip_load_norm (queue, weights, w, &v->ln_pre, error, "vision.ln_pre")
         && (v->projection = clip_load_linear (
                 queue, weights, CLIP_PRECISION_FP32, v->embed_dim, w, FALSE, 1, error, "vision.projection"));
}

static gboolean
load_tensors (ClipVision *v, ClipQueue *queue, ClipWeights *weights, ClipPrecision precision,
    const ClipModelConfig *config, GError **error)
{
  guint w = v->width;
  v->patch_embed = clip_load_linear (
      queue, weights, precision, w, patch_inputs (v), config->family == CLIP_FAMILY_SIGLIP, v->patches, error,
      "vision.patch_embed");
  if (!v->patch_embed)
    return FALSE;
  v->positions = clip_load_vector (queue, weights, (gsize) v->tokens * w, error, "vision.positions");
  return v->positions && clip_load_norm (queue, weights, w, &v->ln_post, error, "vision.ln_post")
         && load_pooling (v, queue, weights, precision, config, error)
         && (v->transformer
             = clip_transformer_load (queue, weights, precision, "vision", &config->vision, v->tokens, error));
}

ClipVision *
clip_vision_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error)
{
  const ClipModelConfig *config = clip_weights_get_config (weights);
  g_autoptr (ClipVision) v = g_new0 (ClipVision, 1);
  if (config->vision_kind == CLIP_VISION_RESNET) {
    v->resnet = clip_resnet_load (queue, weights, precision, error);
    return v->resnet ? g_steal_pointer (&v) : NULL;
  }
  guint side = config->image_size / config->patch_size;
  v->image_size = config->image_size;
  v->patch_size = config->patch_size;
  v->patches = side * side;
  v->tokens = v->patches + (config->family != CLIP_FAMILY_SIGLIP);
  v->embed_dim = config->embed_dim;
  v->width = config->vision.width;
  v->mlp_width = config->vision.mlp_width;
  v->eps = config->vision.layernorm_eps;
  return load_tensors (v, queue, weights, precision, config, error) ? g_steal_pointer (&v) : NULL;
}

void
clip_vision_free (ClipVision *v)
{
  g_clear_pointer (&v->resnet, clip_resnet_free);
  g_clear_pointer (&v->patch_embed, clip_linear_free);
  g_clear_pointer (&v->class_embedding, clip_buffer_unref);
  g_clear_pointer (&v->class_rows, clip_buffer_unref);
  g_clear_pointer (&v->positions, clip_buffer_unref);
  clip_norm_clear (&v->ln_pre);
  clip_norm_clear (&v->ln_post);
  g_clear_pointer (&v->transformer, clip_transformer_free);
  g_clear_pointer (&v->projection, clip_linear_free);
  g_clear_pointer (&v->head, clip_siglip_head_free);
  g_free (v);
}

const char *
clip_vision_get_gemm_backend (ClipVision *v)
{
  return v->resnet ? clip_resnet_get_gemm_backend (v->resnet)
                   : clip_transformer_get_gemm_backend (v->transformer);
}

static gboolean
reserve_class_rows (ClipVision *v, ClipQueue *queue, guint n, GError **error)
{
  if (n <= v->class_rows_size)
    return TRUE;
  g_autofree gint32 *rows = g_new (gint32, n);
  for (guint i = 0; i < n; i++)
    rows[i] = (gint32) (i * v->tokens);
  g_clear_pointer (&v->class_rows, clip_buffer_unref);
  v->class_rows_size = 0;
  v->class_rows = clip_buffer_new (clip_queue_get_device (queue), n * sizeof (gint32), error);
  if (!v->class_rows || !clip_buffer_write (v->class_rows, queue, 0, rows, n * sizeof (gint32), error))
    return FALSE;
  v->class_rows_size = n;
  return TRUE;
}

static gboolean
reserve (ClipVision *v, ClipScratch *s, ClipQueue *queue, guint n, GError **error)
{
  gsize rows = (gsize) n * v->tokens;
  return reserve_class_rows (v, queue, n, error) && clip_scratch_reserve (s, clip_queue_get_device (queue), rows * v->width,
      MAX (rows * 3 * v->width, (gsize) n * v->embed_dim),
      rows * MAX (v->mlp_width, patch_inputs (v)), error);
}

/* pixels -> x [n*tokens, width]: patches, class token, positions, ln_pre */
static gboolean
embed (const ClipVision *v, ClipQueue *q, ClipScratch *s, ClipBuffer *pixels, guint n, const ClipTrace *trace,
    GError **error)
{
  guint w = v->width, k = patch_inputs (v), rows = n * v->tokens;
  return clip_op_patches (q, pixels, n, v->image_size, v->patch_size, s->hidden, error)
         && clip_linear_run (v->patch_embed, q, n * v->patches, s->hidden, 0, k, CLIP_ACTIVATION_NONE, NULL,
             s->qkv, 0, w, error)
         && clip_trace (trace, q, s->qkv, n * v->patches, w, error, "vision.patch_embed")
         && clip_op_embed_image (
             q, s->qkv, v->class_embedding, v->positions, n, v->patches, w, s->x, error)
         && clip_trace (trace, q, s->x, rows, w, error, "vision.embeddings")
         && (!v->ln_pre.gamma
             || (clip_op_layernorm (
                     q, s->x, 0, w, v->ln_pre.gamma, v->ln_pre.beta, v->eps, rows, w, s->x, error)
                 && clip_trace (trace, q, s->x, rows, w, error, "vision.ln_pre")));
}

/* x -> *out [n, embed_dim]: ln_post of the class tokens [n, width], projected */
static gboolean
project (ClipVision *v, ClipQueue *q, ClipScratch *s, guint n, const ClipTrace *trace, ClipBuffer **out,
    GError **error)
{
  guint w = v->width;
  *out = s->qkv;
  return clip_op_layernorm (q, s->x, 0, w, v->ln_post.gamma, v->ln_post.beta, v->eps, n, w, s->norm, error)
         && clip_trace (trace, q, s->norm, n, w, error, "vision.pooled")
         && clip_linear_run (v->projection, q, n, s->norm, 0, w, CLIP_ACTIVATION_NONE, NULL, s->qkv, 0,
             v->embed_dim, error);
}

/* x -> *out [n, embed_dim]: ln_post of every token, pooled by the head */
static gboolean
pool (ClipVision *v, ClipQueue *q, ClipScratch *s, guint n, const ClipTrace *trace, ClipBuffer **out,
    GError **error)
{
  guint w = v->width, rows = n * v->tokens;
  *out = s->x;
  return clip_op_layernorm (
             q, s->x, 0, w, v->ln_post.gamma, v->ln_post.beta, v->eps, rows, w, s->norm, error)
         && clip_trace (trace, q, s->norm, rows, w, error, "vision.post_layernorm")
         && clip_siglip_head_run (v->head, q, s, n, v->tokens, error)
         && clip_trace (trace, q, s->x, n, w, error, "vision.pooled");
}

gboolean
clip_vision_run (ClipVision *v, ClipQueue *q, ClipScratch *s, ClipBuffer *pixels, guint n,
    const ClipTrace *trace, ClipBuffer **out, GError **error)
{
  if (v->resnet)
    return clip_resnet_run (v->resnet, q, s, pixels, n, trace, out, error);
  *out = NULL;
  if (!reserve (v, s, q, n, error) || !embed (v, q, s, pixels, n, trace, error))
    return FALSE;
  ClipBuffer *kept = v->head ? NULL : v->class_rows;
  return clip_transformer_run (v->transformer, q, s, n, v->tokens, FALSE, kept, trace, error)
         && (v->head ? pool (v, q, s, n, trace, out, error) : project (v, q, s, n, trace, out, error));
}
