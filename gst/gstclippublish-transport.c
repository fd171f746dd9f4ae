/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From clippublish's settings to what carries its messages. */
#include <string.h>

#include "clip-error.h"
#include "gstclippublish-private.h"
#include "publish/clip-kafka.h"
#include "publish/clip-line-file.h"
#include "publish/clip-mqtt.h"

/* What Kafka allows in a topic beside letters and digits */
#define KAFKA_NAMES "._-"

static gboolean
fail (GError **error, const char *message)
{
  g_set_error_literal (error, CLIP_ERROR, CLIP_ERROR_REFUSED, message);
  return FALSE;
}

static ClipTransport *
make_file (const GstClipPublishSettings *s, GError **error)
{
  const ClipLineFileSettings settings = { s->file_path, s->rotate_size, (gint64) (s->rotate_interval / 1000),
    (guint) s->max_files, s->sync, (gint64) (s->sync_interval / 1000) };
  if (s->policy == CLIP_PUBLISH_SPOOL) {
    fail (error, "queue-policy is spool, which is for a broker; method=file knows block and drop-oldest");
    return NULL;
  }
  if (s->file_path && *s->file_path)
    return clip_line_file_new (&settings);
  fail (error, "no file-path is set, expected the name of the file, for example file-path=labels.jsonl");
  return NULL;
}

static const char *
get_topic (const GstClipPublishSettings *s)
{
  if (s->topic)
    return s->topic;
  return s->method == GST_CLIP_PUBLISH_KAFKA ? "clip" : "clip/{source}";
}

/* With names put in that are valid, the pattern itself must be. */
static gboolean
check_topic (const GstClipPublishSettings *s, GError **error)
{
  g_autofree char *topic = gst_clip_publish_make_topic (s, "a", "a");
  gboolean kafka = s->method == GST_CLIP_PUBLISH_KAFKA, valid = *topic && strlen (topic) < (kafka ? 250 : 65000);
  for (const char *c = topic; *c; c++)
    valid &= kafka ? g_ascii_isalnum (*c) || strchr (KAFKA_NAMES, *c) : *c != '+' && *c != '#';
  if (valid && g_utf8_validate (topic, -1, NULL))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED, "topic is \"%s\", expected %s", get_topic (s),
      kafka ? "letters, digits, '.', '_', '-', {source} and {label}" : "no wildcard (+ and #), and something");
  return FALSE;
}

char *
gst_clip_publish_make_topic (const GstClipPublishSettings *s, const char *source, const char *label)
{
  if (s->method == GST_CLIP_PUBLISH_FILE)
    return g_strdup ("");
  return clip_topic_expand (get_topic (s), source, label, s->method == GST_CLIP_PUBLISH_KAFKA ? KAFKA_NAMES : NULL);
}

static ClipTransport *
make_mqtt (const GstClipPublishSettings *s, GError **error)
{
  g_autofree char *from_file = NULL;
  if (s->password_file && !g_file_get_contents (s->password_file, &from_file, NULL, error))
    return NULL;
  if (from_file)
    from_file[strcspn (from_file, "\r\n")] = '\0';
  const ClipMqttSettings settings = { s->address, s->client_id, s->user, from_file ? from_file : s->password, s->ca_file,
    s->cert_file, s->key_file, (guint) s->qos, (guint) s->keepalive };
  return clip_mqtt_new (&settings, error);
}

/* "a=b;c=d" as names and values in turn */
static gboolean
parse_options (const char *text, GPtrArray *options, GError **error)
{
  g_auto (GStrv) entries = g_strsplit (text ? text : "", ";", -1);
  for (guint i = 0; entries[i]; i++) {
    char *equals = strchr (entries[i], '=');
    if (!*g_strstrip (entries[i]))
      continue;
    equals = strchr (entries[i], '=');
    if (!equals || equals == entries[i])
      return fail (error, "kafka-options are not as expected: name=value;name=value");
    *equals = '\0';
    g_ptr_array_add (options, g_strdup (g_strchomp (entries[i])));
    g_ptr_array_add (options, g_strdup (g_strchug (equals + 1)));
  }
  g_ptr_array_add (options, NULL);
  return TRUE;
}

static ClipTransport *
make_kafka (const GstClipPublishSettings *s, GError **error)
{
  g_autoptr (GPtrArray) options = g_ptr_array_new_with_free_func (g_free);
  if (!parse_options (s->kafka_options, options, error))
    return NULL;
  const ClipKafkaSettings settings = { s->address, s->client_id, s->compression ? s->compression : "none",
    (const char *const *) options->pdata, (gint64) s->max_reconnect_interval * G_USEC_PER_SEC };
  return clip_kafka_new (&settings, error);
}

ClipTransport *
gst_clip_publish_make_transport (const GstClipPublishSettings *s, GError **error)
{
  if (s->method != GST_CLIP_PUBLISH_FILE && !check_topic (s, error))
    return NULL;
  if (s->policy == CLIP_PUBLISH_SPOOL && !(s->spool_directory && *s->spool_directory)) {
    fail (error, "queue-policy is spool and no spool-directory is set; name a directory that is this element's alone");
    return NULL;
  }
  switch (s->method) {
    case GST_CLIP_PUBLISH_MQTT:
      return make_mqtt (s, error);
    case GST_CLIP_PUBLISH_KAFKA:
      return make_kafka (s, error);
    default:
      return make_file (s, error);
  }
}
