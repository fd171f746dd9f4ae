/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The canonical tensors of open weights: taken after checks, read as fp32 whatever their type and order. */
#include <math.h>
#include <string.h>

#include "weights/clip-convert.h"
#include "weights/clip-weights-private.h"

/* exp (logit_scale): CLIP clips it to 100 in training; beyond this, softmax of a float32 cosine is
 * noise */
#define MAX_LOGIT_SCALE 1e6f

/* By ClipDtype: the stored name, the name for people, and how a block is converted */
static const struct {
  const char *stored, *name;
  guint elements, bytes; /* of a block */
  void (*convert) (const guint8 *src, float *dst, gsize count);
} dtypes[CLIP_N_DTYPES] = {
  [CLIP_DTYPE_F32] = { "F32", "fp32", 1, 4, clip_convert_f32 },
  [CLIP_DTYPE_F16] = { "F16", "fp16", 1, 2, clip_convert_f16 },
  [CLIP_DTYPE_BF16] = { "BF16", "bf16", 1, 2, clip_convert_bf16 },
  [CLIP_DTYPE_Q8_0] = { "Q8_0", "q8_0", CLIP_QUANT_BLOCK, 34, clip_convert_q8_0 },
  [CLIP_DTYPE_Q5_1] = { "Q5_1", "q5_1", CLIP_QUANT_BLOCK, 24, clip_convert_q5_1 },
  [CLIP_DTYPE_Q5_0] = { "Q5_0", "q5_0", CLIP_QUANT_BLOCK, 22, clip_convert_q5_0 },
  [CLIP_DTYPE_Q4_1] = { "Q4_1", "q4_1", CLIP_QUANT_BLOCK, 20, clip_convert_q4_1 },
  [CLIP_DTYPE_Q4_0] = { "Q4_0", "q4_0", CLIP_QUANT_BLOCK, 18, clip_convert_q4_0 },
};

const char *
clip_dtype_get_name (ClipDtype dtype)
{
  return dtypes[dtype].name;
}

static gboolean
find_dtype (const ClipTensor *tensor, ClipDtype *dtype)
{
  for (guint i = 0; i < CLIP_N_DTYPES; i++)
    if (g_str_equal (tensor->dtype, dtypes[i].stored)) {
      *dtype = i;
      return TRUE;
    }
  return FALSE;
}

/* The tensor, after the checks that every needed one must pass */
static const ClipTensor *
need_tensor (ClipTensorFile *file, const char *stored_name, ClipDtype *dtype, GError **error)
{
  const ClipTensor *tensor = clip_tensor_file_lookup (file, stored_name);
  if (!tensor)
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "%s: tensor %s is missing; is this another model's configuration, or no CLIP model?",
        clip_tensor_file_get_name (file), stored_name);
  else if (!find_dtype (tensor, dtype))
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "%s: tensor %s has type %s, expected F32, F16 or BF16; save the model in one of these",
        clip_tensor_file_get_name (file), stored_name, tensor->dtype);
  else
    return tensor;
  return NULL;
}

/* The shape without its dimensions of 1 */
static guint
squeeze (const guint64 *shape, guint n_dims, guint64 *squeezed)
{
  guint n = 0;
  for (guint i = 0; i < n_dims; i++)
    if (shape[i] != 1)
      squeezed[n++] = shape[i];
  return n;
}

static gboolean
same_shape (const ClipTensor *tensor, const guint64 *shape, guint n_dims)
{
  guint64 a[CLIP_TENSOR_MAX_DIMS], b[CLIP_TENSOR_MAX_DIMS];
  guint n = squeeze (tensor->shape, tensor->n_dims, a);
  return n == squeeze (shape, n_dims, b) && memcmp (a, b, n * sizeof *a) == 0;
}

static gboolean
check_shape (const ClipTensorView *view, const ClipTensor *tensor, const guint64 *shape,
    guint n_dims, GError **error)
{
  if (same_shape (tensor, shape, n_dims))
    return TRUE;
  g_autofree char *found = clip_tensor_shape_string (tensor->shape, tensor->n_dims);
  g_autofree char *expected = clip_tensor_shape_string (shape, n_dims);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: tensor %s is %s, expected %s; is this another model's configuration?",
      clip_tensor_file_get_name (view->file), view->stored_name, found, expected);
  return FALSE;
}

