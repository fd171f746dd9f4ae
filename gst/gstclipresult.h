/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From an embedding to the fields of GstClipMeta. */
#pragma once

#include <gst/gst.h>

#include "classify/clip-classify.h"
#include "engine/clip-engine.h"

G_BEGIN_DECLS

/** GstClipRules: what is reported */
typedef struct {
  ClipScoring scoring;
  guint top_k;
  gdouble min_confidence, min_cosine;
  gdouble logit_scale; /* 0: the model's; SigLIP's bias stays */
} GstClipRules;

/** GstClipResult: the scores of one frame */
typedef struct {
  ClipEncodedPrompts *prompts;
  ClipScore *scores; /* in the order of the prompts */
  ClipScore *frame_scores; /* (nullable): of the newest frame alone, when @scores are those of a window */
  guint *top;        /* labels that are reported, best first */
  guint n_top;
  gdouble logit_scale;
} GstClipResult;

/**
 * gst_clip_result_new:
 * @embedding: unit embedding of the frame
 * @norm: its norm before normalisation; 0 means that the model says nothing: no label passes
 */
GstClipResult *gst_clip_result_new (ClipEncodedPrompts *prompts, const float *embedding, float norm,
    const ClipModelConfig *config, const GstClipRules *rules);
/** gst_clip_result_add_frame: the scores of the newest frame beside those of the window */
void gst_clip_result_add_frame (
    GstClipResult *result, const float *embedding, const ClipModelConfig *config, const GstClipRules *rules);
void gst_clip_result_free (GstClipResult *result);

/** gst_clip_result_get_top_label: (nullable): the best label that passed */
const ClipLabel *gst_clip_result_get_top_label (const GstClipResult *result);

/** gst_clip_result_to_object: (transfer full): a structure "object" of GST_CLIP_META_NAME with labels and top */
GstStructure *gst_clip_result_to_object (const GstClipResult *result);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstClipResult, gst_clip_result_free)

G_END_DECLS
