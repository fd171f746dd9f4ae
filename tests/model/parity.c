/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parity.h"

#include <math.h>

ParityResult
parity_compare (const float *got, const float *want, gsize rows, gsize width)
{
  ParityResult result = { 0.0, 1.0 };
  for (gsize r = 0; r < rows; r++) {
    double ab = 0, aa = 0, bb = 0;
    for (gsize i = r * width; i < (r + 1) * width; i++) {
      /* written so that a NaN counts as infinitely far */
      double difference = fabs ((double) got[i] - want[i]);
      result.embedding = difference <= result.embedding ? result.embedding : (isnan (difference) ? INFINITY : difference);
      ab += (double) got[i] * want[i];
      aa += (double) got[i] * got[i];
      bb += (double) want[i] * want[i];
    }
    double cosine = ab / sqrt (aa * bb);
    result.cosine = cosine >= result.cosine ? result.cosine : (isnan (cosine) ? -1.0 : cosine);
  }
  return result;
}

gboolean
parity_holds (ParityResult result)
{
  return result.embedding <= EMBEDDING_TOLERANCE && result.cosine >= COSINE_BOUND;
}

gsize
parity_golden_texts (RefFile *golden)
{
  guint dims;
  const gsize *shape = ref_shape (golden, "input_ids", &dims);
  g_assert_true (shape && dims == 2);
  return shape[0];
}

GArray *
parity_golden_tokens (RefFile *golden, gsize index, gint32 end)
{
  guint dims;
  gsize count, length = ref_shape (golden, "input_ids", &dims)[1];
  const gint32 *ids = ref_i32 (golden, "input_ids", &count);
  g_assert_true (ids && (index + 1) * length <= count);
  GArray *tokens = g_array_new (FALSE, FALSE, sizeof (gint32));
  for (gsize i = index * length; i < (index + 1) * length; i++) {
    g_array_append_val (tokens, ids[i]);
    if (ids[i] == end)
      break;
  }
  return tokens;
}

float *
parity_encode_golden_texts (ClipModel *model, RefFile *golden)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  g_autoptr (GError) error = NULL;
  gsize n = parity_golden_texts (golden);
  g_autoptr (GPtrArray) tokens = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add (tokens, parity_golden_tokens (golden, i, config->eos_id));
  float *out = g_new (float, n * config->embed_dim);
  gboolean ok = clip_model_encode_tokens (model, (GArray **) tokens->pdata, n, out, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
  return out;
}

static void
check_logits (RefFile *golden, const float *images, gsize n, const float *texts, gsize p, gsize d, float scale, float bias)
{
  gsize rows, cols;
  const float *want = ref_f32 (golden, "logits_per_image", &rows, &cols);
  g_assert_true (want && rows == n && cols == p);
  double worst = 0.0;
  for (gsize i = 0; i < n * p; i++) {
    double sum = 0.0;
    for (gsize k = 0; k < d; k++)
      sum += (double) images[i / p * d + k] * texts[i % p * d + k];
    worst = fmax (worst, fabs (scale * sum + bias - want[i]));
  }
  g_test_message ("logits: largest difference %.2e", worst);
  g_assert_cmpfloat (worst, <=, LOGIT_TOLERANCE);
}

void
parity_check_outputs (ClipModel *model, RefFile *golden, const float *images, const float *texts)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  gsize n, p, d, d2;
  const float *want_images = ref_f32 (golden, "image_embeds", &n, &d);
  const float *want_texts = ref_f32 (golden, "text_embeds", &p, &d2);
  g_assert_true (want_images && want_texts && d == d2 && d == config->embed_dim);
  ParityResult image = parity_compare (images, want_images, n, d);
  ParityResult text = parity_compare (texts, want_texts, p, d);
  g_test_message ("images: largest difference %.2e, smallest cosine %.8f", image.embedding, image.cosine);
  g_test_message ("texts: largest difference %.2e, smallest cosine %.8f", text.embedding, text.cosine);
  g_assert_true (parity_holds (image));
  g_assert_true (parity_holds (text));
  check_logits (golden, images, n, texts, p, d, config->logit_scale, config->logit_bias);
}
