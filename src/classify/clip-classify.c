/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-classify.h"

#include <math.h>

#define LANES 16

/* Sixteen partial sums, so that the compiler may keep them in vector registers. */
static float
dot (const float *a, const float *b, guint n)
{
  float partial[LANES] = { 0 };
  guint i = 0;
  for (; i + LANES <= n; i += LANES) {
    for (guint j = 0; j < LANES; j++)
      partial[j] += a[i + j] * b[i + j];
  }
  double sum = 0.0;
  for (guint j = 0; j < LANES; j++)
    sum += partial[j];
  for (; i < n; i++)
    sum += (double) a[i] * b[i];
  return (float) sum;
}

static void
softmax (ClipScore *scores, guint p, float logit_scale)
{
  float top = -INFINITY;
  double sum = 0.0;
  for (guint i = 0; i < p; i++)
    top = fmaxf (top, scores[i].cosine);
  for (guint i = 0; i < p; i++) {
    scores[i].confidence = expf (logit_scale * (scores[i].cosine - top));
    sum += scores[i].confidence;
  }
  for (guint i = 0; i < p; i++)
    scores[i].confidence = (float) (scores[i].confidence / sum);
}

ClipScoring
clip_scoring_resolve (ClipScoring scoring, gboolean trained_with_sigmoid)
{
  if (scoring != CLIP_SCORING_AUTO)
    return scoring;
  return trained_with_sigmoid ? CLIP_SCORING_SIGMOID : CLIP_SCORING_SOFTMAX;
}

gboolean
clip_scoring_from_name (const char *name, ClipScoring *scoring)
{
  static const char *const names[] = { "auto", "softmax", "sigmoid", "cosine" };
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    if (!name || g_str_equal (name, names[i])) {
      *scoring = (ClipScoring) i;
      return TRUE;
    }
  }
  return FALSE;
}

void
clip_score (const float *image, const float *prompts, guint p, guint d, float logit_scale, float logit_bias,
    ClipScoring scoring, ClipScore *scores)
{
  g_return_if_fail (scoring != CLIP_SCORING_AUTO);
  for (guint i = 0; i < p; i++)
    scores[i].cosine = dot (image, prompts + (gsize) i * d, d);
  if (scoring == CLIP_SCORING_SOFTMAX) {
    softmax (scores, p, logit_scale);
    return;
  }
  for (guint i = 0; i < p; i++) {
    float cosine = scores[i].cosine;
    scores[i].confidence
        = scoring == CLIP_SCORING_SIGMOID ? 1.0f / (1.0f + expf (-logit_scale * cosine - logit_bias)) : cosine;
  }
}

/* Position of score @candidate among the @n best so far; ties keep the lower index first. */
static guint
insertion_point (const ClipScore *scores, const guint *indices, guint n, guint candidate)
{
  guint at = n;
  while (at > 0 && scores[indices[at - 1]].confidence < scores[candidate].confidence)
    at--;
  return at;
}

guint
clip_top_k (const ClipScore *scores, guint p, guint k, guint *indices)
{
  guint n = 0;
  for (guint i = 0; i < p; i++) {
    guint at = insertion_point (scores, indices, n, i);
    if (at >= k)
      continue;
    n = MIN (n + 1, k);
    for (guint j = n - 1; j > at; j--)
      indices[j] = indices[j - 1];
    indices[at] = i;
  }
  return n;
}
