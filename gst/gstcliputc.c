/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstcliputc.h"

#include "gstcliptime.h"

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
  GstClockTime utc = gst_clip_get_stream_utc (buffer);
  if (GST_CLOCK_TIME_IS_VALID (utc))
    return (gint64) utc;
  if (!GST_CLOCK_TIME_IS_VALID (running_time))
    return GST_CLIP_NO_UTC;
  if (start != GST_CLIP_NO_UTC)
    return start + (gint64) running_time;
  return live ? utc_of_clock (element, running_time) : GST_CLIP_NO_UTC;
}
