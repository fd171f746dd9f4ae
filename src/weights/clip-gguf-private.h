/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What reading of a GGUF file and of its values share. */
#pragma once

#include "weights/clip-gguf.h"

G_BEGIN_DECLS

/* The numbers are the format's */
typedef enum {
  CLIP_GGUF_U8,
  CLIP_GGUF_I8,
  CLIP_GGUF_U16,
  CLIP_GGUF_I16,
  CLIP_GGUF_U32,
  CLIP_GGUF_I32,
  CLIP_GGUF_F32,
  CLIP_GGUF_BOOL,
  CLIP_GGUF_STRING,
  CLIP_GGUF_ARRAY,
  CLIP_GGUF_U64,
  CLIP_GGUF_I64,
  CLIP_GGUF_F64,
  CLIP_GGUF_TYPES
} ClipGgufType;

typedef struct {
  ClipGgufType type;
  gboolean array; /* of @count values of @type */
  guint64 count;
  const guint8 *data; /* all bytes are inside the file */
} ClipGgufValue;

struct _ClipGguf {
  ClipTensorFile *owned; /* until the tensors are taken */
  ClipTensorFile *file;
  GHashTable *values; /* key -> ClipGgufValue */
  guint64 n_tensors;
  gsize tensors; /* offset of their descriptions */
};

/** ClipGgufReader: a place in a file's header */
typedef struct {
  ClipGguf *gguf;
  const guint8 *begin, *at, *end;
} ClipGgufReader;

static inline guint64
clip_gguf_load (const guint8 *data, guint size)
{
  guint64 value = 0;
  for (guint i = 0; i < size; i++)
    value |= (guint64)data[i] << 8 * i;
  return value;
}

/** clip_gguf_take_uint: the next @size bytes, little endian */
gboolean clip_gguf_take_uint (ClipGgufReader *reader, guint size, guint64 *value, GError **error);
/** clip_gguf_take_name: (nullable) (transfer full): the next key or name of a tensor; @what it is, for messages */
char *clip_gguf_take_name (ClipGgufReader *reader, const char *what, GError **error);
/** clip_gguf_type_name: "u32", "array of string", ... */
char *clip_gguf_type_name (const ClipGgufValue *value);
/** clip_gguf_fail: sets an error that begins with the file's name */
gboolean clip_gguf_fail (ClipGguf *gguf, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

G_END_DECLS
