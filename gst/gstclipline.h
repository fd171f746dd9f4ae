/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result of a frame as a line of JSON: Intel DL Streamer's keys and a lossless "clip" object. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** GstClipLineFrame: what a line says of the frame itself; a time that is GST_CLOCK_TIME_NONE is not known */
typedef struct {
  const char *source; /* nullable; UTF-8 */
  gint width, height;
  GstClockTime timestamp, running_time;
  GstClockTime utc; /* ns since 1970 */
} GstClipLineFrame;

/**
 * gst_clip_line_new: (transfer full): one line with its newline, as docs/clip-line.schema.json describes it
 * @meta: (nullable): the structure of GstClipMeta; without it the line has no objects
 */
char *gst_clip_line_new (const GstStructure *meta, const GstClipLineFrame *frame);

/** gst_clip_line_count_objects: @meta is nullable */
guint gst_clip_line_count_objects (const GstStructure *meta);

/** gst_clip_line_get_best: (nullable): the best label of an object, NULL when none passed; @tracking_id is 0 for none */
const char *gst_clip_line_get_best (const GstStructure *meta, guint index, guint64 *tracking_id);

G_END_DECLS
