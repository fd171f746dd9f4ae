/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures in and out through GStreamer's decoders and its PNG encoder. */
#include "clip-tool.h"

#include <gst/app/app.h>
#include <string.h>

#include "gstclipframe.h"

static gboolean
fail (GError **error, const char *path, const char *message)
{
  g_autofree char *name = g_filename_display_name (path);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "%s: %s", name, message);
  return FALSE;
}

/* A pipe or a device could block for ever in open(), before any timeout of ours. */
static gboolean
check_file (const char *path, GError **error)
{
  if (g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return TRUE;
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return fail (error, path, "no such file");
  return fail (error, path,
      g_file_test (path, G_FILE_TEST_IS_DIR) ? "is a directory, expected a picture"
                                             : "is not a regular file");
}

/* The decoder gives a cut JPEG as a picture with a grey rest and does not say so. After the first scan's
 * header the end marker cannot be part of compressed data, so its absence is proof. */
static gboolean
check_jpeg (const char *path, GError **error)
{
  g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, error);
  if (!file)
    return FALSE;
  const guint8 *data = (const guint8 *) g_mapped_file_get_contents (file);
  const gsize size = g_mapped_file_get_length (file);
  if (size < 4 || memcmp (data, "\xff\xd8\xff", 3) != 0)
    return TRUE;
  gsize at = 2;
  while (at + 4 <= size && data[at] == 0xff && data[at + 1] != 0xda)
    at += data[at + 1] == 0xff ? 1 : 2u + (data[at + 2] << 8 | data[at + 3]);
  for (; at + 2 <= size; at++) {
    if (data[at] == 0xff && data[at + 1] == 0xd9)
      return TRUE;
  }
  return fail (error, path, "is a JPEG file that is cut: it has no end marker");
}

static void
on_pad_added (GstElement *decoder, GstPad *pad, GstElement *convert)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (convert, "sink");
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  const gboolean is_video = caps && g_str_has_prefix (
      gst_structure_get_name (gst_caps_get_structure (caps, 0)), "video/x-raw");
  if (is_video && !gst_pad_is_linked (sink))
    gst_pad_link (pad, sink);
}

static void
on_no_more_pads (GstElement *decoder, GstElement *convert)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (convert, "sink");
  if (!gst_pad_is_linked (sink))
    GST_ELEMENT_ERROR (decoder, STREAM, WRONG_TYPE, ("there is no picture in it"), (NULL));
}

static GstElement *
build_reader (const char *path, GError **error)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "filesrc name=source ! decodebin name=decoder  videoconvert name=convert ! appsink name=sink sync=false max-buffers=1",
      error);
  if (!pipeline)
    return NULL;
  g_autoptr (GstElement) source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  g_autoptr (GstElement) decoder = gst_bin_get_by_name (GST_BIN (pipeline), "decoder");
  g_autoptr (GstElement) convert = gst_bin_get_by_name (GST_BIN (pipeline), "convert");
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  /* what the preprocessor takes passes as it is; videoconvert brings 16-bit and others to one of these */
  g_autoptr (GstCaps) caps = gst_caps_from_string ("video/x-raw,format=" GST_CLIP_VIDEO_FORMATS);
  gst_app_sink_set_caps (GST_APP_SINK (sink), caps);
  g_object_set (source, "location", path, NULL);
  g_signal_connect (decoder, "pad-added", G_CALLBACK (on_pad_added), convert);
  g_signal_connect (decoder, "no-more-pads", G_CALLBACK (on_no_more_pads), convert);
  return g_steal_pointer (&pipeline);
}

static gboolean
report (GstMessage *message, const char *path, GError **error)
{
  g_autoptr (GError) cause = NULL;
  gst_message_parse_error (message, &cause, NULL);
  g_autofree char *text = g_strdup_printf ("cannot be decoded: %s", cause->message);
  return fail (error, path, text);
}

/* Decoders of pictures only warn of a file that is cut or damaged, and give what they have: not good enough. */
static gboolean
report_warning (GstMessage *message, const char *path, GError **error)
{
  g_autoptr (GError) cause = NULL;
  gst_message_parse_warning (message, &cause, NULL);
  g_autofree char *text = g_strdup_printf ("is damaged or cut: %s", cause->message);
  return fail (error, path, text);
}

