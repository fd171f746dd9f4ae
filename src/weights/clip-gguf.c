/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The container, and its table of keys and values. */
#include "weights/clip-gguf-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A CLIP model has some 30 values and at most 1,300 tensors, with names of under 64 bytes; the bounds
 * keep tables small that a file of strangers could fill */
#define MAX_ENTRIES 65536
#define MAX_NAME 256
#define MAX_STRINGS (1u << 24)

gboolean
clip_gguf_fail (ClipGguf *gguf, GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s: %s",
      clip_tensor_file_get_name (gguf->file), message);
  return FALSE;
}

static gboolean
fail_cut (const ClipGgufReader *reader, guint64 size, GError **error)
{
  return clip_gguf_fail (reader->gguf, error,
      "the header needs %" G_GUINT64_FORMAT " bytes at byte %" G_GSIZE_FORMAT
      ", but the file has %" G_GSIZE_FORMAT "; was it cut? Download it again",
      size, (gsize)(reader->at - reader->begin), (gsize)(reader->end - reader->begin));
}

/* (nullable): the next @size bytes */
static const guint8 *
take (ClipGgufReader *reader, guint64 size, GError **error)
{
  const guint8 *bytes = reader->at;
  if (size > (guint64)(reader->end - reader->at)) {
    fail_cut (reader, size, error);
    return NULL;
  }
  reader->at += size;
  return bytes;
}

gboolean
clip_gguf_take_uint (ClipGgufReader *reader, guint size, guint64 *value, GError **error)
{
  const guint8 *bytes = take (reader, size, error);
  if (bytes)
    *value = clip_gguf_load (bytes, size);
  return bytes != NULL;
}

static gboolean
skip_string (ClipGgufReader *reader, GError **error)
{
  guint64 length;
  return clip_gguf_take_uint (reader, 8, &length, error) && take (reader, length, error) != NULL;
}

char *
clip_gguf_take_name (ClipGgufReader *reader, const char *what, GError **error)
{
  guint64 length;
  if (!clip_gguf_take_uint (reader, 8, &length, error))
    return NULL;
  if (length == 0 || length > MAX_NAME) {
    clip_gguf_fail (reader->gguf, error,
        "a %s has a name of %" G_GUINT64_FORMAT " bytes, expected 1 to %d; the file is damaged", what,
        length, MAX_NAME);
    return NULL;
  }
  const char *bytes = (const char *)take (reader, length, error);
  if (bytes && g_utf8_validate (bytes, length, NULL))
    return g_strndup (bytes, length);
  if (bytes)
    clip_gguf_fail (reader->gguf, error, "the name of a %s is no valid UTF-8; the file is damaged", what);
  return NULL;
}

static const struct {
  const char *name;
  guint8 size; /* 0: not fixed */
} value_types[CLIP_GGUF_TYPES] = { { "u8", 1 }, { "i8", 1 }, { "u16", 2 }, { "i16", 2 }, { "u32", 4 },
  { "i32", 4 }, { "f32", 4 }, { "bool", 1 }, { "string", 0 }, { "array", 0 }, { "u64", 8 }, { "i64", 8 },
  { "f64", 8 } };

char *
clip_gguf_type_name (const ClipGgufValue *value)
{
  return value->array ? g_strdup_printf ("an array of %" G_GUINT64_FORMAT " %s", value->count,
             value_types[value->type].name)
                      : g_strdup (value_types[value->type].name);
}

static gboolean
skip_strings (ClipGgufReader *reader, guint64 count, GError **error)
{
  if (count > MAX_STRINGS)
    return clip_gguf_fail (reader->gguf, error,
        "an array has %" G_GUINT64_FORMAT " strings, expected at most %u; the file is damaged", count,
        MAX_STRINGS);
  for (guint64 i = 0; i < count; i++)
    if (!skip_string (reader, error))
      return FALSE;
  return TRUE;
}

static gboolean
skip_values (ClipGgufReader *reader, const ClipGgufValue *value, GError **error)
{
  guint64 size;
  if (value->type == CLIP_GGUF_STRING)
    return skip_strings (reader, value->count, error);
  if (!g_uint64_checked_mul (&size, value->count, value_types[value->type].size))
    return fail_cut (reader, G_MAXUINT64, error);
  return take (reader, size, error) != NULL;
}

