/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-clipindex
 *
 * Stores what clipclassify saw, for gst-clip-1.0 search, and passes the video on untouched. An entry is stored for each
 * picture or region that was encoded, not for frames that repeat its result.
 *
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! clipclassify prompts="a car;an empty street" embedding-meta=true ! clipindex location=seen.db source=gate ! fakesink
 * ]|
 */
#include "gstclipindex.h"

#include "gstclipmeta.h"
#include "gstclipseen.h"
#include "gstcliputc.h"
#include "index/clip-index.h"

GST_DEBUG_CATEGORY_STATIC (gst_clip_index_debug);
#define GST_CAT_DEFAULT gst_clip_index_debug

enum {
  PROP_0,
  PROP_LOCATION,
  PROP_SOURCE,
  PROP_START_TIME,
  PROP_MAX_AGE,
  PROP_MAX_SIZE,
  PROP_QUEUE_SIZE,
  PROP_ENTRIES_STORED,
  PROP_ENTRIES_DROPPED,
};

struct _GstClipIndex {
  GstBaseTransform parent;

  /* under the object lock */
  char *location, *source, *start_time;
  guint64 max_age, max_size;
  guint queue_size;
  gint64 run; /* 0: begins with the next entry */
  ClipIndexWriter *writer;
  guint64 stored, dropped; /* of the last playing */

  /* the streaming thread's own */
  gint64 start_utc;
  gboolean have_model, live, live_known, warned;
  GstClipSeen *seen;
};

G_DEFINE_FINAL_TYPE (GstClipIndex, gst_clip_index, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template
    = GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template
    = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));

static gboolean
parse_start (GstClipIndex *self)
{
  self->start_utc = GST_CLIP_NO_UTC;
  if (!self->start_time)
    return TRUE;
  g_autoptr (GTimeZone) zone = g_time_zone_new_utc ();
  g_autoptr (GDateTime) time = g_date_time_new_from_iso8601 (self->start_time, zone);
  if (!time) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("start-time is \"%s\", expected a time as 2026-11-24T10:00:00Z.", self->start_time), (NULL));
    return FALSE;
  }
  self->start_utc = g_date_time_to_unix (time) * (gint64) GST_SECOND + g_date_time_get_microsecond (time) * 1000;
  return TRUE;
}

static gboolean
start (GstBaseTransform *base)
{
  GstClipIndex *self = GST_CLIP_INDEX (base);
  g_autoptr (GError) error = NULL;
  if (!self->location) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS, ("No location is set; say where to store, as location=seen.db."), (NULL));
    return FALSE;
  }
  if (!parse_start (self))
    return FALSE;
  const ClipIndexOptions options
      = { (self->max_age + GST_SECOND - 1) / GST_SECOND, self->max_size, self->queue_size, 0 };
  ClipIndexWriter *writer = clip_index_writer_open (self->location, &options, &error);
  if (!writer) {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE, ("%s", error->message), (NULL));
    return FALSE;
  }
  if (clip_index_writer_get_repair (writer))
    GST_ELEMENT_WARNING (self, RESOURCE, READ, ("%s", clip_index_writer_get_repair (writer)), (NULL));
  self->seen = gst_clip_seen_new ();
  self->have_model = self->live_known = self->warned = FALSE;
  GST_OBJECT_LOCK (self);
  self->writer = writer;
  self->run = 0;
  self->stored = self->dropped = 0;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static gboolean
flush (GstClipIndex *self)
{
  g_autoptr (GError) error = NULL;
  if (clip_index_writer_flush (self->writer, &error))
    return TRUE;
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE, ("%s", error->message), ("the last entries are lost"));
  return FALSE;
}

