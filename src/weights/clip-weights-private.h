/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a checkpoint format fills in; see the table in clip-weights.c. */
#pragma once

#include "weights/clip-gguf.h"
#include "weights/clip-json.h"
#include "weights/clip-tensor-file.h"
#include "weights/clip-weights.h"

G_BEGIN_DECLS

struct _ClipWeights {
  ClipModelConfig config;
  GPtrArray *files;    /* ClipTensorFile, kept open */
  GHashTable *tensors; /* canonical name -> ClipWeightsEntry */
  gsize bytes[CLIP_N_DTYPES];
  float stored_logit_scale; /* before the exponential, for an exact copy */
};

/** ClipTensorView: where a canonical tensor lies in a stored one */
typedef struct {
  ClipTensorFile *file;
  const char *stored_name;
  guint part, parts;   /* rows of the @part th of @parts equal parts; parts 0: all rows */
  gboolean transposed; /* stored [in,out] for the canonical [out,in] */
} ClipTensorView;

typedef struct {
  ClipTensorFile *file;
  const ClipTensor *tensor;
  char *stored_name; /* for messages */
  ClipDtype dtype;
  guint part;
  gboolean transposed;
  gsize count; /* elements of the canonical tensor */
} ClipWeightsEntry;

/**
 * ClipTensorVisit: called for each canonical tensor that a configuration asks for
 * Returns: FALSE with @error set to end the walk
 */
typedef gboolean (*ClipTensorVisit) (
    const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error);
gboolean clip_weights_foreach_tensor (
    const ClipModelConfig *config, ClipTensorVisit visit, gpointer user_data, GError **error);

/** clip_weights_add: takes a tensor under its canonical name after a check of shape and type */
gboolean clip_weights_add (ClipWeights *weights, const char *name, const guint64 *shape,
    guint n_dims, ClipTensorFile *file, const char *stored_name, GError **error);
/** clip_weights_add_view: the same of a part or the transpose of a stored tensor. Dimensions of 1 are
 * of no account: a stored [1,1,W] is a [W] */
gboolean clip_weights_add_view (ClipWeights *weights, const char *name, const guint64 *shape,
    guint n_dims, const ClipTensorView *view, GError **error);

/** clip_weights_set_logit_scale: the exponential of the stored scalar, checked */
gboolean clip_weights_set_logit_scale (
    ClipWeights *weights, ClipTensorFile *file, const char *stored_name, GError **error);

/** clip_weights_set_logit_bias: the stored scalar, checked */
gboolean clip_weights_set_logit_bias (
    ClipWeights *weights, ClipTensorFile *file, const char *stored_name, GError **error);

/** clip_weights_model_name: (transfer full): a published size's name, else the last part of @path */
char *clip_weights_model_name (const ClipModelConfig *config, const char *path);

/** clip_preprocess_set_openai: openai/CLIP's preprocessing, but for the size */
void clip_preprocess_set_openai (ClipPreprocessConfig *config);

/* Tensors named as in openai/CLIP: clip-names-openai.c */

/**
 * clip_openai_view:
 * @text_prefix: before the names of the text encoder's tensors, "" or "text."
 * @view: (out caller-allocates): part and transposed are set
 *
 * Returns: (transfer full) (nullable): the stored tensor in which a canonical one lies
 */
char *clip_openai_view (const char *canonical, const char *text_prefix, ClipTensorView *view);
/** clip_openai_take_tensors: all tensors that the configuration asks for, logit_scale as well */
gboolean clip_openai_take_tensors (
    ClipWeights *weights, ClipTensorFile *file, const char *text_prefix, GError **error);

/** clip_openai_config_from_tensors: sizes from shapes, QuickGELU and preprocessing as OpenAI's models have them */
gboolean clip_openai_config_from_tensors (
    ClipModelConfig *config, ClipTensorFile *file, GError **error);

/* Files without a configuration: clip-weights-openai.c */
gboolean clip_openai_detect (const char *path);
gboolean clip_openai_open (ClipWeights *weights, const char *path, GError **error);

/** clip_weights_open_file: a file of tensors, of the container that its content says */
ClipTensorFile *clip_weights_open_file (const char *path, GError **error);

/* OpenCLIP directories: clip-weights-openclip.c, clip-config-openclip.c */
gboolean clip_openclip_detect (const char *path);
gboolean clip_openclip_open (ClipWeights *weights, const char *path, GError **error);
/** clip_openclip_config_from_json: @text_prefix: (out): as clip_openai_view() takes it */
gboolean clip_openclip_config_from_json (
    ClipModelConfig *config, const char **text_prefix, JsonObject *root, GError **error);

/* GGUF files of clip.cpp: clip-weights-gguf.c; known by clip_gguf_detect_file() */
gboolean clip_gguf_read_config (ClipModelConfig *config, ClipGguf *gguf, GError **error);
gboolean clip_gguf_open_weights (ClipWeights *weights, const char *path, GError **error);

/* Hugging Face directories: clip-weights-hf.c, clip-config-hf.c, clip-preprocess-hf.c */
gboolean clip_hf_detect (const char *path);
gboolean clip_hf_open (ClipWeights *weights, const char *path, GError **error);
gboolean clip_hf_read_config (ClipModelConfig *config, const char *directory, GError **error);
gboolean clip_hf_config_from_json (ClipModelConfig *config, JsonObject *root, GError **error);
/** clip_hf_read_tower: @tower holds the defaults */
gboolean clip_hf_read_tower (JsonObject *json, ClipTransformerConfig *tower, GError **error);
gboolean clip_siglip_config_from_json (
    ClipModelConfig *config, JsonObject *vision, JsonObject *text, GError **error);
gboolean clip_hf_read_preprocess (ClipModelConfig *config, const char *directory, GError **error);
gboolean clip_hf_preprocess_from_json (
    ClipPreprocessConfig *config, JsonObject *root, GError **error);
gboolean clip_siglip_preprocess_from_json (
    ClipPreprocessConfig *config, JsonObject *root, GError **error);
char *clip_hf_stored_name (const char *canonical);
/** clip_siglip_stored_name: sets also the part of @view, where the tensor is one */
char *clip_siglip_stored_name (const char *canonical, ClipTensorView *view);

G_END_DECLS
