/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GGUF files as clip.cpp's convert_hf_to_gguf.py and its quantize program write them. */
#include <string.h>

#include "weights/clip-weights-private.h"

#define TOKENS "tokenizer.ggml.tokens"
/* clip.cpp stores no logit_scale. OpenAI's and LAION's models all end at the bound of training, 100. */
#define LOGIT_SCALE 100.0f

typedef struct {
  ClipWeights *weights;
  ClipTensorFile *file;
} Source;

/* canonical -> stored; of a block first, then the towers' own. The two halves of the MLP are named
 * against their meaning in clip.cpp: "down" widens */
static const struct {
  const char *canonical, *stored;
} block_names[] = { { "ln_1.", "ln1." }, { "ln_2.", "ln2." }, { "attn.q.", "attn_q." },
  { "attn.k.", "attn_k." }, { "attn.v.", "attn_v." }, { "attn.out.", "attn_out." },
  { "mlp.fc1.", "ffn_down." }, { "mlp.fc2.", "ffn_up." } },
  tower_names[] = { { "vision.patch_embed.weight", "v.patch_embd.weight" },
      { "vision.class_embedding", "v.class_embd" }, { "vision.positions", "v.position_embd.weight" },
      { "vision.ln_pre.", "v.pre_ln." }, { "vision.ln_post.", "v.post_ln." },
      { "vision.projection.weight", "visual_projection.weight" },
      { "text.token_embedding.weight", "t.token_embd.weight" },
      { "text.positions", "t.position_embd.weight" }, { "text.ln_final.", "t.post_ln." },
      { "text.projection.weight", "text_projection.weight" } };

/* "3.attn.q.bias" -> "v.blk.3.attn_q.bias" */
static char *
stored_block_name (char tower, const char *rest)
{
  const char *leaf = strchr (rest, '.') + 1;
  for (gsize i = 0; i < G_N_ELEMENTS (block_names); i++)
    if (g_str_has_prefix (leaf, block_names[i].canonical))
      return g_strdup_printf ("%c.blk.%.*s%s%s", tower, (int)(leaf - rest), rest,
          block_names[i].stored, leaf + strlen (block_names[i].canonical));
  return NULL;
}

static char *
stored_name (const char *canonical)
{
  if (g_str_has_prefix (canonical, "vision.blocks."))
    return stored_block_name ('v', canonical + strlen ("vision.blocks."));
  if (g_str_has_prefix (canonical, "text.blocks."))
    return stored_block_name ('t', canonical + strlen ("text.blocks."));
  for (gsize i = 0; i < G_N_ELEMENTS (tower_names); i++)
    if (g_str_has_prefix (canonical, tower_names[i].canonical))
      return g_strconcat (
          tower_names[i].stored, canonical + strlen (tower_names[i].canonical), NULL);
  return NULL;
}

static gboolean
fail (GError **error, const char *message)
{
  g_set_error_literal (error, CLIP_ERROR, CLIP_ERROR_MODEL, message);
  return FALSE;
}

static gboolean
check_architecture (ClipGguf *gguf, GError **error)
{
  g_autofree char *architecture = NULL;
  if (!clip_gguf_read_string (gguf, "general.architecture", &architecture, error))
    return FALSE;
  if (g_str_equal (architecture, "clip"))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "general.architecture is %.60s, expected clip; this is no CLIP model", architecture);
  return FALSE;
}

/* llava's and llama.cpp's mmproj files are image encoders of language models */
static gboolean
check_towers (ClipGguf *gguf, GError **error)
{
  gboolean text = FALSE, vision = FALSE;
  if (!clip_gguf_read_bool (gguf, "clip.has_vision_encoder", &vision, error))
    return FALSE;
  if (clip_gguf_has (gguf, "clip.has_text_encoder")
      && !clip_gguf_read_bool (gguf, "clip.has_text_encoder", &text, error))
    return FALSE;
  if (!text)
    return fail (error, "clip.has_text_encoder is false or missing: it holds an image encoder only, as the mmproj "
                        "files of language models do; take a two-tower CLIP model");
  return vision
         || fail (error, "clip.has_vision_encoder is false: it holds a text encoder only; take a "
                         "two-tower CLIP model");
}

static gboolean
read_tower (ClipGguf *gguf, const char *name, ClipTransformerConfig *tower, guint *embed_dim,
    GError **error)
{
  const struct {
    const char *key;
    guint max, *value;
  } sizes[] = { { "embedding_length", 16384, &tower->width }, { "block_count", 256, &tower->layers },
    { "attention.head_count", 1024, &tower->heads },
    { "feed_forward_length", 65536, &tower->mlp_width }, { "projection_dim", 16384, embed_dim } };
  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree char *key = g_strdup_printf ("clip.%s.%s", name, sizes[i].key);
    if (!clip_gguf_read_uint (gguf, key, 1, sizes[i].max, sizes[i].value, error))
      return FALSE;
  }
  if (tower->width % tower->heads != 0 || tower->width / tower->heads > 256) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "clip.%s.attention.head_count is %u for embedding_length %u, expected a divisor that leaves heads of "
        "at most 256",
        name, tower->heads, tower->width);
    return FALSE;
  }
  g_autofree char *epsilon = g_strdup_printf ("clip.%s.attention.layer_norm_epsilon", name);
  return clip_gguf_read_floats (gguf, epsilon, 1e-12f, 0.1f, &tower->layernorm_eps, 1, error);
}

