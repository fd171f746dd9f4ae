/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-model.h"

ClipTokenizer *
clip_model_open_tokenizer (const ClipModelConfig *config, GError **error)
{
  ClipTokenizerKind kind = config->family == CLIP_FAMILY_SIGLIP ? CLIP_TOKENIZER_PIECES : CLIP_TOKENIZER_BYTE_PAIRS;
  return clip_tokenizer_open (kind, config->directory, config->vocab_size, error);
}
