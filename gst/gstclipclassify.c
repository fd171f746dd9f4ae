/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-clipclassify
 *
 * Scores every frame against sentences with CLIP (Radford et al. 2021) and attaches the result as GstClipMeta.
 *
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! clipclassify prompts="a person waving;an empty room" ! clipoverlay ! autovideosink
 * ]|
 */
#include "gstclipclassify-private.h"
#include "gstclipframe.h"

GST_DEBUG_CATEGORY (gst_clip_classify_debug);
#define GST_CAT_DEFAULT gst_clip_classify_debug

/* Buffers of an upstream pool that are held while their pixels wait for the encoder: one waits, one is read. */
#define BUFFERS_HELD 2
/* What is held for a batch is asked for up to so many; a larger number is left to the pool. */
#define BUFFERS_MAX 64

G_DEFINE_FINAL_TYPE (GstClipClassify, gst_clip_classify, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_CLIP_VIDEO_FORMATS)));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_CLIP_VIDEO_FORMATS)));

static void
warn_demo (GstClipClassify *self)
{
  GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
      ("This is the built-in demo model. It does not know photographs or camera pictures."),
      ("no model is set and none was downloaded; get a real one with pipelines/fetch-model ViT-B/32, or ask "
       "for this one with model=demo"));
  GST_WARNING_OBJECT (self, "using the demo model, which does not know photographs; get a real one with "
                            "pipelines/fetch-model ViT-B/32");
}

/* (transfer full) (nullable): the engine for the properties' model and device; posts the error itself */
static ClipEngine *
open_engine (GstClipClassify *self)
{
  g_autoptr (GError) error = NULL;
  gboolean fallback = FALSE;
  GST_OBJECT_LOCK (self);
  g_autofree char *model = g_strdup (self->model);
  g_autofree char *device = g_strdup (self->device);
  g_autofree char *instance = g_strdup (self->instance);
  const ClipPrecision precision = self->precision;
  GST_OBJECT_UNLOCK (self);
  g_autofree char *path = clip_model_find (model, &fallback, &error);
  if (path && fallback)
    warn_demo (self);
  ClipEngine *engine = NULL;
  if (path)
    engine = instance && *instance ? clip_engine_open_shared (instance, path, device, precision, &error)
                                   : clip_engine_new (path, device, precision, &error);
  if (!engine)
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ, ("%s", error->message),
        ("model=%s device=%s precision=%s model-instance-id=%s", model ? model : "(unset)", device ? device : "auto",
            clip_precision_get_name (precision), instance ? instance : "(unset)"));
  return engine;
}

static gboolean
start (GstBaseTransform *base)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipEngine) engine = open_engine (self);
  if (!engine)
    return FALSE;
  if (!gst_clip_prompts_start (self->prompts, engine, &error)) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS, ("%s", error->message), ("prompts, prompts-file, templates"));
    return FALSE;
  }
  GST_INFO_OBJECT (self, "model %s on %s in %s, matrix products by %s", clip_engine_get_config (engine)->name,
      clip_engine_get_device_name (engine), clip_precision_get_name (clip_engine_get_precision (engine)),
      clip_engine_get_gemm_backend (engine));
  gst_clip_classify_check_settings (self);
  gst_clip_flow_start (self, engine);
  self->reported = 0;
  GST_OBJECT_LOCK (self);
  self->stats = (GstClipStatistics){ 0 };
  self->latency = 0;
  self->earliest_time = GST_CLOCK_TIME_NONE;
  self->engine = g_steal_pointer (&engine);
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static gboolean
stop (GstBaseTransform *base)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  gst_clip_prompts_stop (self->prompts);
  gst_clip_flow_stop (self);
  gst_clip_statistics_log (self);
  GST_OBJECT_LOCK (self);
  g_autoptr (ClipEngine) engine = g_steal_pointer (&self->engine);
  GST_OBJECT_UNLOCK (self);
  self->have_info = FALSE;
  return TRUE;
}

static gboolean
set_caps (GstBaseTransform *base, GstCaps *in, GstCaps *out)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  GstVideoInfo info;
  self->have_info = gst_video_info_from_caps (&info, in);
  if (!self->have_info) {
    GST_ERROR_OBJECT (self, "caps %" GST_PTR_FORMAT " are no video", in);
    return FALSE;
  }
  GST_OBJECT_LOCK (self); /* a latency query looks at it on another thread */
  self->info = info;
  GST_OBJECT_UNLOCK (self);
  GST_INFO_OBJECT (self, "pictures are %s, %dx%d", gst_video_format_to_string (GST_VIDEO_INFO_FORMAT (&info)), info.width,
      info.height);
  return TRUE;
}

