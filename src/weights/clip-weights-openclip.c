/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* OpenCLIP's directories: open_clip_config.json beside open_clip_model.safetensors, or the
 * older open_clip_pytorch_model.bin. */
#include "weights/clip-weights-private.h"

#define MAX_CONFIG (4u << 20)
#define CONFIG "open_clip_config.json"
#define WEIGHTS "open_clip_model.safetensors"
#define OLD_WEIGHTS "open_clip_pytorch_model.bin"

static gboolean
has (const char *directory, const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

/* Some repositories hold the model in both layouts; then the Hugging Face one is read */
gboolean
clip_openclip_detect (const char *path)
{
  return (has (path, CONFIG) || has (path, WEIGHTS) || has (path, OLD_WEIGHTS))
         && !(has (path, "config.json") && has (path, "model.safetensors"));
}

static gboolean
read_config (ClipWeights *weights, const char *directory, const char **text_prefix, GError **error)
{
  g_autofree char *path = g_build_filename (directory, CONFIG, NULL);
  g_autoptr (JsonNode) root = clip_json_load (path, MAX_CONFIG, error);
  ClipModelConfig *config = &weights->config;
  if (!root)
    return FALSE;
  if (!clip_openclip_config_from_json (config, text_prefix, json_node_get_object (root), error)) {
    g_prefix_error (error, CONFIG ": ");
    return FALSE;
  }
  config->directory = g_strdup (directory);
  config->name = clip_weights_model_name (config, directory);
  return TRUE;
}

gboolean
clip_openclip_open (ClipWeights *weights, const char *directory, GError **error)
{
  const char *text_prefix = "";
  const char *name = has (directory, WEIGHTS) || !has (directory, OLD_WEIGHTS) ? WEIGHTS : OLD_WEIGHTS;
  const char *missing = !has (directory, CONFIG) ? CONFIG : !has (directory, name) ? name : NULL;
  if (missing) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s is missing; download the whole model directory", missing);
    return FALSE;
  }
  if (!read_config (weights, directory, &text_prefix, error))
    return FALSE;
  g_autofree char *path = g_build_filename (directory, name, NULL);
  ClipTensorFile *file = clip_weights_open_file (path, error);
  if (!file)
    return FALSE;
  g_ptr_array_add (weights->files, file);
  return clip_openai_take_tensors (weights, file, text_prefix, error);
}
