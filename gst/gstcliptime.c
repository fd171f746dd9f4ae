/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstcliptime.h"

/* From 1900 to 1970, in seconds (RFC 5905) */
#define NTP_TO_UNIX (G_GUINT64_CONSTANT (2208988800) * GST_SECOND)

GstClockTime
gst_clip_get_running_time (const GstSegment *segment, GstBuffer *buffer)
{
  if (segment->format != GST_FORMAT_TIME || !GST_BUFFER_PTS_IS_VALID (buffer))
    return GST_CLOCK_TIME_NONE;
  return gst_segment_to_running_time (segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
}

GstClockTime
gst_clip_get_stream_utc (GstBuffer *buffer)
{
  static GstStaticCaps ntp = GST_STATIC_CAPS ("timestamp/x-ntp");
  static GstStaticCaps unix_time = GST_STATIC_CAPS ("timestamp/x-unix");
  g_autoptr (GstCaps) since_1900 = gst_static_caps_get (&ntp);
  g_autoptr (GstCaps) since_1970 = gst_static_caps_get (&unix_time);
  GstReferenceTimestampMeta *meta = gst_buffer_get_reference_timestamp_meta (buffer, since_1970);
  if (meta)
    return meta->timestamp;
  meta = gst_buffer_get_reference_timestamp_meta (buffer, since_1900);
  /* a sender that does not know the time counts from its own start */
  return meta && meta->timestamp >= NTP_TO_UNIX ? meta->timestamp - NTP_TO_UNIX : GST_CLOCK_TIME_NONE;
}

static gboolean
is_realtime (GstClock *clock)
{
  GstClockType type = GST_CLOCK_TYPE_OTHER;
  if (GST_IS_SYSTEM_CLOCK (clock))
    g_object_get (clock, "clock-type", &type, NULL);
  return type == GST_CLOCK_TYPE_REALTIME;
}

static GstClockTime
utc_of_pipeline (GstElement *element, GstClockTime running_time)
{
  g_autoptr (GstClock) clock = gst_element_get_clock (element);
  GstClockTime base = gst_element_get_base_time (element);
  if (!clock || !GST_CLOCK_TIME_IS_VALID (base) || !GST_CLOCK_TIME_IS_VALID (running_time) || !is_realtime (clock))
    return GST_CLOCK_TIME_NONE;
  return base + running_time;
}

GstClockTime
gst_clip_get_utc (GstElement *element, GstBuffer *buffer, GstClockTime running_time)
{
  GstClockTime utc = gst_clip_get_stream_utc (buffer);
  return GST_CLOCK_TIME_IS_VALID (utc) ? utc : utc_of_pipeline (element, running_time);
}

char *
gst_clip_format_utc (GstClockTime utc)
{
  if (!GST_CLOCK_TIME_IS_VALID (utc))
    return NULL;
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc ((gint64) (utc / GST_SECOND));
  if (!time)
    return NULL;
  g_autofree char *seconds = g_date_time_format (time, "%Y-%m-%dT%H:%M:%S");
  return g_strdup_printf ("%s.%09uZ", seconds, (guint) (utc % GST_SECOND));
}
