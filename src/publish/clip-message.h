/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ClipMessage:
 * @source: name of the stream, the key by which order is kept; "" for none
 * @topic: where it goes; "" for a file
 * @line: one line of JSON with its newline
 */
typedef struct {
  char *source, *topic, *line;
  gsize length;
} ClipMessage;

/** clip_message_new: @line: (transfer full) */
ClipMessage *clip_message_new (const char *source, const char *topic, char *line);
void clip_message_free (ClipMessage *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipMessage, clip_message_free)

/** clip_message_get_payload_length: bytes of the line without its newline */
gsize clip_message_get_payload_length (const ClipMessage *message);

/**
 * clip_topic_expand: (transfer full): @pattern with {source} and {label} replaced
 * @allowed: what a name may contain beside letters and digits of ASCII; NULL: all but what MQTT keeps for itself
 *
 * A name is cut after 200 characters; an absent one is "none".
 */
char *clip_topic_expand (const char *pattern, const char *source, const char *label, const char *allowed);

G_END_DECLS
