/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where transformers' SiglipModel keeps what CLIPModel has not, or calls otherwise. */
#include <string.h>

#include "weights/clip-weights-private.h"

/* canonical -> stored, of whole tensors */
static const struct {
  const char *canonical, *stored;
} names[] = { { "vision.patch_embed.bias", "vision_model.embeddings.patch_embedding.bias" },
  { "text.projection.", "text_model.head." }, { "vision.pool.probe", "vision_model.head.probe" },
  { "vision.pool.attn.out.", "vision_model.head.attention.out_proj." },
  { "vision.pool.ln.", "vision_model.head.layernorm." },
  { "vision.pool.mlp.", "vision_model.head.mlp." } };

/* the head is a torch.nn.MultiheadAttention: queries, keys and values in one tensor */
static const char *const parts[]
    = { "vision.pool.attn.q.", "vision.pool.attn.k.", "vision.pool.attn.v." };

char *
clip_siglip_stored_name (const char *canonical, ClipTensorView *view)
{
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    if (g_str_has_prefix (canonical, parts[i])) {
      view->part = i;
      view->parts = G_N_ELEMENTS (parts);
      return g_strconcat (
          "vision_model.head.attention.in_proj_", canonical + strlen (parts[i]), NULL);
    }
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_has_prefix (canonical, names[i].canonical))
      return g_strconcat (names[i].stored, canonical + strlen (names[i].canonical), NULL);
  return clip_hf_stored_name (canonical);
}
