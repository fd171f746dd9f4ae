/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-model.h"

/* The weights' own list of tokens first; should it not do, files as for other formats */
ClipTokenizer *
clip_model_open_tokenizer (const ClipModelConfig *config, GError **error)
{
  ClipTokenizerKind kind = config->family == CLIP_FAMILY_SIGLIP ? CLIP_TOKENIZER_PIECES : CLIP_TOKENIZER_BYTE_PAIRS;
  g_autoptr (GError) own = NULL;
  ClipTokenizer *tokenizer
      = config->tokens ? clip_tokenizer_new_from_tokens (config->name, config->tokens, &own) : NULL;
  if (tokenizer)
    return tokenizer;
  tokenizer = clip_tokenizer_open (kind, config->directory, config->vocab_size, error);
  if (!tokenizer && own)
    g_prefix_error (error, "%s; and ", own->message);
  return tokenizer;
}