/* The base class parks the buffer; it goes to the encoder at once. */
static GstFlowReturn
submit_input_buffer (GstBaseTransform *base, gboolean is_discont, GstBuffer *input)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  GstFlowReturn ret
      = GST_BASE_TRANSFORM_CLASS (gst_clip_classify_parent_class)->submit_input_buffer (base, is_discont, input);
  GstBuffer *buffer = g_steal_pointer (&base->queued_buf);
  if (ret != GST_FLOW_OK || !buffer)
    return ret;
  if (self->have_info)
    return gst_clip_flow_push (self, buffer);
  gst_buffer_unref (buffer);
  return GST_FLOW_NOT_NEGOTIATED;
}

static GstFlowReturn
generate_output (GstBaseTransform *base, GstBuffer **output)
{
  return gst_clip_flow_pull (GST_CLIP_CLASSIFY (base), FALSE, output);
}

/* Frames that wait for their results go before the event. */
static void
drain (GstClipClassify *self)
{
  GstFlowReturn ret = GST_FLOW_OK;
  while (ret == GST_FLOW_OK) {
    GstBuffer *buffer = NULL;
    ret = gst_clip_flow_pull (self, TRUE, &buffer);
    if (!buffer)
      return;
    ret = gst_pad_push (GST_BASE_TRANSFORM_SRC_PAD (self), buffer);
  }
}

/* These change what the frames before them are treated with. */
static gboolean
must_drain (GstEventType type)
{
  return type == GST_EVENT_STREAM_START || type == GST_EVENT_CAPS || type == GST_EVENT_SEGMENT || type == GST_EVENT_EOS;
}

static gboolean
sink_event (GstBaseTransform *base, GstEvent *event)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  GstEventType type = GST_EVENT_TYPE (event);
  if (type == GST_EVENT_FLUSH_START) {
    gst_clip_flow_set_flushing (self, TRUE);
  } else if (type == GST_EVENT_FLUSH_STOP && self->engine) {
    gst_clip_flow_discard (self);
    gst_clip_flow_set_flushing (self, FALSE);
  } else if (must_drain (type) && self->engine) {
    drain (self);
  } else if (GST_EVENT_IS_SERIALIZED (event) && self->engine && gst_clip_flow_push_event (self, event)) {
    return TRUE;
  }
  if (type == GST_EVENT_EOS && self->engine && gst_clip_flow_finish (self) == GST_FLOW_ERROR)
    GST_WARNING_OBJECT (self, "the last results are lost");
  if (type == GST_EVENT_STREAM_START && self->engine) {
    gst_clip_flow_discard (self);
    self->live_known = FALSE;
  }
  if (type == GST_EVENT_SEGMENT || type == GST_EVENT_FLUSH_STOP) {
    GST_OBJECT_LOCK (self);
    self->earliest_time = GST_CLOCK_TIME_NONE;
    GST_OBJECT_UNLOCK (self);
  }
  return GST_BASE_TRANSFORM_CLASS (gst_clip_classify_parent_class)->sink_event (base, event);
}

/* The base class would drop late frames; here they only do without a result of their own. So it must not see this. */
static gboolean
src_event (GstBaseTransform *base, GstEvent *event)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  GstClockTimeDiff jitter;
  GstClockTime timestamp;
  if (GST_EVENT_TYPE (event) != GST_EVENT_QOS)
    return GST_BASE_TRANSFORM_CLASS (gst_clip_classify_parent_class)->src_event (base, event);
  gst_event_parse_qos (event, NULL, NULL, &jitter, &timestamp);
  GST_OBJECT_LOCK (self);
  if (!GST_CLOCK_TIME_IS_VALID (timestamp))
    self->earliest_time = GST_CLOCK_TIME_NONE;
  else if (jitter > 0)
    self->earliest_time = timestamp + 2 * (GstClockTime) jitter;
  else
    self->earliest_time = timestamp;
  GST_OBJECT_UNLOCK (self);
  return gst_pad_push_event (GST_BASE_TRANSFORM_SINK_PAD (base), event);
}

/* Frames that are held for a full batch: those between the ones that are encoded, too. */
static guint
frames_held (const GstClipSettings *settings)
{
  return settings->batch_size > 1 ? (settings->batch_size - 1) * MIN (settings->interval, G_MAXUINT16) : 0;
}

