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
#include "gstclipclassify.h"

#include <gst/video/video.h>

#include "gstclipframe.h"
#include "gstclipmeta.h"
#include "gstclipprompts.h"
#include "gstclipresult.h"

GST_DEBUG_CATEGORY (gst_clip_classify_debug);
#define GST_CAT_DEFAULT gst_clip_classify_debug

enum {
  PROP_0,
  PROP_MODEL,
  PROP_DEVICE,
  PROP_PRECISION,
  PROP_PROMPTS,
  PROP_PROMPTS_FILE,
  PROP_TEMPLATES,
  PROP_TRUNCATE_PROMPTS,
  PROP_SCORING,
  PROP_TOP_K,
  PROP_MIN_CONFIDENCE,
  PROP_MIN_COSINE,
  PROP_LOGIT_SCALE,
  PROP_INFERENCE_INTERVAL,
  PROP_PROMPTS_SERIAL,
  PROP_FRAMES_INFERRED,
  PROP_FRAMES_REUSED,
  PROP_FRAMES_DROPPED,
  PROP_FPS,
  PROP_LATENCY_MEAN,
  PROP_LATENCY_MAX,
  PROP_DEVICE_NAME,
  PROP_GEMM_BACKEND,
};

typedef struct {
  guint64 inferred, reused, dropped;
  gint64 first, last; /* monotonic times of the first and the newest frame, us */
  gint64 latency_sum, latency_max; /* us, over the inferred frames */
} Statistics;

struct _GstClipClassify {
  GstBaseTransform parent;

  GstClipPrompts *prompts;

  /* under the object lock */
  char *model, *device;
  GstClipRules rules;
  guint interval;
  Statistics stats;
  ClipEngine *engine;

  /* the streaming thread's own */
  GstVideoInfo info;
  gboolean have_info;
  float *embedding, norm; /* of the newest inferred frame */
  GstClockTime embedding_time;
  gboolean have_embedding;
  guint64 count;
  char *last_label;
};

G_DEFINE_FINAL_TYPE (GstClipClassify, gst_clip_classify, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_CLIP_VIDEO_FORMATS)));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_CLIP_VIDEO_FORMATS)));

#define TYPE_SCORING (scoring_get_type ())
static GType
scoring_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { CLIP_SCORING_AUTO, "As the model was trained: sigmoid for SigLIP, else softmax", "auto" },
    { CLIP_SCORING_SOFTMAX, "Softmax over the prompts, as CLIP", "softmax" },
    { CLIP_SCORING_SIGMOID, "Sigmoid of each prompt alone, as SigLIP", "sigmoid" },
    { CLIP_SCORING_COSINE, "The cosine itself", "cosine" },
    { 0, NULL, NULL },
  };
  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstClipScoring", values));
  return type;
}

#define TYPE_PRECISION (precision_get_type ())
static GType
precision_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { 0, "32-bit floating point", "fp32" },
    { 0, NULL, NULL },
  };
  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("GstClipPrecision", values));
  return type;
}

static void
replace_string (GstClipClassify *self, char **field, const GValue *value)
{
  GST_OBJECT_LOCK (self);
  g_free (*field);
  *field = g_value_dup_string (value);
  GST_OBJECT_UNLOCK (self);
}

