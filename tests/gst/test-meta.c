/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GstClipMeta behind other elements, in pipelines. */
#include <gst/app/gstappsink.h>
#include <gst/video/video.h>

#include "frames.h"

#define SOURCE "videotestsrc num-buffers=2 ! video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! "
#define CLASSIFY "clipclassify name=clip model=demo prompts=\"color bars;snow\" "

static GstPadProbeReturn
add_region (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstBuffer *buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (info));
  gst_buffer_add_video_region_of_interest_meta (buffer, "person", 41, 21, 101, 61);
  GST_PAD_PROBE_INFO_DATA (info) = buffer;
  return GST_PAD_PROBE_OK;
}

/* (transfer full): the last frame behind @elements; frames have a region at 41, 21, 101 x 61 */
static GstSample *
play (const char *options, const char *elements)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *launch = g_strconcat (
      SOURCE, CLASSIFY, options, " ! ", elements, " ! appsink name=sink sync=false", NULL);
  g_autoptr (GstElement) pipeline = gst_parse_launch (launch, &error);
  g_assert_no_error (error);
  g_autoptr (GstElement) clip = gst_bin_get_by_name (GST_BIN (pipeline), "clip");
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_autoptr (GstPad) pad = gst_element_get_static_pad (clip, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, add_region, NULL, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  GstSample *last = NULL, *sample;
  while ((sample = gst_app_sink_pull_sample (GST_APP_SINK (sink)))) {
    g_clear_pointer (&last, gst_sample_unref);
    last = sample;
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_assert_nonnull (last);
  return last;
}

static void
assert_rect (const GstStructure *object, guint x, guint y, guint w, guint h)
{
  const char *const names[] = { "x", "y", "w", "h" };
  const guint expected[] = { x, y, w, h };
  for (guint i = 0; i < 4; i++) {
    guint value = G_MAXUINT;
    g_assert_true (gst_structure_get_uint (object, names[i], &value));
    g_assert_cmpuint (value, ==, expected[i]);
  }
}

static void
test_survives (void)
{
  const struct {
    const char *elements;
    guint w, h;
  } cases[] = {
    { "videoconvert ! video/x-raw,format=RGBA", 320, 240 },
    { "videoscale ! video/x-raw,width=640,height=120", 640, 120 },
    { "videoconvertscale ! video/x-raw,format=NV12,width=77,height=55", 77, 55 },
    { "queue", 320, 240 },
    { "tee name=t t. ! queue ! fakesink async=false t. ! queue ! videoconvert ! video/x-raw,format=BGRx", 320, 240 },
    { "videorate ! video/x-raw,framerate=60/1", 320, 240 },
    { "videobalance saturation=0 ! queue ! gamma gamma=2", 320, 240 },
    { "clipoverlay", 320, 240 },
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GstSample) sample = play ("", cases[i].elements);
    const GstStructure *object = object_of (gst_sample_get_buffer (sample));
    g_test_message ("%s", cases[i].elements);
    assert_rect (object, 0, 0, cases[i].w, cases[i].h);
    g_assert_cmpfloat (label_double (object, 0, "confidence"), >, 0.5);
  }
}

/* GStreamer's own region on the same frame says where it must be. */
static void
test_regions_are_scaled (void)
{
  const char *const cases[] = { "videoconvert ! video/x-raw,format=RGB", "videoscale ! video/x-raw,width=640,height=480",
    "videoscale ! video/x-raw,width=100,height=33", "videoscale ! video/x-raw,width=1920,height=64 ! videoconvert" };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GstSample) sample = play ("inference-region=roi-list", cases[i]);
    GstBuffer *buffer = gst_sample_get_buffer (sample);
    const GstVideoRegionOfInterestMeta *roi = gst_buffer_get_video_region_of_interest_meta_id (buffer, -1);
    if (!roi)
      roi = (gpointer) gst_buffer_get_meta (buffer, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
    g_assert_nonnull (roi);
    g_assert_true (i == 0 || roi->w != 101);
    assert_rect (object_of (buffer), roi->x, roi->y, roi->w, roi->h);
  }
}

/* A region that would be somewhere else is worse than none. */
static void
test_cut_and_turned (void)
{
  const char *const cases[] = { "videocrop left=40 top=10", "videoflip video-direction=horiz", "videobox left=-20",
    "videoflip video-direction=90r" };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GstSample) sample = play ("inference-region=roi-list", cases[i]);
    g_test_message ("%s", cases[i]);
    g_assert_null (gst_buffer_get_custom_meta (gst_sample_get_buffer (sample), "GstClipMeta"));
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/meta/survives", test_survives);
  g_test_add_func ("/meta/regions-are-scaled", test_regions_are_scaled);
  g_test_add_func ("/meta/cut-and-turned", test_cut_and_turned);
  return g_test_run ();
}
