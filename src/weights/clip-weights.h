/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints: configuration, preprocessing, and tensors under canonical names. Untrusted input. */
#pragma once

#include "clip-error.h"
#include "gemm/clip-gemm.h"

G_BEGIN_DECLS

typedef struct {
  guint width, layers, heads, mlp_width;
  ClipActivation activation;
  float layernorm_eps;
} ClipTransformerConfig;

typedef enum { CLIP_RESIZE_SHORTEST, CLIP_RESIZE_SQUASH, CLIP_RESIZE_LONGEST } ClipResizeMode;
typedef enum { CLIP_FILTER_BICUBIC, CLIP_FILTER_BILINEAR } ClipFilter;

/** ClipPreprocessConfig: how a picture becomes [3,size,size] (preprocessor_config.json) */
typedef struct {
  guint size;
  ClipResizeMode mode;
  ClipFilter filter;
  float mean[3], std[3]; /* RGB, in units of 1.0 = white */
} ClipPreprocessConfig;

typedef struct {
  char *name; /* e.g. "clip-vit-b-32": "clip-vit-SIZE" from the config, or the directory's name; for metadata */
  char *directory;
  guint embed_dim;
  /* image encoder: ViT */
  ClipTransformerConfig vision;
  guint image_size, patch_size;
  /* text encoder */
  ClipTransformerConfig text;
  guint vocab_size, context_length;
  gint bos_id, eos_id; /* after the legacy rule: eos 2 means the largest id */
  float logit_scale; /* exp (stored value), finite */
  ClipPreprocessConfig preprocess;
} ClipModelConfig;

typedef enum { CLIP_DTYPE_F32, CLIP_DTYPE_F16, CLIP_DTYPE_BF16 } ClipDtype;

/**
 * ClipWeights:
 *
 * An open checkpoint, memory-mapped. Canonical tensor names:
 *   vision.patch_embed.weight [W,3,P,P]   vision.class_embedding [W]   vision.positions [T,W]
 *   vision.ln_pre.{weight,bias} [W]       vision.ln_post.{weight,bias}
 *   vision.projection.weight [D,W]
 *   text.token_embedding.weight [V,W]     text.positions [C,W]
 *   text.ln_final.{weight,bias}           text.projection.weight [D,W]
 * and for TOWER in vision, text and block I = 0..layers-1, as TOWER.blocks.I.NAME:
 *   ln_1.{weight,bias}  ln_2.{weight,bias}
 *   attn.{q,k,v,out}.{weight [W,W],bias [W]}   mlp.fc1.{weight [4W,W],bias}   mlp.fc2.{weight [W,4W],bias}
 */
typedef struct _ClipWeights ClipWeights;

/**
 * clip_weights_open:
 * @path: a directory (config.json + model.safetensors or model.safetensors.index.json)
 *
 * Opens, maps and validates: after success every canonical tensor that the configuration
 * asks for exists with its shape, and the configuration is consistent and bounded.
 * Values are checked when they are read.
 */
ClipWeights *clip_weights_open (const char *path, GError **error);
void clip_weights_free (ClipWeights *weights);
const ClipModelConfig *clip_weights_get_config (ClipWeights *weights);
/** clip_weights_get_dtype: the stored type of most matrices, for information */
ClipDtype clip_weights_get_dtype (ClipWeights *weights);

/**
 * clip_weights_read:
 * @name: a canonical name
 * @dst: (array): receives @count floats, converted from the stored type
 * @count: elements of the tensor; must be its exact number
 *
 * Returns: FALSE with CLIP_ERROR_MODEL when a value is NaN or infinite (the message names the tensor)
 */
gboolean clip_weights_read (ClipWeights *weights, const char *name, float *dst, gsize count,
    GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipWeights, clip_weights_free)

G_END_DECLS
