/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scores of an embedding against a prompt matrix. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum { CLIP_SCORING_SOFTMAX, CLIP_SCORING_SIGMOID, CLIP_SCORING_COSINE } ClipScoring;

typedef struct {
  float cosine;
  float confidence;
} ClipScore;

/**
 * clip_score:
 * @image: [d] unit embedding
 * @prompts: [p,d] unit embeddings
 * @scores: (array): receives p scores in the order of the prompts
 *
 * logits = logit_scale * cosine; confidence = softmax or sigmoid of the logits (radford2021 section 3.1.2),
 * or the cosine itself. An image embedding of norm 0 gives cosines of 0.
 */
void clip_score (const float *image, const float *prompts, guint p, guint d, float logit_scale,
    ClipScoring scoring, ClipScore *scores);

/**
 * clip_top_k:
 * @indices: (array): receives up to @k indices, best confidence first, ties by lower index
 *
 * Returns: how many were written
 */
guint clip_top_k (const ClipScore *scores, guint p, guint k, guint *indices);

G_END_DECLS
