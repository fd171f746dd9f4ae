/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-error.h"
#include "clip-mqtt.h"

ClipTransport *
clip_mqtt_new (const ClipMqttSettings *settings, GError **error)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED,
      "this build has no MQTT; install libmosquitto's development files (Debian: libmosquitto-dev), build with "
      "-Dmqtt=enabled");
  return NULL;
}
