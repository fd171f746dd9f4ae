/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames clipjson writes, and what their lines say of time. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "frames.h"

#define CAPS "video/x-raw,format=GRAY8,width=8,height=8,framerate=10/1"
#define FRAME (GST_SECOND / 10)

/* An object with one label, which passed unless it is "-" */
static GstStructure *
new_object (const char *label, guint64 id)
{
  GValue labels = G_VALUE_INIT, top = G_VALUE_INIT, first = G_VALUE_INIT;
  GstStructure *object = gst_structure_new ("object", "x", G_TYPE_UINT, 0, "y", G_TYPE_UINT, 0, "w", G_TYPE_UINT, 8,
      "h", G_TYPE_UINT, 8, "inferred", G_TYPE_BOOLEAN, TRUE, "age", G_TYPE_UINT64, (guint64) 0, NULL);
  g_value_init (&labels, GST_TYPE_ARRAY);
  g_value_init (&top, GST_TYPE_ARRAY);
  append_structure (&labels, gst_structure_new ("label", "label", G_TYPE_STRING, label, "label-id", G_TYPE_UINT, 0, "cosine",
                       G_TYPE_DOUBLE, 0.0 / 0.0, "confidence", G_TYPE_DOUBLE, 0.5, "negative", G_TYPE_BOOLEAN, FALSE,
                       "passed", G_TYPE_BOOLEAN, TRUE, NULL));
  g_value_init (&first, G_TYPE_UINT);
  if (!g_str_equal (label, "-"))
    gst_value_array_append_value (&top, &first);
  gst_structure_take_value (object, "labels", &labels);
  gst_structure_take_value (object, "top", &top);
  if (id)
    gst_structure_set (object, "tracking-id", G_TYPE_UINT64, id, NULL);
  return object;
}

/* (transfer full): @what is "label", or "id=label id=label" */
static GstBuffer *
new_result (const char *what, guint frame)
{
  GValue objects = G_VALUE_INIT;
  GstBuffer *buffer = new_frame (CAPS, 0, frame * FRAME);
  GstStructure *fields = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "GstClipMeta"));
  g_auto (GStrv) words = g_strsplit (what, " ", -1);
  g_value_init (&objects, GST_TYPE_ARRAY);
  for (guint i = 0; words[i]; i++) {
    const char *equals = strchr (words[i], '=');
    append_structure (&objects, new_object (equals ? equals + 1 : words[i], equals ? g_ascii_strtoull (words[i], NULL, 10) : 0));
  }
  gst_structure_set (fields, "model", G_TYPE_STRING, "m", "prompts-serial", G_TYPE_UINT, 1, "logit-scale", G_TYPE_DOUBLE,
      1.0, NULL);
  gst_structure_take_value (fields, "objects", &objects);
  return buffer;
}

static JsonObject *
parse (GstBuffer *line)
{
  GstMapInfo map;
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_assert_nonnull (line);
  gst_buffer_map (line, &map, GST_MAP_READ);
  g_assert_true (json_parser_load_from_data (parser, (const char *) map.data, (gssize) map.size, NULL));
  gst_buffer_unmap (line, &map);
  gst_buffer_unref (line);
  return json_object_ref (json_node_get_object (json_parser_get_root (parser)));
}

static JsonObject *
push_and_parse (GstHarness *h, GstBuffer *frame)
{
  return parse (gst_harness_push_and_pull (h, frame));
}

/* Which of @frames (from the first, until NULL) have a line: "x" or "." for each */
static char *
written (const char *launch, const char *const *frames)
{
  GstHarness *h = new_harness (launch, CAPS);
  g_autoptr (GString) seen = g_string_new (NULL);
  for (guint i = 0; frames[i]; i++) {
    g_assert_cmpint (gst_harness_push (h, new_result (frames[i], i)), ==, GST_FLOW_OK);
    GstBuffer *line = gst_harness_try_pull (h);
    g_string_append_c (seen, line ? 'x' : '.');
    g_clear_pointer (&line, gst_buffer_unref);
  }
  gst_harness_teardown (h);
  return g_string_free (g_steal_pointer (&seen), FALSE);
}