/* How long a frame of a live stream stays in the element: it waits for its result, and for those of its batch. */
static GstClockTime
own_latency (GstClipClassify *self)
{
  GST_OBJECT_LOCK (self);
  GstClockTime latency = self->asynchronous ? 0 : self->latency;
  guint others = frames_held (&self->settings);
  if (!self->asynchronous && self->info.fps_n > 0)
    latency += gst_util_uint64_scale_int (others * GST_SECOND, self->info.fps_d, self->info.fps_n);
  GST_OBJECT_UNLOCK (self);
  return latency;
}

static void
add_own_latency (GstClipClassify *self, GstQuery *q)
{
  gboolean live;
  GstClockTime min, max;
  gst_query_parse_latency (q, &live, &min, &max);
  GstClockTime own = live ? own_latency (self) : 0;
  gst_query_set_latency (q, live, min + own, GST_CLOCK_TIME_IS_VALID (max) ? max + own : max);
  GST_DEBUG_OBJECT (self, "latency: %" GST_TIME_FORMAT " of upstream and %" GST_TIME_FORMAT " here",
      GST_TIME_ARGS (min), GST_TIME_ARGS (own));
}

static gboolean
query (GstBaseTransform *base, GstPadDirection direction, GstQuery *q)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  if (GST_QUERY_TYPE (q) == GST_QUERY_DRAIN && direction == GST_PAD_SINK && self->engine) {
    drain (self); /* upstream wants its buffers back */
    gst_clip_flow_settle (self);
  }
  gboolean ok = GST_BASE_TRANSFORM_CLASS (gst_clip_classify_parent_class)->query (base, direction, q);
  if (ok && direction == GST_PAD_SRC && GST_QUERY_TYPE (q) == GST_QUERY_LATENCY)
    add_own_latency (self, q);
  return ok;
}

static gboolean
propose_allocation (GstBaseTransform *base, GstQuery *decide, GstQuery *q)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  if (!GST_BASE_TRANSFORM_CLASS (gst_clip_classify_parent_class)->propose_allocation (base, decide, q))
    return FALSE;
  GST_OBJECT_LOCK (self);
  guint held = BUFFERS_HELD + MIN (frames_held (&self->settings), BUFFERS_MAX);
  GST_OBJECT_UNLOCK (self);
  for (guint i = 0; i < gst_query_get_n_allocation_pools (q); i++) {
    g_autoptr (GstBufferPool) pool = NULL;
    guint size, min, max;
    gst_query_parse_nth_allocation_pool (q, i, &pool, &size, &min, &max);
    gst_query_set_nth_allocation_pool (
        q, i, pool, size, min + held, max > 0 ? MAX (max, min + held) : 0);
  }
  return TRUE;
}

/* A streaming thread that waits for a result must not hold up the way to READY. */
static GstStateChangeReturn
change_state (GstElement *element, GstStateChange transition)
{
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    gst_clip_flow_set_flushing (GST_CLIP_CLASSIFY (element), TRUE);
  return GST_ELEMENT_CLASS (gst_clip_classify_parent_class)->change_state (element, transition);
}

static void
finalize (GObject *object)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (object);
  gst_clip_prompts_free (self->prompts);
  g_mutex_clear (&self->stream_lock);
  g_free (self->model);
  g_free (self->device);
  g_free (self->instance);
  G_OBJECT_CLASS (gst_clip_classify_parent_class)->finalize (object);
}

static void
gst_clip_classify_class_init (GstClipClassifyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (gst_clip_classify_debug, "clipclassify", 0, "CLIP classification");
  object_class->finalize = finalize;
  element_class->change_state = change_state;
  base_class->start = start;
  base_class->stop = stop;
  base_class->set_caps = set_caps;
  base_class->sink_event = sink_event;
  base_class->src_event = src_event;
  base_class->query = query;
  base_class->propose_allocation = propose_allocation;
  base_class->submit_input_buffer = submit_input_buffer;
  base_class->generate_output = generate_output;
  gst_clip_classify_install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "CLIP classifier", "Filter/Analyzer/Video",
      "Scores video frames against sentences with CLIP and attaches the result as metadata",
      "CLIP for GStreamer");
}

static void
gst_clip_classify_init (GstClipClassify *self)
{
  self->prompts = gst_clip_prompts_new (GST_ELEMENT (self));
  g_mutex_init (&self->stream_lock);
  g_queue_init (&self->frames);
  g_queue_init (&self->flying);
  gst_clip_classify_init_settings (&self->settings);
  self->earliest_time = GST_CLOCK_TIME_NONE;
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
  gst_base_transform_set_qos_enabled (GST_BASE_TRANSFORM (self), TRUE);
}
