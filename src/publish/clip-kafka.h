/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-transport.h"

G_BEGIN_DECLS

/**
 * ClipKafkaSettings:
 * @brokers: host:port,host:port,...
 * @client_id: (nullable)
 * @compression: none, gzip, snappy, lz4 or zstd
 * @options: (nullable): names and values of librdkafka's own, in pairs, NULL-terminated; they win
 * @max_delay: longest time between two attempts to reconnect, in microseconds
 */
typedef struct {
  const char *brokers, *client_id, *compression;
  const char *const *options;
  gint64 max_delay;
} ClipKafkaSettings;

/**
 * clip_kafka_new: (transfer full): an idempotent producer; a message's key is its source
 *
 * Errors: CLIP_ERROR_REFUSED: the settings cannot be used
 */
ClipTransport *clip_kafka_new (const ClipKafkaSettings *settings, GError **error);

G_END_DECLS
