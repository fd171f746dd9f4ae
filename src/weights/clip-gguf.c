/* SPDX-License-Identifier: LGPL-2.1-or-later */
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
#define MAX_ALIGNMENT (1u << 20)
#define DEFAULT_ALIGNMENT 32
#define GGML_MAX_DIMS 4

typedef struct {
  ClipGguf *gguf;
  const guint8 *begin, *at, *end;
} Reader;

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
fail_cut (const Reader *reader, guint64 size, GError **error)
{
  return clip_gguf_fail (reader->gguf, error,
      "the header needs %" G_GUINT64_FORMAT " bytes at byte %" G_GSIZE_FORMAT
      ", but the file has %" G_GSIZE_FORMAT "; was it cut? Download it again",
      size, (gsize)(reader->at - reader->begin), (gsize)(reader->end - reader->begin));
}

/* (nullable): the next @size bytes */
static const guint8 *
take (Reader *reader, guint64 size, GError **error)
{
  const guint8 *bytes = reader->at;
  if (size > (guint64)(reader->end - reader->at)) {
    fail_cut (reader, size, error);
    return NULL;
  }
  reader->at += size;
  return bytes;
}

static gboolean
take_uint (Reader *reader, guint size, guint64 *value, GError **error)
{
  const guint8 *bytes = take (reader, size, error);
  if (bytes)
    *value = clip_gguf_load (bytes, size);
  return bytes != NULL;
}

static gboolean
skip_string (Reader *reader, GError **error)
{
  guint64 length;
  return take_uint (reader, 8, &length, error) && take (reader, length, error) != NULL;
}

