/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: what tells one model or prompt set from another. */
#include <string.h>

#include "clip-tool-eval.h"

/* The length first, so that no two lists of strings give the same bytes. */
static void
add_string (GChecksum *sum, const char *text)
{
  const guint64 length = GUINT64_TO_LE ((guint64) strlen (text));
  g_checksum_update (sum, (const guchar *) &length, sizeof length);
  g_checksum_update (sum, (const guchar *) text, (gssize) strlen (text));
}

static void
add_strings (GChecksum *sum, char **texts)
{
  g_autofree char *count = g_strdup_printf ("%u", g_strv_length (texts));
  add_string (sum, count);
  for (char **text = texts; *text; text++)
    add_string (sum, *text);
}

char *
eval_fingerprint_prompts (const EvalData *data, char **templates)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  add_strings (sum, templates);
  for (guint i = 0; i < clip_prompt_set_get_size (data->set); i++) {
    const char *folder = g_ptr_array_index (data->folders, i);
    add_string (sum, folder ? folder : "");
    add_strings (sum, clip_prompt_set_get (data->set, i)->phrasings);
  }
  return g_strdup (g_checksum_get_string (sum));
}

static gboolean
add_tensor (GChecksum *sum, ClipWeights *weights, const char *name, gsize count, GError **error)
{
  g_autofree float *values = g_new (float, count);
  if (!clip_weights_read (weights, name, values, count, error))
    return FALSE;
  g_checksum_update (sum, (const guchar *) values, (gssize) (count * sizeof (float)));
  return TRUE;
}

/* Tensors that every training changes and that are read in no time, whatever the format. */
static gboolean
add_weights (GChecksum *sum, ClipWeights *weights, GError **error)
{
  const ClipModelConfig *config = clip_weights_get_config (weights);
  const gsize vision = config->vision.width, text = config->text.width;
  if (!add_tensor (sum, weights, "text.projection.weight", config->embed_dim * text, error) ||
      !add_tensor (sum, weights, "text.positions", config->context_length * text, error))
    return FALSE;
  if (config->vision_kind == CLIP_VISION_RESNET)
    return add_tensor (sum, weights, "vision.pool.out.weight", config->embed_dim * 32 * vision, error);
  return add_tensor (sum, weights, "vision.ln_post.weight", vision, error) &&
      add_tensor (sum, weights, "vision.blocks.0.attn.q.weight", vision * vision, error);
}

char *
eval_fingerprint_model (const char *path, GError **error)
{
  g_autoptr (ClipWeights) weights = clip_weights_open (path, error);
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  if (!weights || !add_weights (sum, weights, error))
    return NULL;
  return g_strdup (g_checksum_get_string (sum));
}
