/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Properties, flushes, queries and states from several threads while frames flow; the end under load. */
#include <gst/gst.h>
#include <string.h>

#define SOURCE "video/x-raw,format=NV12,width=160,height=120,framerate=100/1 ! "
#define CLASSIFY "clipclassify name=clip model=demo model-instance-id=stress prompts=\"a black picture;snow\" ! "
#define CHANGES 1000
#define FLUSHES 200
#define STATES 60

static gint finished; /* the threads below end with the property changes */

/* Any property that may change while playing, to any value; strings from a list. */
static const char *const texts[] = { "snow;a ball", "a;b;c;!d", "", ";", "a white picture", "\xff", NULL };
static const char *const templates[] = { "none", "simple", "no such template", NULL };

static void
set_string (GstElement *element, GRand *rand, const char *name)
{
  if (g_str_equal (name, "prompts"))
    g_object_set (element, name, texts[g_rand_int_range (rand, 0, G_N_ELEMENTS (texts))], NULL);
  else if (g_str_equal (name, "templates"))
    g_object_set (element, name, templates[g_rand_int_range (rand, 0, G_N_ELEMENTS (templates))], NULL);
  else if (g_str_equal (name, "object-class"))
    g_object_set (element, name, g_rand_boolean (rand) ? "person" : NULL, NULL);
}

static gboolean
set_enum (GstElement *element, GRand *rand, GParamSpec *spec)
{
  if (!G_IS_PARAM_SPEC_ENUM (spec))
    return FALSE;
  GEnumClass *values = ((GParamSpecEnum *) spec)->enum_class;
  g_object_set (element, spec->name, values->values[g_rand_int_range (rand, 0, (gint) values->n_values)].value, NULL);
  return TRUE;
}

static void
set_any (GstElement *element, GRand *rand, GParamSpec *spec)
{
  if (set_enum (element, rand, spec))
    return;
  if (G_IS_PARAM_SPEC_STRING (spec))
    set_string (element, rand, spec->name);
  else if (G_IS_PARAM_SPEC_UINT (spec)) /* a batch that waits for a minute would only prove that one can wait */
    g_object_set (element, spec->name, g_rand_int_range (rand, 1, 20), NULL);
  else if (G_IS_PARAM_SPEC_UINT64 (spec))
    g_object_set (element, spec->name, (guint64) g_rand_int_range (rand, 0, 1000) * GST_MSECOND, NULL);
  else if (G_IS_PARAM_SPEC_DOUBLE (spec))
    g_object_set (element, spec->name, g_rand_double (rand), NULL);
  else if (G_IS_PARAM_SPEC_BOOLEAN (spec))
    g_object_set (element, spec->name, g_rand_boolean (rand), NULL);
}

static gpointer
change_properties (gpointer data)
{
  GstElement *const *clips = data;
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  guint n, changed = 0;
  g_autofree GParamSpec **specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (clips[0]), &n);
  while (changed < CHANGES) {
    GParamSpec *spec = specs[g_rand_int_range (rand, 0, (gint) n)];
    gboolean any_time = (spec->flags & GST_PARAM_MUTABLE_PLAYING) && (spec->flags & G_PARAM_WRITABLE);
    if (!any_time)
      continue;
    set_any (clips[changed % 2], rand, spec);
    changed++;
    g_usleep (2000);
  }
  g_atomic_int_set (&finished, TRUE);
  return NULL;
}

static gpointer
flush (gpointer data)
{
  GstElement *pipeline = data;
  guint flushes = 0;
  while (!g_atomic_int_get (&finished) || flushes < FLUSHES) {
    flushes += gst_element_seek_simple (pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0);
    g_usleep (5000);
  }
  return GUINT_TO_POINTER (flushes);
}

static gpointer
change_states (gpointer data)
{
  static const GstState states[] = { GST_STATE_PAUSED, GST_STATE_PLAYING, GST_STATE_READY, GST_STATE_PLAYING,
    GST_STATE_NULL, GST_STATE_PLAYING };
  GstElement *pipeline = data;
  guint changes = 0;
  for (; !g_atomic_int_get (&finished) || changes < STATES; changes++) {
    GstStateChangeReturn ret = gst_element_set_state (pipeline, states[changes % G_N_ELEMENTS (states)]);
    /* prompts that no longer parse may be set when it goes up again: then it says so and stays down */
    if (ret == GST_STATE_CHANGE_FAILURE)
      gst_element_set_state (pipeline, GST_STATE_NULL);
    g_usleep (30000);
  }
  return GUINT_TO_POINTER (changes);
}

static gpointer
look (gpointer data)
{
  GstElement *const *clips = data;
  guint n;
  g_autofree GParamSpec **specs = g_object_class_list_properties (G_OBJECT_GET_CLASS (clips[0]), &n);
  for (guint i = 0; !g_atomic_int_get (&finished); i++) {
    GstElement *clip = clips[i % 2];
    g_auto (GValue) value = G_VALUE_INIT;
    g_autoptr (GstQuery) latency = gst_query_new_latency ();
    g_autoptr (GstPad) pad = gst_element_get_static_pad (clip, "src");
    if (specs[i % n]->flags & G_PARAM_READABLE)
      g_object_get_property (G_OBJECT (clip), specs[i % n]->name, &value);
    gst_pad_query (pad, latency);
    gst_pad_send_event (pad, gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 1.0, 10, i * GST_MSECOND));
    g_usleep (1000);
  }
  return NULL;
}

