/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipline.h"

#include <json-glib/json-glib.h>
#include <math.h>

#include "gstcliptime.h"

static void
add_string (JsonBuilder *b, const char *name, const char *value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_string_value (b, value ? value : "");
}

static void
add_int (JsonBuilder *b, const char *name, gint64 value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_int_value (b, value);
}

/* JSON has no word for what is not finite. */
static void
add_double (JsonBuilder *b, const char *name, gdouble value)
{
  json_builder_set_member_name (b, name);
  if (isfinite (value))
    json_builder_add_double_value (b, value);
  else
    json_builder_add_null_value (b);
}

static void
add_boolean (JsonBuilder *b, const char *name, gboolean value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_boolean_value (b, value);
}

static guint
get_uint (const GstStructure *s, const char *name)
{
  guint value = 0;
  gst_structure_get_uint (s, name, &value);
  return value;
}

static gdouble
get_double (const GstStructure *s, const char *name)
{
  gdouble value = 0.0;
  gst_structure_get_double (s, name, &value);
  return value;
}

static gboolean
get_boolean (const GstStructure *s, const char *name)
{
  gboolean value = FALSE;
  gst_structure_get_boolean (s, name, &value);
  return value;
}

static guint
array_size (const GValue *array)
{
  return array && GST_VALUE_HOLDS_ARRAY (array) ? gst_value_array_get_size (array) : 0;
}

static const GstStructure *
array_structure (const GValue *array, guint index)
{
  return gst_value_get_structure (gst_value_array_get_value (array, index));
}

/* The position of the best label among the labels; -1: none passed */
static gint
best_index (const GstStructure *object)
{
  const GValue *top = gst_structure_get_value (object, "top");
  if (array_size (top) == 0)
    return -1;
  guint id = g_value_get_uint (gst_value_array_get_value (top, 0));
  return id < array_size (gst_structure_get_value (object, "labels")) ? (gint) id : -1;
}

static const GstStructure *
best_label (const GstStructure *object)
{
  gint id = best_index (object);
  return id < 0 ? NULL : array_structure (gst_structure_get_value (object, "labels"), (guint) id);
}

static void
add_label (JsonBuilder *b, const GstStructure *label)
{
  json_builder_begin_object (b);
  add_string (b, "label", gst_structure_get_string (label, "label"));
  add_int (b, "label_id", get_uint (label, "label-id"));
  add_double (b, "cosine", get_double (label, "cosine"));
  add_double (b, "confidence", get_double (label, "confidence"));
  if (gst_structure_has_field (label, "frame-cosine")) {
    add_double (b, "frame_cosine", get_double (label, "frame-cosine"));
    add_double (b, "frame_confidence", get_double (label, "frame-confidence"));
  }
  add_boolean (b, "negative", get_boolean (label, "negative"));
  add_boolean (b, "passed", get_boolean (label, "passed"));
  json_builder_end_object (b);
}

/* DL Streamer's member for the best label; absent when nothing passed. */
static void
add_classification (JsonBuilder *b, const GstStructure *object, const char *model)
{
  const GstStructure *best = best_label (object);
  if (!best)
    return;
  g_autofree char *member = g_strconcat ("classification/", model ? model : "", NULL);
  json_builder_set_member_name (b, member);
  json_builder_begin_object (b);
  add_string (b, "label", gst_structure_get_string (best, "label"));
  add_int (b, "label_id", best_index (object));
  add_double (b, "confidence", get_double (best, "confidence"));
  json_builder_set_member_name (b, "model");
  json_builder_begin_object (b);
  add_string (b, "name", model);
  json_builder_end_object (b);
  json_builder_end_object (b);
}

static void
add_window (JsonBuilder *b, const GstStructure *window)
{
  guint64 span = 0;
  gst_structure_get_uint64 (window, "span", &span);
  json_builder_set_member_name (b, "window");
  json_builder_begin_object (b);
  add_string (b, "pooling", gst_structure_get_string (window, "pooling"));
  add_int (b, "frames", get_uint (window, "frames"));
  add_double (b, "span_ms", span / (gdouble) GST_MSECOND);
  json_builder_end_object (b);
}

