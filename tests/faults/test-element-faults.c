/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pipelines on a device that fails: one error of the element or none, the stream ends, and the way down is short. */
#include <gst/gst.h>
#include <string.h>

#include "faults.h"

#define FRAMES 6
#define TRIES 12

typedef struct {
  guint errors, frames;
  gboolean ended; /* EOS, or an error */
} Outcome;

static void
count_frame (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer outcome)
{
  ((Outcome *) outcome)->frames++;
}

/* The error must be the classifier's own; those that the source posts because it was stopped do not count. */
static void
take_error (Outcome *o, GstElement *clip, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  gst_message_parse_error (message, &error, NULL);
  if (GST_MESSAGE_SRC (message) != GST_OBJECT (clip))
    return;
  g_assert_cmpuint (strlen (error->message), >, 20);
  g_test_message ("%s", error->message);
  o->errors++;
}

static void
take_messages (Outcome *o, GstElement *clip, GstBus *bus, gboolean started)
{
  GstMessage *message;
  GstClockTime patience = started ? 30 * GST_SECOND : 0;
  while ((message = gst_bus_timed_pop_filtered (bus, patience, GST_MESSAGE_ERROR | GST_MESSAGE_EOS))) {
    o->ended = TRUE;
    patience = 0;
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
      take_error (o, clip, message);
    gst_message_unref (message);
  }
}

static gint64
go_down (GstElement *pipeline)
{
  gint64 before = g_get_monotonic_time ();
  g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_NULL), ==, GST_STATE_CHANGE_SUCCESS);
  return g_get_monotonic_time () - before;
}

static Outcome
play (const char *properties)
{
  Outcome o = { 0 };
  g_autofree char *text = g_strdup_printf (
      "videotestsrc num-buffers=%u ! video/x-raw,width=64,height=64 ! clipclassify name=clip model=demo prompts=\"snow;a "
      "ball\" %s ! fakesink name=sink signal-handoffs=true",
      FRAMES, properties);
  g_autoptr (GstElement) pipeline = gst_parse_launch (text, NULL);
  g_autoptr (GstElement) clip = gst_bin_get_by_name (GST_BIN (pipeline), "clip");
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_signal_connect (sink, "handoff", G_CALLBACK (count_frame), &o);
  gboolean started = gst_element_set_state (pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE;
  take_messages (&o, clip, bus, started);
  g_assert_cmpint (go_down (pipeline), <, 2 * G_TIME_SPAN_SECOND);
  return o;
}

static void
try_fault (Fault fault, guint nth, gboolean persistent, const char *properties)
{
  fault_watch (fault_name (fault), nth, 60);
  fault_inject (fault, nth, persistent);
  Outcome o = play (properties);
  fault_inject (fault, 0, FALSE);
  g_assert_true (o.ended);
  g_assert_cmpuint (o.errors, <=, 1);
  if (o.errors == 0) /* a fallback: then nothing is lost */
    g_assert_cmpuint (o.frames, ==, FRAMES);
  fault_watch ("the end", 0, 0);
}

static void
test_fault (gconstpointer data)
{
  Fault fault = GPOINTER_TO_INT (data);
  fault_inject (fault, 0, FALSE);
  Outcome o = play ("");
  g_assert_cmpuint (o.errors, ==, 0);
  g_assert_cmpuint (o.frames, ==, FRAMES);
  guint calls = fault_count (fault), step = MAX (1, calls / TRIES);
  g_assert_cmpuint (calls, >, 0);
  for (guint nth = 1; nth <= calls; nth += step) {
    try_fault (fault, nth, FALSE, "");
    try_fault (fault, nth, TRUE, "async=always");
    try_fault (fault, nth, TRUE, "batch-size=4 model-instance-id=faults");
  }
}

/* Prompts that cannot be encoded while frames can: the old ones stay, and the user is told. */
static void
test_prompts (void)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "videotestsrc num-buffers=3 ! video/x-raw,width=64,height=64 ! clipclassify name=clip model=demo prompts=snow ! fakesink", NULL);
  g_autoptr (GstElement) clip = gst_bin_get_by_name (GST_BIN (pipeline), "clip");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  guint serial;
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  /* after the end of the stream no frame is left that the fault could hit */
  g_autoptr (GstMessage) end = gst_bus_timed_pop_filtered (bus, 30 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (end);
  g_assert_cmpint (GST_MESSAGE_TYPE (end), ==, GST_MESSAGE_EOS);
  fault_inject (FAULT_RUN, 1, TRUE);
  g_object_set (clip, "prompts", "a ball;a red circle", NULL);
  g_autoptr (GstMessage) warning = gst_bus_timed_pop_filtered (bus, 10 * GST_SECOND, GST_MESSAGE_WARNING);
  fault_inject (FAULT_RUN, 0, FALSE);
  g_assert_nonnull (warning);
  g_autoptr (GError) reason = NULL;
  g_autofree char *detail = NULL;
  gst_message_parse_warning (warning, &reason, &detail);
  g_assert_nonnull (strstr (detail, "CL_OUT_OF_RESOURCES"));
  g_object_get (clip, "prompts-serial", &serial, NULL);
  g_assert_cmpuint (serial, ==, 1);
  g_object_set (clip, "prompts", "a ball;a red circle", NULL);
  for (guint i = 0; serial == 1; i++) {
    g_assert_cmpuint (i, <, 1000);
    g_usleep (10000);
    g_object_get (clip, "prompts-serial", &serial, NULL);
  }
  g_assert_null (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR));
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

int
main (int argc, char **argv)
{
  static const Fault faults[] = { FAULT_ALLOCATE, FAULT_BUILD, FAULT_KERNEL, FAULT_RUN, FAULT_READ, FAULT_WRITE,
    FAULT_QUEUE, FAULT_CONTEXT };
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++) {
    g_autofree char *path = g_strconcat ("/element-faults/", fault_name (faults[i]), NULL);
    g_test_add_data_func (path, GINT_TO_POINTER (faults[i]), test_fault);
  }
  g_test_add_func ("/element-faults/prompts", test_prompts);
  return g_test_run ();
}
