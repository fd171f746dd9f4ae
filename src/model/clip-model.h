/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two towers on a device. For the thread of its queue. */
#pragma once

#include "gemm/clip-precision.h"
#include "image/clip-image.h"
#include "text/clip-tokenizer.h"
#include "weights/clip-weights.h"

G_BEGIN_DECLS

typedef struct _ClipModel ClipModel;

/**
 * ClipTraceFunc:
 * @name: a step's name as in the reference ("vision.block.0.attn", ...)
 * @values: [rows,width] of all items of the batch
 */
typedef void (*ClipTraceFunc) (const char *name, const float *values, guint rows, guint width,
    gpointer user_data);

/**
 * clip_model_load: reads a checkpoint (see clip_weights_open()), the image encoder onto @queue's device
 * @precision: of the towers' products; the last one, onto the embeddings, is fp32 always
 *
 * AUTO is the fastest precision that the device has instructions for and whose embeddings of some pictures and texts stay
 * near enough to fp32's. That is measured when these weights meet this device for the first time, which takes two more
 * loads and some dozen pictures, and remembered.
 */
ClipModel *clip_model_load (ClipQueue *queue, const char *path, ClipPrecision precision, GError **error);
void clip_model_free (ClipModel *model);
const ClipModelConfig *clip_model_get_config (ClipModel *model);
/** clip_model_get_precision: as resolved: never AUTO */
ClipPrecision clip_model_get_precision (ClipModel *model);
/**
 * clip_model_get_digest: (transfer full) (nullable): names the embeddings of texts that this model gives: weights,
 * precision and device. See clip_weights_get_digest()
 */
char *clip_model_get_digest (ClipModel *model);
/** clip_model_get_gemm_backend: of the image encoder's matrices, e.g. "panel" */
const char *clip_model_get_gemm_backend (ClipModel *model);
/**
 * clip_model_load_text_step: a piece of the text encoder, some ten MB, onto the device
 * @more: (out): whether another step is needed
 *
 * It is a third to two thirds of a model and idle once the prompts are encoded; so it comes when it is needed.
 */
gboolean clip_model_load_text_step (ClipModel *model, gboolean *more, GError **error);
/** clip_model_load_text: all steps; clip_model_encode_tokens() does so where it was not done */
gboolean clip_model_load_text (ClipModel *model, GError **error);
gboolean clip_model_has_text (ClipModel *model);
/** clip_model_drop_text: frees the text encoder's device memory */
void clip_model_drop_text (ClipModel *model);
/** clip_model_get_text_flops: operations spent on texts so far; see clip_text_get_flops() */
double clip_model_get_text_flops (ClipModel *model);
/** clip_model_set_trace: calls @func after each step, for tests; slow. NULL switches it off */
void clip_model_set_trace (ClipModel *model, ClipTraceFunc func, gpointer user_data);

/**
 * clip_model_encode_pixels:
 * @pixels: [n,3,size,size] as clip_preprocessor_run() writes it
 * @embeddings: (array): receives n*embed_dim floats of unit length (zeros where the norm is 0)
 * @norms: (array) (nullable): receives n norms before normalisation
 *
 * Blocks until done.
 */
gboolean clip_model_encode_pixels (ClipModel *model, ClipBuffer *pixels, guint n,
    float *embeddings, float *norms, GError **error);

/**
 * clip_model_encode_tokens:
 * @tokens: (array length=n): GArray of gint32 each, ids below vocab_size: start..end, 2..context_length
 *   of them; for SigLIP exactly context_length, padding included
 * @embeddings: (array): receives n*embed_dim floats of unit length, in the order of @tokens
 *
 * Each text is computed only up to its end token; texts are batched in buckets of like length.
 * Blocks until done.
 */
gboolean clip_model_encode_tokens (ClipModel *model, GArray **tokens, guint n, float *embeddings,
    float *norms, GError **error);

/** clip_model_open_tokenizer: (transfer full): the tokenizer that the model's family uses, of the
 * weights' own tokens (GGUF) or from the files beside them; see clip_tokenizer_open() */
ClipTokenizer *clip_model_open_tokenizer (const ClipModelConfig *config, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipModel, clip_model_free)

G_END_DECLS