static gboolean
read_vision (ClipGguf *gguf, ClipModelConfig *config, guint *embed_dim, GError **error)
{
  if (!read_tower (gguf, "vision", &config->vision, embed_dim, error)
      || !clip_gguf_read_uint (gguf, "clip.vision.image_size", 1, 4096, &config->image_size, error)
      || !clip_gguf_read_uint (gguf, "clip.vision.patch_size", 1, 4096, &config->patch_size, error)
      || !clip_gguf_read_floats (
          gguf, "clip.vision.image_mean", -10, 10, config->preprocess.mean, 3, error)
      || !clip_gguf_read_floats (
          gguf, "clip.vision.image_std", 1e-3f, 1e3f, config->preprocess.std, 3, error))
    return FALSE;
  config->preprocess.size = config->image_size;
  if (config->patch_size <= config->image_size && config->image_size % config->patch_size == 0)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "clip.vision.patch_size is %u, expected a divisor of image_size %u", config->patch_size,
      config->image_size);
  return FALSE;
}

static gboolean
check_embed_dim (guint vision, guint text, GError **error)
{
  if (vision == text)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "clip.vision.projection_dim is %u, but clip.text.projection_dim %u; expected the same", vision, text);
  return FALSE;
}

/* As clip.cpp: as many tokens as the list has, start and end are the last two */
static gboolean
read_vocabulary (ClipGguf *gguf, ClipModelConfig *config, GError **error)
{
  gsize count;
  if (!clip_gguf_read_strings (gguf, TOKENS, &config->tokens, &count, error))
    return FALSE;
  if (count < 3 || count > 10000000) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        TOKENS " has %" G_GSIZE_FORMAT " tokens, expected 3 to 10000000", count);
    return FALSE;
  }
  config->vocab_size = count;
  config->bos_id = count - 2;
  config->eos_id = count - 1;
  return TRUE;
}

/* clip.use_gelu says that hidden_act was "gelu": the exact one, though clip.cpp itself computes it by
 * the tanh formula. Else it was quick_gelu. */
gboolean
clip_gguf_read_config (ClipModelConfig *config, ClipGguf *gguf, GError **error)
{
  guint vision_dim = 0, text_dim = 0;
  gboolean gelu = FALSE;
  clip_preprocess_set_openai (&config->preprocess);
  if (!check_architecture (gguf, error) || !check_towers (gguf, error)
      || !clip_gguf_read_bool (gguf, "clip.use_gelu", &gelu, error)
      || !read_vision (gguf, config, &vision_dim, error)
      || !read_tower (gguf, "text", &config->text, &text_dim, error)
      || !check_embed_dim (vision_dim, text_dim, error)
      || !clip_gguf_read_uint (
          gguf, "clip.text.context_length", 3, 4096, &config->context_length, error))
    return FALSE;
  config->embed_dim = vision_dim;
  config->vision.activation = config->text.activation
      = gelu ? CLIP_ACTIVATION_GELU : CLIP_ACTIVATION_QUICK_GELU;
  return read_vocabulary (gguf, config, error);
}

static gboolean
take_tensor (
    const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  Source *source = user_data;
  g_autofree char *stored = stored_name (name);
  return clip_weights_add (source->weights, name, shape, n_dims, source->file, stored, error);
}

/* A block_count too small would load and give wrong answers */
static gboolean
check_no_layer_more (ClipTensorFile *file, char tower, guint layers, GError **error)
{
  g_autofree char *name = g_strdup_printf ("%c.blk.%u.ln1.weight", tower, layers);
  if (!clip_tensor_file_lookup (file, name))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: tensor %s exists, but block_count is %u; the file is damaged",
      clip_tensor_file_get_name (file), name, layers);
  return FALSE;
}

static gboolean
take_all (ClipWeights *weights, ClipTensorFile *file, GError **error)
{
  ClipModelConfig *config = &weights->config;
  Source source = { weights, file };
  config->logit_scale = LOGIT_SCALE;
  return clip_weights_foreach_tensor (config, take_tensor, &source, error)
         && check_no_layer_more (file, 'v', config->vision.layers, error)
         && check_no_layer_more (file, 't', config->text.layers, error)
         && (!clip_tensor_file_lookup (file, "logit_scale")
             || clip_weights_set_logit_scale (weights, file, "logit_scale", error));
}

gboolean
clip_gguf_open_weights (ClipWeights *weights, const char *path, GError **error)
{
  ClipModelConfig *config = &weights->config;
  g_autoptr (ClipGguf) gguf = clip_gguf_open (path, error);
  if (!gguf || !clip_gguf_read_config (config, gguf, error))
    return FALSE;
  ClipTensorFile *file = clip_gguf_take_tensors (gguf, error);
  if (!file)
    return FALSE;
  g_ptr_array_add (weights->files, file);
  config->directory = g_path_get_dirname (path);
  g_autofree char *base = g_path_get_basename (path);
  if (g_str_has_suffix (base, ".gguf"))
    base[strlen (base) - strlen (".gguf")] = '\0';
  config->name = clip_weights_model_name (config, base);
  return take_all (weights, file, error);
}
