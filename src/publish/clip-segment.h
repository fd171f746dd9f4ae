/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file of the spool: records of a length, a CRC-32 and a message. */
#pragma once

#include "clip-message.h"

G_BEGIN_DECLS

/** ClipSegment: messages @first to @first + @count - 1; its file is named after @first */
typedef struct {
  char *path;
  guint64 first, count;
  gint64 size;
  int fd; /* -1: closed */
} ClipSegment;

ClipSegment *clip_segment_new (const char *directory, guint64 first);
void clip_segment_free (ClipSegment *segment);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipSegment, clip_segment_free)

/** clip_segment_parse_name: whether a file's name is a segment's; @first: its number */
gboolean clip_segment_parse_name (const char *name, guint64 *first);

/** clip_segment_open: for reading, or a new file for both */
gboolean clip_segment_open (ClipSegment *segment, gboolean create, GError **error);
void clip_segment_close (ClipSegment *segment);

/** clip_segment_scan: counts the whole records of an open segment */
void clip_segment_scan (ClipSegment *segment);

/** clip_segment_append: to a segment that was opened with create */
gboolean clip_segment_append (ClipSegment *segment, const ClipMessage *message, GError **error);

/** clip_segment_record_size: what a message takes on disk */
gsize clip_segment_record_size (const ClipMessage *message);

/** clip_segment_read: (transfer full) (nullable): the message at @offset, which then is that of the next; NULL: damaged */
ClipMessage *clip_segment_read (ClipSegment *segment, gint64 *offset);

G_END_DECLS
