/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages on disk, in order, until they are acknowledged. */
#pragma once

#include "clip-disk.h"
#include "clip-message.h"

G_BEGIN_DECLS

typedef struct _ClipSpool ClipSpool;

/**
 * clip_spool_open: (transfer full): the directory is made when it is absent, and is this process's alone
 * @max_size: bytes; the oldest messages go when there are more
 *
 * What an earlier process left is read again from the last position that was kept; a message that a crash has cut is none.
 *
 * Errors: CLIP_ERROR_REFUSED
 */
ClipSpool *clip_spool_open (const char *directory, guint64 max_size, GError **error);

/** clip_spool_close: keeps the position and frees */
void clip_spool_close (ClipSpool *spool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipSpool, clip_spool_close)

/**
 * clip_spool_append: behind all others
 * @lost: increased by the messages that had to go to make room
 */
gboolean clip_spool_append (ClipSpool *spool, const ClipMessage *message, guint64 *lost, GError **error);

/**
 * clip_spool_next: (transfer full) (nullable): the next message, NULL at the end
 * @id: its number, larger than all before
 * @lost: increased by the messages that cannot be read because the file was damaged
 */
ClipMessage *clip_spool_next (ClipSpool *spool, guint64 *id, guint64 *lost);

/** clip_spool_has_next: whether clip_spool_next() has not come to the end */
gboolean clip_spool_has_next (const ClipSpool *spool);

/** clip_spool_rewind: clip_spool_next() begins anew, behind what is acknowledged */
void clip_spool_rewind (ClipSpool *spool);

/** clip_spool_acknowledge: all messages up to @id are done */
void clip_spool_acknowledge (ClipSpool *spool, guint64 id);

/** clip_spool_sync: what was appended is on the disk */
gboolean clip_spool_sync (ClipSpool *spool, GError **error);

/** clip_spool_keep_position: where an other process is to go on */
gboolean clip_spool_keep_position (ClipSpool *spool, GError **error);

/** clip_spool_count: messages not acknowledged */
guint64 clip_spool_count (const ClipSpool *spool);

/** clip_spool_size: bytes on disk */
guint64 clip_spool_size (const ClipSpool *spool);

G_END_DECLS
