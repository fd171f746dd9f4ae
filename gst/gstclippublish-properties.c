/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clippublish's properties; Intel DL Streamer's names where gvametapublish has them. */
#include "clip-error.h"
#include "gstclippublish-private.h"

#define READY (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)
/* Nothing that prints properties can print these. */
#define SECRET (G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)
#define RO (G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)
#define AT(field) G_STRUCT_OFFSET (GstClipPublishSettings, field)

static const struct {
  const char *name, *nick, *blurb;
  gsize offset;
  GParamFlags flags;
} strings[] = {
  { "file-path", "File path", "file: to which the lines are appended", AT (file_path), READY },
  { "spool-directory", "Spool directory", "With queue-policy=spool: where messages are kept until they are acknowledged; "
    "this element's alone", AT (spool_directory), READY },
  { "address", "Address", "mqtt: host:port of the broker, or mqtts://host:port; kafka: host:port,host:port", AT (address),
    READY },
  { "topic", "Topic", "Where messages go; {source} and {label}, the best label of the first object, are replaced; unset: "
    "clip/{source} for mqtt, clip for kafka", AT (topic), READY },
  { "username", "User name", "mqtt: name to log in with", AT (user), READY },
  { "password", "Password", "mqtt: cannot be read back; other users of the machine can see it on a command line, unlike that "
    "of password-file", AT (password), SECRET },
  { "password-file", "Password file", "mqtt: its first line is the password", AT (password_file), READY },
  { "mqtt-client-id", "MQTT client id", "mqtt: name towards the broker, its own for each element; unset: by chance",
    AT (client_id), READY },
  { "ca-file", "CA file", "mqtt: PEM file of the authorities that may vouch for the broker; asks for TLS", AT (ca_file),
    READY },
  { "cert-file", "Certificate file", "mqtt: PEM file with our certificate; asks for TLS", AT (cert_file), READY },
  { "key-file", "Key file", "mqtt: PEM file with its key", AT (key_file), READY },
  { "compression", "Compression", "kafka: none, gzip, snappy, lz4 or zstd", AT (compression), READY },
  { "kafka-options", "Kafka options", "kafka: librdkafka's own, as name=value;name=value, for example security.protocol and "
    "sasl.password; cannot be read back", AT (kafka_options), SECRET },
};

static const struct {
  const char *name, *nick, *blurb;
  gsize offset;
  guint64 minimum, maximum, value;
} numbers[] = {
  { "rotate-size", "Rotate size", "file: put the file aside before it has more bytes; 0: never", AT (rotate_size), 0,
    G_MAXINT64, 0 },
  { "rotate-interval", "Rotate interval", "file: put the file aside after so many nanoseconds; 0: never",
    AT (rotate_interval), 0, G_MAXINT64, 0 },
  { "max-files", "Maximum files", "file: how many files put aside are kept; 0: all", AT (max_files), 0, G_MAXUINT16, 0 },
  { "fsync-interval", "Fsync interval", "With fsync=interval: nanoseconds", AT (sync_interval), 0, G_MAXINT64,
    GST_SECOND },
  { "qos", "Quality of service", "mqtt: 0: at most once, 1: at least once, 2: exactly once as long as a connection stands",
    AT (qos), 0, 2, 1 },
  { "keepalive", "Keep alive", "mqtt: seconds after which a broker that is silent counts as away", AT (keepalive), 5, 65535,
    60 },
  { "queue-size", "Queue size", "Messages that wait in memory", AT (queue_size), 1, 10000000, 1000 },
  { "spool-size", "Spool size", "With queue-policy=spool: bytes on disk, beyond which the oldest messages are dropped",
    AT (spool_size), 65536, G_MAXINT64, G_GUINT64_CONSTANT (1) << 30 },
  { "max-reconnect-interval", "Maximum reconnect interval", "Longest time between two attempts to connect, in seconds",
    AT (max_reconnect_interval), 1, 86400, 30 },
  { "drain-timeout", "Drain timeout", "How long the end of the stream and a stop wait for messages to be acknowledged, in "
    "nanoseconds", AT (drain_timeout), 0, G_MAXINT64, 5 * GST_SECOND },
};

