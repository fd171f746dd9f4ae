/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 info: the model, the devices and the versions. */
#include "config.h"

#include <gst/gst.h>
#include <stdio.h>

#include "clip-tool.h"
#include "engine/clip-engine.h"

static const char *
activation_name (ClipActivation activation)
{
  static const char *const names[] = { "none", "quick_gelu", "gelu", "gelu_tanh", "relu" };
  return names[activation];
}

static void
print_tower (const char *name, const ClipTransformerConfig *tower)
{
  printf ("  %-12s width %u, %u layers, %u heads, %s\n", name, tower->width, tower->layers, tower->heads,
      activation_name (tower->activation));
}

static void
print_scoring (const ClipModelConfig *config)
{
  if (config->family == CLIP_FAMILY_SIGLIP)
    printf ("  %-12s sigmoid, logit scale %.6g, bias %.6g\n", "scoring", (double) config->logit_scale,
        (double) config->logit_bias);
  else
    printf ("  %-12s softmax, logit scale %.6g\n", "scoring", (double) config->logit_scale);
}

static void
print_people (const ClipModelConfig *config, ClipDtype dtype, ClipEngine *engine, const char *problem,
    char **devices)
{
  g_autofree char *gst = gst_version_string ();
  printf ("gst-clip %s, %s\n\nModel\n  %-12s %s\n  %-12s %s\n", VERSION, gst, "name", config->name,
      "directory", config->directory);
  printf ("  %-12s %ux%u, patches of %u\n", "picture", config->image_size, config->image_size,
      config->patch_size);
  print_tower ("image", &config->vision);
  print_tower ("text", &config->text);
  printf ("  %-12s %u tokens, context %u\n", "vocabulary", config->vocab_size, config->context_length);
  printf ("  %-12s %u values, stored as %s\n", "embedding", config->embed_dim, clip_dtype_get_name (dtype));
  print_scoring (config);
  puts ("\nOpenCL devices");
  for (guint i = 0; devices[i]; i++)
    printf ("  %-3u %s\n", i, devices[i]);
  if (engine)
    printf ("\nUsed: %s in %s, matrix products by %s; CLBlast is %stuned for it\n", clip_engine_get_device_name (engine),
        clip_precision_get_name (clip_engine_get_precision (engine)), clip_engine_get_gemm_backend (engine),
        clip_engine_is_tuned (engine) ? "" : "not ");
  else
    printf ("  %s\n", problem);
}

static void
append_string (GString *out, const char *key, const char *value)
{
  g_string_append_printf (out, "%s\"%s\":", out->len > 0 && out->str[out->len - 1] != '{' ? "," : "", key);
  if (value)
    tool_json_string (out, value);
  else
    g_string_append (out, "null");
}

static void
append_tower (GString *out, const char *key, const ClipTransformerConfig *tower)
{
  g_string_append_printf (out, ",\"%s\":{\"width\":%u,\"layers\":%u,\"heads\":%u,\"mlp_width\":%u", key,
      tower->width, tower->layers, tower->heads, tower->mlp_width);
  append_string (out, "activation", activation_name (tower->activation));
  g_string_append_c (out, '}');
}

static void
append_model (GString *out, const ClipModelConfig *config, ClipDtype dtype)
{
  g_string_append (out, ",\"model\":{");
  append_string (out, "name", config->name);
  append_string (out, "directory", config->directory);
  append_string (out, "stored", clip_dtype_get_name (dtype));
  g_string_append_printf (out, ",\"image_size\":%u,\"patch_size\":%u,\"embed_dim\":%u,\"vocab_size\":%u,"
                               "\"context_length\":%u,\"logit_scale\":",
      config->image_size, config->patch_size, config->embed_dim, config->vocab_size, config->context_length);
  tool_json_float (out, config->logit_scale);
  g_string_append (out, ",\"logit_bias\":");
  tool_json_float (out, config->logit_bias);
  append_string (out, "scoring", config->family == CLIP_FAMILY_SIGLIP ? "sigmoid" : "softmax");
  append_tower (out, "vision", &config->vision);
  append_tower (out, "text", &config->text);
  g_string_append_c (out, '}');
}

static void
print_json (const ClipModelConfig *config, ClipDtype dtype, ClipEngine *engine, char **devices)
{
  g_autoptr (GString) out = g_string_new ("{");
  g_autofree char *gst = gst_version_string ();
  append_string (out, "version", VERSION);
  append_string (out, "gstreamer", gst);
  append_model (out, config, dtype);
  g_string_append (out, ",\"devices\":[");
  for (guint i = 0; devices[i]; i++) {
    g_string_append (out, i == 0 ? "" : ",");
    tool_json_string (out, devices[i]);
  }
  g_string_append_c (out, ']');
  append_string (out, "device", engine ? clip_engine_get_device_name (engine) : NULL);
  append_string (out, "precision", engine ? clip_precision_get_name (clip_engine_get_precision (engine)) : NULL);
  append_string (out, "gemm_backend", engine ? clip_engine_get_gemm_backend (engine) : NULL);
  g_string_append_printf (out, ",\"tuned\":%s", engine && clip_engine_is_tuned (engine) ? "true" : "false");
  puts (g_string_append (out, "}")->str);
}

static int
run (GError **error)
{
  gst_init (NULL, NULL);
  g_autofree char *path = tool_find_model (error);
  g_autoptr (ClipWeights) weights = path ? clip_weights_open (path, error) : NULL;
  if (!weights)
    return TOOL_FAILED;
  g_autoptr (GError) problem = NULL;
  g_autoptr (ClipEngine) engine = clip_engine_new (path, tool_options.device, tool_options.precision, &problem);
  g_auto (GStrv) devices = clip_device_list ();
  const ClipModelConfig *config = clip_weights_get_config (weights);
  /* without any device there is still something to say, unless a device was asked for */
  if (!engine && (tool_options.device || *devices)) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return TOOL_FAILED;
  }
  if (tool_options.json)
    print_json (config, clip_weights_get_dtype (weights), engine, devices);
  else
    print_people (config, clip_weights_get_dtype (weights), engine, problem ? problem->message : NULL, devices);
  return 0;
}

const ToolCommand tool_info = { "info", NULL, "Show the model, the OpenCL devices and the versions", NULL, NULL,
  NULL, run, TRUE };
