/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-clipjson
 *
 * Turns GstClipMeta into JSON lines in Intel DL Streamer's keys and a lossless "clip" object. Its source pad has the caps
 * application/x-ndjson: each buffer is one line of UTF-8 with its newline and the times of its frame. The JSON Schema
 * clip-line.schema.json, which is installed with the plugin, describes the line.
 *
 * |[
 * gst-launch-1.0 filesrc location=a.mkv ! decodebin ! clipclassify prompts="a dog;a cat" ! clipjson ! filesink location=a.jsonl
 * ]|
 */
#include "gstclipjson.h"

#include <string.h>

#include "gstcliplines.h"

GST_DEBUG_CATEGORY_STATIC (gst_clip_json_debug);
#define GST_CAT_DEFAULT gst_clip_json_debug

struct _GstClipJson {
  GstBaseTransform parent;
  GstClipLines *lines;
};

G_DEFINE_FINAL_TYPE (GstClipJson, gst_clip_json, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template
    = GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("application/x-ndjson"));

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  if (!gst_clip_lines_set_property (GST_CLIP_JSON (object)->lines, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  if (!gst_clip_lines_get_property (GST_CLIP_JSON (object)->lines, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

static void
finalize (GObject *object)
{
  gst_clip_lines_free (GST_CLIP_JSON (object)->lines);
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
  return gst_clip_lines_set_caps (GST_CLIP_JSON (base)->lines, in);
}

static gboolean
start (GstBaseTransform *base)
{
  gst_clip_lines_reset (GST_CLIP_JSON (base)->lines);
  return TRUE;
}

/* Whether a frame has a line, and of which size, is known only when it is made. */
static GstFlowReturn
generate_output (GstBaseTransform *base, GstBuffer **out)
{
  g_autoptr (GstBuffer) in = g_steal_pointer (&base->queued_buf);
  if (!in)
    return GST_FLOW_OK;
  char *line = gst_clip_lines_next (GST_CLIP_JSON (base)->lines, GST_ELEMENT (base), &base->segment, in);
  if (!line)
    return GST_FLOW_OK;
  *out = gst_buffer_new_wrapped (line, strlen (line));
  gst_buffer_copy_into (*out, in, GST_BUFFER_COPY_TIMESTAMPS | GST_BUFFER_COPY_FLAGS, 0, -1);
  return GST_FLOW_OK;
}

/* Without it the base class takes the element for one that passes buffers through. */
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
  base_class->start = start;
  base_class->generate_output = generate_output;
  base_class->transform = transform;
  gst_clip_lines_install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "CLIP JSON lines", "Converter/Metadata",
      "Writes the labels of each frame as a line of JSON", "CLIP for GStreamer");
}

static void
gst_clip_json_init (GstClipJson *self)
{
  self->lines = gst_clip_lines_new ();
}
