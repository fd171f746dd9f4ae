/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tensor names of openai/CLIP's model.py, which OpenCLIP kept. */
#include <string.h>

#include "weights/clip-weights-private.h"

/* canonical -> stored, by the longest part that both sides share; matrices of y = x P are transposed */
static const struct {
  const char *canonical, *stored;
  gboolean transposed;
} names[] = {
  { "vision.patch_embed.weight", "visual.conv1.weight", FALSE },
  { "vision.class_embedding", "visual.class_embedding", FALSE },
  { "vision.positions", "visual.positional_embedding", FALSE },
  { "vision.ln_pre.", "visual.ln_pre.", FALSE },
  { "vision.ln_post.", "visual.ln_post.", FALSE },
  { "vision.projection.weight", "visual.proj", TRUE },
  { "vision.pool.positions", "visual.attnpool.positional_embedding", FALSE },
  { "vision.pool.q.", "visual.attnpool.q_proj.", FALSE },
  { "vision.pool.k.", "visual.attnpool.k_proj.", FALSE },
  { "vision.pool.v.", "visual.attnpool.v_proj.", FALSE },
  { "vision.pool.out.", "visual.attnpool.c_proj.", FALSE },
};
/* OpenCLIP puts these under "text." where the config says custom_text */
static const struct {
  const char *canonical, *stored;
  gboolean transposed;
} text_names[] = {
  { "text.token_embedding.weight", "token_embedding.weight", FALSE },
  { "text.positions", "positional_embedding", FALSE },
  { "text.ln_final.", "ln_final.", FALSE },
  { "text.projection.weight", "text_projection", TRUE },
};
static const struct {
  const char *canonical, *stored;
  int part; /* of the three that share one tensor, or -1 */
} block_names[] = {
  { "ln_1.", "ln_1.", -1 },
  { "ln_2.", "ln_2.", -1 },
  { "attn.q.", "attn.in_proj_", 0 },
  { "attn.k.", "attn.in_proj_", 1 },
  { "attn.v.", "attn.in_proj_", 2 },
  { "attn.out.", "attn.out_proj.", -1 },
  { "mlp.fc1.", "mlp.c_fc.", -1 },
  { "mlp.fc2.", "mlp.c_proj.", -1 },
};

/* "3.attn.q.bias" under "visual.transformer.resblocks." -> part 0 of ".3.attn.in_proj_bias" */
static char *
block_name (const char *prefix, const char *rest, ClipTensorView *view)
{
  const char *leaf = strchr (rest, '.') + 1;
  for (gsize i = 0; i < G_N_ELEMENTS (block_names); i++) {
    if (!g_str_has_prefix (leaf, block_names[i].canonical))
      continue;
    view->part = MAX (block_names[i].part, 0);
    view->parts = block_names[i].part < 0 ? 0 : 3;
    return g_strdup_printf ("%s%.*s%s%s", prefix, (int)(leaf - rest), rest, block_names[i].stored,
        leaf + strlen (block_names[i].canonical));
  }
  return NULL;
}

/* The batch norm's vector: mean and var are running averages there */
static const char *
norm_leaf (const char *leaf)
{
  return g_str_equal (leaf, "mean") ? "running_mean"
         : g_str_equal (leaf, "var") ? "running_var"
                                     : leaf;
}

/* "conv2.weight" -> "conv2.weight", "conv2.bn.mean" -> "bn2.running_mean",
 * "downsample.bn.var" -> "downsample.1.running_var" */
static char *
conv_name (const char *prefix, const char *rest)
{
  gboolean down = g_str_has_prefix (rest, "downsample.");
  const char *leaf = strchr (rest, '.') + 1;
  if (!g_str_has_prefix (leaf, "bn."))
    return down ? g_strconcat (prefix, "downsample.0.", leaf, NULL) : g_strconcat (prefix, rest, NULL);
  leaf = norm_leaf (leaf + strlen ("bn."));
  return down ? g_strconcat (prefix, "downsample.1.", leaf, NULL)
              : g_strdup_printf ("%sbn%c.%s", prefix, rest[strlen ("conv")], leaf);
}