gboolean
clip_weights_add_view (ClipWeights *weights, const char *name, const guint64 *shape, guint n_dims,
    const ClipTensorView *view, GError **error)
{
  ClipDtype dtype = CLIP_DTYPE_F32;
  guint64 stored[CLIP_TENSOR_MAX_DIMS];
  const ClipTensor *tensor = need_tensor (view->file, view->stored_name, &dtype, error);
  if (!tensor)
    return FALSE;
  for (guint i = 0; i < n_dims; i++)
    stored[i] = shape[view->transposed ? n_dims - 1 - i : i];
  stored[0] *= MAX (view->parts, 1);
  if (!check_shape (view, tensor, stored, n_dims, error))
    return FALSE;
  ClipWeightsEntry *entry = g_new0 (ClipWeightsEntry, 1);
  *entry = (ClipWeightsEntry){ view->file, tensor, g_strdup (view->stored_name), dtype, view->part,
    view->transposed, tensor->count / MAX (view->parts, 1) };
  g_hash_table_insert (weights->tensors, g_strdup (name), entry);
  weights->bytes[dtype] += tensor->size / MAX (view->parts, 1);
  return TRUE;
}

gboolean
clip_weights_add (ClipWeights *weights, const char *name, const guint64 *shape, guint n_dims,
    ClipTensorFile *file, const char *stored_name, GError **error)
{
  const ClipTensorView view = { file, stored_name, 0, 0, FALSE };
  return clip_weights_add_view (weights, name, shape, n_dims, &view, error);
}

/* @count elements of the type from @src on; whole blocks */
static void
convert (ClipDtype dtype, const guint8 *src, float *dst, gsize count)
{
  dtypes[dtype].convert (src, dst, count);
}

/* Bytes of @count elements; whole blocks */
static gsize
dtype_bytes (ClipDtype dtype, gsize count)
{
  return count / dtypes[dtype].elements * dtypes[dtype].bytes;
}

/* All elements in C order, whatever the order in which they are stored */
static void
read_ordered (const ClipTensor *tensor, ClipDtype dtype, float *dst)
{
  guint64 index[CLIP_TENSOR_MAX_DIMS] = { 0 };
  gsize at = 0;
  if (!tensor->strided) {
    convert (dtype, tensor->data, dst, tensor->count);
    return;
  }
  for (gsize i = 0; i < tensor->count; i++) {
    convert (dtype, tensor->data + dtype_bytes (dtype, at), dst + i, 1);
    for (guint d = tensor->n_dims; d-- > 0;) {
      at += tensor->strides[d];
      if (++index[d] < tensor->shape[d])
        break;
      at -= tensor->strides[d] * tensor->shape[d];
      index[d] = 0;
    }
  }
}

static void
transpose (const float *src, float *dst, gsize rows, gsize columns)
{
  for (gsize r = 0; r < rows; r++)
    for (gsize c = 0; c < columns; c++)
      dst[c * rows + r] = src[r * columns + c];
}

static void
read_entry (const ClipWeightsEntry *entry, float *dst)
{
  const ClipTensor *tensor = entry->tensor;
  if (!tensor->strided && !entry->transposed) {
    convert (entry->dtype, tensor->data + dtype_bytes (entry->dtype, entry->part * entry->count),
        dst, entry->count);
    return;
  }
  g_autofree float *ordered = g_new (float, tensor->count);
  read_ordered (tensor, entry->dtype, ordered);
  if (entry->transposed)
    transpose (ordered, dst, tensor->shape[0], tensor->shape[1]);
  else
    memcpy (dst, ordered + entry->part * entry->count, entry->count * sizeof *dst);
}

static gboolean
read_scalar (ClipTensorFile *file, const char *stored_name, float *value, GError **error)
{
  ClipDtype dtype = CLIP_DTYPE_F32;
  const ClipTensor *tensor = need_tensor (file, stored_name, &dtype, error);
  const ClipTensorView view = { file, stored_name, 0, 0, FALSE };
  if (!tensor || !check_shape (&view, tensor, NULL, 0, error))
    return FALSE;
  convert (dtype, tensor->data, value, 1);
  return TRUE;
}

