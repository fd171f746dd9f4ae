/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clipclassify in a stream: frames that do not wait, what is held and drained, flushes, QoS, still pictures, spans. */
#include "frames.h"

#define PROMPTS "a black picture;a white picture"
#define CLASSIFY "clipclassify model=demo prompts=\"" PROMPTS "\" "
#define SIDE 96
#define FRAME (GST_SECOND / 30)

static char *caps;

static void
push (GstHarness *h, guint8 value, guint n)
{
  g_assert_cmpint (gst_harness_push (h, new_frame (caps, value, n * FRAME)), ==, GST_FLOW_OK);
}

/* Pulls the next frame, which must be the nth. (transfer full) */
static GstBuffer *
pull (GstHarness *h, guint n)
{
  GstBuffer *buffer = gst_harness_try_pull (h);
  g_assert_nonnull (buffer);
  g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, n * FRAME);
  return buffer;
}

static guint64
count_of (GstElement *classifier, const char *statistic)
{
  guint64 count;
  g_object_get (classifier, statistic, &count, NULL);
  return count;
}

/* Gets frame 0 through. From then on the worker waits for a full batch, a minute long: until then, or until somebody
 * waits for a result, nothing is done. */
static void
stall (GstHarness *h, GstElement *classifier, guint batch_size)
{
  gdouble batches = 0.0;
  push (h, 0, 0);
  gst_buffer_unref (pull (h, 0));
  while (batches == 0.0) {
    g_usleep (1000);
    g_object_get (classifier, "batch-mean", &batches, NULL);
  }
  g_object_set (classifier, "batch-size", batch_size, "batch-timeout", 60000, NULL);
}

/* The bus of the harness's classifier; undo with gst_element_set_bus (classifier, NULL) */
static GstBus *
watch (GstElement *classifier)
{
  GstBus *bus = gst_bus_new ();
  gst_element_set_bus (classifier, bus);
  return bus;
}

/* The next clip-label-changed: @label since frame @start; @previous from @from to @to, in frames. */
static void
expect_change (GstBus *bus, const char *label, guint64 start, const char *previous, guint64 from, guint64 to)
{
  g_autoptr (GstMessage) message = wait_message (bus, GST_MESSAGE_ELEMENT);
  g_assert_nonnull (message);
  const GstStructure *s = gst_message_get_structure (message);
  guint64 running_time, previous_start, previous_end;
  g_assert_true (gst_structure_get (s, "running-time", G_TYPE_UINT64, &running_time, "previous-start", G_TYPE_UINT64,
      &previous_start, "previous-end", G_TYPE_UINT64, &previous_end, NULL));
  g_assert_cmpstr (gst_structure_get_string (s, "label"), ==, label);
  g_assert_cmpstr (gst_structure_get_string (s, "previous"), ==, previous);
  g_assert_cmpuint (running_time, ==, start * FRAME);
  g_assert_cmpuint (previous_start, ==, previous ? from * FRAME : GST_CLOCK_TIME_NONE);
  g_assert_cmpuint (previous_end, ==, previous ? to * FRAME : GST_CLOCK_TIME_NONE);
}

