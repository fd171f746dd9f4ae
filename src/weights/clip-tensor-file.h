/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Named tensors of one mapped file: what every container format comes down to. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

#define CLIP_TENSOR_MAX_DIMS 8

/** ClipTensor: a view into the file; @data need not be aligned, @size bytes are inside the file */
typedef struct {
  const char *dtype; /* static string: "F32", "F16", "BF16", "Q8_0", "I64", ... */
  guint n_dims;
  guint64 shape[CLIP_TENSOR_MAX_DIMS];
  gboolean strided;                      /* elements are not in C order */
  guint64 strides[CLIP_TENSOR_MAX_DIMS]; /* in elements, where @strided */
  gsize count;                           /* elements: the product of @shape, 1 for a scalar */
  const guint8 *data;
  gsize size; /* bytes from the first to the last element */
} ClipTensor;

typedef struct _ClipTensorFile ClipTensorFile;

/**
 * clip_tensor_file_map:
 *
 * Maps a regular file; nobody may shorten it while it is open. It has no tensors yet.
 */
ClipTensorFile *clip_tensor_file_map (const char *path, GError **error);
/** clip_tensor_file_new: of bytes that outlive it; @name is for messages */
ClipTensorFile *clip_tensor_file_new (const guint8 *data, gsize length, const char *name);
void clip_tensor_file_free (ClipTensorFile *file);

/**
 * clip_tensor_file_read:
 * @file: (transfer full) (nullable): NULL when it could not be opened, with @error set
 * @parse: adds the tensors
 *
 * Returns: @file, or NULL with an error that begins with its name
 */
ClipTensorFile *clip_tensor_file_read (
    ClipTensorFile *file, gboolean (*parse) (ClipTensorFile *, GError **), GError **error);

/** clip_tensor_file_get_bytes: (transfer none): the whole file */
const guint8 *clip_tensor_file_get_bytes (ClipTensorFile *file, gsize *length);
/** clip_tensor_file_own: keeps @bytes, into which tensors may point, as long as the file lives */
void clip_tensor_file_own (ClipTensorFile *file, GBytes *bytes);
/** clip_tensor_file_add: a copy of @tensor; one of the same name is replaced */
void clip_tensor_file_add (ClipTensorFile *file, const char *name, const ClipTensor *tensor);

/** clip_tensor_file_get_name: (transfer none): the file's base name, for messages */
const char *clip_tensor_file_get_name (ClipTensorFile *file);
/** clip_tensor_file_lookup: (transfer none) (nullable) */
const ClipTensor *clip_tensor_file_lookup (ClipTensorFile *file, const char *tensor);
/** clip_tensor_file_get_names: (transfer container): owned by the file, in no order */
GList *clip_tensor_file_get_names (ClipTensorFile *file);
/** clip_tensor_file_drop: the tensor's pages need not stay in memory; reading it again is allowed */
void clip_tensor_file_drop (ClipTensorFile *file, const ClipTensor *tensor);

/** clip_tensor_file_check_unchanged: an error when the file was written to since it was mapped */
gboolean clip_tensor_file_check_unchanged (ClipTensorFile *file, GError **error);
/**
 * clip_tensor_file_digest:
 *
 * Adds what tells the file's content from any other, without reading it all: size, inode, the times of its last changes
 * (the inode's cannot be set back), the header, and samples.
 *
 * Returns: FALSE where that tells nothing: of bytes of the caller's, and of a file that was changed just now
 */
gboolean clip_tensor_file_digest (ClipTensorFile *file, GChecksum *sum);

/** clip_tensor_shape_string: (transfer full): "[768,640]" */
char *clip_tensor_shape_string (const guint64 *shape, guint n_dims);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipTensorFile, clip_tensor_file_free)

G_END_DECLS