static void
check (const char *launch, const char *const *frames, const char *expected)
{
  g_autofree char *seen = written (launch, frames);
  g_assert_cmpstr (seen, ==, expected);
}

static void
test_all (void)
{
  check ("clipjson", (const char *[]){ "a", "a", "b", NULL }, "xxx");
}

static void
test_only_on_change (void)
{
  const char *one[] = { "a", "a", "b", "b", "-", "-", "a", NULL };
  const char *tracked[] = { "1=a 2=b", "2=b 1=a", "1=a", "1=a 2=b", "1=a 2=c", "3=a 1=a", "3=a", NULL };
  const char *loose[] = { "a b", "a b", "b a", "b", NULL };
  check ("clipjson only-on-change=true", one, "x.x.x.x");
  check ("clipjson only-on-change=true", tracked, "x...xx.");
  check ("clipjson only-on-change=true", loose, "x.x.");
}

/* A change within the interval is not lost, it comes later; one that was taken back is none. */
static void
test_interval (void)
{
  const char *frames[] = { "a", "b", "b", "b", "a", "b", "b", NULL };
  check ("clipjson only-on-change=true interval=300000000", frames, "x..x...");
  check ("clipjson interval=300000000", frames, "x..x..x");
}

/* An object that vanished for long is reported again; a stream that begins anew begins with a line. */
static void
test_forgets (void)
{
  g_autoptr (GPtrArray) frames = g_ptr_array_new ();
  for (guint i = 0; i < 400; i++)
    g_ptr_array_add (frames, (gpointer) (i == 0 || i == 200 || i == 399 ? "1=a 2=b" : i < 399 ? "2=b" : NULL));
  g_ptr_array_add (frames, NULL);
  g_autofree char *seen = written ("clipjson only-on-change=true", (const char *const *) frames->pdata);
  g_assert_cmpint (seen[200], ==, '.');
  g_assert_cmpint (seen[399], ==, '.');
  for (guint i = 0; i < 400; i++)
    frames->pdata[i] = (gpointer) (i == 0 || i == 399 ? "1=a 2=b" : "2=b");
  g_autofree char *again = written ("clipjson only-on-change=true", (const char *const *) frames->pdata);
  g_assert_cmpint (again[399], ==, 'x');
}

static void
test_not_finite (void)
{
  GstHarness *h = new_harness ("clipjson", CAPS);
  g_autoptr (JsonObject) line = push_and_parse (h, new_result ("a", 0));
  JsonObject *clip = json_object_get_object_member (
      json_array_get_object_element (json_object_get_array_member (line, "objects"), 0), "clip");
  JsonObject *label = json_array_get_object_element (json_object_get_array_member (clip, "labels"), 0);
  g_assert_true (json_object_get_null_member (label, "cosine"));
  gst_harness_teardown (h);
}

static void
add_reference (GstBuffer *buffer, const char *caps_string, GstClockTime timestamp)
{
  g_autoptr (GstCaps) caps = gst_caps_new_empty_simple (caps_string);
  gst_buffer_add_reference_timestamp_meta (buffer, caps, timestamp, GST_CLOCK_TIME_NONE);
}