gboolean
clip_weights_set_logit_bias (
    ClipWeights *weights, ClipTensorFile *file, const char *stored_name, GError **error)
{
  float *bias = &weights->config.logit_bias;
  if (!read_scalar (file, stored_name, bias, error))
    return FALSE;
  if (fabsf (*bias) <= MAX_LOGIT_SCALE)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: %s is %g, which is added to the logits; expected at most %g; the weights are damaged",
      clip_tensor_file_get_name (file), stored_name, *bias, MAX_LOGIT_SCALE);
  return FALSE;
}

gboolean
clip_weights_set_logit_scale (
    ClipWeights *weights, ClipTensorFile *file, const char *stored_name, GError **error)
{
  float stored = 0;
  if (!read_scalar (file, stored_name, &stored, error))
    return FALSE;
  weights->stored_logit_scale = stored;
  weights->config.logit_scale = expf (stored);
  if (isfinite (stored) && weights->config.logit_scale > 0
      && weights->config.logit_scale <= MAX_LOGIT_SCALE)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: %s is %g, whose exponential multiplies the cosines; expected at most ln(%g); the "
      "weights are damaged",
      clip_tensor_file_get_name (file), stored_name, stored, MAX_LOGIT_SCALE);
  return FALSE;
}

static const ClipWeightsEntry *
find_entry (ClipWeights *weights, const char *name, gsize count, GError **error)
{
  const ClipWeightsEntry *entry = g_hash_table_lookup (weights->tensors, name);
  if (entry && entry->count == count)
    return entry;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "tensor %s: asked for %" G_GSIZE_FORMAT " values, %s", name,
      count, entry ? "which is not its size" : "but there is no such tensor");
  return NULL;
}

/* @values: those from element @first on */
static gboolean
check_finite (const ClipWeightsEntry *entry, const float *values, gsize first, gsize count, GError **error)
{
  gsize bad = clip_find_not_finite (values, count);
  if (bad == count)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "%s: tensor %s has a NaN or an infinity at element %" G_GSIZE_FORMAT
      "; the weights are damaged, download them again",
      clip_tensor_file_get_name (entry->file), entry->stored_name, first + bad);
  return FALSE;
}

gboolean
clip_weights_read (ClipWeights *weights, const char *name, float *dst, gsize count, GError **error)
{
  const ClipWeightsEntry *entry = find_entry (weights, name, count, error);
  if (!entry)
    return FALSE;
  read_entry (entry, dst);
  clip_tensor_file_drop (entry->file, entry->tensor);
  return check_finite (entry, dst, 0, count, error);
}

gsize
clip_weights_get_part (ClipWeights *weights, const char *name, gsize wanted)
{
  const ClipWeightsEntry *entry = g_hash_table_lookup (weights->tensors, name);
  if (!entry)
    return wanted;
  gsize block = dtypes[entry->dtype].elements;
  return entry->tensor->strided || entry->transposed ? entry->count : MIN (entry->count, MAX (wanted / block, 1) * block);
}

gboolean
clip_weights_read_part (
    ClipWeights *weights, const char *name, gsize first, float *dst, gsize count, gsize total, GError **error)
{
  if (first == 0 && count == total)
    return clip_weights_read (weights, name, dst, count, error);
  const ClipWeightsEntry *entry = find_entry (weights, name, total, error);
  if (!entry)
    return FALSE;
  g_return_val_if_fail (first <= total && count <= total - first, FALSE);
  g_return_val_if_fail (!entry->tensor->strided && !entry->transposed, FALSE);
  g_return_val_if_fail (first % dtypes[entry->dtype].elements == 0, FALSE);
  ClipTensor part = *entry->tensor;
  part.data += dtype_bytes (entry->dtype, entry->part * entry->count + first);
  part.size = dtype_bytes (entry->dtype, count);
  convert (entry->dtype, part.data, dst, count);
  clip_tensor_file_drop (entry->file, &part);
  return check_finite (entry, dst, first, count, error);
}
