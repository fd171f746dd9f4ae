/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-transport.h"

G_BEGIN_DECLS

/**
 * ClipMqttSettings:
 * @address: host, host:port, mqtt://... or mqtts://...; the port is 1883, with TLS 8883
 * @client_id: (nullable): NULL: one of chance
 * @user, @password: (nullable)
 * @ca_file, @cert_file, @key_file: (nullable): PEM; any of them, or mqtts://, asks for TLS, and without @ca_file the
 *   system's authorities count
 * @keepalive: seconds
 */
typedef struct {
  const char *address, *client_id, *user, *password, *ca_file, *cert_file, *key_file;
  guint qos, keepalive;
} ClipMqttSettings;

/** clip_mqtt_new: (transfer full): an MQTT 3.1.1 client. Errors: CLIP_ERROR_REFUSED: the settings cannot be used */
ClipTransport *clip_mqtt_new (const ClipMqttSettings *settings, GError **error);

G_END_DECLS
