/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clipclassify's properties. */
#include "gstclipanalytics.h"
#include "gstclipclassify-private.h"

#define GST_CAT_DEFAULT gst_clip_classify_debug

enum {
  PROP_0,
  PROP_MODEL,
  PROP_DEVICE,
  PROP_MODEL_INSTANCE_ID,
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
  PROP_ASYNC,
  PROP_BATCH_SIZE,
  PROP_BATCH_TIMEOUT,
  PROP_CHANGE_THRESHOLD,
  PROP_REFRESH_INTERVAL,
  PROP_POOLING,
  PROP_WINDOW,
  PROP_HOLD_TIME,
  PROP_HYSTERESIS,
  PROP_INFERENCE_REGION,
  PROP_OBJECT_CLASS,
  PROP_RECLASSIFY_INTERVAL,
  PROP_STATISTICS_INTERVAL,
  PROP_TENSOR_META,
  PROP_EMBEDDING_META,
  PROP_PROMPTS_SERIAL,
  PROP_DEVICE_NAME,
  PROP_GEMM_BACKEND,
  PROP_STATISTICS, /* this one and all that follow */
};

static GType
register_enum (gsize *type, const char *name, const GEnumValue *values)
{
  if (g_once_init_enter (type))
    g_once_init_leave (type, g_enum_register_static (name, values));
  return *type;
}

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
  return register_enum (&type, "GstClipScoring", values);
}

static GType
precision_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { CLIP_PRECISION_FP32, "32-bit floating point, as the reference computes", "fp32" },
    { CLIP_PRECISION_BF16, "bfloat16 factors, sums in 32-bit floating point", "bf16" },
    { CLIP_PRECISION_INT8, "8-bit factors, sums in 32-bit integers", "int8" },
    { CLIP_PRECISION_FP16, "16-bit floating point factors, sums in 32-bit floating point", "fp16" },
    { CLIP_PRECISION_AUTO, "The fastest that stays near fp32 (cosine), measured once for these weights on this device", "auto" },
    { 0, NULL, NULL },
  };
  return register_enum (&type, "GstClipPrecision", values);
}

static GType
async_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CLIP_ASYNC_AUTO, "Always for a live stream, else never", "auto" },
    { GST_CLIP_ASYNC_NEVER, "Each frame waits for its own result", "never" },
    { GST_CLIP_ASYNC_ALWAYS, "Frames do not wait: they get the newest result with its age", "always" },
    { 0, NULL, NULL },
  };
  return register_enum (&type, "GstClipAsync", values);
}

static GType
pooling_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { CLIP_POOLING_NONE, "Each frame alone", "none" },
    { CLIP_POOLING_MEAN, "Mean of the unit embeddings in the window, as CLIP treats videos", "mean" },
    { CLIP_POOLING_EMA, "Exponential moving average, the window is its time constant", "ema" },
    { 0, NULL, NULL },
  };
  return register_enum (&type, "GstClipPooling", values);
}

static GType
region_get_type (void)
{
  static gsize type = 0;
  static const GEnumValue values[] = {
    { GST_CLIP_REGION_FULL_FRAME, "The full frame", "full-frame" },
    { GST_CLIP_REGION_ROI_LIST, "Each region that a detector has attached to the frame", "roi-list" },
    { 0, NULL, NULL },
  };
  return register_enum (&type, "GstClipInferenceRegion", values);
}

void
gst_clip_classify_init_settings (GstClipSettings *s)
{
  *s = (GstClipSettings){
    .rules = { CLIP_SCORING_AUTO, 5, 0.0, -1.0, 0.0 },
    .interval = 1,
    .batch_timeout = 10,
    .refresh_interval = 10 * GST_SECOND,
    .window = 2 * GST_SECOND,
    .reclassify_interval = 1,
  };
}

static void
replace_string (GstClipClassify *self, char **field, const GValue *value)
{
  GST_OBJECT_LOCK (self);
  g_free (*field);
  *field = g_value_dup_string (value);
  GST_OBJECT_UNLOCK (self);
}