static void
set_rule (GstClipClassify *self, guint id, const GValue *value)
{
  GST_OBJECT_LOCK (self);
  if (id == PROP_SCORING)
    self->rules.scoring = g_value_get_enum (value);
  else if (id == PROP_TOP_K)
    self->rules.top_k = g_value_get_uint (value);
  else if (id == PROP_MIN_CONFIDENCE)
    self->rules.min_confidence = g_value_get_double (value);
  else if (id == PROP_MIN_COSINE)
    self->rules.min_cosine = g_value_get_double (value);
  else if (id == PROP_LOGIT_SCALE)
    self->rules.logit_scale = g_value_get_double (value);
  else if (id == PROP_INFERENCE_INTERVAL)
    self->interval = g_value_get_uint (value);
  GST_OBJECT_UNLOCK (self);
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (object);
  switch (id) {
    case PROP_MODEL:
      replace_string (self, &self->model, value);
      break;
    case PROP_DEVICE:
      replace_string (self, &self->device, value);
      break;
    case PROP_PRECISION: /* fp32 is the only value so far */
      break;
    case PROP_PROMPTS:
      gst_clip_prompts_set_text (self->prompts, g_value_get_string (value));
      break;
    case PROP_PROMPTS_FILE:
      gst_clip_prompts_set_file (self->prompts, g_value_get_string (value));
      break;
    case PROP_TEMPLATES:
      gst_clip_prompts_set_templates (self->prompts, g_value_get_string (value));
      break;
    case PROP_TRUNCATE_PROMPTS:
      gst_clip_prompts_set_truncate (self->prompts, g_value_get_boolean (value));
      break;
    case PROP_SCORING:
    case PROP_TOP_K:
    case PROP_MIN_CONFIDENCE:
    case PROP_MIN_COSINE:
    case PROP_LOGIT_SCALE:
    case PROP_INFERENCE_INTERVAL:
      set_rule (self, id, value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
}

static guint
prompts_serial (GstClipClassify *self)
{
  guint serial;
  g_autoptr (ClipEncodedPrompts) current = gst_clip_prompts_get (self->prompts, &serial);
  return serial;
}

static gdouble
frames_per_second (const Statistics *s)
{
  guint64 frames = s->inferred + s->reused;
  return frames > 1 && s->last > s->first ? (frames - 1) * 1e6 / (s->last - s->first) : 0.0;
}

/* Call with the object lock held. */
static void
get_statistic (GstClipClassify *self, guint id, GValue *value)
{
  const Statistics *s = &self->stats;
  if (id == PROP_FRAMES_INFERRED)
    g_value_set_uint64 (value, s->inferred);
  else if (id == PROP_FRAMES_REUSED)
    g_value_set_uint64 (value, s->reused);
  else if (id == PROP_FRAMES_DROPPED)
    g_value_set_uint64 (value, s->dropped);
  else if (id == PROP_FPS)
    g_value_set_double (value, frames_per_second (s));
  else if (id == PROP_LATENCY_MEAN)
    g_value_set_double (value, s->inferred ? s->latency_sum * 1e-3 / s->inferred : 0.0);
  else if (id == PROP_LATENCY_MAX)
    g_value_set_double (value, s->latency_max * 1e-3);
  else if (id == PROP_DEVICE_NAME)
    g_value_set_string (value, self->engine ? clip_engine_get_device_name (self->engine) : NULL);
  else if (id == PROP_GEMM_BACKEND)
    g_value_set_string (value, self->engine ? clip_engine_get_gemm_backend (self->engine) : NULL);
}

/* Call with the object lock held. */
static void
get_setting (GstClipClassify *self, guint id, GValue *value)
{
  if (id == PROP_MODEL)
    g_value_set_string (value, self->model);
  else if (id == PROP_DEVICE)
    g_value_set_string (value, self->device);
  else if (id == PROP_PRECISION)
    g_value_set_enum (value, 0);
  else if (id == PROP_SCORING)
    g_value_set_enum (value, self->rules.scoring);
  else if (id == PROP_TOP_K)
    g_value_set_uint (value, self->rules.top_k);
  else if (id == PROP_MIN_CONFIDENCE)
    g_value_set_double (value, self->rules.min_confidence);
  else if (id == PROP_MIN_COSINE)
    g_value_set_double (value, self->rules.min_cosine);
  else if (id == PROP_LOGIT_SCALE)
    g_value_set_double (value, self->rules.logit_scale);
  else if (id == PROP_INFERENCE_INTERVAL)
    g_value_set_uint (value, self->interval);
  else
    get_statistic (self, id, value);
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (object);
  switch (id) {
    case PROP_PROMPTS:
      g_value_take_string (value, gst_clip_prompts_dup_text (self->prompts));
      return;
    case PROP_PROMPTS_FILE:
      g_value_take_string (value, gst_clip_prompts_dup_file (self->prompts));
      return;
    case PROP_TEMPLATES:
      g_value_take_string (value, gst_clip_prompts_dup_templates (self->prompts));
      return;
    case PROP_TRUNCATE_PROMPTS:
      g_value_set_boolean (value, gst_clip_prompts_get_truncate (self->prompts));
      return;
    case PROP_PROMPTS_SERIAL:
      g_value_set_uint (value, prompts_serial (self));
      return;
    default:
      break;
  }
  GST_OBJECT_LOCK (self);
  get_setting (self, id, value);
  GST_OBJECT_UNLOCK (self);
}

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
  GST_OBJECT_UNLOCK (self);
  g_autofree char *path = clip_model_find (model, &fallback, &error);
  if (path && fallback)
    warn_demo (self);
  ClipEngine *engine = path ? clip_engine_new (path, device, &error) : NULL;
  if (!engine)
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ, ("%s", error->message),
        ("model=%s device=%s", model ? model : "(unset)", device ? device : "auto"));
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
  const ClipModelConfig *config = clip_engine_get_config (engine);
  self->embedding = g_new0 (float, config->embed_dim);
  self->have_embedding = FALSE;
  self->count = 0;
  GST_INFO_OBJECT (self, "model %s on %s, matrix products by %s", config->name,
      clip_engine_get_device_name (engine), clip_engine_get_gemm_backend (engine));
  GST_OBJECT_LOCK (self);
  self->stats = (Statistics){ 0 };
  self->engine = g_steal_pointer (&engine);
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static gboolean
stop (GstBaseTransform *base)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  gst_clip_prompts_stop (self->prompts);
  GST_OBJECT_LOCK (self);
  g_autoptr (ClipEngine) engine = g_steal_pointer (&self->engine);
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&self->embedding, g_free);
  g_clear_pointer (&self->last_label, g_free);
  self->have_info = FALSE;
  return TRUE;
}

