/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration files that the readers beside this one take: clip-config-*.c, clip-preprocess-hf.c. */
#include "weights/clip-export-private.h"

typedef JsonBuilder Builder;

static void
add_uint (Builder *builder, const char *name, guint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, (gint64)value);
}

static void
add_double (Builder *builder, const char *name, double value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, value);
}

static void
add_string (Builder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

static void
add_bool (Builder *builder, const char *name, gboolean value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_boolean_value (builder, value);
}

static void
begin (Builder *builder, const char *name)
{
  if (name)
    json_builder_set_member_name (builder, name);
  json_builder_begin_object (builder);
}

static void
add_rgb (Builder *builder, const char *name, const float *values)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (guint i = 0; i < 3; i++)
    json_builder_add_double_value (builder, (double)values[i]);
  json_builder_end_array (builder);
}

static gboolean
write_json (Builder *builder, const char *directory, const char *name, GError **error)
{
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autofree char *path = g_build_filename (directory, name, NULL);
  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  g_autofree char *text = json_generator_to_data (generator, NULL);
  return g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_DURABLE, 0644, error);
}

ClipLayout
clip_export_layout (const ClipModelConfig *config)
{
  return config->vision_kind == CLIP_VISION_RESNET || config->preprocess.mode == CLIP_RESIZE_LONGEST
             ? CLIP_LAYOUT_OPENCLIP
             : CLIP_LAYOUT_HF;
}

static const char *
activation_name (ClipActivation activation)
{
  return activation == CLIP_ACTIVATION_QUICK_GELU ? "quick_gelu"
         : activation == CLIP_ACTIVATION_GELU     ? "gelu"
                                                  : "gelu_pytorch_tanh";
}

static void
add_tower (Builder *builder, const ClipTransformerConfig *tower)
{
  add_uint (builder, "hidden_size", tower->width);
  add_uint (builder, "intermediate_size", tower->mlp_width);
  add_uint (builder, "num_hidden_layers", tower->layers);
  add_uint (builder, "num_attention_heads", tower->heads);
  add_string (builder, "hidden_act", activation_name (tower->activation));
  add_double (builder, "layer_norm_eps", (double)tower->layernorm_eps);
}

static gboolean
write_hf_config (const ClipModelConfig *config, const char *directory, ClipDtype dtype, GError **error)
{
  static const char *const dtypes[]
      = { [CLIP_DTYPE_F32] = "float32", [CLIP_DTYPE_F16] = "float16", [CLIP_DTYPE_BF16] = "bfloat16" };
  const gboolean siglip = config->family == CLIP_FAMILY_SIGLIP;
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  begin (builder, NULL);
  json_builder_set_member_name (builder, "architectures");
  json_builder_begin_array (builder);
  json_builder_add_string_value (builder, siglip ? "SiglipModel" : "CLIPModel");
  json_builder_end_array (builder);
  add_string (builder, "model_type", siglip ? "siglip" : "clip");
  add_string (builder, "torch_dtype", dtypes[dtype]);
  add_uint (builder, "projection_dim", config->embed_dim);
  begin (builder, "text_config");
  add_string (builder, "model_type", siglip ? "siglip_text_model" : "clip_text_model");
  add_tower (builder, &config->text);
  add_uint (builder, "vocab_size", config->vocab_size);
  add_uint (builder, "max_position_embeddings", config->context_length);
  add_uint (builder, siglip ? "projection_size" : "projection_dim", config->embed_dim);
  if (!siglip) {
    add_uint (builder, "bos_token_id", config->bos_id);
    add_uint (builder, "eos_token_id", config->eos_id);
  }
  json_builder_end_object (builder);
  begin (builder, "vision_config");
  add_string (builder, "model_type", siglip ? "siglip_vision_model" : "clip_vision_model");
  add_tower (builder, &config->vision);
  add_uint (builder, "image_size", config->image_size);
  add_uint (builder, "patch_size", config->patch_size);
  add_uint (builder, "num_channels", 3);
  if (!siglip)
    add_uint (builder, "projection_dim", config->embed_dim);
  json_builder_end_object (builder);
  json_builder_end_object (builder);
  return write_json (builder, directory, "config.json", error);
}

