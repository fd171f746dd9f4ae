/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "gstclipanalytics.h"

#ifdef HAVE_GST_ANALYTICS
#include <gst/analytics/analytics.h>
#if GST_CHECK_VERSION(1, 26, 0)
#define HAVE_TENSOR_META
#endif
#endif

#ifdef HAVE_GST_ANALYTICS
/* Readers ask for one or the other: GStreamer's objectdetectionoverlay for RELATE_TO, others for CONTAIN. */
#define OBJECT_TO_LABELS (GST_ANALYTICS_REL_TYPE_CONTAIN | GST_ANALYTICS_REL_TYPE_RELATE_TO)
#define LABELS_TO_OBJECT (GST_ANALYTICS_REL_TYPE_IS_PART_OF | GST_ANALYTICS_REL_TYPE_RELATE_TO)

static gboolean
add_classification (GstAnalyticsRelationMeta *relations, const GstClipResult *result, GstAnalyticsClsMtd *mtd)
{
  g_autofree gfloat *levels = g_new (gfloat, result->n_top);
  g_autofree GQuark *labels = g_new (GQuark, result->n_top); /* the metadata knows labels as quarks only */
  for (guint i = 0; i < result->n_top; i++) {
    levels[i] = result->scores[result->top[i]].confidence;
    labels[i] = g_quark_from_string (clip_prompt_set_get (result->prompts->set, result->top[i])->label);
  }
  return gst_analytics_relation_meta_add_cls_mtd (relations, result->n_top, levels, labels, mtd);
}

void
gst_clip_analytics_add_labels (GstBuffer *buffer, const GstClipRegion *region, const GstClipResult *result)
{
  GstAnalyticsClsMtd mtd;
  if (result->n_top == 0 || (region->roi && !region->has_od))
    return;
  GstAnalyticsRelationMeta *relations = gst_buffer_add_analytics_relation_meta (buffer);
  if (!add_classification (relations, result, &mtd) || !region->has_od)
    return;
  gst_analytics_relation_meta_set_relation (relations, OBJECT_TO_LABELS, region->od_id, mtd.id);
  gst_analytics_relation_meta_set_relation (relations, LABELS_TO_OBJECT, mtd.id, region->od_id);
}
#else
void
gst_clip_analytics_add_labels (GstBuffer *buffer, const GstClipRegion *region, const GstClipResult *result)
{
}
#endif

#ifdef HAVE_TENSOR_META
gboolean
gst_clip_analytics_has_tensors (void)
{
  return TRUE;
}

void
gst_clip_analytics_add_embeddings (GstBuffer *buffer, const float *embeddings, guint n, guint dim)
{
  if (n == 0)
    return;
  gsize dims[] = { n, dim }, size = (gsize) n * dim * sizeof *embeddings;
  GstBuffer *data = gst_buffer_new_memdup (embeddings, size);
  GstTensor *tensor = gst_tensor_new_simple (g_quark_from_static_string (GST_CLIP_TENSOR_ID),
      GST_TENSOR_DATA_TYPE_FLOAT32, data, GST_TENSOR_DIM_ORDER_ROW_MAJOR, G_N_ELEMENTS (dims), dims);
  /* beside those of another element: readers look at a buffer's first GstTensorMeta only */
  GstTensorMeta *meta = gst_buffer_get_tensor_meta (buffer);
  if (!meta)
    meta = gst_buffer_add_tensor_meta (buffer);
  meta->tensors = g_renew (GstTensor *, meta->tensors, meta->num_tensors + 1);
  meta->tensors[meta->num_tensors++] = tensor;
}
#else
gboolean
gst_clip_analytics_has_tensors (void)
{
  return FALSE;
}

void
gst_clip_analytics_add_embeddings (GstBuffer *buffer, const float *embeddings, guint n, guint dim)
{
}
#endif