static gboolean
set_caps (GstBaseTransform *base, GstCaps *in, GstCaps *out)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  self->have_info = gst_video_info_from_caps (&self->info, in);
  if (!self->have_info)
    GST_ERROR_OBJECT (self, "caps %" GST_PTR_FORMAT " are no video", in);
  return self->have_info;
}

/* The metadata must be writable, the pixels need not be: a shallow copy shares the memory. */
static GstFlowReturn
prepare_output_buffer (GstBaseTransform *base, GstBuffer *in, GstBuffer **out)
{
  *out = gst_buffer_is_writable (in) ? in : gst_buffer_copy (in);
  return GST_FLOW_OK;
}

static gboolean
sink_event (GstBaseTransform *base, GstEvent *event)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP || GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START) {
    self->have_embedding = FALSE;
    self->count = 0;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_clip_classify_parent_class)->sink_event (base, event);
}

static gboolean
infer (GstClipClassify *self, GstBuffer *buffer, GError **error)
{
  GstVideoFrame video;
  ClipFrame frame;
  if (!gst_video_frame_map (&video, &self->info, buffer, GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "a buffer is smaller than its caps say");
    return FALSE;
  }
  gint64 before = g_get_monotonic_time ();
  gboolean ok = gst_clip_frame_from_video (&video, &frame);
  if (ok)
    ok = clip_engine_encode_frame (self->engine, &frame, self->embedding, &self->norm, error);
  else
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "the frame's layout is not supported");
  gst_video_frame_unmap (&video);
  gint64 latency = g_get_monotonic_time () - before;
  GST_OBJECT_LOCK (self);
  self->stats.inferred += ok;
  self->stats.latency_sum += latency;
  self->stats.latency_max = MAX (self->stats.latency_max, latency);
  GST_OBJECT_UNLOCK (self);
  return ok;
}