/* "0.2.conv1.weight" of stages counted from 0 -> "visual.layer1.2.conv1.weight" */
static char *
stage_name (const char *rest)
{
  const char *block = strchr (rest, '.') + 1;
  const char *leaf = strchr (block, '.') + 1;
  g_autofree char *prefix
      = g_strdup_printf ("visual.layer%c.%.*s", rest[0] + 1, (int)(leaf - block), block);
  return conv_name (prefix, leaf);
}

char *
clip_openai_view (const char *canonical, const char *text_prefix, ClipTensorView *view)
{
  view->part = view->parts = 0;
  view->transposed = FALSE;
  if (g_str_has_prefix (canonical, "vision.blocks."))
    return block_name (
        "visual.transformer.resblocks.", canonical + strlen ("vision.blocks."), view);
  if (g_str_has_prefix (canonical, "vision.stem."))
    return conv_name ("visual.", canonical + strlen ("vision.stem."));
  if (g_str_has_prefix (canonical, "vision.stages."))
    return stage_name (canonical + strlen ("vision.stages."));
  if (g_str_has_prefix (canonical, "text.blocks.")) {
    g_autofree char *prefix = g_strconcat (text_prefix, "transformer.resblocks.", NULL);
    return block_name (prefix, canonical + strlen ("text.blocks."), view);
  }
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_has_prefix (canonical, names[i].canonical)) {
      view->transposed = names[i].transposed;
      return g_strconcat (names[i].stored, canonical + strlen (names[i].canonical), NULL);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (text_names); i++)
    if (g_str_has_prefix (canonical, text_names[i].canonical)) {
      view->transposed = text_names[i].transposed;
      return g_strconcat (
          text_prefix, text_names[i].stored, canonical + strlen (text_names[i].canonical), NULL);
    }
  return NULL;
}

typedef struct {
  ClipWeights *weights;
  ClipTensorFile *file;
  const char *text_prefix;
} Source;

static gboolean
take_tensor (
    const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  Source *source = user_data;
  ClipTensorView view = { .file = source->file };
  g_autofree char *stored = clip_openai_view (name, source->text_prefix, &view);
  view.stored_name = stored;
  return clip_weights_add_view (source->weights, name, shape, n_dims, &view, error);
}

/* A configuration with too few layers would load and give wrong answers */
static gboolean
check_absent (Source *source, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
check_absent (Source *source, GError **error, const char *format, ...)
{
  ClipTensorView view;
  va_list args;
  va_start (args, format);
  g_autofree char *canonical = g_strdup_vprintf (format, args);
  va_end (args);
  g_autofree char *stored = clip_openai_view (canonical, source->text_prefix, &view);
  if (!clip_tensor_file_lookup (source->file, stored))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: tensor %s exists, but the configuration has fewer layers; is it another model's?",
      clip_tensor_file_get_name (source->file), stored);
  return FALSE;
}

static gboolean
check_no_layer_more (Source *source, const ClipModelConfig *config, GError **error)
{
  for (guint s = 0; config->vision_kind == CLIP_VISION_RESNET && s < CLIP_RESNET_STAGES; s++)
    if (!check_absent (
            source, error, "vision.stages.%u.%u.conv1.weight", s, config->stage_blocks[s]))
      return FALSE;
  return (config->vision_kind == CLIP_VISION_RESNET
             || check_absent (source, error, "vision.blocks.%u.ln_1.weight", config->vision.layers))
         && check_absent (source, error, "text.blocks.%u.ln_1.weight", config->text.layers);
}

gboolean
clip_openai_take_tensors (
    ClipWeights *weights, ClipTensorFile *file, const char *text_prefix, GError **error)
{
  Source source = { weights, file, text_prefix };
  return clip_weights_foreach_tensor (&weights->config, take_tensor, &source, error)
         && clip_weights_set_logit_scale (weights, file, "logit_scale", error)
         && check_no_layer_more (&source, &weights->config, error);
}
