/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a model is called in metadata: the published sizes have names that people know. */
#include "weights/clip-weights-private.h"

static char *
vit_name (const ClipModelConfig *config)
{
  static const struct {
    guint width, layers;
    const char *size;
  } known[] = { { 768, 12, "b" }, { 1152, 27, "so400m" }, { 1024, 24, "l" }, { 1280, 32, "h" },
    { 1664, 48, "bigg" } };
  /* SigLIP 2 differs from SigLIP in weights and vocabulary (Gemma's), not in shape */
  const char *family = config->family == CLIP_FAMILY_CLIP ? "clip-vit"
                       : config->vocab_size == 256000     ? "siglip2"
                                                          : "siglip";
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (config->vision.width == known[i].width && config->vision.layers == known[i].layers) {
      g_autofree char *name
          = g_strdup_printf ("%s-%s-%u", family, known[i].size, config->patch_size);
      return config->image_size == 224 ? g_steal_pointer (&name)
                                       : g_strdup_printf ("%s-%u", name, config->image_size);
    }
  return NULL;
}

static const char *
resnet_name (const ClipModelConfig *config)
{
  static const struct {
    guint width, blocks[CLIP_RESNET_STAGES], image_size;
    const char *name;
  } known[] = { { 64, { 3, 4, 6, 3 }, 224, "clip-rn50" }, { 64, { 3, 4, 23, 3 }, 224, "clip-rn101" },
    { 80, { 4, 6, 10, 6 }, 288, "clip-rn50x4" }, { 96, { 6, 8, 18, 8 }, 384, "clip-rn50x16" },
    { 128, { 3, 15, 36, 10 }, 448, "clip-rn50x64" } };
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++) {
    gboolean same
        = config->vision.width == known[i].width && config->image_size == known[i].image_size;
    for (guint s = 0; s < CLIP_RESNET_STAGES; s++)
      same = same && config->stage_blocks[s] == known[i].blocks[s];
    if (same)
      return known[i].name;
  }
  return NULL;
}

char *
clip_weights_model_name (const ClipModelConfig *config, const char *path)
{
  char *name = config->vision_kind == CLIP_VISION_RESNET ? g_strdup (resnet_name (config))
                                                         : vit_name (config);
  if (name)
    return name;
  g_autofree char *full = g_canonicalize_filename (path, NULL);
  return g_filename_display_basename (full);
}
