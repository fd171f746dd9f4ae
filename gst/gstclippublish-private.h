/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstcliplines.h"
#include "gstclippublish.h"
#include "publish/clip-publisher.h"

G_BEGIN_DECLS

typedef enum { GST_CLIP_PUBLISH_FILE, GST_CLIP_PUBLISH_MQTT, GST_CLIP_PUBLISH_KAFKA } GstClipPublishMethod;
typedef enum { GST_CLIP_ON_ERROR_ERROR, GST_CLIP_ON_ERROR_WARNING } GstClipOnError;

/* Strings first: what the properties say, under the object lock */
typedef struct {
  char *file_path, *spool_directory;
  char *address, *topic, *user, *password, *password_file, *client_id, *ca_file, *cert_file, *key_file;
  char *compression, *kafka_options;
  guint64 rotate_size, rotate_interval, max_files, sync_interval;
  guint64 qos, keepalive, queue_size, spool_size, max_reconnect_interval, drain_timeout;
  gint method, sync, policy, on_error;
} GstClipPublishSettings;

struct _GstClipPublish {
  GstBaseTransform parent;
  GstClipLines *lines;
  GstClipPublishSettings settings;
  GstClipPublishSettings used; /* a copy, while started */
  ClipPublisher *publisher;    /* while started; under the object lock but for the streaming thread */
  ClipPublisherStatistics last;
  gint failed;          /* atomic: an error was posted */
  gboolean drain_failed; /* waiting once is enough */
};

void gst_clip_publish_install_properties (GObjectClass *klass);
void gst_clip_publish_init_settings (GstClipPublishSettings *settings);
void gst_clip_publish_copy_settings (GstClipPublishSettings *to, const GstClipPublishSettings *from);
void gst_clip_publish_clear_settings (GstClipPublishSettings *settings);

/** (transfer full) (nullable): of the method that is set */
ClipTransport *gst_clip_publish_make_transport (const GstClipPublishSettings *settings, GError **error);

/** (transfer full): where a message with this label goes */
char *gst_clip_publish_make_topic (const GstClipPublishSettings *settings, const char *source, const char *label);

G_END_DECLS
