/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* transformers' CLIPModel and SiglipModel directories: model.safetensors, or shards named by
 * model.safetensors.index.json. */
#include <string.h>

#include "weights/clip-safetensors.h"
#include "weights/clip-weights-private.h"

#define MAX_INDEX (16u << 20)
#define MAX_SHARDS 1024
#define SINGLE "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define PICKLE "pytorch_model.bin"

typedef struct {
  ClipWeights *weights;
  GHashTable
      *shards;     /* file name -> ClipTensorFile of weights->files; NULL when there is one file */
  JsonObject *map; /* stored tensor name -> file name */
} Source;

gboolean
clip_hf_detect (const char *path)
{
  static const char *const names[]
      = { "config.json", SINGLE, INDEX, PICKLE };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *file = g_build_filename (path, names[i], NULL);
    if (g_file_test (file, G_FILE_TEST_EXISTS))
      return TRUE;
  }
  return FALSE;
}

/* canonical -> stored, in this order, each at most once: ".attn.q." of a block, then the towers'
 * own */
static const struct {
  const char *canonical, *stored;
} block_names[] = { { "ln_1.", "layer_norm1." }, { "ln_2.", "layer_norm2." },
  { "attn.q.", "self_attn.q_proj." }, { "attn.k.", "self_attn.k_proj." },
  { "attn.v.", "self_attn.v_proj." }, { "attn.out.", "self_attn.out_proj." }, { "mlp.", "mlp." } },
  tower_names[]
  = { { "vision.patch_embed.weight", "vision_model.embeddings.patch_embedding.weight" },
      { "vision.class_embedding", "vision_model.embeddings.class_embedding" },
      { "vision.positions", "vision_model.embeddings.position_embedding.weight" },
      /* the missing letters are transformers' own */
      { "vision.ln_pre.", "vision_model.pre_layrnorm." },
      { "vision.ln_post.", "vision_model.post_layernorm." },
      { "vision.projection.weight", "visual_projection.weight" },
      { "text.token_embedding.weight", "text_model.embeddings.token_embedding.weight" },
      { "text.positions", "text_model.embeddings.position_embedding.weight" },
      { "text.ln_final.", "text_model.final_layer_norm." },
      { "text.projection.weight", "text_projection.weight" } };

/* "vision.blocks.3.attn.q.bias" -> "vision_model.encoder.layers.3.self_attn.q_proj.bias" */
static char *
stored_block_name (const char *tower, const char *rest)
{
  const char *leaf = strchr (rest, '.') + 1;
  for (gsize i = 0; i < G_N_ELEMENTS (block_names); i++)
    if (g_str_has_prefix (leaf, block_names[i].canonical))
      return g_strdup_printf ("%s_model.encoder.layers.%.*s%s%s", tower, (int)(leaf - rest), rest,
          block_names[i].stored, leaf + strlen (block_names[i].canonical));
  return NULL;
}

char *
clip_hf_stored_name (const char *canonical)
{
  if (g_str_has_prefix (canonical, "vision.blocks."))
    return stored_block_name ("vision", canonical + strlen ("vision.blocks."));
  if (g_str_has_prefix (canonical, "text.blocks."))
    return stored_block_name ("text", canonical + strlen ("text.blocks."));
  for (gsize i = 0; i < G_N_ELEMENTS (tower_names); i++)
    if (g_str_has_prefix (canonical, tower_names[i].canonical))
      return g_strconcat (
          tower_names[i].stored, canonical + strlen (tower_names[i].canonical), NULL);
  return NULL;
}

/* The file that holds a tensor; where the index does not know it, an error that says so */
static ClipTensorFile *
source_file (Source *source, const char *stored_name, GError **error)
{
  if (!source->map)
    return source->weights->files->pdata[0];
  const char *shard = json_object_get_string_member_with_default (source->map, stored_name, NULL);
  if (shard)
    return g_hash_table_lookup (source->shards, shard);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "model.safetensors.index.json: tensor %s is missing; is this another model's config.json, or "
      "no CLIP model?",
      stored_name);
  return NULL;
}

static gboolean
take_tensor (
    const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  Source *source = user_data;
  ClipTensorView view = { 0 };
  g_autofree char *stored = source->weights->config.family == CLIP_FAMILY_SIGLIP
                                ? clip_siglip_stored_name (name, &view)
                                : clip_hf_stored_name (name);
  view.stored_name = stored;
  view.file = source_file (source, stored, error);
  return view.file && clip_weights_add_view (source->weights, name, shape, n_dims, &view, error);
}

