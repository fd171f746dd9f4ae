/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the goldens. Shares no code with src/weights, so that a mistake there cannot hide here. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _RefFile RefFile;

/** ref_available: whether CLIP_REFERENCE names a directory that exists */
gboolean ref_available (void);

/** ref_path: full path of @relative under CLIP_REFERENCE, or under CLIP_TEST_DATA after a "data:"
 * prefix */
char *ref_path (const char *relative);

/** ref_open: a .safetensors file, located as by ref_path(); NULL when it is absent or broken */
RefFile *ref_open (const char *relative_path);
void ref_close (RefFile *file);

/** ref_has: whether there is such a tensor, of whatever type */
gboolean ref_has (RefFile *file, const char *name);

/**
 * ref_f32:
 * @rows: (out) (optional): product of all dimensions but the last
 * @cols: (out) (optional): the last dimension; 1 for a scalar
 *
 * Returns: (transfer none): owned by @file; NULL when there is no such tensor of that type
 */
const float *ref_f32 (RefFile *file, const char *name, gsize *rows, gsize *cols);
const double *ref_f64 (RefFile *file, const char *name, gsize *rows, gsize *cols);
/** ref_u8, ref_i32, ref_i64: @n receives the number of elements */
const guint8 *ref_u8 (RefFile *file, const char *name, gsize *n);
const gint32 *ref_i32 (RefFile *file, const char *name, gsize *n);
const gint64 *ref_i64 (RefFile *file, const char *name, gsize *n);
/** ref_u16: raw bits of an F16, BF16 or U16 tensor */
const guint16 *ref_u16 (RefFile *file, const char *name, gsize *n);

/** ref_shape: (transfer none): dimensions, @n_dims of them; NULL when there is no such tensor */
const gsize *ref_shape (RefFile *file, const char *name, guint *n_dims);

/** ref_meta: (transfer none) (nullable): a string of __metadata__ */
const char *ref_meta (RefFile *file, const char *key);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RefFile, ref_close)

/** REF_PATIENCE: microseconds that a refusal may take; a sanitizer makes it slower */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REF_PATIENCE (20 * G_USEC_PER_SEC)
#else
#define REF_PATIENCE G_USEC_PER_SEC
#endif

G_END_DECLS
