/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small pictures for plots. */
#include <string.h>

#include "clip-tool.h"

#define SIDE 128
#define TIMEOUT (10 * GST_SECOND)

/* (transfer full): cairo holds colours multiplied by alpha, GStreamer's BGRA does not */
static cairo_surface_t *
surface_from_bgra (GstVideoFrame *frame)
{
  const int width = GST_VIDEO_FRAME_WIDTH (frame), height = GST_VIDEO_FRAME_HEIGHT (frame);
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_RGB24, width, height);
  guint8 *pixels = cairo_image_surface_get_data (surface);
  const int stride = cairo_image_surface_get_stride (surface);
  cairo_surface_flush (surface);
  for (int y = 0; y < height; y++) {
    const guint8 *from = (const guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, 0)
                         + (gsize) y * GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0);
    guint32 *to = (guint32 *) (pixels + (gsize) y * stride);
    for (int x = 0; x < width; x++, from += 4) {
      guint32 value = 0xff;
      for (int c = 2; c >= 0; c--) /* over white */
        value = value << 8 | (guint32) (255 - (255 - from[c]) * from[3] / 255);
      to[x] = value;
    }
  }
  cairo_surface_mark_dirty (surface);
  return surface;
}

cairo_surface_t *
tool_image_thumbnail (ToolImage *image, const char *path, GError **error)
{
  const guint width = GST_VIDEO_FRAME_WIDTH (&image->video), height = GST_VIDEO_FRAME_HEIGHT (&image->video);
  const double scale = MIN (1.0, (double) SIDE / MAX (width, height));
  g_autoptr (GstCaps) caps = gst_caps_new_simple ("video/x-raw", "format", G_TYPE_STRING, "BGRA", "width", G_TYPE_INT,
      (int) MAX (width * scale, 1), "height", G_TYPE_INT, (int) MAX (height * scale, 1), "pixel-aspect-ratio",
      GST_TYPE_FRACTION, 1, 1, NULL);
  g_autoptr (GstSample) small = gst_video_convert_sample (image->sample, caps, TIMEOUT, error);
  GstVideoInfo info;
  GstVideoFrame frame;
  if (!small) {
    g_prefix_error (error, "%s: ", path);
    return NULL;
  }
  if (!gst_video_info_from_caps (&info, gst_sample_get_caps (small))
      || !gst_video_frame_map (&frame, &info, gst_sample_get_buffer (small), GST_MAP_READ)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "%s: no small picture could be made of it", path);
    return NULL;
  }
  cairo_surface_t *surface = surface_from_bgra (&frame);
  gst_video_frame_unmap (&frame);
  return surface;
}
