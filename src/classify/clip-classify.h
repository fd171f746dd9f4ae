/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scores of an embedding against a prompt matrix. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ClipScoring:
 * @CLIP_SCORING_AUTO: what the checkpoint was trained with; see clip_scoring_resolve()
 */
typedef enum {
  CLIP_SCORING_AUTO,
  CLIP_SCORING_SOFTMAX,
  CLIP_SCORING_SIGMOID,
  CLIP_SCORING_COSINE
} ClipScoring;

typedef struct {
  float cosine;
  float confidence;
} ClipScore;

/** clip_scoring_resolve: @scoring, where AUTO becomes sigmoid for a model trained so (SigLIP), else softmax */
ClipScoring clip_scoring_resolve (ClipScoring scoring, gboolean trained_with_sigmoid);
/** clip_scoring_from_name: auto, softmax, sigmoid or cosine; NULL is auto */
gboolean clip_scoring_from_name (const char *name, ClipScoring *scoring);

/**
 * clip_score:
 * @image: [d] unit embedding
 * @prompts: [p,d] unit embeddings
 * @logit_bias: SigLIP's; 0 for others
 * @scoring: not AUTO
 * @scores: (array): receives p scores in the order of the prompts
 *
 * logits = logit_scale * cosine + logit_bias; confidence = softmax of the logits (Radford et al. 2021, section
 * 3.1.2) or their sigmoid (Zhai et al. 2023, arXiv 2303.15343), or the cosine itself. An image embedding of norm 0 gives cosines of 0.
 */
void clip_score (const float *image, const float *prompts, guint p, guint d, float logit_scale,
    float logit_bias, ClipScoring scoring, ClipScore *scores);

/**
 * clip_top_k:
 * @indices: (array): receives up to @k indices, best confidence first, ties by lower index
 *
 * Returns: how many were written
 */
guint clip_top_k (const ClipScore *scores, guint p, guint k, guint *indices);

G_END_DECLS
