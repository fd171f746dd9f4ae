/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* preprocessor_config.json of transformers' CLIPImageProcessor and the older CLIPFeatureExtractor.
 */
#include <math.h>

#include "weights/clip-weights-private.h"

#define MAX_CONFIG (1u << 20)

static const float clip_mean[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
static const float clip_std[3] = { 0.26862954f, 0.26130258f, 0.27577711f };

static gboolean
fail (GError **error, const char *message)
{
  g_set_error_literal (error, CLIP_ERROR, CLIP_ERROR_MODEL, message);
  return FALSE;
}

static gboolean
check_side (const char *what, guint found, guint expected, GError **error)
{
  if (found == expected)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s is %u, expected %u, the image_size of config.json; are the two files of one model?", what,
      found, expected);
  return FALSE;
}

/* {"height":S,"width":S} */
static gboolean
read_square (JsonObject *json, const char *what, guint size, GError **error)
{
  guint height = 0, width = 0;
  return clip_json_read_uint (json, "height", 1, 65536, &height, error)
         && clip_json_read_uint (json, "width", 1, 65536, &width, error)
         && check_side (what, height, size, error) && check_side (what, width, size, error);
}

/* A whole number or {"shortest_edge":S} keeps the aspect ratio, {"height","width"} does not */
static gboolean
read_size (JsonObject *root, ClipPreprocessConfig *config, GError **error)
{
  JsonObject *json = clip_json_object (root, "size");
  guint edge = config->size;
  config->mode = CLIP_RESIZE_SHORTEST;
  if (json && clip_json_has (json, "height")) {
    config->mode = CLIP_RESIZE_SQUASH;
    return read_square (json, "size", config->size, error);
  }
  if (json && !clip_json_has (json, "shortest_edge"))
    return fail (error, "size has neither shortest_edge nor height and width");
  return clip_json_read_uint (
             json ? json : root, json ? "shortest_edge" : "size", 1, 65536, &edge, error)
         && check_side ("size", edge, config->size, error);
}

static gboolean
read_crop (JsonObject *root, ClipPreprocessConfig *config, GError **error)
{
  gboolean crop = TRUE;
  JsonObject *json = clip_json_object (root, "crop_size");
  guint edge = config->size;
  if (!clip_json_read_bool (root, "do_center_crop", &crop, error))
    return FALSE;
  if (!crop)
    return config->mode == CLIP_RESIZE_SQUASH
           || fail (error, "do_center_crop is false, but size keeps the aspect ratio: pictures "
                           "would not be square");
  if (json)
    return read_square (json, "crop_size", config->size, error);
  return clip_json_read_uint (root, "crop_size", 1, 65536, &edge, error)
         && check_side ("crop_size", edge, config->size, error);
}

static gboolean
read_filter (JsonObject *root, ClipPreprocessConfig *config, GError **error)
{
  guint resample = 3; /* PIL's numbers */
  if (!clip_json_read_uint (root, "resample", 0, 100, &resample, error))
    return FALSE;
  config->filter = resample == 2 ? CLIP_FILTER_BILINEAR : CLIP_FILTER_BICUBIC;
  return resample == 2 || resample == 3
         || fail (error, "resample is neither 3 (bicubic) nor 2 (bilinear)");
}

static gboolean
read_values (JsonObject *root, ClipPreprocessConfig *config, GError **error)
{
  gboolean normalize = TRUE, rescale = TRUE, resize = TRUE;
  float factor = 1.0f / 255;
  if (!clip_json_read_bool (root, "do_normalize", &normalize, error)
      || !clip_json_read_bool (root, "do_rescale", &rescale, error)
      || !clip_json_read_bool (root, "do_resize", &resize, error)
      || !clip_json_read_float (root, "rescale_factor", 0, 1e6, &factor, error)
      || !clip_json_read_rgb (root, "image_mean", -10, 10, config->mean, error)
      || !clip_json_read_rgb (root, "image_std", 1e-3, 1e3, config->std, error))
    return FALSE;
  for (guint i = 0; i < 3 && !normalize; i++) {
    config->mean[i] = 0;
    config->std[i] = 1;
  }
  if (!resize)
    return fail (error, "do_resize is false: frames of any size cannot be used");
  if (!rescale || fabsf (factor * 255 - 1) > 1e-4f)
    return fail (
        error, "do_rescale is false or rescale_factor is not 1/255, which is not supported");
  return TRUE;
}

static gboolean
read_all (ClipPreprocessConfig *config, JsonObject *root, GError **error)
{
  return read_size (root, config, error) && read_crop (root, config, error)
         && read_filter (root, config, error) && read_values (root, config, error);
}

void
clip_preprocess_set_openai (ClipPreprocessConfig *config)
{
  config->mode = CLIP_RESIZE_SHORTEST;
  config->filter = CLIP_FILTER_BICUBIC;
  for (guint i = 0; i < 3; i++) {
    config->mean[i] = clip_mean[i];
    config->std[i] = clip_std[i];
  }
}

/* @config->size holds the model's image size */
gboolean
clip_hf_preprocess_from_json (ClipPreprocessConfig *config, JsonObject *root, GError **error)
{
  clip_preprocess_set_openai (config);
  return read_all (config, root, error);
}

/* SiglipImageProcessor: to [-1, 1], and not keeping the aspect ratio */
gboolean
clip_siglip_preprocess_from_json (ClipPreprocessConfig *config, JsonObject *root, GError **error)
{
  for (guint i = 0; i < 3; i++)
    config->mean[i] = config->std[i] = 0.5f;
  if (!read_all (config, root, error))
    return FALSE;
  if (!clip_json_has (root, "size"))
    config->mode = CLIP_RESIZE_SQUASH;
  return TRUE;
}

static gboolean
read_family (ClipModelConfig *config, JsonObject *root, GError **error)
{
  return (config->family == CLIP_FAMILY_SIGLIP ? clip_siglip_preprocess_from_json
                                               : clip_hf_preprocess_from_json) (
      &config->preprocess, root, error);
}

gboolean
clip_hf_read_preprocess (ClipModelConfig *config, const char *directory, GError **error)
{
  g_autofree char *path = g_build_filename (directory, "preprocessor_config.json", NULL);
  g_autoptr (JsonNode) root = NULL;
  g_autoptr (JsonObject) empty = json_object_new ();
  config->preprocess.size = config->image_size;
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return read_family (config, empty, error);
  root = clip_json_load (path, MAX_CONFIG, error);
  if (!root)
    return FALSE;
  if (read_family (config, json_node_get_object (root), error))
    return TRUE;
  g_prefix_error (error, "preprocessor_config.json: ");
  return FALSE;
}
