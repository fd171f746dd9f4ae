/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CLIP's byte-pair tokenizer (openai/CLIP simple_tokenizer.py, without ftfy's repair). */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

typedef struct _ClipTokenizer ClipTokenizer;

/**
 * clip_tokenizer_new:
 * @directory: holds vocab.json + merges.txt, or tokenizer.json, or bpe_simple_vocab_16e6.txt.gz;
 *   looked up in this order. When it holds none, $XDG_DATA_HOME/gst-clip/bpe_simple_vocab_16e6.txt.gz
 *   is used, else the error names pipelines/fetch-model.
 * @vocab_size: of the model; a tokenizer with ids outside it is an error. With the gz file the
 *   first vocab_size - 514 merges are taken (49408 is the real one).
 *
 * Immutable after creation but for an internal lock-protected word cache: thread-safe.
 */
ClipTokenizer *clip_tokenizer_new (const char *directory, guint vocab_size, GError **error);
void clip_tokenizer_free (ClipTokenizer *tokenizer);

/**
 * clip_tokenizer_encode:
 * @text: UTF-8 (checked: invalid bytes are CLIP_ERROR_PROMPT); @length in bytes or -1
 *
 * Returns: (transfer full) (element-type gint32): start, tokens, end; no padding, never cut
 */
GArray *clip_tokenizer_encode (ClipTokenizer *tokenizer, const char *text, gssize length,
    GError **error);
gint32 clip_tokenizer_get_start (ClipTokenizer *tokenizer);
gint32 clip_tokenizer_get_end (ClipTokenizer *tokenizer);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipTokenizer, clip_tokenizer_free)

G_END_DECLS
