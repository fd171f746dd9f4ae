/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config.json of transformers' CLIPModel. Absent fields have the defaults of CLIPConfig. SigLIP's part is in
 * clip-config-siglip.c. */
#include <string.h>

#include "weights/clip-weights-private.h"

#define MAX_CONFIG (4u << 20)

/* @activation holds the default */
static gboolean
read_activation (JsonObject *json, ClipActivation *activation, GError **error)
{
  static const struct {
    const char *name;
    ClipActivation value;
  } known[] = { { "quick_gelu", CLIP_ACTIVATION_QUICK_GELU }, { "gelu", CLIP_ACTIVATION_GELU },
    { "gelu_new", CLIP_ACTIVATION_GELU_TANH }, { "gelu_pytorch_tanh", CLIP_ACTIVATION_GELU_TANH } };
  const char *name = NULL;
  if (!clip_json_read_string (json, "hidden_act", &name, error))
    return FALSE;
  if (!name)
    return TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS (known); i++)
    if (g_str_equal (name, known[i].name)) {
      *activation = known[i].value;
      return TRUE;
    }
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "hidden_act is \"%.60s\", expected quick_gelu, gelu, gelu_new or gelu_pytorch_tanh", name);
  return FALSE;
}

gboolean
clip_hf_read_tower (JsonObject *json, ClipTransformerConfig *tower, GError **error)
{
  if (!clip_json_read_uint (json, "hidden_size", 1, 16384, &tower->width, error)
      || !clip_json_read_uint (json, "num_hidden_layers", 1, 256, &tower->layers, error)
      || !clip_json_read_uint (json, "num_attention_heads", 1, 1024, &tower->heads, error)
      || !clip_json_read_uint (json, "intermediate_size", 1, 65536, &tower->mlp_width, error)
      || !clip_json_read_float (json, "layer_norm_eps", 1e-12, 0.1, &tower->layernorm_eps, error)
      || !read_activation (json, &tower->activation, error))
    return FALSE;
  if (tower->width % tower->heads == 0 && tower->width / tower->heads <= 256)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "num_attention_heads is %u for hidden_size %u, expected a divisor that leaves heads of at "
      "most 256",
      tower->heads, tower->width);
  return FALSE;
}

static gboolean
read_vision (JsonObject *json, ClipModelConfig *config, GError **error)
{
  guint channels = 3;
  config->vision
      = (ClipTransformerConfig){ 768, 12, 12, 3072, CLIP_ACTIVATION_QUICK_GELU, 1e-5f };
  config->image_size = 224;
  config->patch_size = 32;
  if (!clip_hf_read_tower (json, &config->vision, error)
      || !clip_json_read_uint (json, "image_size", 1, 4096, &config->image_size, error)
      || !clip_json_read_uint (json, "patch_size", 1, 4096, &config->patch_size, error)
      || !clip_json_read_uint (json, "num_channels", 3, 3, &channels, error))
    return FALSE;
  if (config->patch_size <= config->image_size && config->image_size % config->patch_size == 0)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "patch_size is %u, expected a divisor of image_size %u", config->patch_size,
      config->image_size);
  return FALSE;
}

/* Early configs carry bos 0 and eos 2, which no CLIP vocabulary means: transformers then pools at
 * the largest id. In CLIP's vocabulary start and end are the last two ids. */
static gboolean
read_special_ids (JsonObject *json, ClipModelConfig *config, GError **error)
{
  guint bos = 0, eos = 2, last = config->vocab_size - 1;
  if (!clip_json_read_uint (json, "bos_token_id", 0, last, &bos, error)
      || !clip_json_read_uint (json, "eos_token_id", 0, MAX (last, 2), &eos, error))
    return FALSE;
  config->bos_id = eos == 2 || bos == 0 ? last - 1 : bos;
  config->eos_id = eos == 2 ? last : eos;
  return TRUE;
}

static gboolean
read_text (JsonObject *json, ClipModelConfig *config, GError **error)
{
  config->text
      = (ClipTransformerConfig){ 512, 12, 8, 2048, CLIP_ACTIVATION_QUICK_GELU, 1e-5f };
  config->vocab_size = 49408;
  config->context_length = 77;
  return clip_hf_read_tower (json, &config->text, error)
         && clip_json_read_uint (json, "vocab_size", 3, 10000000, &config->vocab_size, error)
         && clip_json_read_uint (
             json, "max_position_embeddings", 3, 4096, &config->context_length, error)
         && read_special_ids (json, config, error);
}

/* As transformers: an object under NAME_dict replaces all of NAME. */
static JsonObject *
tower_object (JsonObject *root, const char *name, JsonObject *empty, GError **error)
{
  g_autofree char *copy = g_strconcat (name, "_dict", NULL);
  const char *used = clip_json_has (root, copy) ? copy : name;
  JsonObject *json = clip_json_object (root, used);
  if (json || !clip_json_has (root, used))
    return json ? json : empty;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s is not an object", used);
  return NULL;
}

static gboolean
read_model_type (JsonObject *root, ClipFamily *family, GError **error)
{
  const char *type = NULL;
  if (!clip_json_read_string (root, "model_type", &type, error))
    return FALSE;
  *family = g_strcmp0 (type, "siglip") == 0 ? CLIP_FAMILY_SIGLIP : CLIP_FAMILY_CLIP;
  if (*family == CLIP_FAMILY_SIGLIP || g_strcmp0 (type, "clip") == 0)
    return TRUE;
  if (g_strcmp0 (type, "siglip2") == 0)
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "model_type is siglip2, a NaFlex model, whose pictures have no fixed size; take a SigLIP 2 model of a "
        "fixed size, e.g. siglip2-base-patch16-224");
  else
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "model_type is %.60s, expected clip or siglip",
        type ? type : "absent");
  return FALSE;
}

gboolean
clip_hf_config_from_json (ClipModelConfig *config, JsonObject *root, GError **error)
{
  g_autoptr (JsonObject) empty = json_object_new ();
  if (!read_model_type (root, &config->family, error))
    return FALSE;
  JsonObject *vision = tower_object (root, "vision_config", empty, error);
  JsonObject *text = vision ? tower_object (root, "text_config", empty, error) : NULL;
  if (!text)
    return FALSE;
  if (config->family == CLIP_FAMILY_SIGLIP)
    return clip_siglip_config_from_json (config, vision, text, error);
  config->embed_dim = 512;
  if (!clip_json_read_uint (root, "projection_dim", 1, 16384, &config->embed_dim, error))
    return FALSE;
  if (!read_vision (vision, config, error)) {
    g_prefix_error (error, "vision_config: ");
    return FALSE;
  }
  if (!read_text (text, config, error)) {
    g_prefix_error (error, "text_config: ");
    return FALSE;
  }
  return TRUE;
}

gboolean
clip_hf_read_config (ClipModelConfig *config, const char *directory, GError **error)
{
  g_autofree char *path = g_build_filename (directory, "config.json", NULL);
  g_autoptr (JsonNode) root = clip_json_load (path, MAX_CONFIG, error);
  if (!root)
    return FALSE;
  config->directory = g_strdup (directory);
  if (!clip_hf_config_from_json (config, json_node_get_object (root), error)) {
    g_prefix_error (error, "config.json: ");
    return FALSE;
  }
  config->name = clip_weights_model_name (config, directory);
  return TRUE;
}
