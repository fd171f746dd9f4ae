/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-clipoverlay
 *
 * Draws the results of GstClipMeta onto the picture: the labels of the whole picture as a panel of bars, regions as
 * boxes with their best label, and, with the property history, a strip that shows which label held when. A label has the
 * same colour everywhere, in every run and stream.
 *
 * It is a bin around GStreamer's overlaycomposition, which attaches a GstVideoOverlayCompositionMeta where downstream
 * can blend it, as video sinks can, and else blends it into the picture. What does not change is not drawn again.
 */
#include "gstclipoverlay.h"

#include "gstcliphistory.h"
#include "gstclipmeta.h"
#include "gstclippainter.h"

GST_DEBUG_CATEGORY_STATIC (gst_clip_overlay_debug);
#define GST_CAT_DEFAULT gst_clip_overlay_debug

enum {
  PROP_0,
  PROP_FONT_DESC,
  PROP_HALIGNMENT,
  PROP_VALIGNMENT,
  PROP_XPAD,
  PROP_YPAD,
  PROP_LINE_WIDTH,
  PROP_HISTORY,
  PROP_RENDERS,
};

struct _GstClipOverlay {
  GstBin parent;
  GstElement *overlay; /* (nullable): belongs to the bin */
  GstVideoInfo info;   /* the streaming thread's, as all of the history */
  GstClipHistory *history;

  GMutex lock; /* of what follows */
  GstClipStyle style;
  GstClipPainter *painter;
};

G_DEFINE_FINAL_TYPE (GstClipOverlay, gst_clip_overlay, GST_TYPE_BIN)

#define CAPS GST_VIDEO_CAPS_MAKE (GST_VIDEO_OVERLAY_COMPOSITION_BLEND_FORMATS) "; " \
    GST_VIDEO_CAPS_MAKE_WITH_FEATURES ("ANY", GST_VIDEO_FORMATS_ALL)

static GstStaticPadTemplate sink_template
    = GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (CAPS));
static GstStaticPadTemplate src_template
    = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (CAPS));

static GType
halign_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CLIP_HALIGN_LEFT, "On the left", "left" },
    { GST_CLIP_HALIGN_CENTER, "In the middle", "center" },
    { GST_CLIP_HALIGN_RIGHT, "On the right", "right" },
    { 0, NULL, NULL },
  };
  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstClipHAlign", values));
  return type;
}

static GType
valign_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CLIP_VALIGN_TOP, "At the top", "top" },
    { GST_CLIP_VALIGN_CENTER, "In the middle", "center" },
    { GST_CLIP_VALIGN_BOTTOM, "At the bottom; the history is at the top then", "bottom" },
    { 0, NULL, NULL },
  };
  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstClipVAlign", values));
  return type;
}

