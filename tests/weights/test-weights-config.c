/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* config.json and preprocessor_config.json: defaults, legacy rules, refusals. */
#include <string.h>

#include "weights/clip-weights-private.h"

static void
check_tower (const ClipTransformerConfig *tower, guint width, guint layers, guint heads, guint mlp)
{
  g_assert_cmpuint (tower->width, ==, width);
  g_assert_cmpuint (tower->layers, ==, layers);
  g_assert_cmpuint (tower->heads, ==, heads);
  g_assert_cmpuint (tower->mlp_width, ==, mlp);
  g_assert_cmpint (tower->activation, ==, CLIP_ACTIVATION_QUICK_GELU);
  g_assert_cmpfloat (tower->layernorm_eps, ==, 1e-5f);
}

static void
check_ids (const ClipModelConfig *config, guint vocabulary, guint context)
{
  g_assert_cmpuint (config->vocab_size, ==, vocabulary);
  g_assert_cmpuint (config->context_length, ==, context);
  g_assert_cmpint (config->bos_id, ==, vocabulary - 2);
  g_assert_cmpint (config->eos_id, ==, vocabulary - 1);
}

static void
check_preprocess (const ClipPreprocessConfig *preprocess, guint size)
{
  g_assert_cmpuint (preprocess->size, ==, size);
  g_assert_cmpint (preprocess->mode, ==, CLIP_RESIZE_SHORTEST);
  g_assert_cmpint (preprocess->filter, ==, CLIP_FILTER_BICUBIC);
  g_assert_cmpfloat (preprocess->mean[0], ==, 0.48145466f);
  g_assert_cmpfloat (preprocess->mean[2], ==, 0.40821073f);
  g_assert_cmpfloat (preprocess->std[0], ==, 0.26862954f);
  g_assert_cmpfloat (preprocess->std[2], ==, 0.27577711f);
}

/* Whether a configuration is accepted; a refusal must come with its error */
static gboolean
accepts_config (const char *text, ClipModelConfig *config)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = clip_json_parse (text, strlen (text), &error);
  gboolean ok = root && clip_hf_config_from_json (config, json_node_get_object (root), &error);
  g_assert_true (ok == (error == NULL));
  return ok;
}

static void
test_config_defaults (void)
{
  ClipModelConfig config = { 0 };
  g_assert_true (accepts_config ("{\"model_type\":\"clip\"}", &config));
  check_tower (&config.vision, 768, 12, 12, 3072);
  check_tower (&config.text, 512, 12, 8, 2048);
  check_ids (&config, 49408, 77);
  g_assert_cmpuint (config.embed_dim, ==, 512);
  g_assert_cmpuint (config.patch_size, ==, 32);
  g_assert_true (
      accepts_config ("{\"model_type\":\"clip\",\"text_config_dict\":null,\"vision_config_dict\":"
                      "{\"hidden_size\":1024,\"num_attention_heads\":16,\"hidden_act\":\"gelu\"},"
                      "\"vision_config\":{\"hidden_size\":64}}",
          &config));
  g_assert_cmpuint (config.vision.width, ==, 1024);
  g_assert_cmpint (config.vision.activation, ==, CLIP_ACTIVATION_GELU);
  g_assert_true (
      accepts_config ("{\"model_type\":\"clip\",\"text_config\":{\"hidden_act\":\"gelu_new\","
                      "\"eos_token_id\":7,\"bos_token_id\":6}}",
          &config));
  g_assert_cmpint (config.text.activation, ==, CLIP_ACTIVATION_GELU_TANH);
  g_assert_cmpint (config.eos_id, ==, 7);
  g_assert_cmpint (config.bos_id, ==, 6);
}

static void
check_siglip_tower (const ClipTransformerConfig *tower, guint width, guint layers)
{
  g_assert_cmpuint (tower->width, ==, width);
  g_assert_cmpuint (tower->layers, ==, layers);
  g_assert_cmpint (tower->activation, ==, CLIP_ACTIVATION_GELU_TANH);
  g_assert_cmpfloat (tower->layernorm_eps, ==, 1e-6f);
}

/* the published files hold little more than what differs from the defaults */
static void
test_config_siglip (void)
{
  ClipModelConfig config = { 0 };
  g_assert_true (accepts_config ("{\"model_type\":\"siglip\"}", &config));
  g_assert_cmpint (config.family, ==, CLIP_FAMILY_SIGLIP);
  check_siglip_tower (&config.vision, 768, 12);
  check_siglip_tower (&config.text, 768, 12);
  g_assert_cmpuint (config.patch_size, ==, 16);
  g_assert_cmpuint (config.embed_dim, ==, 768);
  g_assert_cmpuint (config.vocab_size, ==, 32000);
  g_assert_cmpuint (config.context_length, ==, 64);
  g_assert_true (accepts_config (
      "{\"model_type\":\"siglip\",\"text_config\":{\"hidden_size\":1152,\"intermediate_size\":4304,"
      "\"num_hidden_layers\":27,\"num_attention_heads\":16,\"eos_token_id\":49407},\"vision_config\":"
      "{\"hidden_size\":1152,\"image_size\":384,\"intermediate_size\":4304,\"num_attention_heads\":16,"
      "\"num_hidden_layers\":27,\"patch_size\":14}}",
      &config));
  check_siglip_tower (&config.vision, 1152, 27);
  g_assert_cmpuint (config.image_size / config.patch_size, ==, 27);
  g_assert_cmpuint (config.embed_dim, ==, 1152);
}

