/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kafka by librdkafka, which reconnects, retries and keeps the order by itself. */
#include "clip-kafka.h"

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "clip-error.h"

#define WINDOW 1000
/* How long a closing producer may still say what has arrived, in milliseconds */
#define LAST_WORDS 200

typedef struct {
  ClipTransport parent;
  rd_kafka_conf_t *conf;
  rd_kafka_t *producer;
  gboolean in_trouble;
  GError *broken; /* what only a new producer can mend */
} Kafka;

static void
set_broken (Kafka *kafka, ClipError code, const char *what, const char *why)
{
  if (!kafka->broken)
    g_set_error (&kafka->broken, CLIP_ERROR, code, "Kafka: %s: %s", what, why);
}

static void
set_trouble (Kafka *kafka, ClipError code, const char *why)
{
  kafka->in_trouble = TRUE;
  if (!kafka->parent.trouble)
    g_set_error (&kafka->parent.trouble, CLIP_ERROR, code, "Kafka: %s", why);
}

static void
on_error (rd_kafka_t *producer, int code, const char *reason, void *opaque)
{
  Kafka *kafka = opaque;
  char text[512];
  switch (code) {
    case RD_KAFKA_RESP_ERR__FATAL:
      rd_kafka_fatal_error (producer, text, sizeof text);
      set_broken (kafka, CLIP_ERROR_AWAY, "the producer gave up", text);
      break;
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      set_trouble (kafka, CLIP_ERROR_REFUSED, reason);
      break;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      set_trouble (kafka, CLIP_ERROR_AWAY, reason);
      break;
    default: /* one of several brokers, or something that passes */
      g_debug ("Kafka: %s", reason);
  }
}

static void
on_log (const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
  g_debug ("Kafka: %s: %s", facility, text);
}

static void
on_arrival (Kafka *kafka, guint64 id)
{
  if (kafka->in_trouble)
    kafka->parent.reconnects++;
  kafka->in_trouble = FALSE;
  kafka->parent.acknowledged (id, kafka->parent.data);
}

static void
on_failure (Kafka *kafka, const rd_kafka_message_t *message, guint64 id)
{
  g_autoptr (GError) error = NULL;
  const char *why = rd_kafka_err2str (message->err), *topic = rd_kafka_topic_name (message->rkt);
  switch (message->err) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
      g_set_error (&error, CLIP_ERROR, CLIP_ERROR_MESSAGE,
          "Kafka: a message of %" G_GSIZE_FORMAT " bytes to topic %s: %s", message->len, topic, why);
      kafka->parent.rejected (id, error, kafka->parent.data);
      break;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
      break;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      set_broken (kafka, CLIP_ERROR_REFUSED, topic, why);
      break;
    default:
      set_broken (kafka, CLIP_ERROR_AWAY, topic, why);
  }
}

static void
on_delivery (rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
  g_autofree guint64 *id = message->_private;
  if (message->err)
    on_failure (opaque, message, *id);
  else
    on_arrival (opaque, *id);
}

