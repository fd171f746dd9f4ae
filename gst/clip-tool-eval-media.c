/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: a picture, or the frames of a video that stand for it. */
#include <gst/app/app.h>
#include <gst/base/gsttypefindhelper.h>
#include <stdio.h>

#include "clip-tool-eval.h"
#include "gstclipframe.h"

#define HEAD 65536 /* bytes that tell the type of a file */
#define STEP (100 * GST_MSECOND)
#define TIME_ERROR ((double) GST_MSECOND) /* Matroska and others round times to it */

static gboolean
fail (GError **error, const char *path, const char *message)
{
  g_autofree char *name = g_filename_display_name (path);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "%s: %s", name, message);
  return FALSE;
}

/* (transfer full) (nullable): e.g. "image/png", from the content */
static char *
find_type (const char *path)
{
  g_autofree guint8 *head = g_malloc (HEAD);
  FILE *file = fopen (path, "rb");
  const gsize size = file ? fread (head, 1, HEAD, file) : 0;
  if (file)
    fclose (file);
  g_autoptr (GstCaps) caps = size > 0 ? gst_type_find_helper_for_data (NULL, head, size, NULL) : NULL;
  return caps ? g_strdup (gst_structure_get_name (gst_caps_get_structure (caps, 0))) : NULL;
}

static void
on_no_more_pads (GstElement *decoder, GstElement *convert)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (convert, "sink");
  if (!gst_pad_is_linked (sink))
    GST_ELEMENT_ERROR (decoder, STREAM, WRONG_TYPE, ("there is no video in it"), (NULL));
}

/* Sound is left alone: a stream that is not linked is not decoded. */
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

static GstElement *
build (const char *path, GError **error)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "filesrc name=source ! decodebin name=decoder  videoconvert name=convert ! "
      "appsink name=sink sync=false max-buffers=2", error);
  if (!pipeline)
    return NULL;
  g_autoptr (GstElement) source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  g_autoptr (GstElement) decoder = gst_bin_get_by_name (GST_BIN (pipeline), "decoder");
  g_autoptr (GstElement) convert = gst_bin_get_by_name (GST_BIN (pipeline), "convert");
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_autoptr (GstCaps) caps = gst_caps_from_string ("video/x-raw,format=" GST_CLIP_VIDEO_FORMATS);
  gst_app_sink_set_caps (GST_APP_SINK (sink), caps);
  g_object_set (source, "location", path, NULL);
  g_signal_connect (decoder, "pad-added", G_CALLBACK (on_pad_added), convert);
  g_signal_connect (decoder, "no-more-pads", G_CALLBACK (on_no_more_pads), convert);
  return g_steal_pointer (&pipeline);
}

/* Returns: FALSE with an error when the pipeline reported one */
static gboolean
check_bus (GstElement *pipeline, const char *path, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_autoptr (GError) cause = NULL;
  if (!message)
    return TRUE;
  gst_message_parse_error (message, &cause, NULL);
  g_autofree char *text = g_strdup_printf ("cannot be decoded: %s", cause->message);
  return fail (error, path, text);
}

/* (transfer full) (nullable): the next frame; NULL without an error at the end */
static GstSample *
next_sample (GstElement *pipeline, GstAppSink *sink, const char *path, GError **error)
{
  const gint64 end = g_get_monotonic_time () + TOOL_IMAGE_TIMEOUT;
  do {
    GstSample *sample = gst_app_sink_try_pull_sample (sink, STEP);
    if (sample)
      return sample;
    if (!check_bus (pipeline, path, error) || gst_app_sink_is_eos (sink))
      return NULL;
  } while (g_get_monotonic_time () < end);
  fail (error, path, "gave no frame within 10 seconds");
  return NULL;
}

/* Which frames are wanted. */
typedef struct {
  const EvalFrames *frames;
  guint64 total; /* frames of the video; 0: to be counted */
  guint64 seen; /* frames that passed */
  guint64 taken;
  GstClockTime first; /* EVERY: time of the first frame */
} Choice;

/* The frame in the middle of part @i of the video's equal parts */
static guint64
position (const Choice *choice, guint64 i)
{
  return (2 * i + 1) * choice->total / (2 * MIN ((guint64) choice->frames->count, choice->total));
}

static gboolean
choose_by_time (Choice *choice, GstBuffer *buffer, gboolean *wanted)
{
  const GstClockTime time = GST_BUFFER_PTS (buffer);
  if (!GST_CLOCK_TIME_IS_VALID (time))
    return FALSE;
  if (choice->seen == 0)
    choice->first = time;
  const double period = choice->frames->seconds * (double) GST_SECOND;
  const double since = (time > choice->first ? (double) (time - choice->first) : 0) + TIME_ERROR;
  *wanted = since >= (double) choice->taken * period;
  if (*wanted) /* periods without a frame are passed over */
    choice->taken = (guint64) (since / period) + 1;
  return TRUE;
}

