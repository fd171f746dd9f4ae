/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages from a thread that must not wait to a transport that may be slow or away. */
#pragma once

#include "clip-spool.h"
#include "clip-transport.h"

G_BEGIN_DECLS

typedef struct _ClipPublisher ClipPublisher;

/**
 * ClipPublishPolicy: what happens to a message for which there is no room
 * @CLIP_PUBLISH_BLOCK: its thread waits
 * @CLIP_PUBLISH_DROP_OLDEST: the oldest one that waits is dropped for it
 * @CLIP_PUBLISH_SPOOL: there is always room, for each message goes to a spool on disk before it is sent
 */
typedef enum { CLIP_PUBLISH_BLOCK, CLIP_PUBLISH_DROP_OLDEST, CLIP_PUBLISH_SPOOL } ClipPublishPolicy;

/**
 * ClipPublisherSettings:
 * @queue_size: messages that wait in memory
 * @spool_directory, @spool_size: with CLIP_PUBLISH_SPOOL
 * @sync: of the spool; @sync_interval in microseconds
 * @open_first: a transport that cannot be opened is an error of clip_publisher_new() already
 * @max_delay: longest time between two attempts to reconnect, in microseconds
 */
typedef struct {
  ClipPublishPolicy policy;
  guint queue_size;
  const char *spool_directory;
  guint64 spool_size;
  ClipSync sync;
  gint64 sync_interval, max_delay;
  gboolean open_first;
} ClipPublisherSettings;

/**
 * ClipPublisherStatistics:
 * @published: messages acknowledged, and @bytes of their lines
 * @dropped: lost for ever
 * @queued: in memory, those sent and not yet acknowledged included
 * @spooled: on disk and not acknowledged
 * @reconnects: connections after the first
 */
typedef struct {
  guint64 published, dropped, queued, spooled, reconnects, bytes;
} ClipPublisherStatistics;

/**
 * ClipPublisherReport: on the publisher's thread, once for each kind of trouble until messages arrive again
 * @error: CLIP_ERROR_AWAY: it is tried again; CLIP_ERROR_REFUSED: it is tried again, but needs a change of settings;
 *   CLIP_ERROR_MESSAGE: a message was dropped
 */
typedef void (*ClipPublisherReport) (const GError *error, gpointer data);

/**
 * clip_publisher_new: (transfer full): starts its thread
 * @transport: (transfer full)
 * @free_data: (nullable): called when the thread will report no more
 *
 * Errors: those of clip_spool_open(), and with open_first those of the transport
 */
ClipPublisher *clip_publisher_new (ClipTransport *transport, const ClipPublisherSettings *settings,
    ClipPublisherReport report, gpointer data, GDestroyNotify free_data, GError **error);

/** clip_publisher_push: @message: (transfer full). Returns: FALSE if it was interrupted; the message is dropped then */
gboolean clip_publisher_push (ClipPublisher *publisher, ClipMessage *message);

/** clip_publisher_interrupt: while @interrupted no push waits; it returns FALSE where it would have to */
void clip_publisher_interrupt (ClipPublisher *publisher, gboolean interrupted);

/** clip_publisher_drain: waits until all messages are acknowledged. Returns: FALSE after @timeout microseconds */
gboolean clip_publisher_drain (ClipPublisher *publisher, gint64 timeout);

/**
 * clip_publisher_stop: drains for @timeout microseconds, then ends the thread and frees
 * @left: (nullable): the statistics at the end: what is still queued is lost, what is spooled is sent next time
 *
 * A thread that hangs in the resolver of names is left behind after a grace of 2 s.
 */
void clip_publisher_stop (ClipPublisher *publisher, gint64 timeout, ClipPublisherStatistics *left);

void clip_publisher_get_statistics (ClipPublisher *publisher, ClipPublisherStatistics *statistics);

G_END_DECLS
