/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The safetensors container: u64 header length, JSON header, little-endian arrays. Untrusted input.
 */
#pragma once

#include "weights/clip-tensor-file.h"

G_BEGIN_DECLS

/** clip_safetensors_detect_file: whether the first bytes can be a header's length and its beginning */
gboolean clip_safetensors_detect_file (const char *path);

/**
 * clip_safetensors_open:
 *
 * Maps the file and checks its header as the format's own library does: every tensor lies
 * inside the data, has the size that type and shape ask for, and tensors cover the data
 * without overlap or hole. Nobody may shorten the file while it is open.
 */
ClipTensorFile *clip_safetensors_open (const char *path, GError **error);

/** clip_safetensors_parse: the same of bytes in memory, which must outlive the result; @name is for
 * messages */
ClipTensorFile *clip_safetensors_parse (
    const guint8 *data, gsize length, const char *name, GError **error);

G_END_DECLS