/* Arrays of arrays are legal on paper, but no program writes them */
static gboolean
take_value (ClipGgufReader *reader, const char *key, ClipGgufValue *value, GError **error)
{
  guint64 type = 0;
  value->count = 1;
  if (!clip_gguf_take_uint (reader, 4, &type, error))
    return FALSE;
  value->array = type == CLIP_GGUF_ARRAY;
  if (value->array
      && (!clip_gguf_take_uint (reader, 4, &type, error) || !clip_gguf_take_uint (reader, 8, &value->count, error)))
    return FALSE;
  if (type >= CLIP_GGUF_TYPES || type == CLIP_GGUF_ARRAY)
    return clip_gguf_fail (reader->gguf, error,
        "%s has %s type %" G_GUINT64_FORMAT ", which is unknown; the file is damaged", key,
        value->array ? "elements of" : "a value of", type);
  value->type = type;
  value->data = reader->at;
  return skip_values (reader, value, error);
}

static gboolean
take_values (ClipGgufReader *reader, guint64 count, GError **error)
{
  GHashTable *values = reader->gguf->values;
  for (guint64 i = 0; i < count; i++) {
    ClipGgufValue value;
    g_autofree char *key = clip_gguf_take_name (reader, "key", error);
    if (!key || !take_value (reader, key, &value, error))
      return FALSE;
    if (g_hash_table_contains (values, key))
      return clip_gguf_fail (reader->gguf, error, "the key %s is there twice; the file is damaged", key);
    g_hash_table_insert (values, g_steal_pointer (&key), g_memdup2 (&value, sizeof value));
  }
  return TRUE;
}

static gboolean
check_version (ClipGguf *gguf, const guint8 *bytes, GError **error)
{
  guint64 version = clip_gguf_load (bytes + 4, 4);
  if (memcmp (bytes, "GGUF", 4) != 0)
    return clip_gguf_fail (gguf, error, "does not begin with GGUF, as a file of this format must");
  if (version == 2 || version == 3)
    return TRUE;
  return clip_gguf_fail (gguf, error,
      "has version %" G_GUINT64_FORMAT " of GGUF%s, expected 2 or 3, little endian; convert the model again "
      "with a current program",
      version, version && (version & 0xffff) == 0 ? " or is big endian" : "");
}

static gboolean
take_header (ClipGgufReader *reader, GError **error)
{
  ClipGguf *gguf = reader->gguf;
  guint64 n_values;
  const guint8 *start = take (reader, 8, error);
  if (!start || !check_version (gguf, start, error)
      || !clip_gguf_take_uint (reader, 8, &gguf->n_tensors, error) || !clip_gguf_take_uint (reader, 8, &n_values, error))
    return FALSE;
  if (gguf->n_tensors > MAX_ENTRIES || n_values > MAX_ENTRIES)
    return clip_gguf_fail (gguf, error,
        "has %" G_GUINT64_FORMAT " tensors and %" G_GUINT64_FORMAT
        " values, expected at most %d each; the file is damaged",
        gguf->n_tensors, n_values, MAX_ENTRIES);
  return take_values (reader, n_values, error);
}

/* Takes @file */
static ClipGguf *
parse_file (ClipTensorFile *file, GError **error)
{
  g_autoptr (ClipGguf) gguf = g_new0 (ClipGguf, 1);
  gsize length;
  gguf->owned = gguf->file = file;
  gguf->values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  const guint8 *bytes = clip_tensor_file_get_bytes (file, &length);
  ClipGgufReader reader = { gguf, bytes, bytes, bytes + length };
  if (!take_header (&reader, error))
    return NULL;
  gguf->tensors = reader.at - bytes;
  return g_steal_pointer (&gguf);
}

ClipGguf *
clip_gguf_open (const char *path, GError **error)
{
  ClipTensorFile *file = clip_tensor_file_map (path, error);
  return file ? parse_file (file, error) : NULL;
}

ClipGguf *
clip_gguf_parse (const guint8 *data, gsize length, const char *name, GError **error)
{
  return parse_file (clip_tensor_file_new (data, length, name), error);
}

void
clip_gguf_free (ClipGguf *gguf)
{
  if (!gguf)
    return;
  g_hash_table_unref (gguf->values);
  clip_tensor_file_free (gguf->owned);
  g_free (gguf);
}

gboolean
clip_gguf_detect_file (const char *path)
{
  guint8 magic[4] = { 0 };
  struct stat info;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  gboolean is = fd >= 0 && fstat (fd, &info) == 0 && S_ISREG (info.st_mode)
                && read (fd, magic, sizeof magic) == sizeof magic && memcmp (magic, "GGUF", 4) == 0;
  if (fd >= 0)
    close (fd);
  return is;
}
