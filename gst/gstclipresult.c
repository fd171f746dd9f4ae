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

GstClipResult *
gst_clip_result_new (ClipEncodedPrompts *prompts, const float *embedding, float norm, const ClipModelConfig *config,
    const GstClipRules *rules)
{
  GstClipResult *result = g_new0 (GstClipResult, 1);
  guint p = clip_prompt_set_get_size (prompts->set);
  result->prompts = clip_encoded_prompts_ref (prompts);
  result->scores = g_new0 (ClipScore, p);
  result->logit_scale = rules->logit_scale > 0 ? rules->logit_scale : config->logit_scale;
  clip_score (embedding, prompts->matrix, p, prompts->embed_dim, (float) result->logit_scale, config->logit_bias,
      clip_scoring_resolve (rules->scoring, config->family == CLIP_FAMILY_SIGLIP), result->scores);
  if (norm > 0.0f)
    select_top (result, rules);
  return result;
}

void
gst_clip_result_free (GstClipResult *result)
{
  clip_encoded_prompts_unref (result->prompts);
  g_free (result->scores);
  g_free (result->top);
  g_free (result);
}

const ClipLabel *
gst_clip_result_get_top_label (const GstClipResult *result)
{
  return result->n_top > 0 ? clip_prompt_set_get (result->prompts->set, result->top[0]) : NULL;
}

static void
append_structure (GValue *array, GstStructure *structure)
{
  GValue value = G_VALUE_INIT;
  g_value_init (&value, GST_TYPE_STRUCTURE);
  g_value_take_boxed (&value, structure);
  gst_value_array_append_and_take_value (array, &value);
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
    append_structure (&labels,
        gst_structure_new ("label", "label", G_TYPE_STRING, label->label, "label-id", G_TYPE_UINT, i, "cosine",
            G_TYPE_DOUBLE, (gdouble) result->scores[i].cosine, "confidence", G_TYPE_DOUBLE,
            (gdouble) result->scores[i].confidence, "negative", G_TYPE_BOOLEAN, label->negative, "passed",
            G_TYPE_BOOLEAN, is_top (result, i), NULL));
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
gst_clip_result_to_structure (const GstClipResult *result, const char *model, guint serial, guint width,
    guint height, gboolean inferred, GstClockTime age)
{
  GstStructure *object
      = gst_structure_new ("object", "x", G_TYPE_UINT, 0, "y", G_TYPE_UINT, 0, "w", G_TYPE_UINT, width, "h",
          G_TYPE_UINT, height, "inferred", G_TYPE_BOOLEAN, inferred, "age", G_TYPE_UINT64, age, NULL);
  set_labels (result, object);
  set_top (result, object);
  GValue objects = G_VALUE_INIT;
  g_value_init (&objects, GST_TYPE_ARRAY);
  append_structure (&objects, object);
  GstStructure *fields
      = gst_structure_new (GST_CLIP_META_NAME, "model", G_TYPE_STRING, model, "prompts-serial", G_TYPE_UINT,
          serial, "logit-scale", G_TYPE_DOUBLE, result->logit_scale, NULL);
  gst_structure_take_value (fields, "objects", &objects);
  return fields;
}