static void
test_config_bad (void)
{
  static const char *const bad[] = { "{}", "[]", "", "{\"model_type\":\"siglip2\"}",
    "{\"model_type\":\"blip\"}", "{\"model_type\":7}",
    "{\"model_type\":\"siglip\",\"vision_config\":{\"vision_use_head\":false}}",
    "{\"model_type\":\"siglip\",\"vision_config\":{\"patch_size\":225}}",
    "{\"model_type\":\"siglip\",\"text_config\":{\"projection_size\":512}}",
    "{\"model_type\":\"siglip\",\"text_config\":{\"hidden_act\":\"relu\"}}", "{\"model_type\":\"clip\",\"projection_dim\":0}",
    "{\"model_type\":\"clip\",\"projection_dim\":512.5}",
    "{\"model_type\":\"clip\",\"projection_dim\":99999999999999999999999}",
    "{\"model_type\":\"clip\",\"vision_config\":[]}",
    "{\"model_type\":\"clip\",\"text_config_dict\":3}",
    "{\"model_type\":\"clip\",\"vision_config\":{\"image_size\":225}}",
    "{\"model_type\":\"clip\",\"vision_config\":{\"num_attention_heads\":2}}",
    "{\"model_type\":\"clip\",\"vision_config\":{\"num_channels\":1}}",
    "{\"model_type\":\"clip\",\"vision_config\":{\"hidden_act\":\"relu\"}}",
    "{\"model_type\":\"clip\",\"text_config\":{\"layer_norm_eps\":0}}",
    "{\"model_type\":\"clip\",\"text_config\":{\"layer_norm_eps\":1e999}}",
    "{\"model_type\":\"clip\",\"text_config\":{\"eos_token_id\":49408}}",
    "{\"model_type\":\"clip\",\"model_type\":\"clip\"}", "{/* \" */\"model_type\":\"clip\"}" };
  ClipModelConfig config = { 0 };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    if (accepts_config (bad[i], &config))
      g_error ("accepted: %s", bad[i]);
}

static gboolean
accepts_preprocess (const char *text, ClipPreprocessConfig *config)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = clip_json_parse (text, strlen (text), &error);
  g_assert_no_error (error);
  *config = (ClipPreprocessConfig){ .size = 224 };
  return clip_hf_preprocess_from_json (config, json_node_get_object (root), &error);
}

static void
test_preprocess (void)
{
  static const char *const bad[]
      = { "{\"crop_size\":256}", "{\"size\":256}", "{\"size\":{\"longest_edge\":224}}",
          "{\"size\":{\"height\":224,\"width\":200}}", "{\"do_center_crop\":false}",
          "{\"resample\":1}", "{\"do_rescale\":false}", "{\"rescale_factor\":1}",
          "{\"do_resize\":false}", "{\"image_std\":[0,1,1]}", "{\"image_mean\":[1,1]}",
          "{\"do_normalize\":1}", "{\"size\":\"224\"}", "{\"crop_size\":{\"height\":224}}" };
  ClipPreprocessConfig config;
  g_assert_true (accepts_preprocess ("{}", &config));
  check_preprocess (&config, 224);
  g_assert_true (accepts_preprocess (
      "{\"size\":224,\"crop_size\":224,\"resample\":2,\"do_normalize\":false}", &config));
  g_assert_cmpint (config.filter, ==, CLIP_FILTER_BILINEAR);
  g_assert_cmpfloat (config.mean[1], ==, 0);
  g_assert_cmpfloat (config.std[1], ==, 1);
  g_assert_true (accepts_preprocess (
      "{\"size\":{\"height\":224,\"width\":224},\"do_center_crop\":false}", &config));
  g_assert_cmpint (config.mode, ==, CLIP_RESIZE_SQUASH);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    if (accepts_preprocess (bad[i], &config))
      g_error ("accepted: %s", bad[i]);
}

static void
test_preprocess_siglip (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) empty = json_object_new ();
  ClipPreprocessConfig config = { .size = 256 };
  g_assert_true (clip_siglip_preprocess_from_json (&config, empty, &error));
  g_assert_cmpint (config.mode, ==, CLIP_RESIZE_SQUASH);
  g_assert_cmpint (config.filter, ==, CLIP_FILTER_BICUBIC);
  g_assert_cmpfloat (config.mean[1], ==, 0.5f);
  g_assert_cmpfloat (config.std[2], ==, 0.5f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/weights/config-defaults", test_config_defaults);
  g_test_add_func ("/weights/config-siglip", test_config_siglip);
  g_test_add_func ("/weights/preprocess-siglip", test_preprocess_siglip);
  g_test_add_func ("/weights/config-bad", test_config_bad);
  g_test_add_func ("/weights/preprocess", test_preprocess);
  return g_test_run ();
}
