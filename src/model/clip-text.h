/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text encoder (Radford et al. 2021, section 2.4): causal transformer, read at the end token;
 * SigLIP's without a mask. */
#pragma once

#include "clip-transformer.h"

G_BEGIN_DECLS

typedef struct _ClipText ClipText;

/** clip_text_new: without its weights; see clip_transformer_load() for @precision */
ClipText *clip_text_new (const ClipModelConfig *config, ClipPrecision precision);
/**
 * clip_text_load_step: a piece of the weights onto the device: a block, or what stands before and after the blocks
 * @more: (out): whether another step is needed
 */
gboolean clip_text_load_step (ClipText *text, ClipQueue *queue, ClipWeights *weights, gboolean *more, GError **error);
/** clip_text_is_loaded: whether all steps are done */
gboolean clip_text_is_loaded (const ClipText *text);
void clip_text_free (ClipText *text);

/**
 * clip_text_get_flops: operations (two for a multiply-add) of matrix products and attention for [n,length] tokens
 * @only_ends: as here, where the last block computes nothing but the end rows after its attention
 */
double clip_text_get_flops (const ClipModelConfig *config, guint n, guint length, gboolean only_ends);

/**
 * clip_text_run:
 * @tokens: (array length=n): ids below the vocabulary's size, each at most context_length long
 * @out: (out) (transfer none): buffer of @scratch with [n,embed_dim], not normalised
 *
 * One batch: as many rows as the longest text has tokens. Each text is read at its
 * last token: CLIP's end token; SigLIP's texts are all padded to context_length.
 */
gboolean clip_text_run (ClipText *text, ClipQueue *queue, ClipScratch *scratch, GArray **tokens,
    guint n, const ClipTrace *trace, ClipBuffer **out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipText, clip_text_free)

G_END_DECLS
