/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * SECTION:element-clippublish
 *
 * Passes video on untouched and publishes the JSON line of each frame, the one that clipjson writes, to a file, an MQTT broker
 * or Kafka. What waits for the disk or the network does so on a thread of its own.
 *
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! clipclassify prompts="a person;an empty room" ! clippublish method=mqtt
 *     address=broker:1883 source=cam0 queue-policy=spool spool-directory=/var/spool/clip-cam0 ! fakesink
 * ]|
 */
#include "clip-error.h"
#include "gstclipline.h"
#include "gstclipmeta.h"
#include "gstclippublish-private.h"

GST_DEBUG_CATEGORY_STATIC (gst_clip_publish_debug);
#define GST_CAT_DEFAULT gst_clip_publish_debug

G_DEFINE_FINAL_TYPE (GstClipPublish, gst_clip_publish, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template
    = GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));
static GstStaticPadTemplate src_template
    = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw(ANY)"));

static void
finalize (GObject *object)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (object);
  gst_clip_lines_free (self->lines);
  gst_clip_publish_clear_settings (&self->settings);
  gst_clip_publish_clear_settings (&self->used);
  G_OBJECT_CLASS (gst_clip_publish_parent_class)->finalize (object);
}

/* On the publisher's thread, which may outlive the element. */
static void
report (const GError *error, gpointer data)
{
  g_autoptr (GstClipPublish) self = g_weak_ref_get (data);
  if (!self)
    return;
  if (error->code != CLIP_ERROR_AWAY && error->code != CLIP_ERROR_MESSAGE
      && self->used.on_error == GST_CLIP_ON_ERROR_ERROR) {
    g_atomic_int_set (&self->failed, TRUE);
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE, ("%s", error->message), ("on-error=warning goes on and tries again"));
    GST_OBJECT_LOCK (self);
    if (self->publisher)
      clip_publisher_interrupt (self->publisher, TRUE);
    GST_OBJECT_UNLOCK (self);
  } else
    GST_ELEMENT_WARNING (self, RESOURCE, WRITE, ("%s", error->message),
        ("%s", error->code == CLIP_ERROR_MESSAGE ? "the message is dropped" : "it is tried again"));
}

static void
free_weak_ref (gpointer data)
{
  g_weak_ref_clear (data);
  g_free (data);
}

static gboolean
start_publisher (GstClipPublish *self, GError **error)
{
  const GstClipPublishSettings *s = &self->used;
  const ClipPublisherSettings settings = { s->policy, (guint) s->queue_size, s->spool_directory, s->spool_size, s->sync,
    (gint64) (s->sync_interval / 1000), (gint64) s->max_reconnect_interval * G_USEC_PER_SEC,
    s->method == GST_CLIP_PUBLISH_FILE && s->on_error == GST_CLIP_ON_ERROR_ERROR };
  ClipTransport *transport = gst_clip_publish_make_transport (s, error);
  if (!transport)
    return FALSE;
  GWeakRef *weak = g_new0 (GWeakRef, 1);
  g_weak_ref_init (weak, self);
  ClipPublisher *publisher = clip_publisher_new (transport, &settings, report, weak, free_weak_ref, error);
  GST_OBJECT_LOCK (self);
  self->publisher = publisher;
  GST_OBJECT_UNLOCK (self);
  return publisher != NULL;
}

static gboolean
start (GstBaseTransform *base)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (base);
  g_autoptr (GError) error = NULL;
  gst_clip_publish_clear_settings (&self->used);
  GST_OBJECT_LOCK (self);
  gst_clip_publish_copy_settings (&self->used, &self->settings);
  GST_OBJECT_UNLOCK (self);
  gst_clip_lines_reset (self->lines);
  self->failed = self->drain_failed = FALSE;
  if (start_publisher (self, &error))
    return TRUE;
  GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS, ("%s", error->message), (NULL));
  return FALSE;
}

/* What is not acknowledged now: a spool keeps it, memory does not. */
static void
tell_what_is_left (GstClipPublish *self, const ClipPublisherStatistics *left)
{
  if (left->spooled > 0)
    GST_ELEMENT_WARNING (self, RESOURCE, WRITE, ("%" G_GUINT64_FORMAT " messages stay in the spool %s; the next start sends them.",
        left->spooled, self->used.spool_directory), (NULL));
  if (left->queued > 0 && self->used.policy != CLIP_PUBLISH_SPOOL)
    GST_ELEMENT_WARNING (self, RESOURCE, WRITE, ("%" G_GUINT64_FORMAT " messages were not acknowledged within drain-timeout.",
        left->queued), ("queue-policy=spool keeps them on disk"));
}

