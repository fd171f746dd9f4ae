/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a frame was taken. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** gst_clip_get_running_time: GST_CLOCK_TIME_NONE when the frame has no time or lies outside of the segment */
GstClockTime gst_clip_get_running_time (const GstSegment *segment, GstBuffer *buffer);

/**
 * gst_clip_get_utc: ns since 1970, GST_CLOCK_TIME_NONE when nothing says it
 *
 * The stream says it by a GstReferenceTimestampMeta in timestamp/x-ntp (ns since 1900, as rtspsrc and rtpjitterbuffer attach
 * it with add-reference-timestamp-meta=true) or timestamp/x-unix (ns since 1970), else the pipeline does by its base time,
 * when its clock is a system clock of type realtime.
 */
GstClockTime gst_clip_get_utc (GstElement *element, GstBuffer *buffer, GstClockTime running_time);

/** gst_clip_format_utc: (transfer full) (nullable): RFC 3339 with nine decimals */
char *gst_clip_format_utc (GstClockTime utc);

/** gst_clip_get_stream_utc: what the buffer itself says, in an NTP or Unix reference timestamp; else NONE */
GstClockTime gst_clip_get_stream_utc (GstBuffer *buffer);

G_END_DECLS
