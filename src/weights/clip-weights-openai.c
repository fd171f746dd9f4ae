/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single files with openai/CLIP's tensor names and no configuration: the sizes follow from the tensors' shapes, as in
 * openai/CLIP model.py build_model. */
#include <string.h>

#include "weights/clip-safetensors.h"
#include "weights/clip-torch.h"
#include "weights/clip-weights-private.h"

#define HEAD_WIDTH 64 /* of all of OpenAI's transformers */

typedef struct {
  ClipTensorFile *file;
  gboolean failed;
  GError **error;
} Shapes;

/* Dimension @dim of a tensor that must have @n_dims of them, at most @max; 0 after an error */
static guint
side_of (Shapes *shapes, const char *name, guint n_dims, guint dim, guint max)
{
  const ClipTensor *tensor = clip_tensor_file_lookup (shapes->file, name);
  if (shapes->failed)
    return 0;
  if (tensor && tensor->n_dims == n_dims && tensor->shape[dim] > 0 && tensor->shape[dim] <= max)
    return tensor->shape[dim];
  g_autofree char *found
      = tensor ? clip_tensor_shape_string (tensor->shape, tensor->n_dims) : g_strdup ("missing");
  g_set_error (shapes->error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: tensor %s is %s, expected %u dimensions of at most %u; is this a CLIP model of OpenAI's?",
      clip_tensor_file_get_name (shapes->file), name, found, n_dims, max);
  shapes->failed = TRUE;
  return 0;
}

/* How many of the tensors named by @format with 0, 1, ... exist in a row */
static guint G_GNUC_PRINTF (2, 3) count_layers (Shapes *shapes, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *prefix = g_strdup_vprintf (format, args);
  va_end (args);
  for (guint i = 0; i < 256; i++) {
    g_autofree char *block = g_strdup_printf ("%s.%u.attn.in_proj_weight", prefix, i);
    g_autofree char *bottleneck = g_strdup_printf ("%s.%u.conv1.weight", prefix, i);
    if (!clip_tensor_file_lookup (shapes->file, block)
        && !clip_tensor_file_lookup (shapes->file, bottleneck))
      return i;
  }
  return 256;
}

/* Side of the square grid that a table of positions covers beside its first row; 0 after an error */
static guint
grid_of (Shapes *shapes, const char *name)
{
  guint rows = side_of (shapes, name, 2, 0, 1u << 24), side = 0;
  while ((side + 1) * (side + 1) < rows)
    side++;
  if (shapes->failed || (side > 0 && side * side + 1 == rows))
    return side;
  g_set_error (shapes->error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: %s has %u rows, expected one more than a square", clip_tensor_file_get_name (shapes->file),
      name, rows);
  shapes->failed = TRUE;
  return 0;
}

static void
deduce_transformer (Shapes *shapes, const char *prefix, ClipTransformerConfig *tower)
{
  g_autofree char *fc = g_strdup_printf ("%s.0.mlp.c_fc.weight", prefix);
  tower->layers = count_layers (shapes, "%s", prefix);
  tower->mlp_width = side_of (shapes, fc, 2, 0, 65536);
  tower->heads = tower->width / HEAD_WIDTH;
}

static void
deduce_vit (Shapes *shapes, ClipModelConfig *config)
{
  config->vision.width = side_of (shapes, "visual.conv1.weight", 4, 0, 16384);
  config->patch_size = side_of (shapes, "visual.conv1.weight", 4, 3, 4096);
  config->image_size = grid_of (shapes, "visual.positional_embedding") * config->patch_size;
  deduce_transformer (shapes, "visual.transformer.resblocks", &config->vision);
}

static void
deduce_resnet (Shapes *shapes, ClipModelConfig *config)
{
  config->vision_kind = CLIP_VISION_RESNET;
  config->vision.width = side_of (shapes, "visual.layer1.0.conv1.weight", 4, 0, 512);
  config->vision.heads = config->vision.width * 32 / HEAD_WIDTH;
  config->image_size = grid_of (shapes, "visual.attnpool.positional_embedding") * 32;
  for (guint s = 0; s < CLIP_RESNET_STAGES; s++)
    config->stage_blocks[s] = count_layers (shapes, "visual.layer%u", s + 1);
}