/* Frames do not wait for a worker that gives nothing; only the newest stays for it; at the end it is not lost. */
static void
test_never_waits (void)
{
  GstHarness *h = new_harness (CLASSIFY "async=always", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_autoptr (GstBus) bus = watch (classifier);
  stall (h, classifier, 4);
  for (guint i = 1; i <= 20; i++) {
    push (h, 255, i);
    GstBuffer *buffer = pull (h, i);
    g_assert_false (is_inferred (object_of (buffer)));
    g_assert_cmpuint (age_of (object_of (buffer)), ==, i * FRAME);
    gst_buffer_unref (buffer);
  }
  g_assert_cmpuint (count_of (classifier, "frames-inferred"), ==, 1);
  g_assert_true (gst_harness_push_event (h, gst_event_new_eos ()));
  g_assert_cmpuint (count_of (classifier, "frames-inferred"), ==, 2);
  g_assert_cmpuint (count_of (classifier, "frames-dropped"), ==, 19);
  g_assert_cmpuint (count_of (classifier, "frames-reused"), ==, 21);
  expect_change (bus, "a black picture", 0, NULL, 0, 0);
  expect_change (bus, "a white picture", 20, "a black picture", 0, 20);
  expect_change (bus, NULL, 21, "a white picture", 20, 21);
  gst_element_set_bus (classifier, NULL);
  gst_harness_teardown (h);
}

/* Each age names the frame that the result is of. */
static void
test_ages (void)
{
  GstHarness *h = new_harness (CLASSIFY "async=always", caps);
  guint64 newest = 0;
  guint seen = 0;
  for (guint i = 0; i < 400 && seen < 50; i++) {
    push (h, i % 2 ? 255 : 0, i);
    GstBuffer *buffer = pull (h, i);
    if (count_objects (buffer) > 0) {
      const GstStructure *object = object_of (buffer);
      guint64 taken = i - age_of (object) / FRAME;
      g_assert_false (is_inferred (object));
      g_assert_cmpuint (age_of (object), ==, (i - taken) * FRAME); /* whole frames: it was one of those that came */
      g_assert_cmpuint (taken, >=, newest); /* never an older result than before */
      g_assert_cmpfloat (label_double (object, taken % 2, "confidence"), >, 0.5);
      newest = taken;
      seen++;
    }
    gst_buffer_unref (buffer);
    g_usleep (2000);
  }
  g_assert_cmpuint (seen, ==, 50);
  g_assert_cmpuint (newest, >, 0);
  gst_harness_teardown (h);
}

/* async=auto: a live stream's frames do not wait and add no latency; those of a file wait. */
static void
test_auto (void)
{
  for (guint live = 0; live < 2; live++) {
    GstHarness *h = gst_harness_new_parse (CLASSIFY);
    g_autoptr (GstElement) classifier = classifier_of (h);
    gst_harness_set_live (h, live);
    gst_harness_set_upstream_latency (h, 7 * GST_MSECOND);
    gst_harness_set_src_caps_str (h, caps);
    stall (h, classifier, 2);
    push (h, 0, 1);
    GstBuffer *first = gst_harness_try_pull (h);
    g_assert_cmpint (first != NULL, ==, live);
    gst_clear_buffer (&first);
    if (live)
      g_assert_cmpuint (gst_harness_query_latency (h), ==, 7 * GST_MSECOND);
    gst_harness_teardown (h);
  }
}

/* A live stream whose frames wait says for how long, when it is known and when it grows. */
static void
test_live_latency (void)
{
  GstHarness *h = gst_harness_new_parse (CLASSIFY "async=never batch-size=3 batch-timeout=0");
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_autoptr (GstBus) bus = watch (classifier);
  gst_harness_set_live (h, TRUE);
  gst_harness_set_src_caps_str (h, caps);
  gst_harness_set_upstream_latency (h, 7 * GST_MSECOND);
  for (guint i = 0; i < 6; i++)
    push (h, 0, i);
  g_autoptr (GstMessage) message = wait_message (bus, GST_MESSAGE_LATENCY);
  g_assert_nonnull (message);
  gdouble longest;
  g_object_get (classifier, "latency-max", &longest, NULL);
  /* two other frames of its batch, and the encoder */
  g_assert_cmpuint (gst_harness_query_latency (h), >=,
      7 * GST_MSECOND + 2 * FRAME - 2 + (GstClockTime) (longest * GST_MSECOND));
  gst_element_set_bus (classifier, NULL);
  gst_harness_teardown (h);
}


static GstPadProbeReturn
write_down (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GString *order = data;
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER)
    g_string_append_printf (order, "%u ", (guint) (GST_BUFFER_PTS (GST_PAD_PROBE_INFO_BUFFER (info)) / FRAME));
  else if (GST_EVENT_IS_SERIALIZED (GST_PAD_PROBE_INFO_EVENT (info)))
    g_string_append_printf (order, "%s ", GST_EVENT_TYPE_NAME (GST_PAD_PROBE_INFO_EVENT (info)));
  return GST_PAD_PROBE_OK;
}