/* (nullable) (transfer full): a key or a tensor's name */
static char *
take_name (Reader *reader, const char *what, GError **error)
{
  guint64 length;
  if (!take_uint (reader, 8, &length, error))
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
skip_strings (Reader *reader, guint64 count, GError **error)
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
skip_values (Reader *reader, const ClipGgufValue *value, GError **error)
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
take_value (Reader *reader, const char *key, ClipGgufValue *value, GError **error)
{
  guint64 type = 0;
  value->count = 1;
  if (!take_uint (reader, 4, &type, error))
    return FALSE;
  value->array = type == CLIP_GGUF_ARRAY;
  if (value->array
      && (!take_uint (reader, 4, &type, error) || !take_uint (reader, 8, &value->count, error)))
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
take_values (Reader *reader, guint64 count, GError **error)
{
  GHashTable *values = reader->gguf->values;
  for (guint64 i = 0; i < count; i++) {
    ClipGgufValue value;
    g_autofree char *key = take_name (reader, "key", error);
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
take_header (Reader *reader, GError **error)
{
  ClipGguf *gguf = reader->gguf;
  guint64 n_values;
  const guint8 *start = take (reader, 8, error);
  if (!start || !check_version (gguf, start, error)
      || !take_uint (reader, 8, &gguf->n_tensors, error) || !take_uint (reader, 8, &n_values, error))
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
  Reader reader = { gguf, bytes, bytes, bytes + length };
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

/* ggml's types by their numbers; those without a size are its newer ways to quantise language models */
static const struct {
  const char *name;
  guint16 elements, bytes; /* of a block */
} tensor_types[] = { { "F32", 1, 4 }, { "F16", 1, 2 }, { "Q4_0", 32, 18 }, { "Q4_1", 32, 20 }, { "Q4_2" },
  { "Q4_3" }, { "Q5_0", 32, 22 }, { "Q5_1", 32, 24 }, { "Q8_0", 32, 34 }, { "Q8_1" }, { "Q2_K" },
  { "Q3_K" }, { "Q4_K" }, { "Q5_K" }, { "Q6_K" }, { "Q8_K" }, { "IQ2_XXS" }, { "IQ2_XS" }, { "IQ3_XXS" },
  { "IQ1_S" }, { "IQ4_NL" }, { "IQ3_S" }, { "IQ2_S" }, { "IQ4_XS" }, { "I8", 1, 1 }, { "I16", 1, 2 },
  { "I32", 1, 4 }, { "I64", 1, 8 }, { "F64", 1, 8 }, { "IQ1_M" }, { "BF16", 1, 2 } };

static gboolean
take_shape (Reader *reader, const char *name, ClipTensor *tensor, GError **error)
{
  guint64 n_dims;
  if (!take_uint (reader, 4, &n_dims, error))
    return FALSE;
  if (n_dims > GGML_MAX_DIMS)
    return clip_gguf_fail (reader->gguf, error,
        "tensor %s has %" G_GUINT64_FORMAT " dimensions, expected at most %d; the file is damaged", name,
        n_dims, GGML_MAX_DIMS);
  tensor->n_dims = n_dims;
  tensor->count = 1;
  for (guint i = 0; i < n_dims; i++) {
    guint64 *side = &tensor->shape[n_dims - 1 - i];
    if (!take_uint (reader, 8, side, error))
      return FALSE;
    if (!g_size_checked_mul (&tensor->count, tensor->count, *side))
      return clip_gguf_fail (
          reader->gguf, error, "tensor %s has more elements than memory can hold", name);
  }
  return TRUE;
}

static gboolean
take_type (Reader *reader, const char *name, ClipTensor *tensor, GError **error)
{
  const char *known = "F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1 or Q4_0";
  guint64 type;
  if (!take_uint (reader, 4, &type, error))
    return FALSE;
  if (type >= G_N_ELEMENTS (tensor_types))
    return clip_gguf_fail (reader->gguf, error,
        "tensor %s has the unknown type %" G_GUINT64_FORMAT ", expected %s", name, type, known);
  guint elements = tensor_types[type].elements;
  if (elements == 0)
    return clip_gguf_fail (reader->gguf, error, "tensor %s has type %s, expected %s; quantise the model to one of these",
        name, tensor_types[type].name, known);
  guint64 row = tensor->n_dims ? tensor->shape[tensor->n_dims - 1] : 1;
  if (row % elements != 0)
    return clip_gguf_fail (reader->gguf, error,
        "tensor %s has rows of %" G_GUINT64_FORMAT " elements, expected a multiple of %u for its type %s", name,
        row, elements, tensor_types[type].name);
  tensor->dtype = tensor_types[type].name;
  return g_size_checked_mul (&tensor->size, tensor->count / elements, tensor_types[type].bytes)
         || clip_gguf_fail (
             reader->gguf, error, "tensor %s has more elements than memory can hold", name);
}

/* @next: (inout): where the tensor must begin, and where it ends with its padding. tensor->data is the
 * offset's place only after the end of the header is known */
static gboolean
take_offset (Reader *reader, const char *name, const ClipTensor *tensor, guint alignment, guint64 *next,
    GError **error)
{
  guint64 offset, padding = (alignment - tensor->size % alignment) % alignment;
  if (!take_uint (reader, 8, &offset, error))
    return FALSE;
  if (offset != *next)
    return clip_gguf_fail (reader->gguf, error,
        "tensor %s lies at %" G_GUINT64_FORMAT ", expected %" G_GUINT64_FORMAT
        ", where the one before it ends; the file is damaged",
        name, offset, *next);
  return (g_uint64_checked_add (next, *next, tensor->size) && g_uint64_checked_add (next, *next, padding))
         || clip_gguf_fail (reader->gguf, error, "tensor %s ends outside the file; was it cut?", name);
}

typedef struct {
  char *name;
  ClipTensor tensor;
  guint64 offset;
} Placed;

static void
placed_clear (gpointer data)
{
  g_free (((Placed *)data)->name);
}

static gboolean
take_tensor (Reader *reader, guint alignment, guint64 *next, Placed *placed, GError **error)
{
  placed->offset = *next;
  placed->name = take_name (reader, "tensor", error);
  return placed->name && take_shape (reader, placed->name, &placed->tensor, error)
         && take_type (reader, placed->name, &placed->tensor, error)
         && take_offset (reader, placed->name, &placed->tensor, alignment, next, error);
}

/* The data begins at the next multiple of the alignment after the header */
static gboolean
place_tensors (Reader *reader, GArray *all, guint alignment, GError **error)
{
  gsize length = reader->end - reader->begin, header = reader->at - reader->begin;
  gsize start = header + (alignment - header % alignment) % alignment;
  for (guint i = 0; i < all->len; i++) {
    Placed *placed = &g_array_index (all, Placed, i);
    if (start > length || placed->offset > length - start
        || placed->tensor.size > length - start - placed->offset)
      return clip_gguf_fail (reader->gguf, error,
          "tensor %s needs %" G_GSIZE_FORMAT " bytes from %" G_GUINT64_FORMAT
          " of the data on, but the file has %" G_GSIZE_FORMAT "; was it cut? Download it again",
          placed->name, placed->tensor.size, placed->offset, start > length ? 0 : length - start);
    if (clip_tensor_file_lookup (reader->gguf->file, placed->name))
      return clip_gguf_fail (
          reader->gguf, error, "tensor %s is there twice; the file is damaged", placed->name);
    placed->tensor.data = reader->begin + start + placed->offset;
    clip_tensor_file_add (reader->gguf->file, placed->name, &placed->tensor);
  }
  return TRUE;
}

static gboolean
read_alignment (ClipGguf *gguf, guint *alignment, GError **error)
{
  *alignment = DEFAULT_ALIGNMENT;
  if (!clip_gguf_has (gguf, "general.alignment"))
    return TRUE;
  if (!clip_gguf_read_uint (gguf, "general.alignment", 1, MAX_ALIGNMENT, alignment, error))
    return FALSE;
  return (*alignment & (*alignment - 1)) == 0
         || clip_gguf_fail (
             gguf, error, "general.alignment is %u, expected a power of two", *alignment);
}

ClipTensorFile *
clip_gguf_take_tensors (ClipGguf *gguf, GError **error)
{
  g_autoptr (GArray) all = g_array_new (FALSE, TRUE, sizeof (Placed));
  gsize length;
  guint alignment;
  guint64 next = 0;
  const guint8 *bytes = clip_tensor_file_get_bytes (gguf->file, &length);
  Reader reader = { gguf, bytes, bytes + gguf->tensors, bytes + length };
  g_return_val_if_fail (gguf->owned != NULL, NULL);
  g_array_set_clear_func (all, placed_clear);
  if (!read_alignment (gguf, &alignment, error))
    return NULL;
  for (guint64 i = 0; i < gguf->n_tensors; i++) {
    g_array_set_size (all, i + 1);
    if (!take_tensor (&reader, alignment, &next, &g_array_index (all, Placed, i), error))
      return NULL;
  }
  return place_tensors (&reader, all, alignment, error) ? g_steal_pointer (&gguf->owned) : NULL;
}