static gboolean
stop (GstBaseTransform *base)
{
  GstClipIndex *self = GST_CLIP_INDEX (base);
  gboolean ok = flush (self);
  GST_OBJECT_LOCK (self);
  clip_index_writer_get_counts (self->writer, &self->stored, &self->dropped);
  ClipIndexWriter *writer = g_steal_pointer (&self->writer);
  GST_OBJECT_UNLOCK (self);
  clip_index_writer_unref (writer);
  g_clear_pointer (&self->seen, gst_clip_seen_free);
  return ok;
}

/* (transfer full) (element-type ClipIndexLabel): those that are reported; their texts are @object's */
static GArray *
collect_labels (const GstStructure *object)
{
  GArray *collected = g_array_new (FALSE, FALSE, sizeof (ClipIndexLabel));
  const GstStructure *label;
  for (guint i = 0; (label = gst_clip_meta_get_top (object, i)); i++) {
    ClipIndexLabel one = { gst_structure_get_string (label, "label") };
    gst_structure_get_double (label, "cosine", &one.cosine);
    gst_structure_get_double (label, "confidence", &one.confidence);
    g_array_append_val (collected, one);
  }
  return collected;
}

/* Times of the frame that the object was seen in, @age before the buffer. */
static void
set_times (GstClipIndex *self, GstBuffer *buffer, GstClockTime age, ClipIndexEntry *entry)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClockTime time = segment->format == GST_FORMAT_TIME && GST_BUFFER_PTS_IS_VALID (buffer)
                          ? gst_segment_to_running_time (segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer))
                          : GST_CLOCK_TIME_NONE;
  gint64 utc = gst_clip_utc_of_buffer (GST_ELEMENT (self), buffer, time, self->start_utc, self->live);
  entry->utc = utc == GST_CLIP_NO_UTC ? CLIP_INDEX_NO_TIME : utc - (gint64) age;
  entry->time = GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time - (gint64) age : CLIP_INDEX_NO_TIME;
}

/* (transfer none) (nullable): posts its error */
static GBytes *
get_embedding (GstClipIndex *self, const GstStructure *meta, const GstStructure *object)
{
  g_autoptr (GError) error = NULL;
  const GValue *value = gst_structure_get_value (object, "embedding");
  GBytes *bytes = value && G_VALUE_HOLDS (value, G_TYPE_BYTES) ? g_value_get_boxed (value) : NULL;
  if (!bytes || g_bytes_get_size (bytes) < sizeof (float)) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED, ("The results have no embedding; set embedding-meta=true on clipclassify."),
        (NULL));
    return NULL;
  }
  if (self->have_model)
    return bytes;
  self->have_model = clip_index_writer_set_model (
      self->writer, gst_structure_get_string (meta, "model"), (guint) (g_bytes_get_size (bytes) / sizeof (float)), &error);
  if (!self->have_model)
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS, ("%s", error->message), (NULL));
  return self->have_model ? bytes : NULL;
}

static gint64
get_run (GstClipIndex *self)
{
  GST_OBJECT_LOCK (self);
  if (self->run == 0)
    self->run = clip_index_writer_add_run (self->writer, self->source ? self->source : GST_OBJECT_NAME (self));
  gint64 run = self->run;
  GST_OBJECT_UNLOCK (self);
  return run;
}

static void
warn_dropped (GstClipIndex *self)
{
  guint64 stored, dropped;
  clip_index_writer_get_counts (self->writer, &stored, &dropped);
  if (dropped == 0 || self->warned)
    return;
  self->warned = TRUE;
  GST_ELEMENT_WARNING (self, RESOURCE, WRITE, ("The disk is too slow: entries are dropped."),
      ("%" G_GUINT64_FORMAT " so far, queue-size is %u; see entries-dropped", dropped, self->queue_size));
}

