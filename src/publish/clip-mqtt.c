/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* MQTT by libmosquitto, without its thread; a new client for each connection: what is sent again is our decision. */
#include "clip-mqtt.h"

#include <errno.h>
#include <gio/gio.h>
#include <mosquitto.h>
#include <string.h>

#include "clip-error.h"

#define WINDOW 100
#define CONNECT_TIMEOUT (10 * G_USEC_PER_SEC)

typedef struct {
  ClipTransport parent;
  ClipMqttSettings settings; /* owns its strings */
  char *host;
  guint16 port;
  gboolean tls;
  struct mosquitto *client;
  GHashTable *ids;   /* mid -> id of what is not acknowledged */
  GHashTable *early; /* mids acknowledged before mosquitto_publish() returned */
  gboolean ready;
  gint64 opened;
  guint acknowledgements;
  GError *refusal;  /* the broker's answer to CONNECT */
  GString *details; /* what the library logged as errors of this connection */
} Mqtt;

static gboolean
fail (Mqtt *mqtt, ClipError code, const char *why, GError **error)
{
  const char *between = mqtt->details->len > 0 ? ": " : "";
  g_set_error (error, CLIP_ERROR, code, "MQTT broker %s:%u: %s%s%s", mqtt->host, mqtt->port, why, between,
      mqtt->details->str);
  return FALSE;
}

/* A certificate stays wrong until somebody changes it; a handshake that a dying broker cut does not. */
static gboolean
is_about_certificates (const Mqtt *mqtt)
{
  return strstr (mqtt->details->str, "certificate") || strstr (mqtt->details->str, "alert");
}

/* By the broker, perhaps because of our certificate: the alert that says so may be lost with the connection. */
static gboolean
is_closed (int rc, int code)
{
  return rc == MOSQ_ERR_CONN_LOST || (rc == MOSQ_ERR_ERRNO && (code == EPROTO || code == ECONNRESET || code == EPIPE));
}

static gboolean
fail_with (Mqtt *mqtt, int rc, GError **error)
{
  int code = errno;
  if (mqtt->refusal) {
    g_propagate_error (error, g_steal_pointer (&mqtt->refusal));
    return FALSE;
  }
  if (!mqtt->ready && mqtt->tls && is_about_certificates (mqtt))
    return fail (
        mqtt, CLIP_ERROR_REFUSED, "TLS was refused; check ca-file, cert-file, key-file and the host's name", error);
  if (!mqtt->ready && mqtt->tls && is_closed (rc, code))
    return fail (mqtt, CLIP_ERROR_AWAY,
        "closed the connection during TLS; if it does so again, it refuses our certificate or wants one (cert-file)", error);
  if (rc == MOSQ_ERR_ERRNO)
    return fail (mqtt, CLIP_ERROR_AWAY, g_strerror (code), error);
  if (rc == MOSQ_ERR_EAI)
    return fail (mqtt, CLIP_ERROR_AWAY, "the host's name is not known", error);
  return fail (mqtt, CLIP_ERROR_AWAY, mosquitto_strerror (rc), error);
}

static void
on_connect (struct mosquitto *client, void *data, int rc)
{
  Mqtt *mqtt = data;
  mqtt->ready = rc == 0;
  if (rc != 0 && !mqtt->refusal)
    fail (mqtt, rc == 3 ? CLIP_ERROR_AWAY : CLIP_ERROR_REFUSED, mosquitto_connack_string (rc), &mqtt->refusal);
}

static void
acknowledge (Mqtt *mqtt, guint64 id)
{
  mqtt->acknowledgements++;
  mqtt->parent.acknowledged (id, mqtt->parent.data);
}

static void
on_publish (struct mosquitto *client, void *data, int mid)
{
  Mqtt *mqtt = data;
  g_autofree guint64 *id = NULL;
  if (g_hash_table_steal_extended (mqtt->ids, GINT_TO_POINTER (mid), NULL, (gpointer *) &id))
    acknowledge (mqtt, *id);
  else
    g_hash_table_add (mqtt->early, GINT_TO_POINTER (mid));
}

static void
on_log (struct mosquitto *client, void *data, int level, const char *text)
{
  Mqtt *mqtt = data;
  if (level != MOSQ_LOG_ERR || mqtt->details->len > 300)
    return;
  g_string_append_printf (mqtt->details, "%s%s", mqtt->details->len > 0 ? "; " : "", text);
}

