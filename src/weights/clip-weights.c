/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which format a path has, and opening it. */
#include "weights/clip-weights.h"

#include "weights/clip-safetensors.h"
#include "weights/clip-torch.h"
#include "weights/clip-weights-private.h"

/* The first format that knows a path opens it */
static const struct {
  const char *name;
  gboolean (*detect) (const char *path);
  gboolean (*open) (ClipWeights *weights, const char *path, GError **error);
} formats[] = {
  { "OpenCLIP directory", clip_openclip_detect, clip_openclip_open },
  { "Hugging Face CLIPModel directory", clip_hf_detect, clip_hf_open },
  { "GGUF file", clip_gguf_detect_file, clip_gguf_open_weights },
  { "file of OpenAI's tensors", clip_openai_detect, clip_openai_open },
};

static void
entry_free (gpointer data)
{
  ClipWeightsEntry *entry = data;
  g_free (entry->stored_name);
  g_free (entry);
}

static ClipWeights *
weights_new (void)
{
  ClipWeights *weights = g_new0 (ClipWeights, 1);
  weights->files = g_ptr_array_new_with_free_func ((GDestroyNotify)clip_tensor_file_free);
  weights->tensors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, entry_free);
  return weights;
}

void
clip_weights_free (ClipWeights *weights)
{
  if (!weights)
    return;
  g_hash_table_unref (weights->tensors);
  g_ptr_array_unref (weights->files);
  g_free (weights->config.name);
  g_free (weights->config.directory);
  g_clear_pointer (&weights->config.tokens, g_bytes_unref);
  g_free (weights);
}

/* "a.txt, b.bin, ..." */
static char *
list_directory (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  GString *text = g_string_new (NULL);
  const char *name = NULL;
  for (guint i = 0; dir && i < 6 && (name = g_dir_read_name (dir)); i++) {
    g_autofree char *display = g_filename_display_name (name);
    g_string_append_printf (text, "%s%s", i ? ", " : "", i == 5 ? "..." : display);
  }
  return g_string_free (text, FALSE);
}

static void
set_unknown (GError **error, const char *path)
{
  const char *want
      = "a directory with config.json and model.safetensors (Hugging Face) or with open_clip_config.json and "
        "open_clip_model.safetensors (OpenCLIP), a .pt or .safetensors file of OpenAI's layout, or a GGUF file of clip.cpp";
  if (!g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s: no such file or directory; expected %s",
        path, want);
  } else if (!g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "%s: is no file of weights that is known here; expected %s", path, want);
  } else {
    g_autoptr (GError) local = NULL;
    g_autoptr (GDir) dir = g_dir_open (path, 0, &local);
    g_autofree char *found = list_directory (path);
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "%s: %s; expected %s. Download the whole model directory", path,
        !dir     ? local->message
        : *found ? found
                 : "an empty directory",
        want);
    if (*found)
      g_prefix_error (error, "no model found: ");
  }
}

/* (transfer full): the directory of a file that a configuration beside it describes, else @path */
static char *
described_directory (const char *path)
{
  static const char *const names[][2] = { { "model.safetensors", "config.json" },
    { "pytorch_model.bin", "config.json" }, { "open_clip_model.safetensors", "open_clip_config.json" },
    { "open_clip_pytorch_model.bin", "open_clip_config.json" } };
  g_autofree char *base = g_path_get_basename (path);
  g_autofree char *directory = g_path_get_dirname (path);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *config = g_build_filename (directory, names[i][1], NULL);
    if (g_str_equal (base, names[i][0]) && g_file_test (path, G_FILE_TEST_IS_REGULAR)
        && g_file_test (config, G_FILE_TEST_EXISTS))
      return g_steal_pointer (&directory);
  }
  return g_strdup (path);
}

ClipWeights *
clip_weights_open (const char *given, GError **error)
{
  g_return_val_if_fail (given != NULL, NULL);
  g_autoptr (ClipWeights) weights = weights_new ();
  g_autofree char *path = described_directory (given);
  g_autofree char *display = g_filename_display_name (given);
  for (gsize i = 0; i < G_N_ELEMENTS (formats); i++) {
    if (!formats[i].detect (path))
      continue;
    if (formats[i].open (weights, path, error))
      return g_steal_pointer (&weights);
    g_prefix_error (error, "%s: ", display);
    return NULL;
  }
  set_unknown (error, display);
  return NULL;
}

const ClipModelConfig *
clip_weights_get_config (ClipWeights *weights)
{
  return &weights->config;
}

ClipDtype
clip_weights_get_dtype (ClipWeights *weights)
{
  ClipDtype most = CLIP_DTYPE_F32;
  for (guint i = 0; i < G_N_ELEMENTS (weights->bytes); i++)
    if (weights->bytes[i] > weights->bytes[most])
      most = i;
  return most;
}

ClipTensorFile *
clip_weights_open_file (const char *path, GError **error)
{
  return clip_torch_detect_file (path) ? clip_torch_open (path, error)
                                       : clip_safetensors_open (path, error);
}