static void
count_buffer (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer count)
{
  g_atomic_int_inc ((gint *) count);
}

/* (transfer full) */
static GstElement *
launch (const char *source, GstElement **clip, gint *count)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strconcat (
      source, SOURCE, CLASSIFY, "fakesink name=sink sync=false signal-handoffs=true", NULL);
  GstElement *pipeline = gst_parse_launch (text, &error);
  g_assert_no_error (error);
  *clip = gst_bin_get_by_name (GST_BIN (pipeline), "clip");
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_signal_connect (sink, "handoff", G_CALLBACK (count_buffer), count);
  return pipeline;
}

/* Fails when nothing moves any more; kernels may have to be compiled first, under a sanitizer that takes long. */
static void
wait_frames (gint *count, gint more)
{
  gint until = g_atomic_int_get (count) + more;
  gint64 patience = g_get_monotonic_time () + 2 * G_TIME_SPAN_MINUTE;
  while (g_atomic_int_get (count) < until) {
    g_assert_cmpint (g_get_monotonic_time (), <, patience);
    g_usleep (1000);
  }
}

static void
assert_no_error (GstElement *pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstMessage) message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  if (message)
    gst_message_parse_error (message, &error, NULL);
  g_assert_no_error (error);
}

/* Sets what changed at random back to what lets frames through at once. */
static void
calm (GstElement *clip)
{
  g_object_set (clip, "prompts", "snow", "templates", "none", "batch-size", 0, "inference-interval", 1, NULL);
}

static void
test_threads (void)
{
  GstElement *clips[2];
  gint counts[2] = { 0, 0 };
  GstElement *file = launch ("videotestsrc pattern=ball ! ", &clips[0], &counts[0]);
  GstElement *live = launch ("videotestsrc is-live=true pattern=snow ! ", &clips[1], &counts[1]);
  g_atomic_int_set (&finished, FALSE);
  gst_element_set_state (file, GST_STATE_PLAYING);
  gst_element_set_state (live, GST_STATE_PLAYING);
  wait_frames (&counts[0], 10);
  GThread *threads[] = { g_thread_new ("properties", change_properties, clips), g_thread_new ("flush", flush, file),
    g_thread_new ("states", change_states, live), g_thread_new ("look", look, clips) };
  g_thread_join (threads[0]);
  guint flushes = GPOINTER_TO_UINT (g_thread_join (threads[1]));
  guint states = GPOINTER_TO_UINT (g_thread_join (threads[2]));
  g_thread_join (threads[3]);
  g_test_message ("%u flushes, %u changes of state, %d and %d frames", flushes, states,
      g_atomic_int_get (&counts[0]), g_atomic_int_get (&counts[1]));
  g_assert_cmpuint (flushes, >=, FLUSHES);
  g_assert_cmpuint (states, >=, STATES);
  assert_no_error (file); /* the other one may have been started with prompts that do not parse */
  for (guint i = 0; i < 2; i++)
    calm (clips[i]);
  gst_element_set_state (live, GST_STATE_NULL);
  g_assert_cmpint (gst_element_set_state (live, GST_STATE_PLAYING), !=, GST_STATE_CHANGE_FAILURE);
  wait_frames (&counts[0], 10);
  wait_frames (&counts[1], 10);
  gst_element_set_state (file, GST_STATE_NULL);
  gst_element_set_state (live, GST_STATE_NULL);
  gst_object_unref (clips[0]);
  gst_object_unref (clips[1]);
  gst_object_unref (file);
  gst_object_unref (live);
}

/* Eight streams, thousands of prompts on their way: the end comes within two seconds. */
static void
test_end_under_load (void)
{
  GstElement *pipelines[8], *clips[8];
  gint counts[8] = { 0 };
  g_autoptr (GString) prompts = g_string_new (NULL);
  for (guint i = 0; i < 5000; i++)
    g_string_append_printf (prompts, "a thing number %u among many;", i);
  for (guint i = 0; i < 8; i++) {
    pipelines[i] = launch (i % 2 ? "videotestsrc is-live=true ! " : "videotestsrc ! ", &clips[i], &counts[i]);
    gst_element_set_state (pipelines[i], GST_STATE_PLAYING);
  }
  for (guint i = 0; i < 8; i++) {
    wait_frames (&counts[i], 3);
    g_object_set (clips[i], "prompts", prompts->str, NULL);
  }
  g_usleep (100000);
  gint64 before = g_get_monotonic_time ();
  for (guint i = 0; i < 8; i++) {
    g_assert_cmpint (gst_element_set_state (pipelines[i], GST_STATE_NULL), ==, GST_STATE_CHANGE_SUCCESS);
    assert_no_error (pipelines[i]);
    gst_object_unref (clips[i]);
    gst_object_unref (pipelines[i]);
  }
  gint64 spent = g_get_monotonic_time () - before;
  g_test_message ("the end took %.0f ms", spent * 1e-3);
  g_assert_cmpint (spent, <, 2 * G_TIME_SPAN_SECOND);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stress/threads", test_threads);
  g_test_add_func ("/stress/end-under-load", test_end_under_load);
  return g_test_run ();
}
