/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The elements in a harness, with the demo model. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "frames.h"

#define PROMPTS "color bars;snow;a black picture"
#define FORMATS                                                                                    \
  "RGB", "BGR", "RGBx", "xRGB", "BGRx", "xBGR", "RGBA", "ARGB", "BGRA", "ABGR", "GRAY8", "NV12",      \
      "NV21", "I420", "YV12", "YUY2", "UYVY", "Y42B", "Y444"

static void
test_formats (void)
{
  const char *formats[] = { FORMATS };
  const guint sizes[][2] = { { 64, 48 }, { 33, 47 }, { 1, 1 } };
  for (guint f = 0; f < G_N_ELEMENTS (formats); f++) {
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
      g_autofree char *caps = caps_of (formats[f], sizes[s][0], sizes[s][1]);
      GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\"", caps);
      GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, 128, 0));
      g_assert_nonnull (out);
      const GstStructure *object = object_of (out);
      gdouble sum = 0;
      for (guint i = 0; i < 3; i++)
        sum += label_double (object, i, "confidence");
      g_assert_cmpfloat_with_epsilon (sum, 1.0, 1e-5);
      gst_buffer_unref (out);
      gst_harness_teardown (h);
    }
  }
}

static void
test_extreme_sizes (void)
{
  const guint sizes[][2] = { { 8192, 8192 }, { 3, 500 }, { 500, 3 } };
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree char *caps = caps_of ("NV12", sizes[i][0], sizes[i][1]);
    GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\" ! clipoverlay", caps);
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, 16, 0));
    g_assert_nonnull (out);
    g_assert_cmpfloat (label_double (object_of (out), 2, "confidence"), >, 0.0);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}

/* The pixels that leave are the pixels that came. */
static void
test_pixels_unchanged (void)
{
  g_autofree char *caps = caps_of ("I420", 320, 240);
  GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\"", caps);
  GstBuffer *in = new_frame (caps, 77, 0);
  GstBuffer *kept = gst_buffer_ref (in); /* a second owner: the metadata must go onto a copy */
  GstBuffer *out = gst_harness_push_and_pull (h, in);
  g_assert_null (gst_buffer_get_custom_meta (kept, "GstClipMeta"));
  g_assert_true (gst_buffer_peek_memory (out, 0) == gst_buffer_peek_memory (kept, 0));
  object_of (out);
  gst_buffer_unref (out);
  gst_buffer_unref (kept);
  gst_harness_teardown (h);
}

static void
test_prompts_while_playing (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\"", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  guint last = 0;
  for (guint i = 0; i < 100; i++) {
    g_autofree char *prompts = g_strdup_printf ("a red circle number %u;a blue square;snow %u", i, i);
    g_object_set (classifier, "prompts", prompts, NULL);
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, i, i * GST_SECOND / 30));
    g_assert_nonnull (out);
    g_assert_cmpuint (serial_of (out), >=, last);
    last = serial_of (out);
    gst_buffer_unref (out);
  }
  /* the newest set comes into force in the end */
  for (guint i = 0; i < 200; i++) {
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, i, (100 + i) * GST_SECOND / 30));
    const GValue *labels = gst_structure_get_value (object_of (out), "labels");
    const GstStructure *third = gst_value_get_structure (gst_value_array_get_value (labels, 2));
    gboolean newest = g_strcmp0 (gst_structure_get_string (third, "label"), "snow 99") == 0;
    gst_buffer_unref (out);
    if (newest)
      break;
    g_assert_cmpuint (i, <, 199);
    g_usleep (10000);
  }
  guint64 inferred, dropped;
  g_object_get (classifier, "frames-inferred", &inferred, "frames-dropped", &dropped, NULL);
  g_assert_cmpuint (inferred, >=, 101);
  g_assert_cmpuint (dropped, ==, 0);
  gst_harness_teardown (h);
}

static void
test_bad_prompts_keep_the_old (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\"", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_autoptr (GstBus) bus = gst_bus_new ();
  gst_element_set_bus (classifier, bus);
  g_autofree char *long_prompt = g_strnfill (4000, '!');
  const char *bad[] = { "", " ; ;", "\xff\xfe", long_prompt };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_object_set (classifier, "prompts", bad[i], NULL);
    GstMessage *warning = wait_message (bus, GST_MESSAGE_WARNING);
    g_assert_nonnull (warning);
    gst_message_unref (warning);
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, i, i));
    g_assert_cmpuint (serial_of (out), ==, 1);
    gst_buffer_unref (out);
  }
  g_object_set (classifier, "prompts-file", "/nonexistent/prompts.txt", NULL);
  GstMessage *warning = wait_message (bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (warning);
  gst_message_unref (warning);
  gst_element_set_bus (classifier, NULL);
  gst_harness_teardown (h);
}

