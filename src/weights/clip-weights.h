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

/**
 * ClipFamily: what is fixed by the model's kind and not by its sizes
 * @CLIP_FAMILY_CLIP: Radford et al. 2021: class token, causal text read at the end token, softmax
 * @CLIP_FAMILY_SIGLIP: Zhai et al. 2023: attention-pooling head over all patches, neither class
 *   token nor ln_pre, text without a mask read at its last position, sigmoid with a bias
 */
typedef enum { CLIP_FAMILY_CLIP, CLIP_FAMILY_SIGLIP } ClipFamily;
typedef enum { CLIP_VISION_VIT, CLIP_VISION_RESNET } ClipVisionKind;

#define CLIP_RESNET_STAGES 4

typedef struct {
  ClipFamily family;
  char *name; /* e.g. "clip-vit-b-32": "clip-vit-SIZE" from the config, or the directory's name; for metadata */
  char *directory;
  guint embed_dim;
  /* image encoder. A ModifiedResNet has no patches; of vision it uses width (channels of the stem's
   * output, 64 in RN50) and heads (of the attention pool) */
  ClipVisionKind vision_kind;
  ClipTransformerConfig vision;
  guint image_size, patch_size;
  guint stage_blocks[CLIP_RESNET_STAGES]; /* bottlenecks, {3,4,6,3} in RN50 */
  /* text encoder */
  ClipTransformerConfig text;
  guint vocab_size, context_length;
  gint bos_id, eos_id; /* after the legacy rule: eos 2 means the largest id */
  float logit_scale; /* exp (stored value), finite */
  float logit_bias;  /* SigLIP; else 0 */
  ClipPreprocessConfig preprocess;
  GBytes *tokens; /* (nullable): the vocabulary by id, each token ended by a NUL, where the weights hold it */
} ClipModelConfig;

/** ClipDtype: stored types; Q8_0 and the like are ggml's, blocks of 32 with a scale */
typedef enum {
  CLIP_DTYPE_F32,
  CLIP_DTYPE_F16,
  CLIP_DTYPE_BF16,
  CLIP_DTYPE_Q8_0,
  CLIP_DTYPE_Q5_1,
  CLIP_DTYPE_Q5_0,
  CLIP_DTYPE_Q4_1,
  CLIP_DTYPE_Q4_0,
  CLIP_N_DTYPES
} ClipDtype;
/** clip_dtype_get_name: (transfer none): "fp32", "q8_0", ... */
const char *clip_dtype_get_name (ClipDtype dtype);

/**
 * ClipWeights:
 *
 * An open checkpoint, memory-mapped. Canonical tensor names, of a ViT CLIP:
 *   vision.patch_embed.weight [W,3,P,P]   vision.class_embedding [W]   vision.positions [T,W]
 *   vision.ln_pre.{weight,bias} [W]       vision.ln_post.{weight,bias}
 *   vision.projection.weight [D,W]
 *   text.token_embedding.weight [V,W]     text.positions [C,W]
 *   text.ln_final.{weight,bias}           text.projection.weight [D,W]
 * and for TOWER in vision, text and block I = 0..layers-1, as TOWER.blocks.I.NAME:
 *   ln_1.{weight,bias}  ln_2.{weight,bias}
 *   attn.{q,k,v,out}.{weight [W,W],bias [W]}   mlp.fc1.{weight [4W,W],bias}   mlp.fc2.{weight [W,4W],bias}
 *
 * A ModifiedResNet of stem width W (openai/CLIP model.py) has instead of the vision.* above:
 *   vision.stem.conv1.weight [W/2,3,3,3]  conv2 [W/2,W/2,3,3]  conv3 [W,W/2,3,3]
 *   vision.stages.S.B.conv1.weight [C,I,1,1]  conv2 [C,C,3,3]  conv3 [4C,C,1,1]   with C = W 2^S and
 *     I the channels before; in block 0 also vision.stages.S.0.downsample.weight [4C,I,1,1]
 *   for each convolution CONV its batch norm, CONV.bn.{weight,bias,mean,var} [out channels]
 *   vision.pool.positions [(size/32)^2 + 1,E]  vision.pool.{q,k,v}.{weight [E,E],bias}  with E = 32 W
 *   vision.pool.out.{weight [D,E],bias}
 *
 * SigLIP has neither class_embedding, ln_pre nor vision.projection, one position less, and further:
 *   vision.patch_embed.bias [W]   text.projection.bias [D]
 *   vision.pool.probe [W]   vision.pool.attn.{q,k,v,out}.{weight [W,W],bias}
 *   vision.pool.ln.{weight,bias}   vision.pool.mlp.{fc1,fc2}.{weight,bias}
 */
typedef struct _ClipWeights ClipWeights;

/**
 * clip_weights_open:
 * @path: a directory of Hugging Face's layout (config.json + model.safetensors, its shards, or pytorch_model.bin) or of
 *   OpenCLIP's (open_clip_config.json + open_clip_model.safetensors); or a file with OpenAI's tensor names, or the directory
 *   of one: a TorchScript archive, a state_dict of torch.save, or safetensors; or a GGUF file of clip.cpp. What it is follows from its content
 *
 * Opens, maps and validates: after success every canonical tensor that the configuration
 * asks for exists with its shape, and the configuration is consistent and bounded.
 * Values are checked when they are read.
 */
ClipWeights *clip_weights_open (const char *path, GError **error);
/** clip_weights_is_archive_directory: a directory with one complete file of weights that needs no configuration */
gboolean clip_weights_is_archive_directory (const char *path);
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

/** clip_weights_get_part: how many values, of about @wanted, clip_weights_read_part() gives at a time: all of a tensor that
 * is stored in another order */
gsize clip_weights_get_part (ClipWeights *weights, const char *name, gsize wanted);
/**
 * clip_weights_read_part: as clip_weights_read(), for large tensors that are read between frames
 * @first: of the part, a multiple of what clip_weights_get_part() said
 * @count: as that says, or what is left
 * @total: elements of the tensor; must be its exact number
 */
gboolean clip_weights_read_part (ClipWeights *weights, const char *name, gsize first, float *dst, gsize count,
    gsize total, GError **error);

/**
 * clip_weights_get_digest: (transfer full) (nullable): names what the text encoder computes: another file, another
 * content or another configuration has another digest. Costs milliseconds: see clip_tensor_file_digest(). NULL where
 * that cannot be known
 */
char *clip_weights_get_digest (ClipWeights *weights);
/** clip_weights_check_unchanged: an error when a file was written to since it was opened: before tensors are read late */
gboolean clip_weights_check_unchanged (ClipWeights *weights, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipWeights, clip_weights_free)

G_END_DECLS