/* A live stream does not wait for the disk; another one can, and loses nothing. */
static gboolean
store (GstClipIndex *self, GstBuffer *buffer, const GstStructure *meta, const GstStructure *object)
{
  g_autoptr (GError) error = NULL;
  ClipIndexEntry entry = { .object_class = gst_structure_get_string (object, "object-class") };
  guint64 age = 0;
  GBytes *embedding = get_embedding (self, meta, object);
  if (!embedding)
    return FALSE;
  gst_structure_get_uint64 (object, "age", &age);
  gst_structure_get_uint64 (object, "tracking-id", &entry.tracking_id);
  gst_structure_get (object, "x", G_TYPE_UINT, &entry.x, "y", G_TYPE_UINT, &entry.y, "w", G_TYPE_UINT, &entry.w, "h",
      G_TYPE_UINT, &entry.h, NULL);
  g_autoptr (GArray) labels = collect_labels (object);
  entry.labels = (const ClipIndexLabel *) (gpointer) labels->data;
  entry.n_labels = labels->len;
  set_times (self, buffer, age, &entry);
  if (!clip_index_writer_push (self->writer, get_run (self), &entry, embedding, !self->live, &error)) {
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE, ("%s", error->message), (NULL));
    return FALSE;
  }
  warn_dropped (self);
  return TRUE;
}

/* The upstream is asked once a stream, when it has its elements linked. */
static void
learn_live (GstClipIndex *self)
{
  g_autoptr (GstQuery) query = gst_query_new_latency ();
  gboolean live = FALSE;
  if (self->live_known)
    return;
  if (gst_pad_peer_query (GST_BASE_TRANSFORM_SINK_PAD (self), query))
    gst_query_parse_latency (query, &live, NULL, NULL);
  self->live = live;
  self->live_known = TRUE;
}