static gboolean
stop (GstBaseTransform *base)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (base);
  GST_OBJECT_LOCK (self);
  ClipPublisher *publisher = g_steal_pointer (&self->publisher);
  clip_publisher_get_statistics (publisher, &self->last);
  GST_OBJECT_UNLOCK (self);
  gboolean hopeless = self->drain_failed || g_atomic_int_get (&self->failed);
  ClipPublisherStatistics left;
  clip_publisher_stop (publisher, hopeless ? 0 : (gint64) (self->used.drain_timeout / 1000), &left);
  if (!self->drain_failed)
    tell_what_is_left (self, &left);
  /* what was only in memory is gone now */
  left.dropped += left.queued;
  left.queued = 0;
  GST_OBJECT_LOCK (self);
  self->last = left;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static void
drain (GstClipPublish *self)
{
  ClipPublisherStatistics left;
  if (self->drain_failed || g_atomic_int_get (&self->failed)
      || clip_publisher_drain (self->publisher, (gint64) (self->used.drain_timeout / 1000)))
    return;
  self->drain_failed = TRUE;
  clip_publisher_get_statistics (self->publisher, &left);
  tell_what_is_left (self, &left);
}

static gboolean
sink_event (GstBaseTransform *base, GstEvent *event)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (base);
  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
      clip_publisher_interrupt (self->publisher, TRUE);
      break;
    case GST_EVENT_FLUSH_STOP:
      clip_publisher_interrupt (self->publisher, FALSE);
      gst_clip_lines_reset (self->lines);
      break;
    case GST_EVENT_EOS:
      drain (self);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_clip_publish_parent_class)->sink_event (base, event);
}

/* A stream that waits for room must not hold up the end of it. */
static GstStateChangeReturn
change_state (GstElement *element, GstStateChange transition)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (element);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    GST_OBJECT_LOCK (self);
    if (self->publisher)
      clip_publisher_interrupt (self->publisher, TRUE);
    GST_OBJECT_UNLOCK (self);
  }
  return GST_ELEMENT_CLASS (gst_clip_publish_parent_class)->change_state (element, transition);
}

static gboolean
set_caps (GstBaseTransform *base, GstCaps *in, GstCaps *out)
{
  return gst_clip_lines_set_caps (GST_CLIP_PUBLISH (base)->lines, in);
}

/* (nullable): of the first object that has one */
static const char *
find_label (GstBuffer *buffer)
{
  const GstStructure *meta = gst_clip_meta_get (buffer);
  const char *label = NULL;
  guint64 id;
  for (guint i = 0; !label && i < gst_clip_line_count_objects (meta); i++)
    label = gst_clip_line_get_best (meta, i, &id);
  return label;
}

static GstFlowReturn
transform_ip (GstBaseTransform *base, GstBuffer *buffer)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (base);
  if (g_atomic_int_get (&self->failed))
    return GST_FLOW_ERROR;
  char *line = gst_clip_lines_next (self->lines, GST_ELEMENT (self), &base->segment, buffer);
  if (!line)
    return GST_FLOW_OK;
  g_autofree char *source = gst_clip_lines_dup_source (self->lines);
  g_autofree char *topic = gst_clip_publish_make_topic (&self->used, source, find_label (buffer));
  if (clip_publisher_push (self->publisher, clip_message_new (source, topic, line)))
    return GST_FLOW_OK;
  return g_atomic_int_get (&self->failed) ? GST_FLOW_ERROR : GST_FLOW_FLUSHING;
}

static void
gst_clip_publish_class_init (GstClipPublishClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS (klass);
  GST_DEBUG_CATEGORY_INIT (gst_clip_publish_debug, "clippublish", 0, "CLIP results to files and brokers");
  gst_clip_publish_install_properties (object_class);
  object_class->finalize = finalize;
  element_class->change_state = change_state;
  base_class->start = start;
  base_class->stop = stop;
  base_class->sink_event = sink_event;
  base_class->set_caps = set_caps;
  base_class->transform_ip = transform_ip;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "CLIP publisher", "Filter/Metadata",
      "Publishes the labels of each frame as a line of JSON to a file, MQTT or Kafka", "CLIP for GStreamer");
}

static void
gst_clip_publish_init (GstClipPublish *self)
{
  self->lines = gst_clip_lines_new ();
  gst_clip_publish_init_settings (&self->settings);
  /* the frame is looked at, never written */
  gst_base_transform_set_passthrough (GST_BASE_TRANSFORM (self), TRUE);
}
