/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of the library, when the program was built without it. */
#include "clip-sentencepiece.h"

ClipSentencePiece *
clip_sentencepiece_new (const char *data, gsize size, GError **error)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "is a SentencePiece model, and this plugin was built without that library; install "
      "libsentencepiece-dev and build again with -Dsentencepiece=enabled");
  return NULL;
}

void
clip_sentencepiece_free (ClipSentencePiece *pieces)
{
}

gint32
clip_sentencepiece_find (ClipSentencePiece *pieces, const char *piece)
{
  return -1;
}

gboolean
clip_sentencepiece_encode (
    ClipSentencePiece *pieces, const char *text, gsize length, GArray *ids, GError **error)
{
  g_return_val_if_reached (FALSE);
}
