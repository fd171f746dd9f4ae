/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-clipoverlay
 *
 * Draws the labels of GstClipMeta with their confidences onto the picture.
 */
#include "gstclipoverlay.h"

#include <math.h>

#include "gstclipdraw.h"
#include "gstclipmeta.h"

GST_DEBUG_CATEGORY_STATIC (gst_clip_overlay_debug);
#define GST_CAT_DEFAULT gst_clip_overlay_debug

#define MAX_BARS 16

struct _GstClipOverlay {
  GstBaseTransform parent;
  GstVideoInfo info;
  char *drawn; /* what the composition shows, as text */
  GstVideoOverlayComposition *composition; /* (nullable) */
};

G_DEFINE_FINAL_TYPE (GstClipOverlay, gst_clip_overlay, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_VIDEO_OVERLAY_COMPOSITION_BLEND_FORMATS)));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_VIDEO_OVERLAY_COMPOSITION_BLEND_FORMATS)));

static void
forget (GstClipOverlay *self)
{
  g_clear_pointer (&self->drawn, g_free);
  g_clear_pointer (&self->composition, gst_video_overlay_composition_unref);
}

static gboolean
set_caps (GstBaseTransform *base, GstCaps *in, GstCaps *out)
{
  GstClipOverlay *self = GST_CLIP_OVERLAY (base);
  forget (self);
  return gst_video_info_from_caps (&self->info, in);
}

static gboolean
stop (GstBaseTransform *base)
{
  forget (GST_CLIP_OVERLAY (base));
  return TRUE;
}

/* The reported labels of all objects, best first; the strings belong to the meta. */
static guint
collect (const GstStructure *meta, GstClipBar *bars)
{
  guint n = 0;
  const GValue *objects = gst_structure_get_value (meta, "objects");
  for (guint o = 0; objects && o < gst_value_array_get_size (objects); o++) {
    const GstStructure *object = gst_value_get_structure (gst_value_array_get_value (objects, o));
    const GValue *top = gst_structure_get_value (object, "top");
    const GValue *labels = gst_structure_get_value (object, "labels");
    for (guint i = 0; i < gst_value_array_get_size (top) && n < MAX_BARS; i++) {
      guint id = g_value_get_uint (gst_value_array_get_value (top, i));
      const GstStructure *label = gst_value_get_structure (gst_value_array_get_value (labels, id));
      bars[n].label = gst_structure_get_string (label, "label");
      gst_structure_get_double (label, "confidence", &bars[n].confidence);
      n++;
    }
  }
  return n;
}

/* What would be seen: two results with the same key look the same. */
static char *
make_key (const GstClipBar *bars, guint n)
{
  GString *key = g_string_new (NULL);
  for (guint i = 0; i < n; i++)
    g_string_append_printf (key, "%d %s\n", (int) lround (bars[i].confidence * 100), bars[i].label);
  return g_string_free (key, FALSE);
}

static void
update (GstClipOverlay *self, GstBuffer *buffer)
{
  GstClipBar bars[MAX_BARS] = { 0 };
  const GstStructure *meta = gst_clip_meta_get (buffer);
  guint n = meta ? collect (meta, bars) : 0;
  g_autofree char *key = make_key (bars, n);
  if (g_strcmp0 (key, self->drawn) == 0)
    return;
  forget (self);
  self->drawn = g_steal_pointer (&key);
  for (guint i = 0; i < n; i++)
    bars[i].confidence = lround (bars[i].confidence * 100) / 100.0;
  GstVideoOverlayRectangle *rectangle = gst_clip_draw (
      bars, n, GST_VIDEO_INFO_WIDTH (&self->info), GST_VIDEO_INFO_HEIGHT (&self->info));
  if (!rectangle)
    return;
  self->composition = gst_video_overlay_composition_new (rectangle);
  gst_video_overlay_rectangle_unref (rectangle);
}

static GstFlowReturn
transform_ip (GstBaseTransform *base, GstBuffer *buffer)
{
  GstClipOverlay *self = GST_CLIP_OVERLAY (base);
  GstVideoFrame frame;
  update (self, buffer);
  if (!self->composition)
    return GST_FLOW_OK;
  if (!gst_video_frame_map (&frame, &self->info, buffer, GST_MAP_READWRITE | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("A buffer is smaller than its caps say."), (NULL));
    return GST_FLOW_ERROR;
  }
  gst_video_overlay_composition_blend (self->composition, &frame);
  gst_video_frame_unmap (&frame);
  return GST_FLOW_OK;
}

static void
gst_clip_overlay_class_init (GstClipOverlayClass *klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (gst_clip_overlay_debug, "clipoverlay", 0, "CLIP results drawn on the picture");
  base_class->set_caps = set_caps;
  base_class->stop = stop;
  base_class->transform_ip = transform_ip;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "CLIP overlay", "Filter/Editor/Video",
      "Draws the labels of each frame with their confidences", "CLIP for GStreamer");
}

static void
gst_clip_overlay_init (GstClipOverlay *self)
{
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}
