/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-message.h"

#include <string.h>

#define NAME_MAX_CHARACTERS 200

ClipMessage *
clip_message_new (const char *source, const char *topic, char *line)
{
  ClipMessage *message = g_new (ClipMessage, 1);
  *message = (ClipMessage){ g_strdup (source ? source : ""), g_strdup (topic ? topic : ""), line, strlen (line) };
  return message;
}

void
clip_message_free (ClipMessage *message)
{
  g_free (message->source);
  g_free (message->topic);
  g_free (message->line);
  g_free (message);
}

gsize
clip_message_get_payload_length (const ClipMessage *message)
{
  return message->length - (message->length > 0 && message->line[message->length - 1] == '\n');
}

static gboolean
is_allowed (gunichar c, const char *allowed)
{
  if (c < 128 && g_ascii_isalnum ((char) c))
    return TRUE;
  if (allowed)
    return c > 0 && c < 128 && strchr (allowed, (int) c);
  return !g_unichar_iscntrl (c) && c != '/' && c != '+' && c != '#';
}

/* A name must not change the shape of the topic: what has a meaning there becomes an underscore. */
static void
append_name (GString *topic, const char *name, const char *allowed)
{
  if (!name || !*name)
    name = "none";
  for (guint i = 0; *name && i < NAME_MAX_CHARACTERS; i++, name = g_utf8_next_char (name)) {
    gunichar c = g_utf8_get_char (name);
    g_string_append_unichar (topic, is_allowed (c, allowed) ? c : '_');
  }
}

char *
clip_topic_expand (const char *pattern, const char *source, const char *label, const char *allowed)
{
  GString *topic = g_string_new (NULL);
  while (*pattern) {
    if (g_str_has_prefix (pattern, "{source}")) {
      append_name (topic, source, allowed);
      pattern += strlen ("{source}");
    } else if (g_str_has_prefix (pattern, "{label}")) {
      append_name (topic, label, allowed);
      pattern += strlen ("{label}");
    } else
      g_string_append_c (topic, *pattern++);
  }
  return g_string_free (topic, FALSE);
}
