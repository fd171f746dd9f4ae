/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CLIP's byte-pair tokenizer (openai/CLIP simple_tokenizer.py, without ftfy's repair), and SigLIP's,
 * which is a SentencePiece model. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

typedef struct _ClipTokenizer ClipTokenizer;

/**
 * ClipTokenizerKind:
 * @CLIP_TOKENIZER_BYTE_PAIRS: CLIP's
 * @CLIP_TOKENIZER_PIECES: SigLIP's and SigLIP 2's
 */
typedef enum { CLIP_TOKENIZER_BYTE_PAIRS, CLIP_TOKENIZER_PIECES } ClipTokenizerKind;

/**
 * clip_tokenizer_new:
 * @directory: holds vocab.json + merges.txt, or tokenizer.json, or bpe_simple_vocab_16e6.txt.gz
 *   (or .txt, unpacked); looked up in this order. When it holds none, that file in
 *   $XDG_DATA_HOME/gst-clip is used, else the error names pipelines/fetch-model --vocabulary.
 * @vocab_size: of the model; a tokenizer with ids outside it is an error. With the gz file the
 *   first vocab_size - 514 merges are taken (49408 is the real one).
 *
 * Immutable after creation but for an internal lock-protected word cache: thread-safe.
 */
ClipTokenizer *clip_tokenizer_new (const char *directory, guint vocab_size, GError **error);
/**
 * clip_tokenizer_open:
 * @path: a model's directory, or its single file: then the folder in which it lies
 *
 * As clip_tokenizer_new() for byte pairs. Pieces are read from spiece.model or tokenizer.model and
 * tokenizer_config.json; the directory must hold them.
 */
ClipTokenizer *clip_tokenizer_open (
    ClipTokenizerKind kind, const char *path, guint vocab_size, GError **error);
/**
 * clip_tokenizer_new_from_tokens:
 * @name: of the list, for messages
 * @tokens: all tokens of a byte-pair vocabulary in the order of their ids, each ended by a NUL
 *
 * For files that hold no merges (GGUF): they are recovered from the order, exactly.
 */
ClipTokenizer *clip_tokenizer_new_from_tokens (const char *name, GBytes *tokens, GError **error);
void clip_tokenizer_free (ClipTokenizer *tokenizer);

/**
 * clip_tokenizer_encode:
 * @text: UTF-8 (checked: invalid bytes are CLIP_ERROR_PROMPT); @length in bytes or -1
 *
 * Returns: (transfer full) (element-type gint32): start (CLIP only), tokens, end; no padding, never
 *   cut
 */
GArray *clip_tokenizer_encode (ClipTokenizer *tokenizer, const char *text, gssize length,
    GError **error);
/** clip_tokenizer_get_digest: (transfer full): names what it makes of texts, whatever files it was read from */
char *clip_tokenizer_get_digest (ClipTokenizer *tokenizer);
/** clip_tokenizer_get_start: -1 where texts have no start token (SigLIP) */
gint32 clip_tokenizer_get_start (ClipTokenizer *tokenizer);
gint32 clip_tokenizer_get_end (ClipTokenizer *tokenizer);
/** clip_tokenizer_get_pad: with which texts must be filled up to the context length (SigLIP); -1
 * where padding has no meaning (CLIP) */
gint32 clip_tokenizer_get_pad (ClipTokenizer *tokenizer);
/** clip_tokenizer_pad: fills @ids up to @length where the model wants it (SigLIP) */
void clip_tokenizer_pad (ClipTokenizer *tokenizer, GArray *ids, guint length);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipTokenizer, clip_tokenizer_free)

G_END_DECLS
