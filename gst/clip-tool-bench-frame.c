/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The frame that gst-clip-1.0 bench measures with. */
#include <stdio.h>

#include "clip-tool.h"
#include "gstclipframe.h"

#define MAX_SIDE 16384
#define UNKNOWN_FORMAT "--format %s: expected one of " GST_CLIP_VIDEO_FORMATS

/* Noise, so that nothing is cheaper than in a real picture */
static GstBuffer *
new_noise (gsize size)
{
  guint8 *bytes = g_malloc (size);
  guint32 state = 1;
  for (gsize i = 0; i < size; i++)
    bytes[i] = (guint8) ((state = state * 1664525u + 1013904223u) >> 24);
  return gst_buffer_new_wrapped (bytes, size);
}

static gboolean
set_info (GstVideoInfo *info, const char *size, const char *format, GError **error)
{
  const GstVideoFormat known = gst_video_format_from_string (format);
  guint width = 0, height = 0;
  char rest;
  if (sscanf (size, "%ux%u%c", &width, &height, &rest) != 2 || width < 1 || height < 1
      || width > MAX_SIDE || height > MAX_SIDE)
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
        "--frame %s: expected WIDTHxHEIGHT, each 1 to %d, as in 1920x1080", size, MAX_SIDE);
  else if (known == GST_VIDEO_FORMAT_UNKNOWN
           || !gst_video_info_set_format (info, known, width, height))
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, UNKNOWN_FORMAT, format);
  else
    return TRUE;
  return FALSE;
}

ToolImage *
tool_bench_frame_new (const char *size, const char *format, GError **error)
{
  GstVideoInfo info;
  gst_init (NULL, NULL);
  if (!set_info (&info, size, format, error))
    return NULL;
  g_autoptr (GstBuffer) buffer = new_noise (info.size);
  g_autoptr (GstCaps) caps = gst_video_info_to_caps (&info);
  g_autoptr (ToolImage) image = g_new0 (ToolImage, 1);
  if (gst_video_frame_map (&image->video, &info, buffer, GST_MAP_READ))
    image->sample = gst_sample_new (buffer, caps, NULL, NULL);
  if (image->sample && gst_clip_frame_from_video (&image->video, &image->frame))
    return g_steal_pointer (&image);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, UNKNOWN_FORMAT, format);
  return NULL;
}