/* What the frame of @sample shows; bars and boxes live as long as it. */
static void
read_scene (GstClipOverlay *self, GstSample *sample, GstClockTime history, GstClipScene *scene)
{
  GstBuffer *buffer = gst_sample_get_buffer (sample);
  GstClockTime time = gst_segment_to_running_time (
      gst_sample_get_segment (sample), GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  gst_clip_scene_read (scene, gst_clip_meta_get (buffer), (guint) self->info.width, (guint) self->info.height);
  if (history == 0 || !GST_CLOCK_TIME_IS_VALID (time))
    return;
  gst_clip_history_add (self->history, gst_clip_scene_get_best_label (scene), time, history);
  gst_clip_history_show (self->history, history, scene);
}

/* overlaycomposition's signal draw. Returns: (transfer full) (nullable) */
static GstVideoOverlayComposition *
draw (GstElement *overlay, GstSample *sample, gpointer user_data)
{
  GstClipOverlay *self = user_data;
  g_auto (GstClipScene) scene = { 0 };
  if (self->info.width <= 0)
    return NULL;
  gst_clip_scene_init (&scene);
  g_mutex_lock (&self->lock);
  read_scene (self, sample, self->style.history, &scene);
  guint64 renders = gst_clip_painter_get_renders (self->painter);
  GstVideoOverlayComposition *composition = gst_clip_painter_paint (
      self->painter, &self->style, &scene, (guint) self->info.width, (guint) self->info.height);
  renders = gst_clip_painter_get_renders (self->painter) - renders;
  g_mutex_unlock (&self->lock);
  if (renders > 0)
    GST_LOG_OBJECT (self, "drew %" G_GUINT64_FORMAT " pieces", renders);
  return composition;
}

/* overlaycomposition's signal caps-changed */
static void
caps_changed (GstElement *overlay, GstCaps *caps, guint window_width, guint window_height, gpointer user_data)
{
  GstClipOverlay *self = user_data;
  if (!gst_video_info_from_caps (&self->info, caps))
    gst_video_info_init (&self->info);
  g_mutex_lock (&self->lock);
  gst_clip_painter_forget (self->painter);
  g_mutex_unlock (&self->lock);
}

static GstStateChangeReturn
change_state (GstElement *element, GstStateChange transition)
{
  GstClipOverlay *self = GST_CLIP_OVERLAY (element);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !self->overlay) {
    GST_ELEMENT_ERROR (self, CORE, MISSING_PLUGIN,
        ("clipoverlay needs the element overlaycomposition, which is missing; install GStreamer's base plugins "
         "(gstreamer1.0-plugins-base)."), (NULL));
    return GST_STATE_CHANGE_FAILURE;
  }
  GstStateChangeReturn ret = GST_ELEMENT_CLASS (gst_clip_overlay_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    gst_clip_history_clear (self->history);
    gst_clip_painter_forget (self->painter);
  }
  return ret;
}