static gboolean
set_tls (Mqtt *mqtt)
{
  const ClipMqttSettings *s = &mqtt->settings;
  int rc = MOSQ_ERR_SUCCESS;
  if (!s->ca_file)
    rc = mosquitto_int_option (mqtt->client, MOSQ_OPT_TLS_USE_OS_CERTS, 1);
  if (rc == MOSQ_ERR_SUCCESS && (s->ca_file || s->cert_file))
    rc = mosquitto_tls_set (
        mqtt->client, s->ca_file, s->ca_file ? NULL : "/etc/ssl/certs", s->cert_file, s->key_file, NULL);
  return rc == MOSQ_ERR_SUCCESS;
}

static void
close_mqtt (ClipTransport *transport)
{
  Mqtt *mqtt = (Mqtt *) transport;
  if (mqtt->ready)
    mosquitto_disconnect (mqtt->client);
  g_clear_pointer (&mqtt->client, mosquitto_destroy);
  g_clear_error (&mqtt->refusal);
  g_hash_table_remove_all (mqtt->ids);
  g_hash_table_remove_all (mqtt->early);
  mqtt->ready = FALSE;
}

static gboolean
make_client (Mqtt *mqtt, GError **error)
{
  const ClipMqttSettings *s = &mqtt->settings;
  mqtt->client = mosquitto_new (s->client_id, true, mqtt);
  if (!mqtt->client)
    return fail (mqtt, CLIP_ERROR_REFUSED, "no client can be made with this mqtt-client-id", error);
  mosquitto_connect_callback_set (mqtt->client, on_connect);
  mosquitto_publish_callback_set (mqtt->client, on_publish);
  mosquitto_log_callback_set (mqtt->client, on_log);
  mosquitto_int_option (mqtt->client, MOSQ_OPT_SEND_MAXIMUM, WINDOW);
  mosquitto_int_option (mqtt->client, MOSQ_OPT_TCP_NODELAY, 1);
  if (s->user && mosquitto_username_pw_set (mqtt->client, s->user, s->password) != MOSQ_ERR_SUCCESS)
    return fail (mqtt, CLIP_ERROR_REFUSED, "user name or password are no UTF-8", error);
  if (mqtt->tls && !set_tls (mqtt))
    return fail (mqtt, CLIP_ERROR_REFUSED, "ca-file, cert-file or key-file cannot be used", error);
  return TRUE;
}

static gboolean
open_mqtt (ClipTransport *transport, GError **error)
{
  Mqtt *mqtt = (Mqtt *) transport;
  g_string_truncate (mqtt->details, 0);
  gboolean opened = make_client (mqtt, error);
  if (opened) {
    errno = 0;
    int rc = mosquitto_connect_async (mqtt->client, mqtt->host, mqtt->port, (int) mqtt->settings.keepalive);
    opened = rc == MOSQ_ERR_SUCCESS || fail_with (mqtt, rc, error);
  }
  if (!opened)
    close_mqtt (transport);
  mqtt->opened = g_get_monotonic_time ();
  return opened;
}

static gboolean
is_ready (ClipTransport *transport)
{
  return ((Mqtt *) transport)->ready;
}

static gboolean
send_mqtt (ClipTransport *transport, const ClipMessage *message, guint64 id, GError **error)
{
  Mqtt *mqtt = (Mqtt *) transport;
  int mid = 0;
  int rc = mosquitto_publish (mqtt->client, &mid, message->topic, (int) clip_message_get_payload_length (message),
      message->line, (int) mqtt->settings.qos, false);
  switch (rc) {
    case MOSQ_ERR_SUCCESS:
      break;
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET:
    case MOSQ_ERR_MALFORMED_UTF8:
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_MESSAGE, "a message of %" G_GSIZE_FORMAT " bytes to topic %s: %s",
          message->length, message->topic, mosquitto_strerror (rc));
      return FALSE;
    default:
      return fail_with (mqtt, rc, error);
  }
  if (g_hash_table_remove (mqtt->early, GINT_TO_POINTER (mid)))
    acknowledge (mqtt, id);
  else
    g_hash_table_insert (mqtt->ids, GINT_TO_POINTER (mid), g_memdup2 (&id, sizeof id));
  return TRUE;
}

static gboolean
get_poll (ClipTransport *transport, GPollFD *fd)
{
  Mqtt *mqtt = (Mqtt *) transport;
  fd->fd = mosquitto_socket (mqtt->client);
  fd->events = G_IO_IN | (mosquitto_want_write (mqtt->client) ? G_IO_OUT : 0);
  return fd->fd >= 0;
}

/* With TLS what was read is no longer on the socket: as long as something comes of it there may be more. */
static int
read_all (Mqtt *mqtt)
{
  int rc;
  guint before;
  do {
    before = mqtt->acknowledgements;
    rc = mosquitto_loop_read (mqtt->client, WINDOW);
  } while (rc == MOSQ_ERR_SUCCESS && mqtt->acknowledgements != before);
  return rc;
}

