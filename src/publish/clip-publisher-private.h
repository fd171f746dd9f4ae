/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-publisher.h"

G_BEGIN_DECLS

/* A message that was sent */
typedef struct {
  guint64 id;
  ClipMessage *message; /* NULL: the spool has it */
  gsize length;
  gboolean arrived;
} ClipFlight;

struct _ClipPublisher {
  gatomicrefcount refs;
  ClipPublisherSettings settings;
  ClipTransport *transport;
  ClipPublisherReport report;
  gpointer data;
  GDestroyNotify free_data;
  GThread *thread;
  int wake_fd;

  GMutex lock; /* guards what follows */
  GCond changed;
  GQueue waiting; /* of ClipMessage */
  guint64 in_flight, in_hand;
  ClipPublisherStatistics statistics;
  gboolean interrupted, stopping, finished;
  gboolean spool_failed; /* the disk takes nothing: the oldest are dropped rather than video stopped */
  gint64 deadline;       /* with stopping */

  /* of the thread */
  ClipSpool *spool;
  GQueue flights; /* of ClipFlight, in the order of sending */
  guint64 next_id;
  gboolean open, was_ready, ready_before;
  gint64 delay, retry, kept, synced, spool_retry, message_reported;
  GQuark reported_domain;
  gint reported_code; /* of the trouble that has been reported; 0: none */
};

/* The thread's function; owns a reference. */
gpointer clip_publisher_work (gpointer publisher);
void clip_publisher_unref (ClipPublisher *publisher);
/* Ends the thread's waiting */
void clip_publisher_wake (ClipPublisher *publisher);
/* With the lock held: whether every message has arrived */
gboolean clip_publisher_is_drained (const ClipPublisher *publisher);

G_END_DECLS
