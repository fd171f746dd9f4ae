/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "clip-disk.h"

#define HEADER 8
#define SUFFIX ".spool"
/* A length beyond this is damage. */
#define RECORD_MAX (64u << 20)

ClipSegment *
clip_segment_new (const char *directory, guint64 first)
{
  ClipSegment *segment = g_new0 (ClipSegment, 1);
  g_autofree char *name = g_strdup_printf ("%016" G_GINT64_MODIFIER "x" SUFFIX, first);
  segment->path = g_build_filename (directory, name, NULL);
  segment->first = first;
  segment->fd = -1;
  return segment;
}

void
clip_segment_free (ClipSegment *segment)
{
  clip_segment_close (segment);
  g_free (segment->path);
  g_free (segment);
}

gboolean
clip_segment_parse_name (const char *name, guint64 *first)
{
  char *end;
  if (strlen (name) != 16 + strlen (SUFFIX) || strspn (name, "0123456789abcdef") < 16)
    return FALSE;
  *first = g_ascii_strtoull (name, &end, 16);
  return g_str_equal (end, SUFFIX);
}

gboolean
clip_segment_open (ClipSegment *segment, gboolean create, GError **error)
{
  if (segment->fd >= 0)
    return TRUE;
  int flags = create ? O_RDWR | O_APPEND | O_CREAT | O_TRUNC : O_RDONLY;
  segment->fd = open (segment->path, flags | O_CLOEXEC, 0600);
  return segment->fd >= 0 || clip_disk_error (error, segment->path, "cannot open", errno);
}

void
clip_segment_close (ClipSegment *segment)
{
  if (segment->fd >= 0)
    close (segment->fd);
  segment->fd = -1;
}

gsize
clip_segment_record_size (const ClipMessage *message)
{
  return HEADER + strlen (message->source) + 1 + strlen (message->topic) + 1 + message->length;
}

static void
put_uint (guint8 *to, guint32 value)
{
  value = GUINT32_TO_LE (value);
  memcpy (to, &value, sizeof value);
}

static guint32
get_uint (const guint8 *from)
{
  guint32 value;
  memcpy (&value, from, sizeof value);
  return GUINT32_FROM_LE (value);
}

/* The length is part of the sum: a record of zeros is damage. */
static guint32
checksum (const guint8 *record, gsize size)
{
  uLong sum = crc32 (crc32 (0, NULL, 0), record, 4);
  return (guint32) crc32 (sum, record + HEADER, (uInt) (size - HEADER));
}

gboolean
clip_segment_append (ClipSegment *segment, const ClipMessage *message, GError **error)
{
  gsize size = clip_segment_record_size (message), source = strlen (message->source) + 1;
  g_autofree guint8 *record = g_malloc (size);
  guint8 *to = record + HEADER;
  memcpy (to, message->source, source);
  memcpy (to + source, message->topic, strlen (message->topic) + 1);
  memcpy (record + size - message->length, message->line, message->length);
  put_uint (record, (guint32) (size - HEADER));
  put_uint (record + 4, checksum (record, size));
  if (!clip_disk_append (segment->fd, segment->path, segment->size, record, size, error))
    return FALSE;
  segment->size += (gint64) size;
  segment->count++;
  return TRUE;
}

static ClipMessage *
parse (const char *body, gsize length)
{
  const char *end = body + length;
  const char *topic = memchr (body, '\0', length);
  const char *line = topic ? memchr (topic + 1, '\0', (gsize) (end - topic - 1)) : NULL;
  if (!line)
    return NULL;
  return clip_message_new (body, topic + 1, g_strndup (line + 1, (gsize) (end - line - 1)));
}

ClipMessage *
clip_segment_read (ClipSegment *segment, gint64 *offset)
{
  guint8 header[HEADER];
  if (pread (segment->fd, header, HEADER, *offset) != HEADER)
    return NULL;
  guint32 length = get_uint (header);
  if (length > RECORD_MAX)
    return NULL;
  g_autofree guint8 *record = g_try_malloc (HEADER + (gsize) length);
  if (!record || pread (segment->fd, record, HEADER + (gsize) length, *offset) != HEADER + (gssize) length
      || get_uint (header + 4) != checksum (record, HEADER + (gsize) length))
    return NULL;
  ClipMessage *message = parse ((const char *) record + HEADER, length);
  if (message)
    *offset += HEADER + (gint64) length;
  return message;
}

void
clip_segment_scan (ClipSegment *segment)
{
  segment->count = 0;
  segment->size = 0;
  for (;;) {
    g_autoptr (ClipMessage) message = clip_segment_read (segment, &segment->size);
    if (!message)
      return;
    segment->count++;
  }
}
