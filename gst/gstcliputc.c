/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstcliputc.h"

/* NTP counts from 1900 */
#define NTP_TO_UNIX (G_GINT64_CONSTANT (2208988800) * GST_SECOND)

static gint64
utc_of_reference (GstBuffer *buffer)
{
  static GstStaticCaps ntp = GST_STATIC_CAPS ("timestamp/x-ntp"), unix_time = GST_STATIC_CAPS ("timestamp/x-unix");
  g_autoptr (GstCaps) ntp_caps = gst_static_caps_get (&ntp);
  g_autoptr (GstCaps) unix_caps = gst_static_caps_get (&unix_time);
  const GstReferenceTimestampMeta *meta = gst_buffer_get_reference_timestamp_meta (buffer, unix_caps);
  if (meta)
    return (gint64) meta->timestamp;
  meta = gst_buffer_get_reference_timestamp_meta (buffer, ntp_caps);
  return meta && meta->timestamp >= NTP_TO_UNIX ? (gint64) (meta->timestamp - NTP_TO_UNIX) : GST_CLIP_NO_UTC;
}

static gint64
utc_of_clock (GstElement *element, GstClockTime running_time)
{
  g_autoptr (GstClock) clock = gst_element_get_clock (element);
  GstClockTime base = gst_element_get_base_time (element);
  if (!clock || !GST_CLOCK_TIME_IS_VALID (base))
    return GST_CLIP_NO_UTC;
  GstClockTimeDiff ago = GST_CLOCK_DIFF (base + running_time, gst_clock_get_time (clock));
  return g_get_real_time () * 1000 - ago;
}

gint64
gst_clip_utc_of_buffer (GstElement *element, GstBuffer *buffer, GstClockTime running_time, gint64 start, gboolean live)
{
  gint64 utc = utc_of_reference (buffer);
  if (utc != GST_CLIP_NO_UTC || !GST_CLOCK_TIME_IS_VALID (running_time))
    return utc;
  if (start != GST_CLIP_NO_UTC)
    return start + (gint64) running_time;
  return live ? utc_of_clock (element, running_time) : GST_CLIP_NO_UTC;
}