static void
test_inference_interval (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness ("clipclassify model=demo inference-interval=3 prompts=\"" PROMPTS "\"", caps);
  for (guint i = 0; i < 9; i++) {
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, i * 20, i * GST_MSECOND * 40));
    g_assert_cmpint (is_inferred (object_of (out)), ==, i % 3 == 0);
    g_assert_cmpuint (age_of (object_of (out)), ==, (i % 3) * GST_MSECOND * 40);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}

static void
test_negative_prompt (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness ("clipclassify model=demo prompts=\"!a black picture;snow\"", caps);
  GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, 0, 0));
  const GstStructure *object = object_of (out);
  const GValue *top = gst_structure_get_value (object, "top");
  g_assert_cmpfloat (label_double (object, 0, "confidence"), >, 0.5);
  for (guint i = 0; i < gst_value_array_get_size (top); i++)
    g_assert_cmpuint (g_value_get_uint (gst_value_array_get_value (top, i)), !=, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_label_changed (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 96);
  GstHarness *h = new_harness ("clipclassify model=demo prompts=\"a black picture;a white picture\"", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_autoptr (GstBus) bus = gst_bus_new ();
  gst_element_set_bus (classifier, bus);
  const guint8 values[] = { 0, 0, 255 };
  const char *const seen[] = { "a black picture", "a white picture" };
  for (guint i = 0; i < 3; i++)
    gst_buffer_unref (gst_harness_push_and_pull (h, new_frame (caps, values[i], i * GST_SECOND)));
  for (guint i = 0; i < 2; i++) {
    GstMessage *message = wait_message (bus, GST_MESSAGE_ELEMENT);
    g_assert_nonnull (message);
    const GstStructure *s = gst_message_get_structure (message);
    g_assert_cmpstr (gst_structure_get_name (s), ==, "clip-label-changed");
    g_assert_cmpstr (gst_structure_get_string (s, "label"), ==, seen[i]);
    g_assert_cmpstr (gst_structure_get_string (s, "previous"), ==, i ? seen[0] : NULL);
    gst_message_unref (message);
  }
  gst_element_set_bus (classifier, NULL);
  gst_harness_teardown (h);
}

static void
test_caps_change (void)
{
  g_autofree char *small = caps_of ("NV12", 64, 64), *large = caps_of ("YUY2", 1920, 1080);
  GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\"", small);
  for (guint i = 0; i < 6; i++) {
    const char *caps = i % 2 ? large : small;
    guint width;
    gst_harness_set_src_caps_str (h, caps);
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, 90, i));
    g_assert_true (gst_structure_get_uint (object_of (out), "w", &width));
    g_assert_cmpuint (width, ==, i % 2 ? 1920 : 64);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}

static void
test_eos_before_first_frame (void)
{
  g_autofree char *caps = caps_of ("NV12", 64, 64);
  GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\"", caps);
  g_assert_true (gst_harness_push_event (h, gst_event_new_eos ()));
  g_assert_cmpuint (gst_harness_buffers_received (h), ==, 0);
  gst_harness_teardown (h);
}

static void
test_state_loop (void)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "videotestsrc ! video/x-raw,width=64,height=64 ! clipclassify model=demo prompts=\"" PROMPTS
      "\" ! clipoverlay ! fakesink sync=false",
      NULL);
  for (guint i = 0; i < 50; i++) {
    g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_PLAYING), !=, GST_STATE_CHANGE_FAILURE);
    if (i % 2)
      g_assert_cmpint (gst_element_get_state (pipeline, NULL, NULL, 20 * GST_SECOND), ==, GST_STATE_CHANGE_SUCCESS);
    g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_NULL), ==, GST_STATE_CHANGE_SUCCESS);
  }
}

/* Starting must fail with one error message that names the cause. */
static void
test_start_errors (void)
{
  const char *const cases[][2] = {
    { "clipclassify model=demo", "no prompts" },
    { "clipclassify model=/nonexistent prompts=a", "/nonexistent" },
    { "clipclassify model=demo device=banana prompts=a", "banana" },
    { "clipclassify model=demo prompts-file=/nonexistent.txt", "/nonexistent.txt" },
    { "clipclassify model=demo prompts=a templates=/nonexistent.txt", "/nonexistent.txt" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GstElement) element = gst_parse_launch (cases[i][0], NULL);
    g_autoptr (GstBus) bus = gst_bus_new ();
    g_autoptr (GError) error = NULL;
    gst_element_set_bus (element, bus);
    g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
    GstMessage *message = wait_message (bus, GST_MESSAGE_ERROR);
    g_assert_nonnull (message);
    gst_message_parse_error (message, &error, NULL);
    g_assert_nonnull (strstr (error->message, cases[i][1]));
    gst_message_unref (message);
    gst_element_set_bus (element, NULL);
    gst_element_set_state (element, GST_STATE_NULL);
  }
}