static GString *
log_output (GstElement *classifier)
{
  GString *order = g_string_new (NULL);
  g_autoptr (GstPad) pad = gst_element_get_static_pad (classifier, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, write_down, order, NULL);
  return order;
}

/* What is held leaves in order: events at their place, all of it before a segment, a drain query and the end. */
static void
test_held_frames (void)
{
  GstHarness *h = new_harness (CLASSIFY, caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  stall (h, classifier, 8);
  GString *order = log_output (classifier);
  push (h, 0, 1);
  gst_harness_push_event (h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty ("mark")));
  gst_harness_push_event (h, gst_event_new_tag (gst_tag_list_new (GST_TAG_TITLE, "a title", NULL)));
  push (h, 0, 2);
  g_assert_cmpstr (order->str, ==, "");
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push (h, 0, 3);
  g_autoptr (GstQuery) drain = gst_query_new_drain ();
  g_autoptr (GstPad) sink = gst_element_get_static_pad (classifier, "sink");
  gst_pad_query (sink, drain);
  g_assert_nonnull (strstr (order->str, "3 "));
  push (h, 0, 4);
  push (h, 0, 5);
  gst_harness_push_event (h, gst_event_new_eos ());
  g_assert_cmpstr (order->str, ==, "1 custom-downstream tag 2 segment 3 4 5 eos ");
  for (guint i = 1; i < 6; i++) {
    GstBuffer *buffer = pull (h, i);
    g_assert_true (is_inferred (object_of (buffer)));
    g_assert_cmpuint (age_of (object_of (buffer)), ==, 0);
    gst_buffer_unref (buffer);
  }
  gst_harness_teardown (h);
  g_string_free (order, TRUE);
}

/* A flush drops what is held and what was known; after it frames get results of their own again. */
static void
test_flush (void)
{
  GstHarness *h = new_harness (CLASSIFY, caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  stall (h, classifier, 4);
  for (guint i = 1; i < 4; i++)
    push (h, 0, i);
  gst_harness_push_event (h, gst_event_new_flush_start ());
  g_assert_cmpint (gst_harness_push (h, new_frame (caps, 0, 0)), ==, GST_FLOW_FLUSHING);
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (guint i = 10; i < 14; i++)
    push (h, 255, i);
  gst_harness_push_event (h, gst_event_new_eos ());
  for (guint i = 10; i < 14; i++) {
    GstBuffer *buffer = pull (h, i);
    g_assert_true (is_inferred (object_of (buffer)));
    g_assert_cmpfloat (label_double (object_of (buffer), 1, "confidence"), >, 0.5);
    gst_buffer_unref (buffer);
  }
  g_assert_null (gst_harness_try_pull (h));
  gst_harness_teardown (h);
}

/* After a flush in the midst of frames that do not wait, no result of the time before comes to frames after it. */
static void
test_flush_async (void)
{
  GstHarness *h = new_harness (CLASSIFY "async=always", caps);
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  for (guint round = 0; round < 20; round++) {
    for (guint i = 0; i < 5; i++) {
      push (h, 0, i);
      gst_buffer_unref (pull (h, i));
    }
    gst_harness_push_event (h, gst_event_new_flush_start ());
    gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
    gst_harness_push_event (h, gst_event_new_segment (&segment));
    for (guint i = 5; i < 10; i++) {
      push (h, 255, i);
      GstBuffer *buffer = pull (h, i);
      if (count_objects (buffer) > 0)
        g_assert_cmpfloat (label_double (object_of (buffer), 1, "confidence"), >, 0.5);
      gst_buffer_unref (buffer);
    }
    gst_harness_push_event (h, gst_event_new_flush_start ());
    gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
    gst_harness_push_event (h, gst_event_new_segment (&segment));
  }
  gst_harness_teardown (h);
}

/* Late frames do without a result of their own, and are passed on. */
static void
test_qos (void)
{
  GstHarness *h = new_harness (CLASSIFY, caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  push (h, 0, 0);
  gst_buffer_unref (pull (h, 0));
  gst_harness_push_upstream_event (h, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 0.5, 2 * FRAME, FRAME));
  for (guint i = 1; i < 10; i++) { /* frame 1 was late by two: those up to 5 are not worth the work */
    push (h, 255, i);
    GstBuffer *buffer = pull (h, i);
    g_assert_cmpint (is_inferred (object_of (buffer)), ==, i > 5);
    g_assert_cmpuint (age_of (object_of (buffer)), ==, i > 5 ? 0 : i * FRAME);
    gst_buffer_unref (buffer);
  }
  g_assert_cmpuint (count_of (classifier, "frames-late"), ==, 5);
  /* nobody is late in a new segment */
  GstSegment segment;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_upstream_event (h, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 0.5, 100 * FRAME, 9 * FRAME));
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  push (h, 255, 10);
  GstBuffer *buffer = pull (h, 10);
  g_assert_true (is_inferred (object_of (buffer)));
  gst_buffer_unref (buffer);
  /* qos=false: the element does not care */
  g_object_set (classifier, "qos", FALSE, NULL);
  gst_harness_push_upstream_event (h, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 0.5, 100 * FRAME, 9 * FRAME));
  push (h, 255, 11);
  buffer = pull (h, 11);
  g_assert_true (is_inferred (object_of (buffer)));
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

