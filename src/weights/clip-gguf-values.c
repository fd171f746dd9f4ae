/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of a GGUF file by their keys. */
#include <math.h>
#include <string.h>

#include "weights/clip-gguf-private.h"

gboolean
clip_gguf_has (ClipGguf *gguf, const char *key)
{
  return g_hash_table_contains (gguf->values, key);
}

static const ClipGgufValue *
need_value (ClipGguf *gguf, const char *key, GError **error)
{
  const ClipGgufValue *value = g_hash_table_lookup (gguf->values, key);
  if (!value)
    clip_gguf_fail (gguf, error, "%s is missing; was this file made by clip.cpp's conversion of a CLIP model?", key);
  return value;
}

static gboolean
fail_type (ClipGguf *gguf, const char *key, const ClipGgufValue *value, const char *expected, GError **error)
{
  g_autofree char *found = clip_gguf_type_name (value);
  return clip_gguf_fail (gguf, error, "%s is %s, expected %s", key, found, expected);
}

static gboolean
load_uint (const ClipGgufValue *value, guint64 *out)
{
  switch (value->type) {
  case CLIP_GGUF_U32:
    *out = clip_gguf_load (value->data, 4);
    return TRUE;
  case CLIP_GGUF_I32:
    *out = clip_gguf_load (value->data, 4);
    return *out <= G_MAXINT32;
  case CLIP_GGUF_U64:
  case CLIP_GGUF_I64: /* a negative one is far too large */
    *out = clip_gguf_load (value->data, 8);
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
clip_gguf_read_uint (
    ClipGguf *gguf, const char *key, guint min, guint max, guint *value, GError **error)
{
  const ClipGgufValue *found = need_value (gguf, key, error);
  guint64 number;
  if (!found)
    return FALSE;
  if (found->array || !load_uint (found, &number))
    return fail_type (gguf, key, found, "a whole number (u32)", error);
  if (number < min || number > max)
    return clip_gguf_fail (
        gguf, error, "%s is %" G_GUINT64_FORMAT ", expected %u to %u", key, number, min, max);
  *value = number;
  return TRUE;
}

gboolean
clip_gguf_read_bool (ClipGguf *gguf, const char *key, gboolean *value, GError **error)
{
  const ClipGgufValue *found = need_value (gguf, key, error);
  if (!found)
    return FALSE;
  if (found->array || found->type != CLIP_GGUF_BOOL)
    return fail_type (gguf, key, found, "bool", error);
  if (found->data[0] > 1)
    return clip_gguf_fail (gguf, error, "%s is the byte %u, expected 0 or 1", key, found->data[0]);
  *value = found->data[0];
  return TRUE;
}

gboolean
clip_gguf_read_floats (ClipGguf *gguf, const char *key, float min, float max, float *values,
    guint count, GError **error)
{
  const ClipGgufValue *found = need_value (gguf, key, error);
  if (!found)
    return FALSE;
  if (found->type != CLIP_GGUF_F32 || found->array != (count > 1) || found->count != count) {
    g_autofree char *expected = g_strdup_printf ("%u f32", count);
    return fail_type (gguf, key, found, expected, error);
  }
  for (guint i = 0; i < count; i++) {
    guint32 bits = clip_gguf_load (found->data + 4 * i, 4);
    memcpy (values + i, &bits, sizeof bits);
    if (!(values[i] >= min && values[i] <= max))
      return clip_gguf_fail (gguf, error, "%s is %g, expected %g to %g", key, values[i], min, max);
  }
  return TRUE;
}

gboolean
clip_gguf_read_string (ClipGguf *gguf, const char *key, char **value, GError **error)
{
  const ClipGgufValue *found = need_value (gguf, key, error);
  if (!found)
    return FALSE;
  if (found->array || found->type != CLIP_GGUF_STRING)
    return fail_type (gguf, key, found, "string", error);
  *value = g_utf8_make_valid (
      (const char *)found->data + 8, (gssize)MIN (clip_gguf_load (found->data, 8), 4096));
  return TRUE;
}

gboolean
clip_gguf_read_strings (
    ClipGguf *gguf, const char *key, GBytes **values, gsize *count, GError **error)
{
  const ClipGgufValue *found = need_value (gguf, key, error);
  if (!found)
    return FALSE;
  if (!found->array || found->type != CLIP_GGUF_STRING)
    return fail_type (gguf, key, found, "an array of string", error);
  g_autoptr (GByteArray) all = g_byte_array_new ();
  const guint8 *at = found->data;
  for (guint64 i = 0; i < found->count; i++) {
    guint64 length = clip_gguf_load (at, 8);
    if (memchr (at + 8, 0, length) || length > 65536 || all->len > 256u << 20)
      return clip_gguf_fail (gguf, error,
          "%s: string %" G_GUINT64_FORMAT " has a NUL or %" G_GUINT64_FORMAT " bytes; the file is damaged",
          key, i, length);
    g_byte_array_append (all, at + 8, length);
    g_byte_array_append (all, (const guint8 *)"", 1);
    at += 8 + length;
  }
  *count = found->count;
  *values = g_byte_array_free_to_bytes (g_steal_pointer (&all));
  return TRUE;
}
