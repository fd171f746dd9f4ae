/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model with the one thread that owns its device queue: encodes frames, and prompts between them. */
#pragma once

#include "gemm/clip-precision.h"
#include "image/clip-image.h"
#include "text/clip-prompts.h"
#include "weights/clip-weights.h"

G_BEGIN_DECLS

/** ClipEngine: reference-counted, thread-safe. */
typedef struct _ClipEngine ClipEngine;

/**
 * clip_engine_new:
 * @model: (nullable): a model's directory, "demo", or NULL: see clip_model_find()
 * @device: (nullable): see clip_device_open()
 * @precision: see clip_model_load()
 *
 * Loads the model and starts the worker. Blocks.
 */
ClipEngine *clip_engine_new (const char *model, const char *device, ClipPrecision precision, GError **error);
/**
 * clip_engine_open_shared:
 * @id: a name that its users have agreed on
 * @model: a directory or file, as clip_model_find() gives it
 *
 * The engine that somebody holds under this name, or a new one. A second caller waits while the first loads.
 *
 * Returns: (transfer full): NULL also when the name is in use with another model, device or precision
 */
ClipEngine *clip_engine_open_shared (const char *id, const char *model, const char *device, ClipPrecision precision,
    GError **error);
ClipEngine *clip_engine_ref (ClipEngine *engine);
void clip_engine_unref (ClipEngine *engine);
const ClipModelConfig *clip_engine_get_config (ClipEngine *engine);
/** ClipEngineStats: since the start; regions / batches is the mean size of a batch */
typedef struct {
  guint64 batches, regions;
} ClipEngineStats;

ClipEngineStats clip_engine_get_stats (ClipEngine *engine);
const char *clip_engine_get_device_name (ClipEngine *engine);
/** clip_engine_get_precision: as resolved: never AUTO */
ClipPrecision clip_engine_get_precision (ClipEngine *engine);
const char *clip_engine_get_gemm_backend (ClipEngine *engine);
/** clip_engine_is_tuned: whether CLBlast has stored parameters for the device, see clip_gemm_tuning_use() */
gboolean clip_engine_is_tuned (ClipEngine *engine);

/**
 * clip_model_find:
 * @model: (nullable): a directory, "demo", or NULL
 * @is_fallback: (out): TRUE when @model was NULL and only the demo model was found
 *
 * NULL: $GST_CLIP_MODEL, else a model in $XDG_DATA_HOME/gst-clip/models, else the demo model
 * ($GST_CLIP_DEMO_MODEL, the build tree's or the installed one).
 *
 * Returns: (transfer full): the directory
 */
char *clip_model_find (const char *model, gboolean *is_fallback, GError **error);

/**
 * clip_engine_encode_frame:
 * @embedding: (array): receives embed_dim floats of unit length
 * @norm: (out) (nullable): |embedding| before normalisation
 *
 * Blocks until the worker has encoded the frame; waits at most for the work in progress.
 */
gboolean clip_engine_encode_frame (ClipEngine *engine, const ClipFrame *frame, float *embedding,
    float *norm, GError **error);

/** ClipEncodedPrompts: a prompt set with its matrix [size, embed_dim] of unit embeddings. Reference-counted. */
typedef struct {
  gatomicrefcount refs;
  ClipPromptSet *set;
  guint embed_dim;
  float *matrix;
  guint truncated; /* prompts cut to the context length */
} ClipEncodedPrompts;

ClipEncodedPrompts *clip_encoded_prompts_ref (ClipEncodedPrompts *prompts);
void clip_encoded_prompts_unref (ClipEncodedPrompts *prompts);

/**
 * ClipPromptsFunc:
 * @prompts: (transfer none) (nullable): NULL on failure, then @error says why
 *
 * Called on the worker's thread.
 */
typedef void (*ClipPromptsFunc) (ClipEncodedPrompts *prompts, const GError *error,
    gpointer user_data);

/**
 * clip_engine_encode_prompts_async:
 * @templates: NULL-terminated, see clip_templates_load(); several: normalise, mean, normalise
 * @truncate: cut prompts that are too long; else they are an error
 * @cancellable: (nullable): when cancelled the job is dropped at its next step; @func is called with
 *   G_IO_ERROR_CANCELLED
 * @destroy: (nullable): frees @user_data after @func
 *
 * Tokenizes and encodes on the worker, in small steps between frames. The worker holds what it needs.
 */
void clip_engine_encode_prompts_async (ClipEngine *engine, ClipPromptSet *set, char **templates,
    gboolean truncate, gpointer cancellable, ClipPromptsFunc func, gpointer user_data,
    GDestroyNotify destroy);

/** clip_engine_encode_prompts: the same, blocking. Returns: (transfer full) */
ClipEncodedPrompts *clip_engine_encode_prompts (ClipEngine *engine, ClipPromptSet *set,
    char **templates, gboolean truncate, GError **error);

/** clip_engine_tokenize: (transfer full): see clip_tokenizer_encode() */
GArray *clip_engine_tokenize (ClipEngine *engine, const char *text, gssize length, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipEngine, clip_engine_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipEncodedPrompts, clip_encoded_prompts_unref)

G_END_DECLS
