/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The GGUF container, versions 2 and 3, little endian: typed keys and values, then tensors whose first
 * dimension is the fastest (ggml's docs/gguf.md). Untrusted input. */
#pragma once

#include "weights/clip-tensor-file.h"

G_BEGIN_DECLS

typedef struct _ClipGguf ClipGguf;

/** clip_gguf_detect_file: whether the file begins with "GGUF" */
gboolean clip_gguf_detect_file (const char *path);

/**
 * clip_gguf_open:
 *
 * Maps the file and reads its keys and values, the tensors not yet: whose file it is shows in the
 * values, and tells more than a type of tensor that is unknown here.
 */
ClipGguf *clip_gguf_open (const char *path, GError **error);
/** clip_gguf_parse: the same of bytes in memory, which must outlive the result */
ClipGguf *clip_gguf_parse (const guint8 *data, gsize length, const char *name, GError **error);
void clip_gguf_free (ClipGguf *gguf);

/**
 * clip_gguf_take_tensors:
 *
 * Tensors lie one behind the other as the format asks, each inside the file. Shapes are in C order.
 *
 * Returns: (transfer full): to be called once; @gguf needs it for its values, free it before
 */
ClipTensorFile *clip_gguf_take_tensors (ClipGguf *gguf, GError **error);

/* Values by their keys: an absent key, another type or a value outside the bounds is an error */

gboolean clip_gguf_has (ClipGguf *gguf, const char *key);
gboolean clip_gguf_read_uint (
    ClipGguf *gguf, const char *key, guint min, guint max, guint *value, GError **error);
gboolean clip_gguf_read_bool (ClipGguf *gguf, const char *key, gboolean *value, GError **error);
/** clip_gguf_read_floats: @count values; 1 is also a plain number, others are arrays */
gboolean clip_gguf_read_floats (ClipGguf *gguf, const char *key, float min, float max, float *values,
    guint count, GError **error);
/** clip_gguf_read_string: (out) (transfer full) */
gboolean clip_gguf_read_string (ClipGguf *gguf, const char *key, char **value, GError **error);
/** clip_gguf_read_strings: @values: (out) (transfer full): each ended by a NUL; @count of them */
gboolean clip_gguf_read_strings (
    ClipGguf *gguf, const char *key, GBytes **values, gsize *count, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipGguf, clip_gguf_free)

G_END_DECLS
