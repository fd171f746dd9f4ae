/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What carries messages away. A publisher calls all of it on its own thread. */
#pragma once

#include <glib.h>

#include "clip-message.h"

G_BEGIN_DECLS

typedef struct _ClipTransport ClipTransport;

/** ClipAcknowledged: the message that was sent as @id has arrived. On the publisher's thread, within a call */
typedef void (*ClipAcknowledged) (guint64 id, gpointer data);

/** ClipRejected: the message that was sent as @id can never arrive (CLIP_ERROR_MESSAGE); otherwise as ClipAcknowledged */
typedef void (*ClipRejected) (guint64 id, const GError *error, gpointer data);

/**
 * ClipTransportClass:
 * @name: for messages
 * @window: how many messages may be sent and not yet acknowledged
 * @open: begins to connect; returns before it is done
 * @close: at once; what is not acknowledged will be sent again
 * @is_ready: whether messages can be sent
 * @send: one message; @id comes back when it has arrived
 * @get_poll: (nullable): what to wait for. Returns: FALSE if there is nothing
 * @dispatch: (nullable): the work that is due; acknowledges
 * @free: after @close
 *
 * Errors of @open, @send and @dispatch: CLIP_ERROR_AWAY (try again), CLIP_ERROR_REFUSED (it takes a change of settings) and,
 * of @send alone, CLIP_ERROR_MESSAGE (this message can never be sent; the connection stands).
 */
typedef struct {
  const char *name;
  guint window;
  gboolean (*open) (ClipTransport *transport, GError **error);
  void (*close) (ClipTransport *transport);
  gboolean (*is_ready) (ClipTransport *transport);
  gboolean (*send) (ClipTransport *transport, const ClipMessage *message, guint64 id, GError **error);
  gboolean (*get_poll) (ClipTransport *transport, GPollFD *fd);
  gboolean (*dispatch) (ClipTransport *transport, GError **error);
  void (*free) (ClipTransport *transport);
} ClipTransportClass;

/**
 * ClipTransport:
 * @trouble: what a transport that reconnects by itself has to say; the publisher takes and reports it
 * @reconnects: how often such a transport did
 */
struct _ClipTransport {
  const ClipTransportClass *klass;
  GError *trouble;
  guint reconnects;
  ClipAcknowledged acknowledged;
  ClipRejected rejected;
  gpointer data;
  int wake_fd; /* an eventfd that ends the publisher's waiting, for transports with threads of their own */
};

G_END_DECLS
