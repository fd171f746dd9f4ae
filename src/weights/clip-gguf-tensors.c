/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptions of a GGUF file's tensors, and where they lie. */
#include "weights/clip-gguf-private.h"

#define MAX_ALIGNMENT (1u << 20)
#define DEFAULT_ALIGNMENT 32
#define GGML_MAX_DIMS 4

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
take_shape (ClipGgufReader *reader, const char *name, ClipTensor *tensor, GError **error)
{
  guint64 n_dims;
  if (!clip_gguf_take_uint (reader, 4, &n_dims, error))
    return FALSE;
  if (n_dims > GGML_MAX_DIMS)
    return clip_gguf_fail (reader->gguf, error,
        "tensor %s has %" G_GUINT64_FORMAT " dimensions, expected at most %d; the file is damaged", name,
        n_dims, GGML_MAX_DIMS);
  tensor->n_dims = n_dims;
  tensor->count = 1;
  for (guint i = 0; i < n_dims; i++) {
    guint64 *side = &tensor->shape[n_dims - 1 - i];
    if (!clip_gguf_take_uint (reader, 8, side, error))
      return FALSE;
    if (!g_size_checked_mul (&tensor->count, tensor->count, *side))
      return clip_gguf_fail (
          reader->gguf, error, "tensor %s has more elements than memory can hold", name);
  }
  return TRUE;
}

static gboolean
take_type (ClipGgufReader *reader, const char *name, ClipTensor *tensor, GError **error)
{
  const char *known = "F32, F16, BF16, Q8_0, Q5_1, Q5_0, Q4_1 or Q4_0";
  guint64 type;
  if (!clip_gguf_take_uint (reader, 4, &type, error))
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
take_offset (ClipGgufReader *reader, const char *name, const ClipTensor *tensor, guint alignment, guint64 *next,
    GError **error)
{
  guint64 offset, padding = (alignment - tensor->size % alignment) % alignment;
  if (!clip_gguf_take_uint (reader, 8, &offset, error))
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
take_tensor (ClipGgufReader *reader, guint alignment, guint64 *next, Placed *placed, GError **error)
{
  placed->offset = *next;
  placed->name = clip_gguf_take_name (reader, "tensor", error);
  return placed->name && take_shape (reader, placed->name, &placed->tensor, error)
         && take_type (reader, placed->name, &placed->tensor, error)
         && take_offset (reader, placed->name, &placed->tensor, alignment, next, error);
}

/* The data begins at the next multiple of the alignment after the header */
static gboolean
place_tensors (ClipGgufReader *reader, GArray *all, guint alignment, GError **error)
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
  ClipGgufReader reader = { gguf, bytes, bytes + gguf->tensors, bytes + length };
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