static GstFlowReturn
transform_ip (GstBaseTransform *base, GstBuffer *buffer)
{
  GstClipIndex *self = GST_CLIP_INDEX (base);
  const GstStructure *meta = gst_clip_meta_get (buffer);
  const GValue *objects = gst_clip_meta_get_objects (meta);
  if (!objects) {
    GST_ELEMENT_ERROR (
        self, STREAM, FAILED, ("The frames have no results; put clipclassify embedding-meta=true before."), (NULL));
    return GST_FLOW_ERROR;
  }
  learn_live (self);
  gst_clip_seen_begin_frame (self->seen);
  const GstStructure *object;
  for (guint i = 0; (object = gst_clip_meta_nth (objects, i)); i++) {
    if (gst_clip_seen_is_new (self->seen, GST_BUFFER_PTS (buffer), object) && !store (self, buffer, meta, object))
      return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

/* Positions and running times begin anew. */
static void
begin_run (GstClipIndex *self)
{
  GST_OBJECT_LOCK (self);
  self->run = 0;
  GST_OBJECT_UNLOCK (self);
}

static gboolean
sink_event (GstBaseTransform *base, GstEvent *event)
{
  GstClipIndex *self = GST_CLIP_INDEX (base);
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      self->live_known = FALSE;
      begin_run (self);
      break;
    case GST_EVENT_FLUSH_STOP:
      begin_run (self);
      break;
    case GST_EVENT_SEGMENT:
      if (self->seen)
        gst_clip_seen_reset (self->seen);
      break;
    case GST_EVENT_EOS: /* who sees the end may search */
      if (self->writer)
        flush (self);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_clip_index_parent_class)->sink_event (base, event);
}

static void
replace (char **field, const GValue *value)
{
  g_free (*field);
  *field = g_value_dup_string (value);
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  GstClipIndex *self = GST_CLIP_INDEX (object);
  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      replace (&self->location, value);
      break;
    case PROP_SOURCE:
      replace (&self->source, value);
      self->run = 0;
      break;
    case PROP_START_TIME:
      replace (&self->start_time, value);
      break;
    case PROP_MAX_AGE:
      self->max_age = g_value_get_uint64 (value);
      break;
    case PROP_MAX_SIZE:
      self->max_size = g_value_get_uint64 (value);
      break;
    case PROP_QUEUE_SIZE:
      self->queue_size = g_value_get_uint (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  GstClipIndex *self = GST_CLIP_INDEX (object);
  GST_OBJECT_LOCK (self);
  if (self->writer)
    clip_index_writer_get_counts (self->writer, &self->stored, &self->dropped);
  switch (id) {
    case PROP_LOCATION:
      g_value_set_string (value, self->location);
      break;
    case PROP_SOURCE:
      g_value_set_string (value, self->source);
      break;
    case PROP_START_TIME:
      g_value_set_string (value, self->start_time);
      break;
    case PROP_MAX_AGE:
      g_value_set_uint64 (value, self->max_age);
      break;
    case PROP_MAX_SIZE:
      g_value_set_uint64 (value, self->max_size);
      break;
    case PROP_QUEUE_SIZE:
      g_value_set_uint (value, self->queue_size);
      break;
    case PROP_ENTRIES_STORED:
      g_value_set_uint64 (value, self->stored);
      break;
    case PROP_ENTRIES_DROPPED:
      g_value_set_uint64 (value, self->dropped);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
finalize (GObject *object)
{
  GstClipIndex *self = GST_CLIP_INDEX (object);
  g_free (self->location);
  g_free (self->source);
  g_free (self->start_time);
  G_OBJECT_CLASS (gst_clip_index_parent_class)->finalize (object);
}

#define RW (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS)
#define RO (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)
#define READY (RW | GST_PARAM_MUTABLE_READY)

static void
install_properties (GObjectClass *c)
{
  g_object_class_install_property (c, PROP_LOCATION, g_param_spec_string ("location", "Location",
      "The store: a SQLite database, made when it does not exist; its vectors lie in the directory LOCATION.vectors. "
      "Elements of one process may share it", NULL, READY));
  g_object_class_install_property (c, PROP_SOURCE, g_param_spec_string ("source", "Source",
      "Name of the stream in the store; unset: the element's name", NULL, RW | GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (c, PROP_START_TIME, g_param_spec_string ("start-time", "Start time",
      "When a recording began, as 2026-11-24T10:00:00Z; unset: from the stream's reference timestamps, and of a live "
      "stream from its clock", NULL, READY));
  g_object_class_install_property (c, PROP_MAX_AGE, g_param_spec_uint64 ("max-age", "Maximum age",
      "Delete what was stored longer ago, in nanoseconds; 0: never", 0, G_MAXUINT64 / 2, 0, READY));
  g_object_class_install_property (c, PROP_MAX_SIZE, g_param_spec_uint64 ("max-size", "Maximum size",
      "Delete the oldest when the store is larger, in bytes, by files of 32 MiB; 0: never", 0, G_MAXUINT64, 0, READY));
  g_object_class_install_property (c, PROP_QUEUE_SIZE, g_param_spec_uint ("queue-size", "Queue size",
      "Entries that may wait for the disk; when they are more a live stream drops the newest and another waits", 1,
      G_MAXINT, 4096, READY));
  g_object_class_install_property (c, PROP_ENTRIES_STORED, g_param_spec_uint64 ("entries-stored", "Entries stored",
      "Entries of this process that are in the store", 0, G_MAXUINT64, 0, RO));
  g_object_class_install_property (c, PROP_ENTRIES_DROPPED, g_param_spec_uint64 ("entries-dropped", "Entries dropped",
      "Entries of this process that the disk was too slow for", 0, G_MAXUINT64, 0, RO));
}

static void
gst_clip_index_class_init (GstClipIndexClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (gst_clip_index_debug, "clipindex", 0, "CLIP store of what was seen");
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  base_class->start = start;
  base_class->stop = stop;
  base_class->sink_event = sink_event;
  base_class->transform_ip = transform_ip;
  install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "CLIP index", "Filter/Analyzer/Video",
      "Stores what was seen, for gst-clip-1.0 search", "CLIP for GStreamer");
}

static void
gst_clip_index_init (GstClipIndex *self)
{
  self->queue_size = 4096;
  gst_base_transform_set_passthrough (GST_BASE_TRANSFORM (self), TRUE);
}