static const struct {
  const char *name, *nick, *blurb;
  gsize offset;
} statistics[] = {
  { "published", "Published", "Messages acknowledged", G_STRUCT_OFFSET (ClipPublisherStatistics, published) },
  { "bytes", "Bytes", "Bytes of their lines", G_STRUCT_OFFSET (ClipPublisherStatistics, bytes) },
  { "dropped", "Dropped", "Messages lost", G_STRUCT_OFFSET (ClipPublisherStatistics, dropped) },
  { "queued", "Queued", "Messages in memory, those sent and not acknowledged included",
    G_STRUCT_OFFSET (ClipPublisherStatistics, queued) },
  { "spooled", "Spooled", "Messages on disk and not acknowledged", G_STRUCT_OFFSET (ClipPublisherStatistics, spooled) },
  { "reconnects", "Reconnects", "Connections after the first", G_STRUCT_OFFSET (ClipPublisherStatistics, reconnects) },
};

static const GEnumValue methods[] = {
  { GST_CLIP_PUBLISH_FILE, "A file of JSON lines", "file" },
  { GST_CLIP_PUBLISH_MQTT, "An MQTT broker", "mqtt" },
  { GST_CLIP_PUBLISH_KAFKA, "A Kafka cluster", "kafka" },
  { 0, NULL, NULL },
};
static const GEnumValue syncs[] = {
  { CLIP_SYNC_NONE, "When the system likes: a crash of the process loses nothing, a loss of power may", "none" },
  { CLIP_SYNC_INTERVAL, "After fsync-interval", "interval" },
  { CLIP_SYNC_EACH, "Before a message counts as published", "each" },
  { 0, NULL, NULL },
};
static const GEnumValue policies[] = {
  { CLIP_PUBLISH_BLOCK, "The stream waits", "block" },
  { CLIP_PUBLISH_DROP_OLDEST, "The oldest message that waits is dropped", "drop-oldest" },
  { CLIP_PUBLISH_SPOOL, "Each message goes to a spool on disk before it is sent", "spool" },
  { 0, NULL, NULL },
};
static const GEnumValue reactions[] = {
  { GST_CLIP_ON_ERROR_ERROR, "An error, which ends the pipeline", "error" },
  { GST_CLIP_ON_ERROR_WARNING, "A warning; it is tried again", "warning" },
  { 0, NULL, NULL },
};

static const struct {
  const char *name, *nick, *blurb, *type;
  const GEnumValue *values;
  gsize offset;
} choices[] = {
  { "method", "Method", "Where to", "GstClipPublishMethod", methods, AT (method) },
  { "fsync", "Fsync", "file and spool: when what was written must be on the disk", "GstClipPublishFsync", syncs, AT (sync) },
  { "queue-policy", "Queue policy", "What happens when the queue is full because the broker is away or slow",
    "GstClipPublishPolicy", policies, AT (policy) },
  { "on-error", "On error", "What follows from something that does not pass by itself: a refused certificate or password, a "
    "full disk, a path that cannot be written", "GstClipPublishOnError", reactions, AT (on_error) },
};

enum {
  PROP_STRINGS = GST_CLIP_LINES_PROP_NEXT,
  PROP_NUMBERS = PROP_STRINGS + G_N_ELEMENTS (strings),
  PROP_CHOICES = PROP_NUMBERS + G_N_ELEMENTS (numbers),
  PROP_STATISTICS = PROP_CHOICES + G_N_ELEMENTS (choices),
  PROP_END = PROP_STATISTICS + G_N_ELEMENTS (statistics),
};

static char **
string_field (GstClipPublishSettings *s, guint index)
{
  return (char **) G_STRUCT_MEMBER_P (s, strings[index].offset);
}

void
gst_clip_publish_init_settings (GstClipPublishSettings *s)
{
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    G_STRUCT_MEMBER (guint64, s, numbers[i].offset) = numbers[i].value;
}

