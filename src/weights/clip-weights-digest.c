/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tells the text encoder of one checkpoint from that of another. */
#include "weights/clip-weights-private.h"

/* config.json may say another activation of the same weights */
static void
add_config (GChecksum *sum, const ClipModelConfig *c)
{
  const ClipTransformerConfig *t = &c->text;
  char eps[G_ASCII_DTOSTR_BUF_SIZE];
  g_ascii_dtostr (eps, sizeof eps, t->layernorm_eps);
  g_autofree char *text = g_strdup_printf ("%d %u %u %u %u %u %u %d %s %u %u %d %d", c->family, c->embed_dim, t->width,
      t->layers, t->heads, t->mlp_width, c->context_length, t->activation, eps, c->vocab_size, c->context_length,
      c->bos_id, c->eos_id);
  g_checksum_update (sum, (const guchar *)text, -1);
}

char *
clip_weights_get_digest (ClipWeights *weights)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  add_config (sum, &weights->config);
  for (guint i = 0; i < weights->files->len; i++) {
    if (!clip_tensor_file_digest (g_ptr_array_index (weights->files, i), sum))
      return NULL;
  }
  return weights->files->len > 0 ? g_strdup (g_checksum_get_string (sum)) : NULL;
}

gboolean
clip_weights_check_unchanged (ClipWeights *weights, GError **error)
{
  for (guint i = 0; i < weights->files->len; i++) {
    if (!clip_tensor_file_check_unchanged (g_ptr_array_index (weights->files, i), error))
      return FALSE;
  }
  return TRUE;
}
