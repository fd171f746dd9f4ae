/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The regions of a buffer that a detector found. */
#pragma once

#include <gst/video/video.h>

#include "image/clip-image.h"

G_BEGIN_DECLS

/** GstClipRegion: a region inside the picture */
typedef struct {
  ClipRect rect;
  guint64 tracking_id; /* 0: not tracked */
  GQuark object_class; /* 0: none */
  GstVideoRegionOfInterestMeta *roi; /* (nullable): of the buffer it was read from */
  gboolean has_od;
  guint od_id; /* of a GstAnalyticsODMtd of that buffer, with has_od */
} GstClipRegion;

/**
 * gst_clip_regions_collect:
 * @object_class: (nullable): only regions of this class
 *
 * From GstVideoRegionOfInterestMeta and, where GStreamer has them, GstAnalyticsODMtd, cut to the picture; what lies
 * outside of it is left out. The tracking id is that of DL Streamer's "object_id" parameter or of a related
 * GstAnalyticsTrackingMtd.
 *
 * Returns: (transfer full) (element-type GstClipRegion)
 */
GArray *gst_clip_regions_collect (GstBuffer *buffer, guint width, guint height, const char *object_class);

/** gst_clip_region_overlap: area of the intersection over that of the union, 0..1 */
gdouble gst_clip_region_overlap (const ClipRect *a, const ClipRect *b);

G_END_DECLS