static void
post_change (GstClipClassify *self, const GstClipResult *result, guint serial, GstClockTime pts)
{
  const ClipLabel *top = gst_clip_result_get_top_label (result);
  const char *label = top ? top->label : NULL;
  if (g_strcmp0 (label, self->last_label) == 0)
    return;
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  gboolean timed = segment->format == GST_FORMAT_TIME && GST_CLOCK_TIME_IS_VALID (pts);
  GstStructure *s = gst_structure_new ("clip-label-changed", "label", G_TYPE_STRING, label, "label-id", G_TYPE_INT,
      top ? (gint) result->top[0] : -1, "confidence", G_TYPE_DOUBLE,
      top ? (gdouble) result->scores[result->top[0]].confidence : 0.0, "previous", G_TYPE_STRING,
      self->last_label, "prompts-serial", G_TYPE_UINT, serial, "timestamp", G_TYPE_UINT64, pts, "running-time",
      G_TYPE_UINT64, timed ? gst_segment_to_running_time (segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE,
      "stream-time", G_TYPE_UINT64,
      timed ? gst_segment_to_stream_time (segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE, NULL);
  GST_INFO_OBJECT (self, "label %s -> %s at %" GST_TIME_FORMAT, self->last_label, label, GST_TIME_ARGS (pts));
  gst_element_post_message (GST_ELEMENT (self), gst_message_new_element (GST_OBJECT (self), s));
  g_free (self->last_label);
  self->last_label = g_strdup (label);
}

static void
attach (GstClipClassify *self, GstBuffer *buffer, const GstClipRules *rules, gboolean inferred)
{
  guint serial;
  g_autoptr (ClipEncodedPrompts) prompts = gst_clip_prompts_get (self->prompts, &serial);
  const ClipModelConfig *config = clip_engine_get_config (self->engine);
  GstClockTime pts = GST_BUFFER_PTS (buffer), age = 0;
  if (!inferred && GST_CLOCK_TIME_IS_VALID (pts) && GST_CLOCK_TIME_IS_VALID (self->embedding_time)
      && pts > self->embedding_time)
    age = pts - self->embedding_time;
  g_autoptr (GstClipResult) result
      = gst_clip_result_new (prompts, self->embedding, self->norm, config, rules);
  gst_clip_meta_set (buffer, gst_clip_result_to_structure (result, config->name, serial,
                                 GST_VIDEO_INFO_WIDTH (&self->info), GST_VIDEO_INFO_HEIGHT (&self->info), inferred, age));
  post_change (self, result, serial, pts);
}

static GstFlowReturn
transform_ip (GstBaseTransform *base, GstBuffer *buffer)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (base);
  g_autoptr (GError) error = NULL;
  GST_OBJECT_LOCK (self);
  GstClipRules rules = self->rules;
  guint interval = self->interval;
  self->stats.last = g_get_monotonic_time ();
  if (!self->stats.first)
    self->stats.first = self->stats.last;
  GST_OBJECT_UNLOCK (self);
  if (!self->have_info)
    return GST_FLOW_NOT_NEGOTIATED;
  gboolean due = !self->have_embedding || self->count % interval == 0;
  self->count++;
  if (due && !infer (self, buffer, &error)) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED, ("%s", error->message), ("classifying a frame"));
    return GST_FLOW_ERROR;
  }
  if (due) {
    self->have_embedding = TRUE;
    self->embedding_time = GST_BUFFER_PTS (buffer);
  } else {
    GST_OBJECT_LOCK (self);
    self->stats.reused++;
    GST_OBJECT_UNLOCK (self);
  }
  attach (self, buffer, &rules, due);
  return GST_FLOW_OK;
}

static void
finalize (GObject *object)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (object);
  gst_clip_prompts_free (self->prompts);
  g_free (self->model);
  g_free (self->device);
  G_OBJECT_CLASS (gst_clip_classify_parent_class)->finalize (object);
}

#define RW (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS)
#define RO (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)

static void
install_settings (GObjectClass *c)
{
  const GParamFlags ready = RW | GST_PARAM_MUTABLE_READY, playing = RW | GST_PARAM_MUTABLE_PLAYING;
  g_object_class_install_property (c, PROP_MODEL, g_param_spec_string ("model", "Model",
      "Directory of the weights, name of a downloaded model, or demo; unset: GST_CLIP_MODEL, a downloaded model, "
      "else the built-in demo model", NULL, ready));
  g_object_class_install_property (c, PROP_DEVICE, g_param_spec_string ("device", "Device",
      "OpenCL device: auto, cpu, gpu, an index, or a part of its name", NULL, ready));
  g_object_class_install_property (c, PROP_PRECISION, g_param_spec_enum ("precision", "Precision",
      "Arithmetic of the encoders", TYPE_PRECISION, 0, ready));
  g_object_class_install_property (c, PROP_PROMPTS, g_param_spec_string ("prompts", "Prompts",
      "What to look for: sentences separated by ; (\\; for a semicolon itself), a leading ! for a negative", NULL, playing));
  g_object_class_install_property (c, PROP_PROMPTS_FILE, g_param_spec_string ("prompts-file", "Prompts file",
      "File with one label a line: label<TAB>prompt<TAB>..., # comments, leading ! for a negative", NULL, playing));
  g_object_class_install_property (c, PROP_TEMPLATES, g_param_spec_string ("templates", "Templates",
      "Prompt ensemble: none, simple, imagenet, ucf101, kinetics700, or a file", "none", playing));
  g_object_class_install_property (c, PROP_TRUNCATE_PROMPTS, g_param_spec_boolean ("truncate-prompts",
      "Truncate prompts", "Cut prompts that are too long for the model, with a warning; else they are an error",
      FALSE, playing));
}

