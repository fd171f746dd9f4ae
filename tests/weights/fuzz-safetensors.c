/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer entry: any bytes as safetensors, as config.json, open_clip_config.json and preprocessor_config.json.
 * Run: fuzz-safetensors -max_total_time=60 CORPUS-DIRECTORY */
#include <string.h>

#include "fuzz-touch.h"
#include "weights/clip-safetensors.h"
#include "weights/clip-weights-private.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static void
use_json (const guint8 *data, gsize size)
{
  g_autoptr (JsonNode) root = clip_json_parse ((const char *)data, size, NULL);
  ClipModelConfig config = { 0 };
  config.preprocess.size = 224;
  if (!root)
    return;
  const char *text_prefix = NULL;
  ClipModelConfig openclip = { 0 };
  clip_openclip_config_from_json (&openclip, &text_prefix, json_node_get_object (root), NULL);
  clip_hf_config_from_json (&config, json_node_get_object (root), NULL);
  clip_hf_preprocess_from_json (&config.preprocess, json_node_get_object (root), NULL);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipTensorFile) file = clip_safetensors_parse (data, size, "fuzz", &error);
  if (file)
    touch_tensors (file);
  use_json (data, size);
  return 0;
}
