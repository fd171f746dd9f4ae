/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* open_clip_config.json. Absent fields have the defaults of OpenCLIP's CLIPVisionCfg and CLIPTextCfg;
 * a field that would change the graph into one that is not built here is an error that names it. */
#include <string.h>

#include "weights/clip-weights-private.h"

/* Fields that are read here, NULL, or the one value under which the graph is the usual one */
typedef struct {
  const char *name, *value; /* JSON */
} Field;

static const Field model_fields[] = { { "embed_dim", NULL }, { "vision_cfg", NULL }, { "text_cfg", NULL },
  { "quick_gelu", NULL }, { "custom_text", NULL }, { "cast_dtype", NULL }, { "init_logit_scale", NULL },
  { "output_dict", NULL }, { "nonscalar_logit_scale", NULL } };
static const Field vision_fields[] = { { "layers", NULL }, { "width", NULL }, { "head_width", NULL },
  { "mlp_ratio", NULL }, { "patch_size", NULL }, { "image_size", NULL }, { "patch_dropout", NULL },
  { "output_tokens", NULL }, { "pool_type", "\"tok\"" }, { "pos_embed_type", "\"learnable\"" },
  { "attentional_pool", "false" }, { "attn_pooler_queries", NULL }, { "attn_pooler_heads", NULL },
  { "no_ln_pre", "false" }, { "final_ln_after_pool", "false" }, { "timm_model_pretrained", NULL },
  { "timm_pool", NULL }, { "timm_proj", NULL }, { "timm_proj_bias", NULL }, { "timm_drop", NULL },
  { "timm_drop_path", NULL } };
static const Field text_fields[] = { { "context_length", NULL }, { "vocab_size", NULL }, { "width", NULL },
  { "heads", NULL }, { "layers", NULL }, { "mlp_ratio", NULL }, { "output_tokens", NULL },
  { "pad_id", NULL }, { "eos_id", NULL }, { "embed_cls", "false" }, { "no_causal_mask", "false" },
  { "final_ln_after_pool", "false" }, { "pool_type", "\"argmax\"" }, { "proj_bias", "false" },
  { "proj_type", "\"linear\"" }, { "hf_model_pretrained", NULL }, { "hf_proj_type", NULL },
  { "hf_pooler_type", NULL } };

static gboolean
set_unbuilt (const char *name, JsonNode *node, const char *expected, GError **error)
{
  g_autofree char *found = json_to_string (node, FALSE);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%.60s is %.60s, expected %s; this kind of model is not supported", name, found, expected);
  return FALSE;
}

static gboolean
check_fields (JsonObject *json, const Field *fields, gsize count, GError **error)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;
  json_object_iter_init (&iter, json);
  while (json_object_iter_next (&iter, &name, &node)) {
    const Field *field = NULL;
    for (gsize i = 0; i < count && !field; i++)
      field = g_str_equal (name, fields[i].name) ? &fields[i] : NULL;
    if (JSON_NODE_HOLDS_NULL (node) || (field && !field->value))
      continue;
    g_autofree char *found = json_to_string (node, FALSE);
    if (!field || !g_str_equal (found, field->value))
      return set_unbuilt (name, node, field ? field->value : "it to be absent", error);
  }
  return TRUE;
}

static gboolean
read_mlp (JsonObject *json, ClipTransformerConfig *tower, GError **error)
{
  float ratio = 4;
  if (!clip_json_read_float (json, "mlp_ratio", 1e-3, 64, &ratio, error))
    return FALSE;
  tower->mlp_width = tower->width * (double)ratio;
  tower->layernorm_eps = 1e-5f;
  return TRUE;
}

static gboolean
check_heads (const char *what, guint width, guint heads, GError **error)
{
  if (heads > 0 && width % heads == 0 && width / heads <= 256)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s gives %u heads for a width of %u, expected a divisor that leaves heads of at most 256", what,
      heads, width);
  return FALSE;
}