static void
install_rules (GObjectClass *c)
{
  const GParamFlags playing = RW | GST_PARAM_MUTABLE_PLAYING;
  g_object_class_install_property (c, PROP_SCORING, g_param_spec_enum ("scoring", "Scoring",
      "How cosines become confidences", TYPE_SCORING, CLIP_SCORING_AUTO, playing));
  g_object_class_install_property (c, PROP_TOP_K, g_param_spec_uint ("top-k", "Top k",
      "How many labels are reported at most", 1, G_MAXUINT16, 5, playing));
  g_object_class_install_property (c, PROP_MIN_CONFIDENCE, g_param_spec_double ("min-confidence",
      "Minimum confidence", "Labels below are not reported", 0.0, 1.0, 0.0, playing));
  g_object_class_install_property (c, PROP_MIN_COSINE, g_param_spec_double ("min-cosine", "Minimum cosine",
      "Labels below are not reported", -1.0, 1.0, -1.0, playing));
  g_object_class_install_property (c, PROP_LOGIT_SCALE, g_param_spec_double ("logit-scale", "Logit scale",
      "Factor of the cosines before softmax or sigmoid; 0: the model's", 0.0, 1000.0, 0.0, playing));
  g_object_class_install_property (c, PROP_INFERENCE_INTERVAL, g_param_spec_uint ("inference-interval",
      "Inference interval", "Encode every Nth frame; the others repeat its result", 1, G_MAXUINT, 1, playing));
}

static void
install_statistics (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_PROMPTS_SERIAL, g_param_spec_uint ("prompts-serial", "Prompts serial",
      "Counts the prompt sets that came into force", 0, G_MAXUINT, 0, RO));
  g_object_class_install_property (c, PROP_FRAMES_INFERRED, g_param_spec_uint64 ("frames-inferred",
      "Frames inferred", "Frames that were encoded", 0, G_MAXUINT64, 0, RO));
  g_object_class_install_property (c, PROP_FRAMES_REUSED, g_param_spec_uint64 ("frames-reused", "Frames reused",
      "Frames that repeat an older embedding", 0, G_MAXUINT64, 0, RO));
  g_object_class_install_property (c, PROP_FRAMES_DROPPED, g_param_spec_uint64 ("frames-dropped",
      "Frames dropped", "Frames that were dropped", 0, G_MAXUINT64, 0, RO));
  g_object_class_install_property (c, PROP_FPS, g_param_spec_double ("fps", "Frames per second",
      "Frames that passed in a second, since the start", 0.0, G_MAXDOUBLE, 0.0, RO));
  g_object_class_install_property (c, PROP_LATENCY_MEAN, g_param_spec_double ("latency-mean", "Mean latency",
      "Mean time to encode a frame, in milliseconds", 0.0, G_MAXDOUBLE, 0.0, RO));
  g_object_class_install_property (c, PROP_LATENCY_MAX, g_param_spec_double ("latency-max", "Maximum latency",
      "Longest time to encode a frame, in milliseconds", 0.0, G_MAXDOUBLE, 0.0, RO));
  g_object_class_install_property (c, PROP_DEVICE_NAME, g_param_spec_string ("device-name", "Device name",
      "The OpenCL device in use", NULL, RO));
  g_object_class_install_property (c, PROP_GEMM_BACKEND, g_param_spec_string ("gemm-backend", "GEMM backend",
      "What computes the image encoder's matrix products: panel or clblast", NULL, RO));
}

static void
gst_clip_classify_class_init (GstClipClassifyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (gst_clip_classify_debug, "clipclassify", 0, "CLIP classification");
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  base_class->start = start;
  base_class->stop = stop;
  base_class->set_caps = set_caps;
  base_class->sink_event = sink_event;
  base_class->prepare_output_buffer = prepare_output_buffer;
  base_class->transform_ip = transform_ip;
  install_settings (object_class);
  install_rules (object_class);
  install_statistics (object_class);
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
  self->interval = 1;
  self->rules = (GstClipRules){ CLIP_SCORING_AUTO, 5, 0.0, -1.0, 0.0 };
  gst_base_transform_set_in_place (GST_BASE_TRANSFORM (self), TRUE);
}