static gboolean
set_style (GstClipStyle *style, guint id, const GValue *value)
{
  switch (id) {
    case PROP_FONT_DESC:
      g_free (style->font_desc);
      style->font_desc = g_value_dup_string (value);
      return TRUE;
    case PROP_HALIGNMENT:
      style->halign = g_value_get_enum (value);
      return TRUE;
    case PROP_VALIGNMENT:
      style->valign = g_value_get_enum (value);
      return TRUE;
    case PROP_XPAD:
      style->xpad = g_value_get_uint (value);
      return TRUE;
    case PROP_YPAD:
      style->ypad = g_value_get_uint (value);
      return TRUE;
    case PROP_LINE_WIDTH:
      style->line_width = g_value_get_uint (value);
      return TRUE;
    case PROP_HISTORY:
      style->history = g_value_get_uint64 (value);
      return TRUE;
    default:
      return FALSE;
  }
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  GstClipOverlay *self = GST_CLIP_OVERLAY (object);
  g_mutex_lock (&self->lock);
  gboolean found = set_style (&self->style, id, value);
  gst_clip_painter_forget (self->painter);
  g_mutex_unlock (&self->lock);
  if (!found)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

static gboolean
get_style (const GstClipStyle *style, guint id, GValue *value)
{
  switch (id) {
    case PROP_FONT_DESC:
      g_value_set_string (value, style->font_desc);
      return TRUE;
    case PROP_HALIGNMENT:
      g_value_set_enum (value, style->halign);
      return TRUE;
    case PROP_VALIGNMENT:
      g_value_set_enum (value, style->valign);
      return TRUE;
    case PROP_XPAD:
      g_value_set_uint (value, style->xpad);
      return TRUE;
    case PROP_YPAD:
      g_value_set_uint (value, style->ypad);
      return TRUE;
    case PROP_LINE_WIDTH:
      g_value_set_uint (value, style->line_width);
      return TRUE;
    case PROP_HISTORY:
      g_value_set_uint64 (value, style->history);
      return TRUE;
    default:
      return FALSE;
  }
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  GstClipOverlay *self = GST_CLIP_OVERLAY (object);
  gboolean found = TRUE;
  g_mutex_lock (&self->lock);
  if (id == PROP_RENDERS)
    g_value_set_uint64 (value, gst_clip_painter_get_renders (self->painter));
  else
    found = get_style (&self->style, id, value);
  g_mutex_unlock (&self->lock);
  if (!found)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

static void
finalize (GObject *object)
{
  GstClipOverlay *self = GST_CLIP_OVERLAY (object);
  gst_clip_painter_free (self->painter);
  gst_clip_history_free (self->history);
  g_free (self->style.font_desc);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (gst_clip_overlay_parent_class)->finalize (object);
}

#define PLAYING (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)

static void
install_properties (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_FONT_DESC, g_param_spec_string ("font-desc", "Font description",
      "Pango font description; a size in it is meant for a picture 640 wide, without one the text follows the picture's "
      "height; unset: Sans Bold", NULL, PLAYING));
  g_object_class_install_property (c, PROP_HALIGNMENT, g_param_spec_enum ("halignment", "Horizontal alignment",
      "Where the labels of the whole picture are", halign_get_type (), GST_CLIP_HALIGN_LEFT, PLAYING));
  g_object_class_install_property (c, PROP_VALIGNMENT, g_param_spec_enum ("valignment", "Vertical alignment",
      "Where the labels of the whole picture are", valign_get_type (), GST_CLIP_VALIGN_TOP, PLAYING));
  g_object_class_install_property (c, PROP_XPAD, g_param_spec_uint ("xpad", "Horizontal padding",
      "Pixels between the labels and the left or right border", 0, G_MAXINT, 0, PLAYING));
  g_object_class_install_property (c, PROP_YPAD, g_param_spec_uint ("ypad", "Vertical padding",
      "Pixels between the labels and the top or bottom border", 0, G_MAXINT, 0, PLAYING));
  g_object_class_install_property (c, PROP_LINE_WIDTH, g_param_spec_uint ("line-width", "Line width",
      "Width of a box's lines in pixels; 0: follows the picture's height", 0, 1000, 0, PLAYING));
  g_object_class_install_property (c, PROP_HISTORY, g_param_spec_uint64 ("history", "History",
      "Show which label held when over so long a time, in nanoseconds; 0: not", 0, G_MAXINT64, 0, PLAYING));
  g_object_class_install_property (c, PROP_RENDERS, g_param_spec_uint64 ("renders", "Renders",
      "How many pieces of the picture (panel, tags, lines, history) have been drawn; unchanged ones are kept", 0,
      G_MAXUINT64, 0, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
gst_clip_overlay_class_init (GstClipOverlayClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (gst_clip_overlay_debug, "clipoverlay", 0, "CLIP results drawn on the picture");
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  element_class->change_state = change_state;
  install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "CLIP overlay", "Filter/Editor/Video",
      "Draws the labels of each frame with their confidences, boxes of regions, and the last seconds' labels",
      "CLIP for GStreamer");
}

static void
add_pad (GstClipOverlay *self, const char *name, GstStaticPadTemplate *template)
{
  g_autoptr (GstPad) target = self->overlay ? gst_element_get_static_pad (self->overlay, name) : NULL;
  g_autoptr (GstPadTemplate) t = gst_static_pad_template_get (template);
  gst_element_add_pad (GST_ELEMENT (self), target ? gst_ghost_pad_new_from_template (name, target, t)
                                                  : gst_ghost_pad_new_no_target_from_template (name, t));
}

static void
gst_clip_overlay_init (GstClipOverlay *self)
{
  g_mutex_init (&self->lock);
  gst_video_info_init (&self->info);
  self->painter = gst_clip_painter_new ();
  self->history = gst_clip_history_new ();
  self->overlay = gst_element_factory_make ("overlaycomposition", NULL);
  if (self->overlay) {
    gst_bin_add (GST_BIN (self), self->overlay);
    g_signal_connect (self->overlay, "draw", G_CALLBACK (draw), self);
    g_signal_connect (self->overlay, "caps-changed", G_CALLBACK (caps_changed), self);
  }
  add_pad (self, "sink", &sink_template);
  add_pad (self, "src", &src_template);
}