static gboolean
dispatch (ClipTransport *transport, GError **error)
{
  Mqtt *mqtt = (Mqtt *) transport;
  errno = 0;
  int rc = read_all (mqtt);
  if (rc == MOSQ_ERR_SUCCESS)
    rc = mosquitto_loop_write (mqtt->client, WINDOW);
  if (rc == MOSQ_ERR_SUCCESS)
    rc = mosquitto_loop_misc (mqtt->client);
  if (rc != MOSQ_ERR_SUCCESS || mqtt->refusal)
    return fail_with (mqtt, rc, error);
  if (!mqtt->ready && g_get_monotonic_time () - mqtt->opened > CONNECT_TIMEOUT)
    return fail (mqtt, CLIP_ERROR_AWAY, "no answer", error);
  return TRUE;
}

static void
free_mqtt (ClipTransport *transport)
{
  Mqtt *mqtt = (Mqtt *) transport;
  const ClipMqttSettings *s = &mqtt->settings;
  const char *strings[] = { s->address, s->client_id, s->user, s->password, s->ca_file, s->cert_file, s->key_file };
  for (guint i = 0; i < G_N_ELEMENTS (strings); i++)
    g_free ((char *) strings[i]);
  g_clear_error (&mqtt->parent.trouble);
  g_free (mqtt->host);
  g_hash_table_unref (mqtt->ids);
  g_hash_table_unref (mqtt->early);
  g_string_free (mqtt->details, TRUE);
  g_free (mqtt);
}

static void
copy_settings (Mqtt *mqtt, const ClipMqttSettings *s)
{
  mqtt->settings = *s;
  const char **strings[] = { &mqtt->settings.address, &mqtt->settings.client_id, &mqtt->settings.user,
    &mqtt->settings.password, &mqtt->settings.ca_file, &mqtt->settings.cert_file, &mqtt->settings.key_file };
  for (guint i = 0; i < G_N_ELEMENTS (strings); i++)
    *strings[i] = g_strdup (*strings[i]);
}

/* "mqtts://host:port" and shorter */
static gboolean
parse_address (Mqtt *mqtt, GError **error)
{
  const ClipMqttSettings *s = &mqtt->settings;
  const char *address = s->address ? s->address : "";
  gboolean secure = g_str_has_prefix (address, "mqtts://");
  mqtt->tls = secure || s->ca_file || s->cert_file || s->key_file;
  if (secure || g_str_has_prefix (address, "mqtt://"))
    address = strstr (address, "//") + 2;
  g_autoptr (GSocketConnectable) parsed
      = *address ? g_network_address_parse (address, mqtt->tls ? 8883 : 1883, NULL) : NULL;
  if (!parsed) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED,
        "address is \"%s\", expected the broker's host or host:port, for example address=localhost:1883", address);
    return FALSE;
  }
  mqtt->host = g_strdup (g_network_address_get_hostname (G_NETWORK_ADDRESS (parsed)));
  mqtt->port = g_network_address_get_port (G_NETWORK_ADDRESS (parsed));
  return TRUE;
}

static gboolean
check_files (const ClipMqttSettings *s, GError **error)
{
  const char *const files[][2]
      = { { "ca-file", s->ca_file }, { "cert-file", s->cert_file }, { "key-file", s->key_file } };
  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *content = NULL;
    if (files[i][1] && !g_file_get_contents (files[i][1], &content, NULL, error)) {
      g_prefix_error (error, "%s: ", files[i][0]);
      return FALSE;
    }
  }
  if (!s->cert_file == !s->key_file)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED, "cert-file and key-file belong together; only %s is set",
      s->cert_file ? "cert-file" : "key-file");
  return FALSE;
}

ClipTransport *
clip_mqtt_new (const ClipMqttSettings *settings, GError **error)
{
  static const ClipTransportClass klass
      = { "mqtt", WINDOW, open_mqtt, close_mqtt, is_ready, send_mqtt, get_poll, dispatch, free_mqtt };
  static gsize once = 0;
  if (g_once_init_enter (&once)) {
    mosquitto_lib_init ();
    g_once_init_leave (&once, 1);
  }
  Mqtt *mqtt = g_new0 (Mqtt, 1);
  mqtt->parent.klass = &klass;
  mqtt->ids = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  mqtt->early = g_hash_table_new (NULL, NULL);
  mqtt->details = g_string_new (NULL);
  copy_settings (mqtt, settings);
  if (parse_address (mqtt, error) && check_files (settings, error))
    return &mqtt->parent;
  free_mqtt (&mqtt->parent);
  return NULL;
}