/* A number, or [height,width] of a square */
static gboolean
read_image_size (JsonObject *json, guint *size, GError **error)
{
  JsonNode *node = json_object_get_member (json, "image_size");
  JsonArray *pair = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  guint64 height, width;
  if (!pair)
    return clip_json_read_uint (json, "image_size", 1, 4096, size, error);
  if (json_array_get_length (pair) != 2
      || !clip_json_node_uint (json_array_get_element (pair, 0), &height)
      || !clip_json_node_uint (json_array_get_element (pair, 1), &width) || height != width || height < 1
      || height > 4096)
    return set_unbuilt ("image_size", node, "one side of 1 to 4096, or two equal ones", error);
  *size = height;
  return TRUE;
}

static gboolean
read_vit (JsonObject *json, ClipModelConfig *config, guint head_width, GError **error)
{
  ClipTransformerConfig *tower = &config->vision;
  if (!clip_json_read_uint (json, "layers", 1, 256, &tower->layers, error)
      || !clip_json_read_uint (json, "patch_size", 1, 4096, &config->patch_size, error)
      || !read_mlp (json, tower, error))
    return FALSE;
  tower->heads = tower->width / head_width;
  if (config->patch_size > config->image_size || config->image_size % config->patch_size) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "patch_size is %u, expected a divisor of image_size %u", config->patch_size, config->image_size);
    return FALSE;
  }
  return check_heads ("head_width", tower->width, tower->heads, error);
}

/* layers is an array: a ModifiedResNet */
static gboolean
read_resnet (JsonArray *layers, ClipModelConfig *config, guint head_width, GError **error)
{
  gboolean ok = json_array_get_length (layers) == CLIP_RESNET_STAGES;
  config->vision_kind = CLIP_VISION_RESNET;
  config->vision.layers = config->patch_size = 0;
  for (guint s = 0; ok && s < CLIP_RESNET_STAGES; s++) {
    guint64 blocks = 0;
    ok = clip_json_node_uint (json_array_get_element (layers, s), &blocks) && blocks >= 1 && blocks <= 256;
    config->stage_blocks[s] = blocks;
  }
  if (!ok || config->vision.width % 2 || config->vision.width > 512 || config->image_size % 32
      || config->image_size > 2048) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "layers, width %u and image_size %u make no ModifiedResNet; expected four numbers of 1 to 256, an even width "
        "of at most 512, and a multiple of 32 of at most 2048",
        config->vision.width, config->image_size);
    return FALSE;
  }
  config->vision.heads = config->vision.width * 32 / head_width;
  return check_heads ("head_width", config->vision.width * 32, config->vision.heads, error);
}

static gboolean
read_vision (JsonObject *json, ClipModelConfig *config, GError **error)
{
  guint head_width = 64;
  JsonNode *layers = json_object_get_member (json, "layers");
  config->vision.width = 768;
  config->vision.layers = 12;
  config->vision.layernorm_eps = 1e-5f;
  config->image_size = 224;
  config->patch_size = 16;
  if (!check_fields (json, vision_fields, G_N_ELEMENTS (vision_fields), error)
      || !clip_json_read_uint (json, "width", 1, 16384, &config->vision.width, error)
      || !clip_json_read_uint (json, "head_width", 1, 256, &head_width, error)
      || !read_image_size (json, &config->image_size, error))
    return FALSE;
  return layers && JSON_NODE_HOLDS_ARRAY (layers)
             ? read_resnet (json_node_get_array (layers), config, head_width, error)
             : read_vit (json, config, head_width, error);
}