/* Whether the frame is wanted. Returns: FALSE when it cannot be said */
static gboolean
choose (Choice *choice, GstBuffer *buffer, gboolean *wanted)
{
  gboolean known = TRUE;
  *wanted = TRUE;
  if (choice->frames->kind == EVAL_FRAMES_EVERY)
    known = choose_by_time (choice, buffer, wanted);
  else if (choice->frames->kind == EVAL_FRAMES_COUNT)
    *wanted = choice->total > 0 && choice->seen == position (choice, choice->taken);
  if (choice->frames->kind == EVAL_FRAMES_COUNT && *wanted)
    choice->taken++;
  choice->seen++;
  return known;
}

static gboolean
is_complete (const Choice *choice)
{
  return choice->frames->kind == EVAL_FRAMES_COUNT && choice->total > 0 &&
      choice->taken == MIN ((guint64) choice->frames->count, choice->total);
}

static gboolean
give (GstSample *sample, const char *path, EvalFrameFunc func, gpointer user_data, GError **error)
{
  GstVideoInfo info;
  GstVideoFrame video;
  ClipFrame frame;
  if (!gst_video_info_from_caps (&info, gst_sample_get_caps (sample)) ||
      !gst_video_frame_map (&video, &info, gst_sample_get_buffer (sample), GST_MAP_READ))
    return fail (error, path, "cannot be read from memory after decoding");
  gboolean ok = gst_clip_frame_from_video (&video, &frame)
                    ? func (&frame, user_data, error)
                    : fail (error, path, "has a pixel format that is not supported");
  gst_video_frame_unmap (&video);
  return ok;
}

static gboolean
pass (GstElement *pipeline, const char *path, Choice *choice, EvalFrameFunc func, gpointer user_data,
    GError **error)
{
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  if (gst_element_set_state (pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
    return check_bus (pipeline, path, error) && fail (error, path, "cannot be opened");
  while (!is_complete (choice)) {
    g_autoptr (GError) cause = NULL;
    g_autoptr (GstSample) sample = next_sample (pipeline, GST_APP_SINK (sink), path, &cause);
    if (cause) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return FALSE;
    }
    gboolean wanted;
    if (!sample)
      return TRUE;
    if (!choose (choice, gst_sample_get_buffer (sample), &wanted))
      return fail (error, path, "its frames carry no time; use --frames in place of --every");
    if (wanted && !give (sample, path, func, user_data, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
run_pass (const char *path, Choice *choice, EvalFrameFunc func, gpointer user_data, GError **error)
{
  g_autoptr (GstElement) pipeline = build (path, error);
  if (!pipeline)
    return FALSE;
  gboolean ok = pass (pipeline, path, choice, func, user_data, error);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  if (ok && choice->seen == 0)
    return fail (error, path, "has no frame");
  return ok;
}

/* What a missing decoder would have to decode is in the type: GStreamer's message does not say it. */
static void
add_type (GError **error, const char *type)
{
  if (!error || !g_error_matches (*error, CLIP_ERROR, CLIP_ERROR_IMAGE))
    return;
  g_autofree char *message = g_strdup_printf ("%s (%s)", (*error)->message, type);
  g_free ((*error)->message);
  (*error)->message = g_steal_pointer (&message);
}

/* A container's duration may be wrong or absent, so frames are counted first. Decoding twice costs less than
 * encoding what is not wanted. */
static gboolean
read_video (const char *path, const EvalFrames *frames, EvalFrameFunc func, gpointer user_data, GError **error)
{
  Choice choice = { .frames = frames };
  if (frames->kind == EVAL_FRAMES_COUNT) {
    Choice counting = { .frames = frames };
    if (!run_pass (path, &counting, func, user_data, error))
      return FALSE;
    choice.total = counting.seen;
  }
  return run_pass (path, &choice, func, user_data, error);
}

gboolean
eval_read_frames (
    const char *path, const EvalFrames *frames, EvalFrameFunc func, gpointer user_data, GError **error)
{
  gst_init (NULL, NULL);
  g_autofree char *type = g_file_test (path, G_FILE_TEST_IS_REGULAR) ? find_type (path) : NULL;
  if (!type)
    return fail (error, path, "is neither a picture nor a video");
  /* animated GIF has frames as a video has */
  if (!g_str_has_prefix (type, "image/") || g_str_equal (type, "image/gif")) {
    const gboolean ok = read_video (path, frames, func, user_data, error);
    if (!ok)
      add_type (error, type);
    return ok;
  }
  g_autoptr (ToolImage) image = tool_image_read (path, error);
  return image && func (&image->frame, user_data, error);
}