static gboolean
write_hf_preprocess (const ClipModelConfig *config, const char *directory, GError **error)
{
  const ClipPreprocessConfig *preprocess = &config->preprocess;
  const gboolean crop = preprocess->mode == CLIP_RESIZE_SHORTEST;
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  begin (builder, NULL);
  add_string (builder, "image_processor_type",
      config->family == CLIP_FAMILY_SIGLIP ? "SiglipImageProcessor" : "CLIPImageProcessor");
  add_bool (builder, "do_convert_rgb", TRUE);
  add_bool (builder, "do_resize", TRUE);
  begin (builder, "size");
  if (crop) {
    add_uint (builder, "shortest_edge", preprocess->size);
  } else {
    add_uint (builder, "height", preprocess->size);
    add_uint (builder, "width", preprocess->size);
  }
  json_builder_end_object (builder);
  add_uint (builder, "resample", preprocess->filter == CLIP_FILTER_BILINEAR ? 2 : 3); /* PIL's numbers */
  add_bool (builder, "do_center_crop", crop);
  if (crop) {
    begin (builder, "crop_size");
    add_uint (builder, "height", preprocess->size);
    add_uint (builder, "width", preprocess->size);
    json_builder_end_object (builder);
  }
  add_bool (builder, "do_rescale", TRUE);
  add_double (builder, "rescale_factor", 1.0 / 255);
  add_bool (builder, "do_normalize", TRUE);
  add_rgb (builder, "image_mean", preprocess->mean);
  add_rgb (builder, "image_std", preprocess->std);
  json_builder_end_object (builder);
  return write_json (builder, directory, "preprocessor_config.json", error);
}

/* OpenCLIP multiplies and drops the fraction: half a unit more than the exact ratio gives the width back */
static double
mlp_ratio (const ClipTransformerConfig *tower)
{
  return tower->mlp_width % tower->width == 0 ? tower->mlp_width / tower->width
                                              : (tower->mlp_width + 0.5) / tower->width;
}

static gboolean
check_openclip (const ClipModelConfig *config, GError **error)
{
  const gboolean resnet = config->vision_kind == CLIP_VISION_RESNET;
  const ClipActivation activation = config->text.activation;
  if ((activation == CLIP_ACTIVATION_QUICK_GELU || activation == CLIP_ACTIVATION_GELU)
      && (resnet || config->vision.activation == activation) && config->text.layernorm_eps == 1e-5f
      && (resnet || config->vision.layernorm_eps == 1e-5f))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "open_clip_config.json cannot say that the activations are %s and %s or that epsilon is %g",
      activation_name (config->vision.activation), activation_name (config->text.activation),
      (double)config->text.layernorm_eps);
  return FALSE;
}

static void
add_openclip_vision (Builder *builder, const ClipModelConfig *config)
{
  begin (builder, "vision_cfg");
  add_uint (builder, "image_size", config->image_size);
  add_uint (builder, "width", config->vision.width);
  json_builder_set_member_name (builder, "layers");
  if (config->vision_kind == CLIP_VISION_RESNET) {
    json_builder_begin_array (builder);
    for (guint s = 0; s < CLIP_RESNET_STAGES; s++)
      json_builder_add_int_value (builder, config->stage_blocks[s]);
    json_builder_end_array (builder);
    add_uint (builder, "head_width", config->vision.width * 32 / config->vision.heads);
    json_builder_set_member_name (builder, "patch_size");
    json_builder_add_null_value (builder);
  } else {
    json_builder_add_int_value (builder, config->vision.layers);
    add_uint (builder, "head_width", config->vision.width / config->vision.heads);
    add_uint (builder, "patch_size", config->patch_size);
    add_double (builder, "mlp_ratio", mlp_ratio (&config->vision));
  }
  json_builder_end_object (builder);
}

static gboolean
write_openclip (const ClipModelConfig *config, const char *directory, GError **error)
{
  static const char *const modes[] = { "shortest", "squash", "longest" }; /* by ClipResizeMode */
  const ClipPreprocessConfig *preprocess = &config->preprocess;
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  if (!check_openclip (config, error))
    return FALSE;
  begin (builder, NULL);
  begin (builder, "model_cfg");
  add_uint (builder, "embed_dim", config->embed_dim);
  add_bool (builder, "quick_gelu", config->text.activation == CLIP_ACTIVATION_QUICK_GELU);
  add_openclip_vision (builder, config);
  begin (builder, "text_cfg");
  add_uint (builder, "context_length", config->context_length);
  add_uint (builder, "vocab_size", config->vocab_size);
  add_uint (builder, "width", config->text.width);
  add_uint (builder, "heads", config->text.heads);
  add_uint (builder, "layers", config->text.layers);
  add_double (builder, "mlp_ratio", mlp_ratio (&config->text));
  json_builder_end_object (builder);
  json_builder_end_object (builder);
  begin (builder, "preprocess_cfg");
  add_rgb (builder, "mean", preprocess->mean);
  add_rgb (builder, "std", preprocess->std);
  add_string (builder, "interpolation", preprocess->filter == CLIP_FILTER_BILINEAR ? "bilinear" : "bicubic");
  add_string (builder, "resize_mode", modes[preprocess->mode]);
  json_builder_end_object (builder);
  json_builder_end_object (builder);
  return write_json (builder, directory, "open_clip_config.json", error);
}

gboolean
clip_export_config (
    const ClipModelConfig *config, ClipLayout layout, const char *directory, ClipDtype dtype, GError **error)
{
  if (layout == CLIP_LAYOUT_OPENCLIP)
    return write_openclip (config, directory, error);
  return write_hf_config (config, directory, dtype, error) && write_hf_preprocess (config, directory, error);
}