static gsize
changed_bytes (GstBuffer *buffer, guint8 value)
{
  GstMapInfo map;
  gsize changed = 0;
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  for (gsize i = 0; i < map.size; i++)
    changed += map.data[i] != value;
  gst_buffer_unmap (buffer, &map);
  return changed;
}

static void
test_overlay (void)
{
  const guint sizes[][2] = { { 320, 240 }, { 3840, 2160 }, { 16, 16 } };
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree char *caps = caps_of ("BGRx", sizes[i][0], sizes[i][1]);
    GstHarness *h = new_harness ("clipclassify model=demo prompts=\"" PROMPTS "\" ! clipoverlay", caps);
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, 200, 0));
    gsize changed = changed_bytes (out, 200), all = (gsize) sizes[i][0] * sizes[i][1] * 4;
    if (i < 2) {
      g_assert_cmpuint (changed, >, all / 50);
      g_assert_cmpuint (changed, <, all / 2);
    }
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}

static void
test_overlay_without_result (void)
{
  g_autofree char *caps = caps_of ("I420", 320, 240);
  GstHarness *h = new_harness ("clipoverlay", caps);
  GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, 100, 0));
  g_assert_cmpuint (changed_bytes (out, 100), ==, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_json (void)
{
  g_autofree char *caps = caps_of ("RGB", 96, 64);
  g_autoptr (JsonParser) parser = json_parser_new ();
  GstHarness *h = new_harness (
      "clipclassify model=demo prompts=\"a \\\"quoted\\\" word;snow\" ! clipjson source=cam0", caps);
  GstBuffer *out = gst_harness_push_and_pull (h, new_frame (caps, 10, 5 * GST_SECOND));
  GstMapInfo map;
  gst_buffer_map (out, &map, GST_MAP_READ);
  g_assert_cmpint (map.data[map.size - 1], ==, '\n');
  g_assert_true (json_parser_load_from_data (parser, (const char *) map.data, map.size, NULL));
  gst_buffer_unmap (out, &map);
  JsonObject *line = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpint (json_object_get_int_member (line, "timestamp"), ==, 5 * GST_SECOND);
  g_assert_cmpstr (json_object_get_string_member (line, "source"), ==, "cam0");
  JsonObject *object = json_array_get_object_element (json_object_get_array_member (line, "objects"), 0);
  g_assert_cmpint (json_object_get_int_member (object, "h"), ==, 64);
  g_assert_true (json_object_has_member (object, "classification/demo"));
  JsonObject *clip = json_object_get_object_member (object, "clip");
  JsonArray *labels = json_object_get_array_member (clip, "labels");
  g_assert_cmpuint (json_array_get_length (labels), ==, 2);
  g_assert_cmpstr (json_object_get_string_member (json_array_get_object_element (labels, 0), "label"), ==,
      "a \"quoted\" word");
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/classify/formats", test_formats);
  g_test_add_func ("/classify/extreme-sizes", test_extreme_sizes);
  g_test_add_func ("/classify/pixels-unchanged", test_pixels_unchanged);
  g_test_add_func ("/classify/prompts-while-playing", test_prompts_while_playing);
  g_test_add_func ("/classify/bad-prompts-keep-the-old", test_bad_prompts_keep_the_old);
  g_test_add_func ("/classify/inference-interval", test_inference_interval);
  g_test_add_func ("/classify/negative-prompt", test_negative_prompt);
  g_test_add_func ("/classify/label-changed", test_label_changed);
  g_test_add_func ("/classify/caps-change", test_caps_change);
  g_test_add_func ("/classify/eos-before-first-frame", test_eos_before_first_frame);
  g_test_add_func ("/classify/state-loop", test_state_loop);
  g_test_add_func ("/classify/start-errors", test_start_errors);
  g_test_add_func ("/overlay/draws", test_overlay);
  g_test_add_func ("/overlay/without-result", test_overlay_without_result);
  g_test_add_func ("/json/line", test_json);
  return g_test_run ();
}
