/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-error.h"
#include "clip-kafka.h"

ClipTransport *
clip_kafka_new (const ClipKafkaSettings *settings, GError **error)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED,
      "this build has no Kafka; install librdkafka's development files (Debian: librdkafka-dev), build with "
      "-Dkafka=enabled");
  return NULL;
}
