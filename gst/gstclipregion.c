/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "gstclipregion.h"

#ifdef HAVE_GST_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

/* Cuts x, y, w, h to the picture. Returns: FALSE when nothing is left */
static gboolean
clip_to_picture (gint64 x, gint64 y, gint64 w, gint64 h, guint width, guint height, ClipRect *rect)
{
  gint64 left = MAX (x, 0), top = MAX (y, 0), right = MIN (x + w, width), bottom = MIN (y + h, height);
  if (left >= right || top >= bottom)
    return FALSE;
  *rect = (ClipRect){ (guint) left, (guint) top, (guint) (right - left), (guint) (bottom - top) };
  return TRUE;
}

static gboolean
class_fits (GQuark found, const char *wanted)
{
  return !wanted || !*wanted || g_strcmp0 (g_quark_to_string (found), wanted) == 0;
}

/* DL Streamer's trackers put the id into a parameter */
static guint64
roi_tracking_id (GstVideoRegionOfInterestMeta *roi)
{
  GstStructure *object = gst_video_region_of_interest_meta_get_param (roi, "object_id");
  gint id = 0;
  return object && gst_structure_get_int (object, "id", &id) && id > 0 ? (guint64) id : 0;
}

static void
collect_roi (GstBuffer *buffer, guint width, guint height, const char *object_class, GArray *regions)
{
  gpointer state = NULL;
  GstMeta *meta;
  while ((meta = gst_buffer_iterate_meta_filtered (buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    GstVideoRegionOfInterestMeta *roi = (GstVideoRegionOfInterestMeta *) meta;
    GstClipRegion region = { .tracking_id = roi_tracking_id (roi), .object_class = roi->roi_type, .roi = roi };
    /* a coordinate that was negative comes as a huge number: the meta has no sign */
    if (class_fits (roi->roi_type, object_class)
        && clip_to_picture ((gint32) roi->x, (gint32) roi->y, roi->w, roi->h, width, height, &region.rect))
      g_array_append_val (regions, region);
  }
}

#ifdef HAVE_GST_ANALYTICS
static guint64
analytics_tracking_id (GstAnalyticsRelationMeta *relations, guint id)
{
  GstAnalyticsTrackingMtd tracking;
  gpointer state = NULL;
  guint64 found = 0;
  GstClockTime first, last;
  gboolean lost = FALSE;
  if (gst_analytics_relation_meta_get_direct_related (relations, id, GST_ANALYTICS_REL_TYPE_ANY,
          gst_analytics_tracking_mtd_get_mtd_type (), &state, &tracking)
      && gst_analytics_tracking_mtd_get_info (&tracking, &found, &first, &last, &lost))
    return found;
  return 0;
}

static void
collect_analytics (GstBuffer *buffer, guint width, guint height, const char *object_class, GArray *regions)
{
  GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta (buffer);
  GstAnalyticsODMtd object;
  gpointer state = NULL;
  while (relations
         && gst_analytics_relation_meta_iterate (relations, &state, gst_analytics_od_mtd_get_mtd_type (), &object)) {
    gint x, y, w, h;
    gfloat confidence;
    GstClipRegion region = { .object_class = gst_analytics_od_mtd_get_obj_type (&object), .has_od = TRUE,
      .od_id = object.id };
    region.tracking_id = analytics_tracking_id (relations, object.id);
    if (class_fits (region.object_class, object_class)
        && gst_analytics_od_mtd_get_location (&object, &x, &y, &w, &h, &confidence)
        && clip_to_picture (x, y, w, h, width, height, &region.rect))
      g_array_append_val (regions, region);
  }
}
#endif

GArray *
gst_clip_regions_collect (GstBuffer *buffer, guint width, guint height, const char *object_class)
{
  GArray *regions = g_array_new (FALSE, FALSE, sizeof (GstClipRegion));
  collect_roi (buffer, width, height, object_class, regions);
#ifdef HAVE_GST_ANALYTICS
  collect_analytics (buffer, width, height, object_class, regions);
#endif
  return regions;
}

gdouble
gst_clip_region_overlap (const ClipRect *a, const ClipRect *b)
{
  ClipRect both;
  if (!clip_to_picture ((gint64) a->x - b->x, (gint64) a->y - b->y, a->width, a->height, b->width, b->height, &both))
    return 0.0;
  gdouble shared = (gdouble) both.width * both.height;
  return shared / ((gdouble) a->width * a->height + (gdouble) b->width * b->height - shared);
}
