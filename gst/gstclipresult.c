/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipresult.h"

#include "gstclipmeta.h"

static gboolean
passes (const GstClipResult *result, guint index, const GstClipRules *rules)
{
  const ClipScore *score = &result->scores[index];
  return !clip_prompt_set_get (result->prompts->set, index)->negative
         && score->confidence >= rules->min_confidence && score->cosine >= rules->min_cosine;
}

/* Negative prompts take their share of the probability and of the ranking, but are not reported. */
static void
select_top (GstClipResult *result, const GstClipRules *rules)
{
  guint p = clip_prompt_set_get_size (result->prompts->set), k = MIN (rules->top_k, p);
  result->top = g_new (guint, k + 1);
  guint ranked = clip_top_k (result->scores, p, k, result->top);
  for (guint i = 0; i < ranked; i++) {
    if (passes (result, result->top[i], rules))
      result->top[result->n_top++] = result->top[i];
  }
}

/* (transfer full): [p] */
static ClipScore *
score (ClipEncodedPrompts *prompts, const float *embedding, const ClipModelConfig *config, const GstClipRules *rules)
{
  guint p = clip_prompt_set_get_size (prompts->set);
  ClipScore *scores = g_new0 (ClipScore, p);
  gdouble scale = rules->logit_scale > 0 ? rules->logit_scale : config->logit_scale;
  clip_score (embedding, prompts->matrix, p, prompts->embed_dim, (float) scale, config->logit_bias,
      clip_scoring_resolve (rules->scoring, config->family == CLIP_FAMILY_SIGLIP), scores);
  return scores;
}

GstClipResult *
gst_clip_result_new (ClipEncodedPrompts *prompts, const float *embedding, float norm, const ClipModelConfig *config,
    const GstClipRules *rules)
{
  GstClipResult *result = g_new0 (GstClipResult, 1);
  result->prompts = clip_encoded_prompts_ref (prompts);
  result->logit_scale = rules->logit_scale > 0 ? rules->logit_scale : config->logit_scale;
  result->scores = score (prompts, embedding, config, rules);
  if (norm > 0.0f)
    select_top (result, rules);
  return result;
}

void
gst_clip_result_add_frame (
    GstClipResult *result, const float *embedding, const ClipModelConfig *config, const GstClipRules *rules)
{
  g_free (result->frame_scores);
  result->frame_scores = score (result->prompts, embedding, config, rules);
}

void
gst_clip_result_free (GstClipResult *result)
{
  clip_encoded_prompts_unref (result->prompts);
  g_free (result->scores);
  g_free (result->frame_scores);
  g_free (result->top);
  g_free (result);
}

const ClipLabel *
gst_clip_result_get_top_label (const GstClipResult *result)
{
  return result->n_top > 0 ? clip_prompt_set_get (result->prompts->set, result->top[0]) : NULL;
}

static gboolean
is_top (const GstClipResult *result, guint index)
{
  for (guint i = 0; i < result->n_top; i++) {
    if (result->top[i] == index)
      return TRUE;
  }
  return FALSE;
}

static void
set_labels (const GstClipResult *result, GstStructure *object)
{
  GValue labels = G_VALUE_INIT;
  g_value_init (&labels, GST_TYPE_ARRAY);
  for (guint i = 0; i < clip_prompt_set_get_size (result->prompts->set); i++) {
    const ClipLabel *label = clip_prompt_set_get (result->prompts->set, i);
    GstStructure *s = gst_structure_new ("label", "label", G_TYPE_STRING, label->label, "label-id", G_TYPE_UINT, i,
        "cosine", G_TYPE_DOUBLE, (gdouble) result->scores[i].cosine, "confidence", G_TYPE_DOUBLE,
        (gdouble) result->scores[i].confidence, "negative", G_TYPE_BOOLEAN, label->negative, "passed",
        G_TYPE_BOOLEAN, is_top (result, i), NULL);
    if (result->frame_scores)
      gst_structure_set (s, "frame-cosine", G_TYPE_DOUBLE, (gdouble) result->frame_scores[i].cosine,
          "frame-confidence", G_TYPE_DOUBLE, (gdouble) result->frame_scores[i].confidence, NULL);
    gst_clip_meta_append (&labels, s);
  }
  gst_structure_take_value (object, "labels", &labels);
}

static void
set_top (const GstClipResult *result, GstStructure *object)
{
  GValue top = G_VALUE_INIT;
  g_value_init (&top, GST_TYPE_ARRAY);
  for (guint i = 0; i < result->n_top; i++) {
    GValue id = G_VALUE_INIT;
    g_value_init (&id, G_TYPE_UINT);
    g_value_set_uint (&id, result->top[i]);
    gst_value_array_append_and_take_value (&top, &id);
  }
  gst_structure_take_value (object, "top", &top);
}

GstStructure *
gst_clip_result_to_object (const GstClipResult *result)
{
  GstStructure *object = gst_structure_new_empty ("object");
  set_labels (result, object);
  set_top (result, object);
  return object;
}