static gboolean
read_text (JsonObject *json, ClipModelConfig *config, GError **error)
{
  ClipTransformerConfig *tower = &config->text;
  tower->width = 512;
  tower->layers = 12;
  tower->heads = 8;
  config->vocab_size = 49408;
  config->context_length = 77;
  if (!check_fields (json, text_fields, G_N_ELEMENTS (text_fields), error)
      || !clip_json_read_uint (json, "width", 1, 16384, &tower->width, error)
      || !clip_json_read_uint (json, "layers", 1, 256, &tower->layers, error)
      || !clip_json_read_uint (json, "heads", 1, 1024, &tower->heads, error)
      || !clip_json_read_uint (json, "vocab_size", 3, 10000000, &config->vocab_size, error)
      || !clip_json_read_uint (json, "context_length", 3, 4096, &config->context_length, error)
      || !read_mlp (json, tower, error))
    return FALSE;
  config->bos_id = config->vocab_size - 2;
  config->eos_id = config->vocab_size - 1;
  return check_heads ("heads", tower->width, tower->heads, error);
}

static gboolean
read_choice (JsonObject *json, const char *member, const char *const *names, guint *choice, GError **error)
{
  const char *found = NULL;
  if (!json || !clip_json_read_string (json, member, &found, error))
    return !json;
  for (guint i = 0; found && names[i]; i++)
    if (g_str_equal (found, names[i])) {
      *choice = i;
      return TRUE;
    }
  if (!found)
    return TRUE;
  g_autofree char *expected = g_strjoinv (", ", (char **)names);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s is \"%.60s\", expected one of %s", member, found, expected);
  return FALSE;
}

/* preprocess_cfg may be absent: OpenAI's */
static gboolean
read_preprocess (JsonObject *json, ClipModelConfig *config, GError **error)
{
  static const char *const modes[] = { "shortest", "squash", "longest", NULL }; /* as ClipResizeMode */
  static const char *const filters[] = { "bicubic", "bilinear", NULL };         /* as ClipFilter */
  guint mode = CLIP_RESIZE_SHORTEST, filter = CLIP_FILTER_BICUBIC;
  config->preprocess.size = config->image_size;
  clip_preprocess_set_openai (&config->preprocess);
  if (!json)
    return TRUE;
  if (!read_choice (json, "resize_mode", modes, &mode, error)
      || !read_choice (json, "interpolation", filters, &filter, error)
      || !clip_json_read_rgb (json, "mean", -10, 10, config->preprocess.mean, error)
      || !clip_json_read_rgb (json, "std", 1e-3, 1e3, config->preprocess.std, error))
    return FALSE;
  config->preprocess.mode = mode;
  config->preprocess.filter = filter;
  return TRUE;
}

static gboolean
read_part (JsonObject *model, const char *name, ClipModelConfig *config,
    gboolean (*read) (JsonObject *, ClipModelConfig *, GError **), GError **error)
{
  JsonObject *json = clip_json_object (model, name);
  if (json && read (json, config, error))
    return TRUE;
  if (json)
    g_prefix_error (error, "%s: ", name);
  else
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s is absent or not an object", name);
  return FALSE;
}

gboolean
clip_openclip_config_from_json (
    ClipModelConfig *config, const char **text_prefix, JsonObject *root, GError **error)
{
  JsonObject *model = clip_json_object (root, "model_cfg");
  gboolean quick = FALSE, custom = FALSE;
  if (!model || !clip_json_has (model, "embed_dim")) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "model_cfg with embed_dim is absent; is this another program's file?");
    return FALSE;
  }
  if (!check_fields (model, model_fields, G_N_ELEMENTS (model_fields), error)
      || !clip_json_read_uint (model, "embed_dim", 1, 16384, &config->embed_dim, error)
      || !clip_json_read_bool (model, "quick_gelu", &quick, error)
      || !clip_json_read_bool (model, "custom_text", &custom, error)
      || !read_part (model, "vision_cfg", config, read_vision, error)
      || !read_part (model, "text_cfg", config, read_text, error)
      || !read_preprocess (clip_json_object (root, "preprocess_cfg"), config, error))
    return FALSE;
  config->vision.activation = config->text.activation
      = quick ? CLIP_ACTIVATION_QUICK_GELU : CLIP_ACTIVATION_GELU;
  *text_prefix = custom ? "text." : "";
  return TRUE;
}