/* 2000-01-01T12:00:00Z is 946728000 s after 1970, and 946728000 + 2208988800 after 1900 (RFC 868 names the difference). */
static void
test_utc_of_stream (void)
{
  const struct {
    const char *caps;
    GstClockTime timestamp;
    const char *utc;
  } cases[] = {
    { "timestamp/x-unix", 946728000 * GST_SECOND + 1, "2000-01-01T12:00:00.000000001Z" },
    { "timestamp/x-ntp", G_GUINT64_CONSTANT (3155716800) * GST_SECOND + 987654321, "2000-01-01T12:00:00.987654321Z" },
    { "timestamp/x-ntp", 5 * GST_SECOND, NULL },
    { "timestamp/x-other", 946728000 * GST_SECOND, NULL },
  };
  GstHarness *h = new_harness ("clipjson", CAPS);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstBuffer *frame = new_result ("a", i);
    add_reference (frame, cases[i].caps, cases[i].timestamp);
    g_autoptr (JsonObject) line = push_and_parse (h, frame);
    g_assert_cmpint (json_object_has_member (line, "utc"), ==, cases[i].utc != NULL);
    if (cases[i].utc)
      g_assert_cmpstr (json_object_get_string_member (line, "utc"), ==, cases[i].utc);
  }
  gst_harness_teardown (h);
}

/* A segment that begins at 10 s: the running time counts from there; a frame without time has none. */
static void
test_running_time (void)
{
  GstSegment segment;
  GstHarness *h = new_harness ("clipjson", CAPS);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = 10 * GST_SECOND;
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  g_autoptr (JsonObject) line = push_and_parse (h, new_result ("a", 105));
  g_assert_cmpint (json_object_get_int_member (line, "timestamp"), ==, 10500 * GST_MSECOND);
  g_assert_cmpint (json_object_get_int_member (line, "running_time"), ==, 500 * GST_MSECOND);
  GstBuffer *timeless = new_result ("a", 0);
  GST_BUFFER_PTS (timeless) = GST_CLOCK_TIME_NONE;
  g_autoptr (JsonObject) without = push_and_parse (h, timeless);
  g_assert_true (json_object_get_null_member (without, "timestamp"));
  g_assert_false (json_object_has_member (without, "running_time"));
  g_assert_false (json_object_has_member (without, "utc"));
  gst_harness_teardown (h);
}

/* A pipeline on the realtime clock: the first frame is of now. */
static void
test_utc_of_pipeline (void)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "videotestsrc is-live=true num-buffers=1 ! " CAPS " ! clipjson ! appsink name=sink", NULL);
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_autoptr (GstClock) clock = g_object_new (GST_TYPE_SYSTEM_CLOCK, "clock-type", GST_CLOCK_TYPE_REALTIME, NULL);
  GstSample *sample = NULL;
  gst_pipeline_use_clock (GST_PIPELINE (pipeline), clock);
  gint64 before = g_get_real_time ();
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_signal_emit_by_name (sink, "pull-sample", &sample);
  g_assert_nonnull (sample);
  g_autoptr (JsonObject) line = parse (gst_buffer_ref (gst_sample_get_buffer (sample)));
  g_autoptr (GTimeZone) utc = g_time_zone_new_utc ();
  g_autoptr (GDateTime) time = g_date_time_new_from_iso8601 (json_object_get_string_member (line, "utc"), utc);
  g_assert_nonnull (time);
  gint64 taken = g_date_time_to_unix (time) * G_USEC_PER_SEC + g_date_time_get_microsecond (time);
  g_assert_cmpint (taken, >=, before - 1);
  g_assert_cmpint (taken, <=, g_get_real_time ());
  gst_sample_unref (sample);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  /* registers GstClipMeta */
  gst_object_unref (gst_element_factory_make ("clipjson", NULL));
  g_test_add_func ("/lines/all", test_all);
  g_test_add_func ("/lines/only-on-change", test_only_on_change);
  g_test_add_func ("/lines/interval", test_interval);
  g_test_add_func ("/lines/forgets", test_forgets);
  g_test_add_func ("/lines/not-finite", test_not_finite);
  g_test_add_func ("/lines/utc-of-stream", test_utc_of_stream);
  g_test_add_func ("/lines/running-time", test_running_time);
  g_test_add_func ("/lines/utc-of-pipeline", test_utc_of_pipeline);
  return g_test_run ();
}