static void
close_kafka (ClipTransport *transport)
{
  Kafka *kafka = (Kafka *) transport;
  if (!kafka->producer)
    return;
  rd_kafka_purge (kafka->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush (kafka->producer, LAST_WORDS);
  rd_kafka_destroy (kafka->producer);
  kafka->producer = NULL;
  g_clear_error (&kafka->broken);
}

/* Its threads tell by the eventfd that there is something to dispatch. */
static void
connect_wake (Kafka *kafka)
{
  static const guint64 one = 1;
  rd_kafka_queue_t *queue = rd_kafka_queue_get_main (kafka->producer);
  rd_kafka_queue_io_event_enable (queue, kafka->parent.wake_fd, &one, sizeof one);
  rd_kafka_queue_destroy (queue);
}

static gboolean
open_kafka (ClipTransport *transport, GError **error)
{
  Kafka *kafka = (Kafka *) transport;
  char why[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_dup (kafka->conf);
  rd_kafka_conf_set_opaque (conf, kafka);
  kafka->producer = rd_kafka_new (RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!kafka->producer) {
    rd_kafka_conf_destroy (conf);
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED, "Kafka: %s; check address, kafka-options and compression", why);
    return FALSE;
  }
  connect_wake (kafka);
  return TRUE;
}

static gboolean
is_ready (ClipTransport *transport)
{
  return ((Kafka *) transport)->producer != NULL;
}

static gboolean
send_kafka (ClipTransport *transport, const ClipMessage *message, guint64 id, GError **error)
{
  Kafka *kafka = (Kafka *) transport;
  guint64 *private = g_memdup2 (&id, sizeof id);
  rd_kafka_resp_err_t code = rd_kafka_producev (kafka->producer, RD_KAFKA_V_TOPIC (message->topic),
      RD_KAFKA_V_KEY (message->source, strlen (message->source)),
      RD_KAFKA_V_VALUE (message->line, clip_message_get_payload_length (message)),
      RD_KAFKA_V_MSGFLAGS (RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE (private), RD_KAFKA_V_END);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    return TRUE;
  g_free (private);
  gboolean impossible = code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR__INVALID_ARG;
  g_set_error (error, CLIP_ERROR, impossible ? CLIP_ERROR_MESSAGE : CLIP_ERROR_AWAY,
      "Kafka: a message of %" G_GSIZE_FORMAT " bytes to topic %s: %s", message->length, message->topic,
      rd_kafka_err2str (code));
  return FALSE;
}

static gboolean
dispatch (ClipTransport *transport, GError **error)
{
  Kafka *kafka = (Kafka *) transport;
  rd_kafka_poll (kafka->producer, 0);
  if (!kafka->broken)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&kafka->broken));
  return FALSE;
}

static void
free_kafka (ClipTransport *transport)
{
  Kafka *kafka = (Kafka *) transport;
  g_clear_error (&kafka->parent.trouble);
  g_clear_error (&kafka->broken);
  rd_kafka_conf_destroy (kafka->conf);
  g_free (kafka);
}

/* The value is not repeated: it may be a password. */
static gboolean
set_option (Kafka *kafka, const char *name, const char *value, GError **error)
{
  char why[512];
  if (rd_kafka_conf_set (kafka->conf, name, value, why, sizeof why) == RD_KAFKA_CONF_OK)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED,
      "Kafka: option \"%s\" is unknown to librdkafka %s or its value is not valid; see its CONFIGURATION.md", name,
      rd_kafka_version_str ());
  return FALSE;
}

static gboolean
configure (Kafka *kafka, const ClipKafkaSettings *s, GError **error)
{
  g_autofree char *delay = g_strdup_printf ("%" G_GINT64_FORMAT, MAX (s->max_delay / 1000, 100));
  /* timeout 0: it never gives up a message; when and what to give up is the publisher's policy */
  const char *const own[][2] = { { "bootstrap.servers", s->brokers },
    { "client.id", s->client_id ? s->client_id : "clippublish" }, { "compression.codec", s->compression },
    { "enable.idempotence", "true" }, { "message.timeout.ms", "0" },
    { "reconnect.backoff.max.ms", delay }, { "log.connection.close", "false" } };
  for (guint i = 0; i < G_N_ELEMENTS (own); i++) {
    if (!set_option (kafka, own[i][0], own[i][1], error))
      return FALSE;
  }
  for (const char *const *option = s->options; option && *option; option += 2) {
    if (!set_option (kafka, option[0], option[1], error))
      return FALSE;
  }
  rd_kafka_conf_set_dr_msg_cb (kafka->conf, on_delivery);
  rd_kafka_conf_set_error_cb (kafka->conf, on_error);
  rd_kafka_conf_set_log_cb (kafka->conf, on_log);
  return TRUE;
}

ClipTransport *
clip_kafka_new (const ClipKafkaSettings *settings, GError **error)
{
  static const ClipTransportClass klass
      = { "kafka", WINDOW, open_kafka, close_kafka, is_ready, send_kafka, NULL, dispatch, free_kafka };
  if (!settings->brokers || !*settings->brokers) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED,
        "no address is set, expected the brokers as host:port,host:port, for example address=localhost:9092");
    return NULL;
  }
  Kafka *kafka = g_new0 (Kafka, 1);
  kafka->parent.klass = &klass;
  kafka->conf = rd_kafka_conf_new ();
  if (configure (kafka, settings, error))
    return &kafka->parent;
  free_kafka (&kafka->parent);
  return NULL;
}