/* A picture that stands still is encoded once, again when it changes, and when its result has become old. */
static void
test_still_picture (void)
{
  GstHarness *h = new_harness (CLASSIFY "change-threshold=3 refresh-interval=333333330", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  for (guint i = 0; i < 30; i++) {
    push (h, i < 15 ? 100 : 110, i);
    GstBuffer *buffer = pull (h, i);
    gboolean sent = i == 0 || i == 10 || i == 15 || i == 25; /* the start, a refresh, the change, a refresh */
    g_assert_cmpint (is_inferred (object_of (buffer)), ==, sent);
    gst_buffer_unref (buffer);
  }
  g_assert_cmpuint (count_of (classifier, "frames-inferred"), ==, 4);
  g_assert_cmpuint (count_of (classifier, "frames-skipped"), ==, 26);
  g_object_set (classifier, "change-threshold", 0.0, NULL);
  push (h, 110, 30);
  GstBuffer *buffer = pull (h, 30);
  g_assert_true (is_inferred (object_of (buffer)));
  gst_buffer_unref (buffer);
  gst_harness_teardown (h);
}

/* A glimpse changes no label; a label that holds has a start and an end. */
static void
test_spans (void)
{
  GstHarness *h = new_harness (CLASSIFY "hold-time=100000000", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_autoptr (GstBus) bus = watch (classifier);
  for (guint i = 0; i < 30; i++) {
    push (h, i == 10 || i >= 20 ? 255 : 0, i);
    gst_buffer_unref (pull (h, i));
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  expect_change (bus, "a black picture", 0, NULL, 0, 0);
  expect_change (bus, "a white picture", 20, "a black picture", 0, 20);
  expect_change (bus, NULL, 30, "a white picture", 20, 30);
  g_assert_false (gst_bus_have_pending (bus));
  gst_element_set_bus (classifier, NULL);
  gst_harness_teardown (h);
}

/* The statistics of the message are those of the properties. */
static void
test_statistics_message (void)
{
  GstHarness *h = new_harness (CLASSIFY "statistics-interval=1 inference-interval=2", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_autoptr (GstBus) bus = gst_bus_new ();
  for (guint i = 0; i < 10; i++) {
    push (h, 0, i);
    gst_buffer_unref (pull (h, i));
  }
  gst_element_set_bus (classifier, bus);
  g_usleep (1000);
  push (h, 0, 10);
  g_autoptr (GstMessage) message = wait_message (bus, GST_MESSAGE_ELEMENT);
  g_assert_nonnull (message);
  const GstStructure *s = gst_message_get_structure (message);
  guint64 inferred, reused;
  gdouble fps, inference_fps, mean, max;
  g_assert_cmpstr (gst_structure_get_name (s), ==, "clip-statistics");
  g_assert_true (gst_structure_get (s, "frames-inferred", G_TYPE_UINT64, &inferred, "frames-reused", G_TYPE_UINT64,
      &reused, "fps", G_TYPE_DOUBLE, &fps, "inference-fps", G_TYPE_DOUBLE, &inference_fps, "latency-mean",
      G_TYPE_DOUBLE, &mean, "latency-max", G_TYPE_DOUBLE, &max, NULL));
  g_assert_cmpuint (inferred, ==, 5); /* the sixth is on its way */
  g_assert_cmpuint (reused, ==, 5);
  g_assert_cmpfloat (fps, >, 1.9 * inference_fps);
  g_assert_cmpfloat (mean, >, 0.0);
  g_assert_cmpfloat (max, >=, mean);
  gst_element_set_bus (classifier, NULL);
  gst_harness_teardown (h);
}

/* Elements that name the same instance share an engine, whatever their prompts; it goes with the last of them. */
static void
test_instances (void)
{
  GstHarness *a = new_harness (CLASSIFY "model-instance-id=one", caps);
  GstHarness *b = new_harness ("clipclassify model=demo model-instance-id=one prompts=\"snow;a ball;a black picture\"", caps);
  g_autoptr (GstElement) other = gst_element_factory_make ("clipclassify", NULL);
  g_autoptr (GstElement) first = classifier_of (a);
  g_autoptr (GstBus) bus = watch (other);
  g_autoptr (GError) error = NULL;
  gst_object_ref_sink (other);
  g_object_set (other, "model", g_getenv ("CLIP_OTHER_MODEL"), "model-instance-id", "one", "prompts", "a", NULL);
  push (a, 0, 0);
  push (b, 0, 0);
  GstBuffer *from_a = pull (a, 0), *from_b = pull (b, 0);
  g_assert_cmpfloat_with_epsilon (
      label_double (object_of (from_a), 0, "cosine"), label_double (object_of (from_b), 2, "cosine"), 1e-6);
  gst_buffer_unref (from_a);
  gst_buffer_unref (from_b);
  gdouble batch;
  g_object_get (first, "batch-mean", &batch, NULL);
  g_assert_cmpfloat (batch, ==, 1.0);
  g_assert_cmpint (gst_element_set_state (other, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
  g_autoptr (GstMessage) message = wait_message (bus, GST_MESSAGE_ERROR);
  gst_message_parse_error (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "model-instance-id \"one\" is in use"));
  gst_harness_teardown (a);
  g_assert_cmpint (gst_element_set_state (other, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE); /* b holds it */
  gst_harness_teardown (b);
  g_assert_cmpint (gst_element_set_state (other, GST_STATE_PAUSED), !=, GST_STATE_CHANGE_FAILURE);
  gst_element_set_state (other, GST_STATE_NULL);
  gst_element_set_bus (other, NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  caps = caps_of ("RGB", SIDE, SIDE);
  /* The device lives as long as this one, and with it its kernels: an engine's first frame is not one that compiles. */
  GstHarness *warm = new_harness (CLASSIFY, caps);
  push (warm, 0, 0);
  g_test_add_func ("/live/never-waits", test_never_waits);
  g_test_add_func ("/live/ages", test_ages);
  g_test_add_func ("/live/auto", test_auto);
  g_test_add_func ("/live/latency", test_live_latency);
  g_test_add_func ("/live/held-frames", test_held_frames);
  g_test_add_func ("/live/flush", test_flush);
  g_test_add_func ("/live/flush-async", test_flush_async);
  g_test_add_func ("/live/qos", test_qos);
  g_test_add_func ("/live/still-picture", test_still_picture);
  g_test_add_func ("/live/spans", test_spans);
  g_test_add_func ("/live/statistics-message", test_statistics_message);
  g_test_add_func ("/live/instances", test_instances);
  int status = g_test_run ();
  gst_harness_teardown (warm);
  g_free (caps);
  return status;
}
