/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frames.h"

#include <gst/video/video.h>

GstHarness *
new_harness (const char *launch, const char *caps)
{
  GstHarness *h = gst_harness_new_parse (launch);
  gst_harness_set_live (h, FALSE);
  gst_harness_set_src_caps_str (h, caps);
  return h;
}

GstBuffer *
new_frame (const char *caps_string, guint8 value, GstClockTime pts)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (caps_string);
  GstVideoInfo info;
  g_assert_true (gst_video_info_from_caps (&info, caps));
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, info.size, NULL);
  gst_buffer_memset (buffer, 0, value, -1);
  GST_BUFFER_PTS (buffer) = pts;
  return buffer;
}

char *
caps_of (const char *format, guint width, guint height)
{
  return g_strdup_printf ("video/x-raw,format=%s,width=%u,height=%u,framerate=30/1", format, width, height);
}

GstElement *
classifier_of (GstHarness *h)
{
  GstElement *classifier = gst_harness_find_element (h, "clipclassify");
  g_assert_nonnull (classifier);
  return classifier;
}

void
append_structure (GValue *array, GstStructure *structure)
{
  GValue value = G_VALUE_INIT;
  g_value_init (&value, GST_TYPE_STRUCTURE);
  g_value_take_boxed (&value, structure);
  gst_value_array_append_and_take_value (array, &value);
}

static const GValue *
objects_of (GstBuffer *buffer)
{
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "GstClipMeta");
  g_assert_nonnull (meta);
  return gst_structure_get_value (gst_custom_meta_get_structure (meta), "objects");
}

guint
count_objects (GstBuffer *buffer)
{
  return gst_value_array_get_size (objects_of (buffer));
}

const GstStructure *
nth_object (GstBuffer *buffer, guint n)
{
  return gst_value_get_structure (gst_value_array_get_value (objects_of (buffer), n));
}

const GstStructure *
object_of (GstBuffer *buffer)
{
  g_assert_cmpuint (count_objects (buffer), ==, 1);
  return nth_object (buffer, 0);
}

guint
serial_of (GstBuffer *buffer)
{
  guint serial = 0;
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "GstClipMeta");
  g_assert_nonnull (meta);
  g_assert_true (gst_structure_get_uint (gst_custom_meta_get_structure (meta), "prompts-serial", &serial));
  return serial;
}

gdouble
label_double (const GstStructure *object, guint index, const char *field)
{
  gdouble value = -2.0;
  const GValue *labels = gst_structure_get_value (object, "labels");
  const GstStructure *label = gst_value_get_structure (gst_value_array_get_value (labels, index));
  g_assert_true (gst_structure_get_double (label, field, &value));
  return value;
}

gboolean
is_inferred (const GstStructure *object)
{
  gboolean inferred;
  g_assert_true (gst_structure_get_boolean (object, "inferred", &inferred));
  return inferred;
}

guint64
age_of (const GstStructure *object)
{
  guint64 age;
  g_assert_true (gst_structure_get_uint64 (object, "age", &age));
  return age;
}

GstMessage *
wait_message (GstBus *bus, GstMessageType type)
{
  return gst_bus_timed_pop_filtered (bus, GST_SECOND, type);
}
