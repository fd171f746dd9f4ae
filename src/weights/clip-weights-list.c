/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The canonical tensors of a ViT CLIP, as documented at ClipWeights. */
#include "weights/clip-weights-private.h"

typedef struct {
  ClipTensorVisit visit;
  gpointer user_data;
  GError **error;
} Walk;

static gboolean G_GNUC_PRINTF (4, 5)
    visit (Walk *walk, const guint64 *shape, guint n_dims, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *name = g_strdup_vprintf (format, args);
  va_end (args);
  return walk->visit (name, shape, n_dims, walk->user_data, walk->error);
}

#define SHAPE(...)                                                                                 \
  (const guint64[]){ __VA_ARGS__ }, sizeof ((const guint64[]){ __VA_ARGS__ }) / sizeof (guint64)

static gboolean
visit_norm (Walk *walk, guint width, const char *prefix)
{
  return visit (walk, SHAPE (width), "%s.weight", prefix)
         && visit (walk, SHAPE (width), "%s.bias", prefix);
}

static gboolean
visit_linear (Walk *walk, guint out, guint in, const char *prefix, const char *name)
{
  return visit (walk, SHAPE (out, in), "%s.%s.weight", prefix, name)
         && visit (walk, SHAPE (out), "%s.%s.bias", prefix, name);
}

static gboolean
visit_block (Walk *walk, const ClipTransformerConfig *tower, const char *block)
{
  guint width = tower->width;
  g_autofree char *ln_1 = g_strconcat (block, ".ln_1", NULL);
  g_autofree char *ln_2 = g_strconcat (block, ".ln_2", NULL);
  return visit_norm (walk, width, ln_1) && visit_norm (walk, width, ln_2)
         && visit_linear (walk, width, width, block, "attn.q")
         && visit_linear (walk, width, width, block, "attn.k")
         && visit_linear (walk, width, width, block, "attn.v")
         && visit_linear (walk, width, width, block, "attn.out")
         && visit_linear (walk, tower->mlp_width, width, block, "mlp.fc1")
         && visit_linear (walk, width, tower->mlp_width, block, "mlp.fc2");
}

static gboolean
visit_blocks (Walk *walk, const ClipTransformerConfig *tower, const char *name)
{
  for (guint i = 0; i < tower->layers; i++) {
    g_autofree char *block = g_strdup_printf ("%s.blocks.%u", name, i);
    if (!visit_block (walk, tower, block))
      return FALSE;
  }
  return TRUE;
}

gboolean
clip_weights_foreach_tensor (
    const ClipModelConfig *config, ClipTensorVisit function, gpointer user_data, GError **error)
{
  Walk walk = { function, user_data, error };
  guint vision = config->vision.width, text = config->text.width, patch = config->patch_size;
  guint side = config->image_size / patch;
  return visit (&walk, SHAPE (vision, 3, patch, patch), "vision.patch_embed.weight")
         && visit (&walk, SHAPE (vision), "vision.class_embedding")
         && visit (&walk, SHAPE ((guint64)side * side + 1, vision), "vision.positions")
         && visit_norm (&walk, vision, "vision.ln_pre")
         && visit_blocks (&walk, &config->vision, "vision")
         && visit_norm (&walk, vision, "vision.ln_post")
         && visit (&walk, SHAPE (config->embed_dim, vision), "vision.projection.weight")
         && visit (&walk, SHAPE (config->vocab_size, text), "text.token_embedding.weight")
         && visit (&walk, SHAPE (config->context_length, text), "text.positions")
         && visit_blocks (&walk, &config->text, "text") && visit_norm (&walk, text, "text.ln_final")
         && visit (&walk, SHAPE (config->embed_dim, text), "text.projection.weight");
}
