/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results as GStreamer's own analytics metadata, where GStreamer has it: from 1.24, tensors from 1.26. */
#pragma once

#include <gst/gst.h>

#include "gstclipregion.h"
#include "gstclipresult.h"

G_BEGIN_DECLS

/** GST_CLIP_TENSOR_ID: of the unit embeddings */
#define GST_CLIP_TENSOR_ID "clip-image-embedding-out"

/**
 * gst_clip_analytics_add_labels:
 * @buffer: writable
 * @region: what the labels describe
 *
 * Adds one GstAnalyticsClsMtd with the labels that are reported, best first; none when no label is. That of a
 * GstAnalyticsODMtd is related to it in all the ways in which readers look for it: the object contains the
 * classification and relates to it, which is part of the object and relates to it. A region that has a GstVideoRegionOfInterestMeta only gets none here, for a
 * classification that is related to nothing is the picture's.
 *
 * Does nothing before GStreamer 1.24.
 */
void gst_clip_analytics_add_labels (GstBuffer *buffer, const GstClipRegion *region, const GstClipResult *result);

/** gst_clip_analytics_has_tensors: whether this build has GstTensorMeta */
gboolean gst_clip_analytics_has_tensors (void);

/**
 * gst_clip_analytics_add_embeddings:
 * @buffer: writable
 * @embeddings: (transfer none): [n,dim] floats: unit embeddings
 *
 * Adds a tensor GST_CLIP_TENSOR_ID, FLOAT32 {n,dim}, to the buffer's GstTensorMeta; does nothing where
 * gst_clip_analytics_has_tensors() says no, or for no embeddings.
 */
void gst_clip_analytics_add_embeddings (GstBuffer *buffer, const float *embeddings, guint n, guint dim);

G_END_DECLS
