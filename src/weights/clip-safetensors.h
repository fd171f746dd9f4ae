/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The safetensors container: u64 header length, JSON header, little-endian arrays. Untrusted input.
 */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

#define CLIP_TENSOR_MAX_DIMS 8

/** ClipTensor: a view into the file; @data need not be aligned, @size bytes are inside the file */
typedef struct {
  const char *dtype; /* as the format spells it: "F32", "BF16", "I64", ... */
  guint n_dims;
  guint64 shape[CLIP_TENSOR_MAX_DIMS];
  gsize count; /* elements: the product of @shape, 1 for a scalar */
  const guint8 *data;
  gsize size;
} ClipTensor;

typedef struct _ClipSafetensors ClipSafetensors;

/**
 * clip_safetensors_open:
 *
 * Maps the file and checks its header as the format's own library does: every tensor lies
 * inside the data, has the size that type and shape ask for, and tensors cover the data
 * without overlap or hole. Nobody may shorten the file while it is open.
 */
ClipSafetensors *clip_safetensors_open (const char *path, GError **error);

/** clip_safetensors_parse: the same of bytes in memory, which must outlive the result; @name is for
 * messages */
ClipSafetensors *clip_safetensors_parse (
    const guint8 *data, gsize length, const char *name, GError **error);
void clip_safetensors_free (ClipSafetensors *file);

/** clip_safetensors_get_name: (transfer none): the file's base name, for messages */
const char *clip_safetensors_get_name (ClipSafetensors *file);
/** clip_safetensors_lookup: (transfer none) (nullable) */
const ClipTensor *clip_safetensors_lookup (ClipSafetensors *file, const char *tensor);
/** clip_safetensors_get_names: (transfer container): list of names, owned by the file, in no order
 */
GList *clip_safetensors_get_names (ClipSafetensors *file);
/** clip_safetensors_drop: the tensor's pages need not stay in memory; reading it again is allowed
 */
void clip_safetensors_drop (ClipSafetensors *file, const ClipTensor *tensor);
/** clip_tensor_shape_string: (transfer full): "[768,640]" */
char *clip_tensor_shape_string (const guint64 *shape, guint n_dims);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipSafetensors, clip_safetensors_free)

G_END_DECLS
