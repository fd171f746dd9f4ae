/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory of a zip archive in memory. Untrusted input.
 *
 * libzip would read members through its own buffers; tensors of hundreds of megabytes are to be used where the mapped file
 * has them, so only the directory is read here, and zlib inflates what is small. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

/** ClipZipMember: @data: @packed bytes inside the archive, @size of them when unpacked */
typedef struct {
  gboolean deflated;
  const guint8 *data;
  gsize packed, size;
} ClipZipMember;

/**
 * clip_zip_read:
 *
 * Reads the central directory (with zip64) and checks that every member lies inside the archive.
 *
 * Returns: (transfer full): member's name -> ClipZipMember, pointing into @bytes; NULL with an error when it is cut,
 *   damaged, encrypted, or uses another method than store and deflate
 */
GHashTable *clip_zip_read (const guint8 *bytes, gsize length, GError **error);

/** clip_zip_unpack: (transfer full): the member's bytes, @limit of them at most; stored ones are not copied */
GBytes *clip_zip_unpack (const ClipZipMember *member, gsize limit, GError **error);

G_END_DECLS
