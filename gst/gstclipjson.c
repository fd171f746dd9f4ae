/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-clipjson
 *
 * Turns GstClipMeta into JSON lines, one buffer a frame, in Intel DL Streamer's keys and a lossless "clip" object.
 *
 * |[
 * gst-launch-1.0 filesrc location=a.mkv ! decodebin ! clipclassify prompts="a dog;a cat" ! clipjson ! filesink location=a.jsonl
 * ]|
 */
#include "gstclipjson.h"

#include <gst/video/video.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "gstclipmeta.h"

GST_DEBUG_CATEGORY_STATIC (gst_clip_json_debug);
#define GST_CAT_DEFAULT gst_clip_json_debug

enum { PROP_0, PROP_SOURCE };

struct _GstClipJson {
  GstBaseTransform parent;
  char *source; /* under the object lock */
  gint width, height;
};

G_DEFINE_FINAL_TYPE (GstClipJson, gst_clip_json, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template
    = GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("application/x-ndjson"));

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  GstClipJson *self = GST_CLIP_JSON (object);
  if (id != PROP_SOURCE) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
    return;
  }
  GST_OBJECT_LOCK (self);
  g_free (self->source);
  self->source = g_value_dup_string (value);
  GST_OBJECT_UNLOCK (self);
}

static char *
dup_source (GstClipJson *self)
{
  GST_OBJECT_LOCK (self);
  char *source = g_strdup (self->source);
  GST_OBJECT_UNLOCK (self);
  return source;
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  if (id == PROP_SOURCE)
    g_value_take_string (value, dup_source (GST_CLIP_JSON (object)));
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

static void
finalize (GObject *object)
{
  g_free (GST_CLIP_JSON (object)->source);
  G_OBJECT_CLASS (gst_clip_json_parent_class)->finalize (object);
}

static GstCaps *
transform_caps (GstBaseTransform *base, GstPadDirection direction, GstCaps *caps, GstCaps *filter)
{
  GstCaps *other = gst_static_pad_template_get_caps (direction == GST_PAD_SINK ? &src_template : &sink_template);
  if (filter) {
    GstCaps *both = gst_caps_intersect_full (filter, other, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref (other);
    other = both;
  }
  return other;
}

static gboolean
set_caps (GstBaseTransform *base, GstCaps *in, GstCaps *out)
{
  GstClipJson *self = GST_CLIP_JSON (base);
  const GstStructure *s = gst_caps_get_structure (in, 0);
  return gst_structure_get_int (s, "width", &self->width) && gst_structure_get_int (s, "height", &self->height);
}

static void
add_string (JsonBuilder *b, const char *name, const char *value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_string_value (b, value);
}

static void
add_int (JsonBuilder *b, const char *name, gint64 value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_int_value (b, value);
}

static void
add_double (JsonBuilder *b, const char *name, gdouble value)
{
  json_builder_set_member_name (b, name);
  json_builder_add_double_value (b, value);
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
  const GValue *top = gst_structure_get_value (object, "top");
  const GValue *labels = gst_structure_get_value (object, "labels");
  if (array_size (top) == 0)
    return;
  guint id = g_value_get_uint (gst_value_array_get_value (top, 0));
  const GstStructure *best = array_structure (labels, id);
  g_autofree char *member = g_strconcat ("classification/", model, NULL);
  json_builder_set_member_name (b, member);
  json_builder_begin_object (b);
  add_string (b, "label", gst_structure_get_string (best, "label"));
  add_int (b, "label_id", id);
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

static void
add_frame (GstClipJson *self, JsonBuilder *b, GstBuffer *buffer)
{
  const GstStructure *meta = gst_clip_meta_get (buffer);
  const GValue *objects = meta ? gst_structure_get_value (meta, "objects") : NULL;
  g_autofree char *source = dup_source (self);
  json_builder_begin_object (b);
  json_builder_set_member_name (b, "timestamp");
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    json_builder_add_int_value (b, (gint64) GST_BUFFER_PTS (buffer));
  else
    json_builder_add_null_value (b);
  if (source)
    add_string (b, "source", source);
  json_builder_set_member_name (b, "resolution");
  json_builder_begin_object (b);
  add_int (b, "width", self->width);
  add_int (b, "height", self->height);
  json_builder_end_object (b);
  json_builder_set_member_name (b, "objects");
  json_builder_begin_array (b);
  for (guint i = 0; i < array_size (objects); i++)
    add_object (b, meta, array_structure (objects, i));
  json_builder_end_array (b);
  json_builder_end_object (b);
}

static char *
make_line (GstClipJson *self, GstBuffer *buffer)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  add_frame (self, builder, buffer);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  json_generator_set_root (generator, root);
  g_autofree char *json = json_generator_to_data (generator, NULL);
  return g_strconcat (json, "\n", NULL);
}

/* The line's size is known only when it is made: the buffer is made with it, not before. */
static GstFlowReturn
prepare_output_buffer (GstBaseTransform *base, GstBuffer *in, GstBuffer **out)
{
  char *line = make_line (GST_CLIP_JSON (base), in);
  *out = gst_buffer_new_wrapped (line, strlen (line));
  gst_buffer_copy_into (*out, in, GST_BUFFER_COPY_TIMESTAMPS | GST_BUFFER_COPY_FLAGS, 0, -1);
  return GST_FLOW_OK;
}

static GstFlowReturn
transform (GstBaseTransform *base, GstBuffer *in, GstBuffer *out)
{
  return GST_FLOW_OK;
}

static void
gst_clip_json_class_init (GstClipJsonClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (gst_clip_json_debug, "clipjson", 0, "CLIP results as JSON lines");
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  base_class->transform_caps = transform_caps;
  base_class->set_caps = set_caps;
  base_class->prepare_output_buffer = prepare_output_buffer;
  base_class->transform = transform;
  g_object_class_install_property (object_class, PROP_SOURCE,
      g_param_spec_string ("source", "Source", "Name of the stream, written into each line", NULL,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING));
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "CLIP JSON lines", "Converter/Metadata",
      "Writes the labels of each frame as a line of JSON", "CLIP for GStreamer");
}

static void
gst_clip_json_init (GstClipJson *self)
{
}
