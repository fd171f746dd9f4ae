/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Weights as kernels/gemm-dot.cl reads them: w[panel][block][half][16 words][columns of a half], a word of 2 bfloat16
 * or 4 bytes of K. */
#include "clip-gemm-private.h"

#include <math.h>
#include <string.h>

#define BLOCK 16 /* words */

guint16
clip_dot_to_bf16 (float value)
{
  guint32 bits;
  memcpy (&bits, &value, sizeof bits);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (guint16) (bits >> 16 | 64);
  return (guint16) ((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

guint
clip_dot_get_blocks (ClipPrecision precision, guint k)
{
  guint values = precision == CLIP_PRECISION_INT8 ? 4 * BLOCK : 2 * BLOCK;
  return (k - 1) / values + 1;
}

/* Where value i of K of a column is, in values from the start of all panels; `per_word` of them are a word */
static gsize
place (guint column, guint i, guint blocks, guint width, guint per_word)
{
  guint block = i / (BLOCK * per_word), word = i / per_word % BLOCK, half = column / width % 2;
  gsize at = ((gsize) (column / (2 * width)) * blocks + block) * 2 + half;
  return ((at * BLOCK + word) * width + column % width) * per_word + i % per_word;
}

static void
pack_bf16 (const float *weight, guint n, guint k, guint width, guint blocks, guint16 *to)
{
  for (guint column = 0; column < n; column++, weight += k) {
    for (guint i = 0; i < k; i += 2) {
      guint16 *pair = to + place (column, i, blocks, width, 2);
      pair[0] = clip_dot_to_bf16 (weight[i]);
      pair[1] = i + 1 < k ? clip_dot_to_bf16 (weight[i + 1]) : 0;
    }
  }
}

static float
largest (const float *values, guint count)
{
  float most = 0;
  for (guint i = 0; i < count; i++)
    most = MAX (most, fabsf (values[i]));
  return most;
}

static void
pack_int8 (const float *weight, guint n, guint k, guint width, guint blocks, gint8 *to, float *scales, float *sums)
{
  for (guint column = 0; column < n; column++, weight += k) {
    float scale = largest (weight, k) / 127, inverse = scale > 0 ? 1 / scale : 0;
    gint sum = 0;
    for (guint i = 0; i < k; i++) {
      gint value = (gint) lrintf (CLAMP (weight[i] * inverse, -127, 127));
      to[place (column, i, blocks, width, 4)] = (gint8) value;
      sum += value;
    }
    scales[column] = scale;
    sums[column] = (float) (sum * (double) scale);
  }
}

static ClipBuffer *
upload (ClipQueue *queue, const float *values, gsize count, GError **error)
{
  g_autoptr (ClipBuffer) buffer
      = clip_buffer_new (clip_queue_get_device (queue), count * sizeof (float), error);
  if (!buffer || !clip_buffer_write (buffer, queue, 0, values, count * sizeof (float), error))
    return NULL;
  return g_steal_pointer (&buffer);
}

gboolean
clip_dot_pack (ClipLinear *linear, ClipQueue *queue, guint width, const float *weight, const float *bias, GError **error)
{
  guint blocks = clip_dot_get_blocks (linear->backend->precision, linear->k);
  gsize columns = (gsize) ((linear->n - 1) / (2 * width) + 1) * 2 * width;
  gsize size = columns * blocks * BLOCK * sizeof (guint32);
  g_autofree float *ends = g_new0 (float, 3 * columns); /* bias, scales, sums */
  linear->weight = clip_buffer_new (clip_queue_get_device (queue), size, error);
  void *to = linear->weight ? clip_buffer_map (linear->weight, queue, CL_MAP_WRITE, error) : NULL;
  if (!to)
    return FALSE;
  memset (to, 0, size);
  if (linear->backend->precision == CLIP_PRECISION_INT8)
    pack_int8 (weight, linear->n, linear->k, width, blocks, to, ends + columns, ends + 2 * columns);
  else
    pack_bf16 (weight, linear->n, linear->k, width, blocks, to);
  clip_buffer_unmap (linear->weight, queue, to);
  if (bias)
    memcpy (ends, bias, linear->n * sizeof (float));
  return (linear->bias = upload (queue, ends, columns, error))
         && (linear->scale = upload (queue, ends + columns, columns, error))
         && (linear->sums = upload (queue, ends + 2 * columns, columns, error));
}