void
gst_clip_publish_copy_settings (GstClipPublishSettings *to, const GstClipPublishSettings *from)
{
  *to = *from;
  for (guint i = 0; i < G_N_ELEMENTS (strings); i++)
    *string_field (to, i) = g_strdup (*string_field (to, i));
}

void
gst_clip_publish_clear_settings (GstClipPublishSettings *s)
{
  for (guint i = 0; i < G_N_ELEMENTS (strings); i++)
    g_clear_pointer (string_field (s, i), g_free);
}

static void
set_string (char **field, const GValue *value)
{
  const char *text = g_value_get_string (value);
  g_free (*field);
  *field = text && *text ? g_strdup (text) : NULL;
}

static gboolean
set_setting (GstClipPublishSettings *s, guint id, const GValue *value)
{
  if (id >= PROP_STATISTICS)
    return FALSE;
  if (id >= PROP_CHOICES)
    G_STRUCT_MEMBER (gint, s, choices[id - PROP_CHOICES].offset) = g_value_get_enum (value);
  else if (id >= PROP_NUMBERS)
    G_STRUCT_MEMBER (guint64, s, numbers[id - PROP_NUMBERS].offset) = g_value_get_uint64 (value);
  else
    set_string (string_field (s, id - PROP_STRINGS), value);
  return TRUE;
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (object);
  if (gst_clip_lines_set_property (self->lines, id, value))
    return;
  GST_OBJECT_LOCK (self);
  gboolean found = set_setting (&self->settings, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!found)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

static guint64
get_statistic (GstClipPublish *self, guint index)
{
  ClipPublisherStatistics now = self->last;
  if (self->publisher)
    clip_publisher_get_statistics (self->publisher, &now);
  return G_STRUCT_MEMBER (guint64, &now, statistics[index].offset);
}

static gboolean
get_setting (GstClipPublish *self, guint id, GValue *value)
{
  GstClipPublishSettings *s = &self->settings;
  if (id >= PROP_END)
    return FALSE;
  if (id >= PROP_STATISTICS)
    g_value_set_uint64 (value, get_statistic (self, id - PROP_STATISTICS));
  else if (id >= PROP_CHOICES)
    g_value_set_enum (value, G_STRUCT_MEMBER (gint, s, choices[id - PROP_CHOICES].offset));
  else if (id >= PROP_NUMBERS)
    g_value_set_uint64 (value, G_STRUCT_MEMBER (guint64, s, numbers[id - PROP_NUMBERS].offset));
  else
    g_value_set_string (value, *string_field (s, id - PROP_STRINGS));
  return TRUE;
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  GstClipPublish *self = GST_CLIP_PUBLISH (object);
  if (gst_clip_lines_get_property (self->lines, id, value))
    return;
  GST_OBJECT_LOCK (self);
  gboolean found = get_setting (self, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!found)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
}

void
gst_clip_publish_install_properties (GObjectClass *klass)
{
  klass->set_property = set_property;
  klass->get_property = get_property;
  gst_clip_lines_install_properties (klass);
  for (guint i = 0; i < G_N_ELEMENTS (strings); i++)
    g_object_class_install_property (klass, PROP_STRINGS + i, g_param_spec_string (strings[i].name, strings[i].nick,
        strings[i].blurb, NULL, strings[i].flags));
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    g_object_class_install_property (klass, PROP_NUMBERS + i, g_param_spec_uint64 (numbers[i].name, numbers[i].nick,
        numbers[i].blurb, numbers[i].minimum, numbers[i].maximum, numbers[i].value, READY));
  for (guint i = 0; i < G_N_ELEMENTS (choices); i++)
    g_object_class_install_property (klass, PROP_CHOICES + i, g_param_spec_enum (choices[i].name, choices[i].nick,
        choices[i].blurb, g_enum_register_static (choices[i].type, choices[i].values), 0, READY));
  for (guint i = 0; i < G_N_ELEMENTS (statistics); i++)
    g_object_class_install_property (klass, PROP_STATISTICS + i, g_param_spec_uint64 (statistics[i].name,
        statistics[i].nick, statistics[i].blurb, 0, G_MAXUINT64, 0, RO));
}