static gboolean
set_prompts (GstClipClassify *self, guint id, const GValue *value)
{
  switch (id) {
    case PROP_PROMPTS:
      gst_clip_prompts_set_text (self->prompts, g_value_get_string (value));
      return TRUE;
    case PROP_PROMPTS_FILE:
      gst_clip_prompts_set_file (self->prompts, g_value_get_string (value));
      return TRUE;
    case PROP_TEMPLATES:
      gst_clip_prompts_set_templates (self->prompts, g_value_get_string (value));
      return TRUE;
    case PROP_TRUNCATE_PROMPTS:
      gst_clip_prompts_set_truncate (self->prompts, g_value_get_boolean (value));
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean
set_rule (GstClipRules *rules, guint id, const GValue *value)
{
  switch (id) {
    case PROP_SCORING:
      rules->scoring = g_value_get_enum (value);
      return TRUE;
    case PROP_TOP_K:
      rules->top_k = g_value_get_uint (value);
      return TRUE;
    case PROP_MIN_CONFIDENCE:
      rules->min_confidence = g_value_get_double (value);
      return TRUE;
    case PROP_MIN_COSINE:
      rules->min_cosine = g_value_get_double (value);
      return TRUE;
    case PROP_LOGIT_SCALE:
      rules->logit_scale = g_value_get_double (value);
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean
set_time (GstClipSettings *s, guint id, const GValue *value)
{
  switch (id) {
    case PROP_REFRESH_INTERVAL:
      s->refresh_interval = g_value_get_uint64 (value);
      return TRUE;
    case PROP_POOLING:
      s->pooling = g_value_get_enum (value);
      return TRUE;
    case PROP_WINDOW:
      s->window = g_value_get_uint64 (value);
      return TRUE;
    case PROP_HOLD_TIME:
      s->span.hold_time = g_value_get_uint64 (value);
      return TRUE;
    case PROP_HYSTERESIS:
      s->span.hysteresis = g_value_get_double (value);
      return TRUE;
    case PROP_STATISTICS_INTERVAL:
      s->statistics_interval = g_value_get_uint64 (value);
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean
set_choice (GstClipSettings *s, guint id, const GValue *value)
{
  switch (id) {
    case PROP_INFERENCE_INTERVAL:
      s->interval = g_value_get_uint (value);
      return TRUE;
    case PROP_ASYNC:
      s->async = g_value_get_enum (value);
      return TRUE;
    case PROP_BATCH_SIZE:
      s->batch_size = g_value_get_uint (value);
      return TRUE;
    case PROP_BATCH_TIMEOUT:
      s->batch_timeout = g_value_get_uint (value);
      return TRUE;
    case PROP_CHANGE_THRESHOLD:
      s->change_threshold = g_value_get_double (value);
      return TRUE;
    case PROP_INFERENCE_REGION:
      s->region = g_value_get_enum (value);
      return TRUE;
    case PROP_OBJECT_CLASS:
      s->object_class = g_quark_from_string (g_value_get_string (value));
      return TRUE;
    case PROP_RECLASSIFY_INTERVAL:
      s->reclassify_interval = g_value_get_uint (value);
      return TRUE;
    case PROP_TENSOR_META:
      s->tensor_meta = g_value_get_boolean (value);
      return TRUE;
    case PROP_EMBEDDING_META:
      s->embedding_meta = g_value_get_boolean (value);
      return TRUE;
    default:
      return FALSE;
  }
}

void
gst_clip_classify_check_settings (GstClipClassify *self)
{
  GST_OBJECT_LOCK (self);
  gboolean tensor_meta = self->settings.tensor_meta;
  GST_OBJECT_UNLOCK (self);
  if (tensor_meta && !gst_clip_analytics_has_tensors ())
    GST_ELEMENT_WARNING (self, LIBRARY, SETTINGS, ("tensor-meta has no effect: this build has no GstTensorMeta."),
        ("it was built with GStreamer %d.%d.%d; GstTensorMeta needs 1.26 or newer with its analytics library "
         "(libgstreamer-plugins-bad1.0-dev)", GST_VERSION_MAJOR, GST_VERSION_MINOR, GST_VERSION_MICRO));
}

static gboolean
set_setting (GstClipClassify *self, guint id, const GValue *value)
{
  GST_OBJECT_LOCK (self);
  GstClipSettings *s = &self->settings;
  gboolean found = set_rule (&s->rules, id, value) || set_time (s, id, value) || set_choice (s, id, value);
  GST_OBJECT_UNLOCK (self);
  if (id == PROP_BATCH_SIZE || id == PROP_BATCH_TIMEOUT)
    gst_clip_flow_set_batch (self);
  if (id == PROP_TENSOR_META && GST_STATE (self) > GST_STATE_READY)
    gst_clip_classify_check_settings (self);
  return found;
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
    case PROP_MODEL_INSTANCE_ID:
      replace_string (self, &self->instance, value);
      break;
    case PROP_PRECISION:
      GST_OBJECT_LOCK (self);
      self->precision = g_value_get_enum (value);
      GST_OBJECT_UNLOCK (self);
      break;
    default:
      if (!set_prompts (self, id, value) && !set_setting (self, id, value))
        G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
}

static gboolean
get_prompts (GstClipClassify *self, guint id, GValue *value)
{
  guint serial;
  g_autoptr (ClipEncodedPrompts) current = NULL;
  switch (id) {
    case PROP_PROMPTS:
      g_value_take_string (value, gst_clip_prompts_dup_text (self->prompts));
      return TRUE;
    case PROP_PROMPTS_FILE:
      g_value_take_string (value, gst_clip_prompts_dup_file (self->prompts));
      return TRUE;
    case PROP_TEMPLATES:
      g_value_take_string (value, gst_clip_prompts_dup_templates (self->prompts));
      return TRUE;
    case PROP_TRUNCATE_PROMPTS:
      g_value_set_boolean (value, gst_clip_prompts_get_truncate (self->prompts));
      return TRUE;
    case PROP_PROMPTS_SERIAL:
      current = gst_clip_prompts_get (self->prompts, &serial);
      g_value_set_uint (value, serial);
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean
get_rule (const GstClipRules *rules, guint id, GValue *value)
{
  switch (id) {
    case PROP_SCORING:
      g_value_set_enum (value, rules->scoring);
      return TRUE;
    case PROP_TOP_K:
      g_value_set_uint (value, rules->top_k);
      return TRUE;
    case PROP_MIN_CONFIDENCE:
      g_value_set_double (value, rules->min_confidence);
      return TRUE;
    case PROP_MIN_COSINE:
      g_value_set_double (value, rules->min_cosine);
      return TRUE;
    case PROP_LOGIT_SCALE:
      g_value_set_double (value, rules->logit_scale);
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean
get_time (const GstClipSettings *s, guint id, GValue *value)
{
  switch (id) {
    case PROP_REFRESH_INTERVAL:
      g_value_set_uint64 (value, s->refresh_interval);
      return TRUE;
    case PROP_POOLING:
      g_value_set_enum (value, s->pooling);
      return TRUE;
    case PROP_WINDOW:
      g_value_set_uint64 (value, s->window);
      return TRUE;
    case PROP_HOLD_TIME:
      g_value_set_uint64 (value, s->span.hold_time);
      return TRUE;
    case PROP_HYSTERESIS:
      g_value_set_double (value, s->span.hysteresis);
      return TRUE;
    case PROP_STATISTICS_INTERVAL:
      g_value_set_uint64 (value, s->statistics_interval);
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean
get_choice (const GstClipSettings *s, guint id, GValue *value)
{
  switch (id) {
    case PROP_INFERENCE_INTERVAL:
      g_value_set_uint (value, s->interval);
      return TRUE;
    case PROP_ASYNC:
      g_value_set_enum (value, s->async);
      return TRUE;
    case PROP_BATCH_SIZE:
      g_value_set_uint (value, s->batch_size);
      return TRUE;
    case PROP_BATCH_TIMEOUT:
      g_value_set_uint (value, s->batch_timeout);
      return TRUE;
    case PROP_CHANGE_THRESHOLD:
      g_value_set_double (value, s->change_threshold);
      return TRUE;
    case PROP_INFERENCE_REGION:
      g_value_set_enum (value, s->region);
      return TRUE;
    case PROP_OBJECT_CLASS:
      g_value_set_string (value, g_quark_to_string (s->object_class));
      return TRUE;
    case PROP_RECLASSIFY_INTERVAL:
      g_value_set_uint (value, s->reclassify_interval);
      return TRUE;
    case PROP_TENSOR_META:
      g_value_set_boolean (value, s->tensor_meta);
      return TRUE;
    case PROP_EMBEDDING_META:
      g_value_set_boolean (value, s->embedding_meta);
      return TRUE;
    default:
      return FALSE;
  }
}

/* Call with the object lock held. */
static gboolean
get_setting (GstClipClassify *self, guint id, GValue *value)
{
  const GstClipSettings *s = &self->settings;
  switch (id) {
    case PROP_MODEL:
      g_value_set_string (value, self->model);
      return TRUE;
    case PROP_DEVICE:
      g_value_set_string (value, self->device);
      return TRUE;
    case PROP_MODEL_INSTANCE_ID:
      g_value_set_string (value, self->instance);
      return TRUE;
    case PROP_PRECISION:
      g_value_set_enum (value, self->precision);
      return TRUE;
    case PROP_DEVICE_NAME:
      g_value_set_string (value, self->engine ? clip_engine_get_device_name (self->engine) : NULL);
      return TRUE;
    case PROP_GEMM_BACKEND:
      g_value_set_string (value, self->engine ? clip_engine_get_gemm_backend (self->engine) : NULL);
      return TRUE;
    default:
      return get_rule (&s->rules, id, value) || get_time (s, id, value) || get_choice (s, id, value);
  }
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  GstClipClassify *self = GST_CLIP_CLASSIFY (object);
  if (get_prompts (self, id, value) || gst_clip_statistics_get (self, spec->name, value))
    return;
  GST_OBJECT_LOCK (self);
  gboolean found = get_setting (self, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!found)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

#define RW (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS)
#define RO (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)
#define READY (RW | GST_PARAM_MUTABLE_READY)
#define PLAYING (RW | GST_PARAM_MUTABLE_PLAYING)

static void
install_model (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_MODEL, g_param_spec_string ("model", "Model",
      "Directory of the weights, name of a downloaded model, or demo; unset: GST_CLIP_MODEL, a downloaded model, "
      "else the built-in demo model", NULL, READY));
  g_object_class_install_property (c, PROP_DEVICE, g_param_spec_string ("device", "Device",
      "OpenCL device: auto, cpu, gpu, an index, or a part of its name", NULL, READY));
  g_object_class_install_property (c, PROP_MODEL_INSTANCE_ID, g_param_spec_string ("model-instance-id",
      "Model instance", "Elements with the same one share weights, device and batches; unset: nobody's", NULL, READY));
  g_object_class_install_property (c, PROP_PRECISION, g_param_spec_enum ("precision", "Precision",
      "Arithmetic of the encoders' matrix products; int8 needs a CPU device, fp16 a GPU", precision_get_type (),
      CLIP_PRECISION_FP32, READY));
}

static void
install_prompts (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_PROMPTS, g_param_spec_string ("prompts", "Prompts",
      "What to look for: sentences separated by ; (\\; for a semicolon itself), a leading ! for a negative", NULL, PLAYING));
  g_object_class_install_property (c, PROP_PROMPTS_FILE, g_param_spec_string ("prompts-file", "Prompts file",
      "File with one label a line: label<TAB>prompt<TAB>..., # comments, leading ! for a negative", NULL, PLAYING));
  g_object_class_install_property (c, PROP_TEMPLATES, g_param_spec_string ("templates", "Templates",
      "Prompt ensemble: none, simple, imagenet, ucf101, kinetics700, or a file", "none", PLAYING));
  g_object_class_install_property (c, PROP_TRUNCATE_PROMPTS, g_param_spec_boolean ("truncate-prompts",
      "Truncate prompts", "Cut prompts that are too long for the model, with a warning; else they are an error",
      FALSE, PLAYING));
}

static void
install_rules (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_SCORING, g_param_spec_enum ("scoring", "Scoring",
      "How cosines become confidences", scoring_get_type (), CLIP_SCORING_AUTO, PLAYING));
  g_object_class_install_property (c, PROP_TOP_K, g_param_spec_uint ("top-k", "Top k",
      "How many labels are reported at most", 1, G_MAXUINT16, 5, PLAYING));
  g_object_class_install_property (c, PROP_MIN_CONFIDENCE, g_param_spec_double ("min-confidence",
      "Minimum confidence", "Labels below are not reported", 0.0, 1.0, 0.0, PLAYING));
  g_object_class_install_property (c, PROP_MIN_COSINE, g_param_spec_double ("min-cosine", "Minimum cosine",
      "Labels below are not reported", -1.0, 1.0, -1.0, PLAYING));
  g_object_class_install_property (c, PROP_LOGIT_SCALE, g_param_spec_double ("logit-scale", "Logit scale",
      "Factor of the cosines before softmax or sigmoid; 0: the model's", 0.0, 1000.0, 0.0, PLAYING));
}

static void
install_flow (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_INFERENCE_INTERVAL, g_param_spec_uint ("inference-interval",
      "Inference interval", "Encode every Nth frame; the others repeat its result", 1, G_MAXUINT, 1, PLAYING));
  g_object_class_install_property (c, PROP_ASYNC, g_param_spec_enum ("async", "Asynchronous",
      "Whether frames wait for their result", async_get_type (), GST_CLIP_ASYNC_AUTO, PLAYING));
  g_object_class_install_property (c, PROP_BATCH_SIZE, g_param_spec_uint ("batch-size", "Batch size",
      "Pictures encoded together, of all streams of the model instance; 0: what waits, no frame is held for another",
      0, CLIP_BATCH_MAX, 0, PLAYING));
  g_object_class_install_property (c, PROP_BATCH_TIMEOUT, g_param_spec_uint ("batch-timeout", "Batch timeout",
      "How long a batch that is not full waits for more, in milliseconds; for a batch-size above 0", 0, 60000, 10,
      PLAYING));
  g_object_class_install_property (c, PROP_CHANGE_THRESHOLD, g_param_spec_double ("change-threshold",
      "Change threshold", "Skip the encoder while the picture differs by less, in levels of luma (0..255), from the "
      "one encoded last; 3 passes over sensor noise; 0: off; full frames only", 0.0, 255.0, 0.0, PLAYING));
  g_object_class_install_property (c, PROP_REFRESH_INTERVAL, g_param_spec_uint64 ("refresh-interval",
      "Refresh interval", "With change-threshold: encode a frame at least so often, in nanoseconds; 0: never", 0,
      G_MAXUINT64, 10 * GST_SECOND, PLAYING));
}

static void
install_time (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_POOLING, g_param_spec_enum ("pooling", "Pooling",
      "How the embeddings of a window of time become one", pooling_get_type (), CLIP_POOLING_NONE, PLAYING));
  g_object_class_install_property (c, PROP_WINDOW, g_param_spec_uint64 ("window", "Window",
      "Duration of the pooling in nanoseconds; 0: since the start", 0, G_MAXUINT64, 2 * GST_SECOND, PLAYING));
  g_object_class_install_property (c, PROP_HOLD_TIME, g_param_spec_uint64 ("hold-time", "Hold time",
      "A label must lead for so long, in nanoseconds, before clip-label-changed reports it", 0, G_MAXUINT64, 0,
      PLAYING));
  g_object_class_install_property (c, PROP_HYSTERESIS, g_param_spec_double ("hysteresis", "Hysteresis",
      "By how much a label's confidence must exceed the current one's to take over in clip-label-changed", 0.0, 1.0,
      0.0, PLAYING));
  g_object_class_install_property (c, PROP_STATISTICS_INTERVAL, g_param_spec_uint64 ("statistics-interval",
      "Statistics interval", "How often the message clip-statistics is posted, in nanoseconds; 0: never", 0,
      G_MAXUINT64, 0, PLAYING));
}

static void
install_regions (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_INFERENCE_REGION, g_param_spec_enum ("inference-region",
      "Inference region", "What of a frame is classified", region_get_type (), GST_CLIP_REGION_FULL_FRAME, PLAYING));
  g_object_class_install_property (c, PROP_OBJECT_CLASS, g_param_spec_string ("object-class", "Object class",
      "With roi-list: only regions of this class", NULL, PLAYING));
  g_object_class_install_property (c, PROP_RECLASSIFY_INTERVAL, g_param_spec_uint ("reclassify-interval",
      "Reclassify interval", "With roi-list: classify a tracked object again after so many frames; 0: never", 0,
      G_MAXUINT, 1, PLAYING));
  g_object_class_install_property (c, PROP_TENSOR_META, g_param_spec_boolean ("tensor-meta", "Tensor meta",
      "Attach the unit embedding too, as GstTensorMeta: FLOAT32 {1,D}, with regions {regions,D}, id "
      GST_CLIP_TENSOR_ID "; needs GStreamer 1.26", FALSE, PLAYING));
  g_object_class_install_property (c, PROP_EMBEDDING_META, g_param_spec_boolean ("embedding-meta",
      "Embedding in the metadata", "Put the unit embedding of each picture or region into its GstClipMeta, as "
      "clipindex needs it", FALSE, PLAYING));
}

static const struct {
  const char *name, *nick, *blurb;
  gboolean count;
} statistics[] = {
  { "frames-inferred", "Frames inferred", "Frames whose own result has come", TRUE },
  { "frames-reused", "Frames reused", "Frames that repeat an older result", TRUE },
  { "frames-skipped", "Frames skipped", "Frames not encoded because the picture stood still", TRUE },
  { "frames-dropped", "Frames dropped", "Frames that waited for the encoder and were given up for a newer one; they "
    "pass with an older result", TRUE },
  { "frames-late", "Frames late", "Frames not encoded because downstream was late", TRUE },
  { "fps", "Frames per second", "Frames that passed in a second, since the start", FALSE },
  { "inference-fps", "Inferences per second", "Frames encoded in a second, since the start", FALSE },
  { "latency-mean", "Mean latency", "Mean time from sending a frame to its result, in milliseconds", FALSE },
  { "latency-max", "Maximum latency", "Longest time from sending a frame to its result, in milliseconds", FALSE },
  { "batch-mean", "Mean batch", "Mean size of the model instance's batches", FALSE },
};

static void
install_statistics (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_PROMPTS_SERIAL, g_param_spec_uint ("prompts-serial", "Prompts serial",
      "Counts the prompt sets that came into force", 0, G_MAXUINT, 0, RO));
  g_object_class_install_property (c, PROP_DEVICE_NAME, g_param_spec_string ("device-name", "Device name",
      "The OpenCL device in use", NULL, RO));
  g_object_class_install_property (c, PROP_GEMM_BACKEND, g_param_spec_string ("gemm-backend", "GEMM backend",
      "What computes the image encoder's matrix products: panel or clblast", NULL, RO));
  for (guint i = 0; i < G_N_ELEMENTS (statistics); i++) {
    const char *name = statistics[i].name, *nick = statistics[i].nick, *blurb = statistics[i].blurb;
    g_object_class_install_property (c, PROP_STATISTICS + i,
        statistics[i].count ? g_param_spec_uint64 (name, nick, blurb, 0, G_MAXUINT64, 0, RO)
                            : g_param_spec_double (name, nick, blurb, 0.0, G_MAXDOUBLE, 0.0, RO));
  }
}

void
gst_clip_classify_install_properties (GObjectClass *klass)
{
  klass->set_property = set_property;
  klass->get_property = get_property;
  install_model (klass);
  install_prompts (klass);
  install_rules (klass);
  install_flow (klass);
  install_time (klass);
  install_regions (klass);
  install_statistics (klass);
}