/* A config with too few layers would load and give wrong answers */
static gboolean
check_no_layer_more (Source *source, const char *tower, guint layers, GError **error)
{
  g_autofree char *canonical = g_strdup_printf ("%s.blocks.%u.ln_1.weight", tower, layers);
  g_autofree char *stored = clip_hf_stored_name (canonical);
  gboolean found = FALSE;
  for (guint i = 0; i < source->weights->files->len; i++)
    found |= clip_tensor_file_lookup (source->weights->files->pdata[i], stored) != NULL;
  if (!found)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: tensor %s exists, but config.json says %u layers; is this another model's config.json?",
      clip_tensor_file_get_name (source->weights->files->pdata[0]), stored, layers);
  return FALSE;
}

static gboolean
take_logit_bias (Source *source, GError **error)
{
  if (source->weights->config.family != CLIP_FAMILY_SIGLIP)
    return TRUE;
  ClipTensorFile *file = source_file (source, "logit_bias", error);
  return file && clip_weights_set_logit_bias (source->weights, file, "logit_bias", error);
}

static gboolean
take_all (Source *source, GError **error)
{
  ClipModelConfig *config = &source->weights->config;
  if (!clip_weights_foreach_tensor (config, take_tensor, source, error))
    return FALSE;
  ClipTensorFile *file = source_file (source, "logit_scale", error);
  return file && clip_weights_set_logit_scale (source->weights, file, "logit_scale", error)
         && take_logit_bias (source, error)
         && check_no_layer_more (source, "vision", config->vision.layers, error)
         && check_no_layer_more (source, "text", config->text.layers, error);
}

/* An index of strangers must not lead out of its directory */
static gboolean
is_plain_name (const char *name)
{
  return *name && *name != '.' && !strpbrk (name, "/\\") && g_str_has_suffix (name, ".safetensors");
}

static gboolean
open_shard (Source *source, const char *directory, const char *name, GError **error)
{
  if (g_hash_table_contains (source->shards, name))
    return TRUE;
  if (!is_plain_name (name) || g_hash_table_size (source->shards) == MAX_SHARDS) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "model.safetensors.index.json: weight_map names the file \"%.100s\", expected at most %d "
        "plain names of "
        ".safetensors files in the same directory",
        name, MAX_SHARDS);
    return FALSE;
  }
  g_autofree char *path = g_build_filename (directory, name, NULL);
  ClipTensorFile *file = clip_safetensors_open (path, error);
  if (!file)
    return FALSE;
  g_ptr_array_add (source->weights->files, file);
  g_hash_table_insert (source->shards, g_strdup (name), file);
  return TRUE;
}

static gboolean
open_shards (Source *source, const char *directory, GError **error)
{
  JsonObjectIter iter;
  const char *tensor;
  JsonNode *node;
  json_object_iter_init (&iter, source->map);
  while (json_object_iter_next (&iter, &tensor, &node)) {
    const char *name = NULL;
    if (!clip_json_read_string (source->map, tensor, &name, error)
        || !open_shard (source, directory, name ? name : "", error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
open_index (ClipWeights *weights, const char *directory, const char *path, GError **error)
{
  g_autoptr (JsonNode) root = clip_json_load (path, MAX_INDEX, error);
  if (!root)
    return FALSE;
  Source source = { weights, NULL, clip_json_object (json_node_get_object (root), "weight_map") };
  if (!source.map || json_object_get_size (source.map) == 0) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "model.safetensors.index.json: weight_map is absent or empty; download it again");
    return FALSE;
  }
  source.shards = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  gboolean ok = open_shards (&source, directory, error) && take_all (&source, error);
  g_hash_table_unref (source.shards);
  return ok;
}

static gboolean
has (const char *directory, const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

/* The file of weights, as transformers looks for it; NULL after an error: half a download */
static const char *
find_weights (const char *directory, GError **error)
{
  static const char *const names[] = { SINGLE, INDEX, PICKLE };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    if (has (directory, "config.json") && has (directory, names[i]))
      return names[i];
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s is missing; download the whole model directory",
      has (directory, "config.json") ? SINGLE : "config.json");
  return NULL;
}

gboolean
clip_hf_open (ClipWeights *weights, const char *directory, GError **error)
{
  const char *name = find_weights (directory, error);
  if (!name || !clip_hf_read_config (&weights->config, directory, error)
      || !clip_hf_read_preprocess (&weights->config, directory, error))
    return FALSE;
  g_autofree char *path = g_build_filename (directory, name, NULL);
  if (g_str_equal (name, INDEX))
    return open_index (weights, directory, path, error);
  ClipTensorFile *file = clip_weights_open_file (path, error);
  if (!file)
    return FALSE;
  g_ptr_array_add (weights->files, file);
  Source source = { weights, NULL, NULL };
  return take_all (&source, error);
}
