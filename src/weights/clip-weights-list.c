/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The canonical tensors of a model, as documented at ClipWeights. */
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

/* A convolution and the batch norm after it */
static gboolean
visit_conv (Walk *walk, guint out, guint in, guint side, const char *name)
{
  static const char *const vectors[] = { "weight", "bias", "mean", "var" };
  if (!visit (walk, SHAPE (out, in, side, side), "%s.weight", name))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (vectors); i++)
    if (!visit (walk, SHAPE (out), "%s.bn.%s", name, vectors[i]))
      return FALSE;
  return TRUE;
}

static gboolean
visit_bottleneck (Walk *walk, guint in, guint channels, const char *block, gboolean downsample)
{
  g_autofree char *conv1 = g_strconcat (block, ".conv1", NULL);
  g_autofree char *conv2 = g_strconcat (block, ".conv2", NULL);
  g_autofree char *conv3 = g_strconcat (block, ".conv3", NULL);
  g_autofree char *down = g_strconcat (block, ".downsample", NULL);
  return visit_conv (walk, channels, in, 1, conv1) && visit_conv (walk, channels, channels, 3, conv2)
         && visit_conv (walk, 4 * channels, channels, 1, conv3)
         && (!downsample || visit_conv (walk, 4 * channels, in, 1, down));
}

static gboolean
visit_resnet (Walk *walk, const ClipModelConfig *config)
{
  guint width = config->vision.width, in = width, side = config->image_size / 32;
  guint embed = 32 * width;
  if (!visit_conv (walk, width / 2, 3, 3, "vision.stem.conv1")
      || !visit_conv (walk, width / 2, width / 2, 3, "vision.stem.conv2")
      || !visit_conv (walk, width, width / 2, 3, "vision.stem.conv3"))
    return FALSE;
  for (guint s = 0; s < CLIP_RESNET_STAGES; s++)
    for (guint b = 0; b < config->stage_blocks[s]; b++) {
      g_autofree char *block = g_strdup_printf ("vision.stages.%u.%u", s, b);
      if (!visit_bottleneck (walk, in, width << s, block, b == 0))
        return FALSE;
      in = 4 * (width << s);
    }
  return visit (walk, SHAPE ((guint64)side * side + 1, embed), "vision.pool.positions")
         && visit_linear (walk, embed, embed, "vision.pool", "q")
         && visit_linear (walk, embed, embed, "vision.pool", "k")
         && visit_linear (walk, embed, embed, "vision.pool", "v")
         && visit_linear (walk, config->embed_dim, embed, "vision.pool", "out");
}

static gboolean
visit_siglip_head (Walk *walk, const ClipTransformerConfig *vision)
{
  guint width = vision->width;
  return visit (walk, SHAPE (width), "vision.pool.probe")
         && visit_linear (walk, width, width, "vision.pool", "attn.q")
         && visit_linear (walk, width, width, "vision.pool", "attn.k")
         && visit_linear (walk, width, width, "vision.pool", "attn.v")
         && visit_linear (walk, width, width, "vision.pool", "attn.out")
         && visit_norm (walk, width, "vision.pool.ln")
         && visit_linear (walk, vision->mlp_width, width, "vision.pool", "mlp.fc1")
         && visit_linear (walk, width, vision->mlp_width, "vision.pool", "mlp.fc2");
}

static gboolean
visit_vit (Walk *walk, const ClipModelConfig *config)
{
  guint width = config->vision.width, patch = config->patch_size;
  guint64 side = config->image_size / patch;
  gboolean siglip = config->family == CLIP_FAMILY_SIGLIP;
  return visit (walk, SHAPE (width, 3, patch, patch), "vision.patch_embed.weight")
         && visit (walk, SHAPE (side * side + !siglip, width), "vision.positions")
         && (siglip ? visit (walk, SHAPE (width), "vision.patch_embed.bias")
                    : visit (walk, SHAPE (width), "vision.class_embedding")
                          && visit_norm (walk, width, "vision.ln_pre"))
         && visit_blocks (walk, &config->vision, "vision")
         && visit_norm (walk, width, "vision.ln_post")
         && (siglip ? visit_siglip_head (walk, &config->vision)
                    : visit (walk, SHAPE (config->embed_dim, width), "vision.projection.weight"));
}

static gboolean
visit_text (Walk *walk, const ClipModelConfig *config)
{
  guint width = config->text.width;
  return visit (walk, SHAPE (config->vocab_size, width), "text.token_embedding.weight")
         && visit (walk, SHAPE (config->context_length, width), "text.positions")
         && visit_blocks (walk, &config->text, "text") && visit_norm (walk, width, "text.ln_final")
         && visit (walk, SHAPE (config->embed_dim, width), "text.projection.weight")
         && (config->family != CLIP_FAMILY_SIGLIP
             || visit (walk, SHAPE (config->embed_dim), "text.projection.bias"));
}

gboolean
clip_weights_foreach_tensor (
    const ClipModelConfig *config, ClipTensorVisit function, gpointer user_data, GError **error)
{
  Walk walk = { function, user_data, error };
  return (config->vision_kind == CLIP_VISION_RESNET ? visit_resnet (&walk, config)
                                                    : visit_vit (&walk, config))
         && visit_text (&walk, config);
}
