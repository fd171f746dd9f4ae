/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clipclassify over time: windows by running time, and spans that an application can cut on. */
#include <gst/video/video.h>

#include "frames.h"

#define CLASSIFY "clipclassify model=demo prompts=\"a black picture;a white picture\" "
#define NONE GST_CLOCK_TIME_NONE

typedef struct {
  const char *label, *previous;
  guint64 start, previous_start, previous_end;
} Change;

static GstBus *
watch (GstHarness *h)
{
  g_autoptr (GstElement) classifier = classifier_of (h);
  GstBus *bus = gst_bus_new ();
  gst_element_set_bus (classifier, bus);
  return bus;
}

static void
finish (GstHarness *h)
{
  g_autoptr (GstElement) classifier = classifier_of (h);
  gst_element_set_bus (classifier, NULL);
  gst_harness_teardown (h);
}

/* The bus holds just these changes. */
static void
assert_changes (GstBus *bus, const Change *want, guint n)
{
  for (guint i = 0; i < n; i++) {
    Change got = { 0 };
    GstMessage *message = gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT);
    g_assert_nonnull (message);
    const GstStructure *s = gst_message_get_structure (message);
    gst_structure_get (s, "running-time", G_TYPE_UINT64, &got.start, "previous-start", G_TYPE_UINT64,
        &got.previous_start, "previous-end", G_TYPE_UINT64, &got.previous_end, NULL);
    g_assert_cmpstr (gst_structure_get_string (s, "label"), ==, want[i].label);
    g_assert_cmpstr (gst_structure_get_string (s, "previous"), ==, want[i].previous);
    g_assert_cmpuint (got.start, ==, want[i].start);
    g_assert_cmpuint (got.previous_start, ==, want[i].previous_start);
    g_assert_cmpuint (got.previous_end, ==, want[i].previous_end);
    gst_message_unref (message);
  }
  g_assert_null (gst_bus_pop_filtered (bus, GST_MESSAGE_ELEMENT));
}

static GstBuffer *
push (GstHarness *h, const char *caps, guint8 value, GstClockTime pts, GstClockTime duration)
{
  GstBuffer *frame = new_frame (caps, value, pts);
  GST_BUFFER_DURATION (frame) = duration;
  return gst_harness_push_and_pull (h, frame);
}

/* The last span goes to the end of the last frame, not to its beginning: who cuts on it must not lose that frame. */
static void
test_span_to_the_end (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness (CLASSIFY, caps);
  g_autoptr (GstBus) bus = watch (h);
  for (guint i = 0; i < 3; i++)
    gst_buffer_unref (push (h, caps, i == 0 ? 0 : 255, i * GST_SECOND, i == 2 ? GST_SECOND : NONE));
  gst_harness_push_event (h, gst_event_new_eos ());
  const Change want[] = { { "a black picture", NULL, 0, NONE, NONE },
    { "a white picture", "a black picture", GST_SECOND, 0, GST_SECOND },
    { NULL, "a white picture", 3 * GST_SECOND, GST_SECOND, 3 * GST_SECOND } };
  assert_changes (bus, want, G_N_ELEMENTS (want));
  finish (h);
}

/* A stream that is stopped without an end has its spans ended too. */
static void
test_span_of_a_stopped_stream (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness (CLASSIFY, caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_autoptr (GstBus) bus = watch (h);
  for (guint i = 0; i < 2; i++)
    gst_buffer_unref (push (h, caps, 0, i * GST_SECOND, GST_SECOND));
  gst_element_set_state (classifier, GST_STATE_READY);
  const Change want[] = { { "a black picture", NULL, 0, NONE, NONE },
    { NULL, "a black picture", 2 * GST_SECOND, 0, 2 * GST_SECOND } };
  assert_changes (bus, want, G_N_ELEMENTS (want));
  finish (h);
}

/* A tracked object's span goes to the end of the last frame that showed it, also when it is classified once only. */
static void
test_span_of_a_region (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness (CLASSIFY "inference-region=roi-list reclassify-interval=0", caps);
  g_autoptr (GstBus) bus = watch (h);
  for (guint i = 0; i < 9; i++) {
    GstBuffer *frame = new_frame (caps, 0, i * GST_SECOND);
    GST_BUFFER_DURATION (frame) = GST_SECOND;
    if (i >= 2 && i < 6) {
      GstVideoRegionOfInterestMeta *roi = gst_buffer_add_video_region_of_interest_meta (frame, "thing", 8, 8, 64, 64);
      gst_video_region_of_interest_meta_add_param (roi, gst_structure_new ("object_id", "id", G_TYPE_INT, 5, NULL));
    }
    gst_buffer_unref (gst_harness_push_and_pull (h, frame));
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  const Change want[] = { { "a black picture", NULL, 2 * GST_SECOND, NONE, NONE },
    { NULL, "a black picture", 6 * GST_SECOND, 2 * GST_SECOND, 6 * GST_SECOND } };
  assert_changes (bus, want, G_N_ELEMENTS (want));
  finish (h);
}

static void
start_segment (GstHarness *h, gdouble rate, GstClockTime start, GstClockTime base)
{
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = rate;
  segment.start = segment.time = segment.position = start;
  segment.base = base;
  g_assert_true (gst_harness_push_event (h, gst_event_new_segment (&segment)));
}

static guint
frames_in_window (GstBuffer *buffer)
{
  guint n = 0;
  const GstStructure *window = gst_value_get_structure (gst_structure_get_value (object_of (buffer), "window"));
  g_assert_true (gst_structure_get_uint (window, "frames", &n));
  return n;
}

/* A window is one of running time: at double speed it holds twice the frames, and over a gap in the timestamps that the
 * segments bridge it goes on. */
static void
test_window_of_running_time (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness (CLASSIFY "pooling=mean window=1900000000", caps);
  g_autoptr (GstBus) bus = watch (h);
  static const guint want[] = { 1, 2, 3, 4, 4, 4 }, want_after[] = { 4, 3, 2, 2 };
  start_segment (h, 2.0, 100 * GST_SECOND, 10 * GST_SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
    GstBuffer *out = push (h, caps, 0, (100 + i) * GST_SECOND, GST_SECOND);
    g_assert_cmpuint (frames_in_window (out), ==, want[i]);
    gst_buffer_unref (out);
  }
  /* running time 13 s follows 12.5 s */
  start_segment (h, 1.0, 7 * GST_SECOND, 13 * GST_SECOND);
  for (guint i = 0; i < G_N_ELEMENTS (want_after); i++) {
    GstBuffer *out = push (h, caps, 0, (7 + i) * GST_SECOND, GST_SECOND);
    g_assert_cmpuint (frames_in_window (out), ==, want_after[i]);
    gst_buffer_unref (out);
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  const Change changes[] = { { "a black picture", NULL, 10 * GST_SECOND, NONE, NONE },
    { NULL, "a black picture", 17 * GST_SECOND, 10 * GST_SECOND, 17 * GST_SECOND } };
  assert_changes (bus, changes, G_N_ELEMENTS (changes));
  finish (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/actions/span-to-the-end", test_span_to_the_end);
  g_test_add_func ("/actions/span-of-a-stopped-stream", test_span_of_a_stopped_stream);
  g_test_add_func ("/actions/span-of-a-region", test_span_of_a_region);
  g_test_add_func ("/actions/window-of-running-time", test_window_of_running_time);
  return g_test_run ();
}