static gboolean
wait_for_picture (GstElement *pipeline, const char *path, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  const gint64 end = g_get_monotonic_time () + TOOL_IMAGE_TIMEOUT;
  for (;;) {
    const gint64 left = MAX (end - g_get_monotonic_time (), 0);
    g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus, (GstClockTime) left * GST_USECOND,
        GST_MESSAGE_ERROR | GST_MESSAGE_WARNING | GST_MESSAGE_EOS | GST_MESSAGE_ASYNC_DONE);
    if (!message)
      return fail (error, path, "gave no picture within 10 seconds");
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
      return report (message, path, error);
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING)
      return report_warning (message, path, error);
    return TRUE;
  }
}

static GstSample *
pull (GstElement *pipeline, const char *path, GError **error)
{
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  if (gst_element_set_state (pipeline, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE) {
    g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
    g_autoptr (GstMessage) message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
    if (message)
      report (message, path, error);
    else
      fail (error, path, "cannot be opened");
    return NULL;
  }
  if (!wait_for_picture (pipeline, path, error))
    return NULL;
  GstSample *sample = gst_app_sink_try_pull_preroll (GST_APP_SINK (sink), 0);
  if (!sample)
    fail (error, path, "ends before a whole picture");
  return sample;
}

ToolImage *
tool_image_read (const char *path, GError **error)
{
  if (!check_file (path, error) || !check_jpeg (path, error))
    return NULL;
  gst_init (NULL, NULL);
  g_autoptr (GstElement) pipeline = build_reader (path, error);
  if (!pipeline)
    return NULL;
  g_autoptr (GstSample) sample = pull (pipeline, path, error);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  if (!sample)
    return NULL;
  g_autoptr (ToolImage) image = g_new0 (ToolImage, 1);
  GstVideoInfo info;
  if (!gst_video_info_from_caps (&info, gst_sample_get_caps (sample)) ||
      !gst_video_frame_map (&image->video, &info, gst_sample_get_buffer (sample), GST_MAP_READ)) {
    fail (error, path, "cannot be read from memory after decoding");
    return NULL;
  }
  image->sample = g_steal_pointer (&sample);
  if (!gst_clip_frame_from_video (&image->video, &image->frame)) {
    fail (error, path, "has a pixel format that is not supported");
    return NULL;
  }
  image->frame.use_alpha = TRUE;
  return g_steal_pointer (&image);
}

void
tool_image_free (ToolImage *image)
{
  if (!image)
    return;
  if (image->sample) {
    gst_video_frame_unmap (&image->video);
    gst_sample_unref (image->sample);
  }
  g_free (image);
}

/* GStreamer's rows are padded to 4 bytes */
static GstBuffer *
padded_buffer (const guint8 *rgb, guint size)
{
  const gsize stride = GST_ROUND_UP_4 (size * 3);
  guint8 *pixels = g_malloc0 (stride * size);
  for (guint y = 0; y < size; y++)
    memcpy (pixels + y * stride, rgb + (gsize) y * size * 3, (gsize) size * 3);
  return gst_buffer_new_wrapped (pixels, stride * size);
}

static GstSample *
encode_png (const guint8 *rgb, guint size, GError **error)
{
  g_autoptr (GstElement) pipeline =
      gst_parse_launch ("appsrc name=source format=time ! pngenc snapshot=true ! appsink name=sink sync=false", error);
  if (!pipeline)
    return NULL;
  g_autoptr (GstElement) source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_autoptr (GstCaps) caps = gst_caps_new_simple ("video/x-raw", "format", G_TYPE_STRING, "RGB", "width",
      G_TYPE_INT, (int) size, "height", G_TYPE_INT, (int) size, "framerate", GST_TYPE_FRACTION, 0, 1, NULL);
  gst_app_src_set_caps (GST_APP_SRC (source), caps);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  gst_app_src_push_buffer (GST_APP_SRC (source), padded_buffer (rgb, size));
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  GstSample *sample = gst_app_sink_try_pull_sample (GST_APP_SINK (sink), 10 * GST_SECOND);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  if (!sample)
    g_set_error_literal (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "the PNG encoder failed");
  return sample;
}

gboolean
tool_image_write_png (const char *path, const guint8 *rgb, guint size, GError **error)
{
  gst_init (NULL, NULL);
  g_autoptr (GstSample) sample = encode_png (rgb, size, error);
  if (!sample)
    return FALSE;
  GstMapInfo map;
  if (!gst_buffer_map (gst_sample_get_buffer (sample), &map, GST_MAP_READ))
    return fail (error, path, "the encoded picture cannot be mapped");
  gboolean ok = g_file_set_contents_full (path, (const char *) map.data, (gssize) map.size,
      G_FILE_SET_CONTENTS_CONSISTENT, 0666, error);
  gst_buffer_unmap (gst_sample_get_buffer (sample), &map);
  return ok;
}
