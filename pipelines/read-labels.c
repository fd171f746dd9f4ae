/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * read-labels [VIDEO] [PROMPTS]: prints the best label of each frame, read from GstClipMeta in C.
 *
 * Without a video a test picture is labelled. The metadata needs no header of this project:
 *
 *   cc read-labels.c -o read-labels $(pkg-config --cflags --libs gstreamer-1.0)
 */
#include <gst/gst.h>

/* (nullable): the first object's best label that passed; it belongs to the buffer */
static const GstStructure *
best_label (GstBuffer *buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "GstClipMeta");
  const GValue *objects = meta ? gst_structure_get_value (gst_custom_meta_get_structure (meta), "objects") : NULL;
  for (guint i = 0; objects && i < gst_value_array_get_size (objects); i++) {
    const GstStructure *object = gst_value_get_structure (gst_value_array_get_value (objects, i));
    const GValue *top = gst_structure_get_value (object, "top"); /* indices into labels, best first */
    const GValue *labels = gst_structure_get_value (object, "labels");
    if (gst_value_array_get_size (top) > 0)
      return gst_value_get_structure (
          gst_value_array_get_value (labels, g_value_get_uint (gst_value_array_get_value (top, 0))));
  }
  return NULL;
}

static GstPadProbeReturn
print_label (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  const GstStructure *label = best_label (buffer);
  gdouble confidence = 0;
  g_print ("%8.3f s  ", GST_BUFFER_PTS (buffer) / (gdouble) GST_SECOND);
  if (label && gst_structure_get_double (label, "confidence", &confidence))
    g_print ("%5.1f%%  %s\n", confidence * 100, gst_structure_get_string (label, "label"));
  else
    g_print ("nothing passed\n");
  return GST_PAD_PROBE_OK;
}

static void
set_on (GstElement *pipeline, const char *element, const char *property, const char *value)
{
  GstElement *found = gst_bin_get_by_name (GST_BIN (pipeline), element);
  g_object_set (found, property, value, NULL);
  gst_object_unref (found);
}

/* (transfer full) (nullable) */
static GstElement *
make_pipeline (const char *video, const char *prompts, GError **error)
{
  g_autofree char *launch = g_strconcat (video ? "filesrc name=file ! decodebin" : "videotestsrc num-buffers=5",
      " ! videoconvert ! clipclassify name=clip ! fakesink name=sink", NULL);
  GstElement *pipeline = gst_parse_launch (launch, error);
  if (!pipeline || *error) /* a pipeline in which an element is missing comes with an error */
    return pipeline;
  if (video)
    set_on (pipeline, "file", "location", video);
  set_on (pipeline, "clip", "prompts", prompts);
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  g_autoptr (GstPad) pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, print_label, NULL, NULL);
  return pipeline;
}

/* Returns: FALSE and an error when the pipeline failed */
static gboolean
play (GstElement *pipeline, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  GstMessage *message
      = gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    g_autofree char *details = NULL;
    gst_message_parse_error (message, error, &details);
    g_prefix_error (error, "%s\n", details ? details : "");
  }
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return *error == NULL;
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_autoptr (GError) error = NULL;
  const char *prompts = argc > 2 ? argv[2] : "color bars;snow;a black picture";
  g_autoptr (GstElement) pipeline = make_pipeline (argc > 1 ? argv[1] : NULL, prompts, &error);
  if (error || !play (pipeline, &error)) {
    g_printerr ("read-labels: %s\n", error->message);
    return 1;
  }
  return 0;
}
