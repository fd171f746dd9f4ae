/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a frame was taken, by the world's clock. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_CLIP_NO_UTC G_MININT64

/**
 * gst_clip_utc_of_buffer:
 * @running_time: the buffer's
 * @start: UTC of running time 0 where it is known, ns since 1970, else GST_CLIP_NO_UTC
 *
 * From the buffer's reference timestamp (NTP or Unix), else from @start, else, with @live, from the pipeline's clock:
 * a live source stamps a frame when it is taken.
 *
 * Returns: ns since 1970, or GST_CLIP_NO_UTC
 */
gint64 gst_clip_utc_of_buffer (
    GstElement *element, GstBuffer *buffer, GstClockTime running_time, gint64 start, gboolean live);

G_END_DECLS
