/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config.json of transformers' SiglipModel; SigLIP 2's models of a fixed size use the same. Absent fields
 * have the defaults of SiglipConfig. */
#include "weights/clip-weights-private.h"

static gboolean
read_vision (JsonObject *json, ClipModelConfig *config, GError **error)
{
  gboolean head = TRUE;
  guint channels = 3;
  config->vision = (ClipTransformerConfig){ 768, 12, 12, 3072, CLIP_ACTIVATION_GELU_TANH, 1e-6f };
  config->image_size = 224;
  config->patch_size = 16;
  if (!clip_hf_read_tower (json, &config->vision, error)
      || !clip_json_read_uint (json, "image_size", 1, 4096, &config->image_size, error)
      || !clip_json_read_uint (json, "patch_size", 1, config->image_size, &config->patch_size, error)
      || !clip_json_read_uint (json, "num_channels", 3, 3, &channels, error)
      || !clip_json_read_bool (json, "vision_use_head", &head, error))
    return FALSE;
  /* pixels past the last whole patch are unused, as in so400m-patch14-384 */
  if (head)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "vision_use_head is false: this image encoder has no embedding that texts could be compared with");
  return FALSE;
}

/* The special ids of these files are CLIP's by mistake: the tokenizer knows them. */
static gboolean
read_text (JsonObject *json, ClipModelConfig *config, GError **error)
{
  config->text = (ClipTransformerConfig){ 768, 12, 12, 3072, CLIP_ACTIVATION_GELU_TANH, 1e-6f };
  config->vocab_size = 32000;
  config->context_length = 64;
  config->bos_id = config->eos_id = -1;
  if (!clip_hf_read_tower (json, &config->text, error))
    return FALSE;
  config->embed_dim = config->text.width;
  return clip_json_read_uint (json, "projection_size", 1, 16384, &config->embed_dim, error)
         && clip_json_read_uint (json, "vocab_size", 3, 10000000, &config->vocab_size, error)
         && clip_json_read_uint (
             json, "max_position_embeddings", 1, 4096, &config->context_length, error);
}

gboolean
clip_siglip_config_from_json (
    ClipModelConfig *config, JsonObject *vision, JsonObject *text, GError **error)
{
  config->family = CLIP_FAMILY_SIGLIP;
  if (!read_vision (vision, config, error)) {
    g_prefix_error (error, "vision_config: ");
    return FALSE;
  }
  if (!read_text (text, config, error)) {
    g_prefix_error (error, "text_config: ");
    return FALSE;
  }
  if (config->embed_dim == config->vision.width)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "text_config: projection_size is %u, expected %u, the hidden_size of vision_config",
      config->embed_dim, config->vision.width);
  return FALSE;
}
