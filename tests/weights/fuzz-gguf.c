/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer entry: any bytes as a GGUF file, its values under the keys of CLIP models, and as a list of tokens.
 * Run: fuzz-gguf -max_total_time=60 CORPUS-DIRECTORY */
#include "fuzz-touch.h"
#include "text/clip-tokenizer.h"
#include "weights/clip-gguf.h"
#include "weights/clip-weights-private.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (ClipGguf) gguf = clip_gguf_parse (data, size, "fuzz", NULL);
  g_autoptr (ClipTensorFile) file = NULL;
  ClipModelConfig config = { 0 };
  if (!gguf)
    return 0;
  clip_gguf_read_config (&config, gguf, NULL);
  if (config.tokens)
    clip_tokenizer_free (clip_tokenizer_new_from_tokens ("fuzz", config.tokens, NULL));
  g_clear_pointer (&config.tokens, g_bytes_unref);
  file = clip_gguf_take_tensors (gguf, NULL);
  if (file)
    touch_tensors (file);
  return 0;
}
