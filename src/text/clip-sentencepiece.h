/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The SentencePiece library (Kudo and Richardson 2018, arXiv 1808.06226) for C; may be absent. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

typedef struct _ClipSentencePiece ClipSentencePiece;

/**
 * clip_sentencepiece_new:
 * @data: (array length=size): a model file, after clip_sentencepiece_check()
 *
 * Returns: (transfer full): NULL with CLIP_ERROR_TOKENIZER when the library refuses the model, or
 *   when the program was built without the library. Immutable, thread-safe.
 */
ClipSentencePiece *clip_sentencepiece_new (const char *data, gsize size, GError **error);
void clip_sentencepiece_free (ClipSentencePiece *pieces);
/** clip_sentencepiece_find: the id of the piece that is spelt so, -1 where there is none */
gint32 clip_sentencepiece_find (ClipSentencePiece *pieces, const char *piece);
/** clip_sentencepiece_encode: appends to @ids (gint32) the pieces of @text, valid UTF-8 */
gboolean clip_sentencepiece_encode (
    ClipSentencePiece *pieces, const char *text, gsize length, GArray *ids, GError **error);

/**
 * clip_sentencepiece_check:
 * @max_pieces: tokens of the model that it is for
 *
 * Looks for what the library believes unseen: the tables of its normaliser, which it follows
 * without a look at their bounds, scores that are no numbers, and more of anything
 * than a model has. Needs no library.
 */
gboolean clip_sentencepiece_check (
    const guint8 *data, gsize size, guint max_pieces, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipSentencePiece, clip_sentencepiece_free)

G_END_DECLS