static void
add_clip (JsonBuilder *b, const GstStructure *meta, const GstStructure *object)
{
  guint64 age = 0;
  const GValue *labels = gst_structure_get_value (object, "labels");
  gst_structure_get_uint64 (object, "age", &age);
  json_builder_set_member_name (b, "clip");
  json_builder_begin_object (b);
  add_boolean (b, "inferred", get_boolean (object, "inferred"));
  add_double (b, "age_ms", age / (gdouble) GST_MSECOND);
  add_int (b, "prompts_serial", get_uint (meta, "prompts-serial"));
  add_double (b, "logit_scale", get_double (meta, "logit-scale"));
  const GValue *window = gst_structure_get_value (object, "window");
  if (window)
    add_window (b, gst_value_get_structure (window));
  json_builder_set_member_name (b, "labels");
  json_builder_begin_array (b);
  for (guint i = 0; i < array_size (labels); i++)
    add_label (b, array_structure (labels, i));
  json_builder_end_array (b);
  json_builder_end_object (b);
}

static void
add_object (JsonBuilder *b, const GstStructure *meta, const GstStructure *object)
{
  json_builder_begin_object (b);
  add_int (b, "x", get_uint (object, "x"));
  add_int (b, "y", get_uint (object, "y"));
  add_int (b, "w", get_uint (object, "w"));
  add_int (b, "h", get_uint (object, "h"));
  const char *object_class = gst_structure_get_string (object, "object-class");
  guint64 tracking_id;
  if (object_class)
    add_string (b, "roi_type", object_class);
  if (gst_structure_get_uint64 (object, "tracking-id", &tracking_id))
    add_int (b, "id", (gint64) tracking_id);
  add_classification (b, object, gst_structure_get_string (meta, "model"));
  add_clip (b, meta, object);
  json_builder_end_object (b);
}

static const GValue *
objects_of (const GstStructure *meta)
{
  return meta ? gst_structure_get_value (meta, "objects") : NULL;
}

static void
add_times (JsonBuilder *b, const GstClipLineFrame *frame)
{
  g_autofree char *utc = gst_clip_format_utc (frame->utc);
  json_builder_set_member_name (b, "timestamp");
  if (GST_CLOCK_TIME_IS_VALID (frame->timestamp))
    json_builder_add_int_value (b, (gint64) frame->timestamp);
  else
    json_builder_add_null_value (b);
  if (GST_CLOCK_TIME_IS_VALID (frame->running_time))
    add_int (b, "running_time", (gint64) frame->running_time);
  if (utc)
    add_string (b, "utc", utc);
}

static void
add_frame (JsonBuilder *b, const GstStructure *meta, const GstClipLineFrame *frame)
{
  const GValue *objects = objects_of (meta);
  json_builder_begin_object (b);
  add_times (b, frame);
  if (frame->source)
    add_string (b, "source", frame->source);
  json_builder_set_member_name (b, "resolution");
  json_builder_begin_object (b);
  add_int (b, "width", frame->width);
  add_int (b, "height", frame->height);
  json_builder_end_object (b);
  json_builder_set_member_name (b, "objects");
  json_builder_begin_array (b);
  for (guint i = 0; i < array_size (objects); i++)
    add_object (b, meta, array_structure (objects, i));
  json_builder_end_array (b);
  json_builder_end_object (b);
}

char *
gst_clip_line_new (const GstStructure *meta, const GstClipLineFrame *frame)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  add_frame (builder, meta, frame);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  json_generator_set_root (generator, root);
  g_autofree char *json = json_generator_to_data (generator, NULL);
  return g_strconcat (json, "\n", NULL);
}

guint
gst_clip_line_count_objects (const GstStructure *meta)
{
  return array_size (objects_of (meta));
}

const char *
gst_clip_line_get_best (const GstStructure *meta, guint index, guint64 *tracking_id)
{
  const GstStructure *object = array_structure (objects_of (meta), index);
  const GstStructure *best = best_label (object);
  *tracking_id = 0;
  gst_structure_get_uint64 (object, "tracking-id", tracking_id);
  return best ? gst_structure_get_string (best, "label") : NULL;
}
