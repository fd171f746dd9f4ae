/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing to files that others read while they grow: a whole record, or none of it. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ClipSync: when what was written must be on the disk and not only in the system's cache, which a crash of the process
 * leaves alone and a loss of power does not
 * @CLIP_SYNC_NONE: when the system likes
 * @CLIP_SYNC_INTERVAL: after a time
 * @CLIP_SYNC_EACH: before a message counts as published
 */
typedef enum { CLIP_SYNC_NONE, CLIP_SYNC_INTERVAL, CLIP_SYNC_EACH } ClipSync;

/**
 * clip_disk_append: all of @data at the end of a file of @size bytes, or none of it
 *
 * Errors: CLIP_ERROR_REFUSED
 */
gboolean clip_disk_append (int fd, const char *path, gint64 size, gconstpointer data, gsize length, GError **error);

/** clip_disk_lock: for this process alone; the lock ends with the descriptor */
gboolean clip_disk_lock (int fd, const char *path, GError **error);

/** clip_disk_error: sets what errno means for @path. Returns: FALSE */
gboolean clip_disk_error (GError **error, const char *path, const char *what, int code);

G_END_DECLS
