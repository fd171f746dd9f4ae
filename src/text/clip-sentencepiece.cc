/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No exception of the library, out of memory included, may pass into C. */
#include "clip-sentencepiece.h"

#include <exception>
#include <string>
#include <vector>

#include <sentencepiece_processor.h>

struct _ClipSentencePiece {
  sentencepiece::SentencePieceProcessor processor;
};

static bool
check (const sentencepiece::util::Status &status, GError **error)
{
  if (status.ok ())
    return true;
  const std::string text = status.ToString ();
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER, "the SentencePiece library refuses it: %.200s",
      text.c_str ());
  return false;
}

static void
report (const std::exception &exception, GError **error)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER, "the SentencePiece library failed: %.200s",
      exception.what ());
}

ClipSentencePiece *
clip_sentencepiece_new (const char *data, gsize size, GError **error)
{
  ClipSentencePiece *pieces = nullptr;
  try {
    pieces = new ClipSentencePiece ();
    if (check (pieces->processor.LoadFromSerializedProto ({ data, size }), error))
      return pieces;
  } catch (const std::exception &exception) {
    report (exception, error);
  }
  delete pieces;
  return nullptr;
}

void
clip_sentencepiece_free (ClipSentencePiece *pieces)
{
  delete pieces;
}

gint32
clip_sentencepiece_find (ClipSentencePiece *pieces, const char *piece)
{
  const int id = pieces->processor.PieceToId (piece);
  /* what is not in the vocabulary has the unknown piece's id */
  return pieces->processor.IdToPiece (id) == piece ? id : -1;
}

gboolean
clip_sentencepiece_encode (
    ClipSentencePiece *pieces, const char *text, gsize length, GArray *ids, GError **error)
{
  try {
    std::vector<int> found;
    if (!check (pieces->processor.Encode ({ text, length }, &found), error))
      return FALSE;
    for (const gint32 id : found)
      g_array_append_val (ids, id);
    return TRUE;
  } catch (const std::exception &exception) {
    report (exception, error);
    return FALSE;
  }
}