static gboolean
check_deduced (const Shapes *shapes, const ClipModelConfig *config, GError **error)
{
  gboolean vision = config->vision_kind == CLIP_VISION_RESNET
                        ? config->image_size <= 2048 && config->vision.width % 2 == 0 && config->stage_blocks[0]
                              && config->stage_blocks[1] && config->stage_blocks[2] && config->stage_blocks[3]
                        : config->image_size <= 4096 && config->vision.layers > 0;
  if (vision && config->vision.heads > 0 && config->vision.width % 2 == 0 && config->text.layers > 0
      && config->text.heads > 0 && config->text.width % HEAD_WIDTH == 0
      && (config->vision_kind == CLIP_VISION_RESNET || config->vision.width % HEAD_WIDTH == 0))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: the tensors give an image encoder of width %u and %u heads for %u pixels, and a text encoder of width %u with "
      "%u layers; expected widths that are multiples of %d, and layers in each",
      clip_tensor_file_get_name (shapes->file), config->vision.width, config->vision.heads, config->image_size,
      config->text.width, config->text.layers, HEAD_WIDTH);
  return FALSE;
}

gboolean
clip_openai_config_from_tensors (ClipModelConfig *config, ClipTensorFile *file, GError **error)
{
  Shapes shapes = { file, FALSE, error };
  if (clip_tensor_file_lookup (file, "visual.layer1.0.conv1.weight"))
    deduce_resnet (&shapes, config);
  else
    deduce_vit (&shapes, config);
  config->embed_dim = side_of (&shapes, "text_projection", 2, 1, 16384);
  config->context_length = side_of (&shapes, "positional_embedding", 2, 0, 4096);
  config->vocab_size = side_of (&shapes, "token_embedding.weight", 2, 0, 10000000);
  config->text.width = side_of (&shapes, "ln_final.weight", 1, 0, 16384);
  deduce_transformer (&shapes, "transformer.resblocks", &config->text);
  if (shapes.failed || !check_deduced (&shapes, config, error))
    return FALSE;
  config->vision.activation = config->text.activation = CLIP_ACTIVATION_QUICK_GELU;
  config->vision.layernorm_eps = config->text.layernorm_eps = 1e-5f;
  config->bos_id = config->vocab_size - 2;
  config->eos_id = config->vocab_size - 1;
  config->preprocess.size = config->image_size;
  clip_preprocess_set_openai (&config->preprocess);
  return TRUE;
}

#define MAX_ENTRIES 1000 /* of a directory that is looked through */

static gboolean
is_weights (const char *path)
{
  return g_file_test (path, G_FILE_TEST_IS_REGULAR)
         && (clip_torch_detect_file (path) || clip_safetensors_detect_file (path));
}

/* (transfer full) (nullable): the file of weights alone, PyTorch's archive or a safetensors file: @path itself, or the
 * only one in a directory */
static char *
find_file (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  g_autofree char *found = NULL;
  const char *name;
  if (!dir)
    return is_weights (path) ? g_strdup (path) : NULL;
  for (guint i = 0; i < MAX_ENTRIES && (name = g_dir_read_name (dir)); i++) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    if (g_str_has_suffix (name, ".part") || !is_weights (file)) /* half a download of fetch-model's */
      continue;
    if (found)
      return NULL;
    found = g_steal_pointer (&file);
  }
  return g_steal_pointer (&found);
}

gboolean
clip_openai_detect (const char *path)
{
  g_autofree char *file = find_file (path);
  return file != NULL;
}

gboolean
clip_weights_is_archive_directory (const char *path)
{
  return g_file_test (path, G_FILE_TEST_IS_DIR) && clip_openai_detect (path);
}

/* (transfer full): "ViT-B-32" of "/models/ViT-B-32.pt" */
static char *
stem (const char *path)
{
  char *base = g_path_get_basename (path);
  char *dot = strrchr (base, '.');
  if (dot && dot != base)
    *dot = '\0';
  return base;
}

gboolean
clip_openai_open (ClipWeights *weights, const char *path, GError **error)
{
  ClipModelConfig *config = &weights->config;
  g_autofree char *found = find_file (path);
  ClipTensorFile *file = clip_weights_open_file (found ? found : path, error);
  if (!file)
    return FALSE;
  g_ptr_array_add (weights->files, file);
  if (!clip_openai_config_from_tensors (config, file, error))
    return FALSE;
  g_autofree char *name = stem (found);
  config->directory = g_path_get_dirname (found);
  config->name = clip_weights_model_name (config, name);
  return clip_openai_take_tensors (weights, file, "", error);
}
