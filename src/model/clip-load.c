/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tensors of a checkpoint onto the device. */
#include "clip-transformer.h"

ClipBuffer *
clip_load_vector (
    ClipQueue *queue, ClipWeights *weights, gsize count, GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *name = g_strdup_vprintf (format, args);
  va_end (args);
  g_autoptr (ClipBuffer) buffer
      = clip_buffer_new (clip_queue_get_device (queue), count * sizeof (float), error);
  if (!buffer)
    return NULL;
  float *values = clip_buffer_map (buffer, queue, CL_MAP_WRITE, error);
  if (!values)
    return NULL;
  gboolean ok = clip_weights_read (weights, name, values, count, error);
  clip_buffer_unmap (buffer, queue, values);
  return ok ? g_steal_pointer (&buffer) : NULL;
}

ClipLinear *
clip_load_linear (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, guint n, guint k,
    gboolean has_bias, guint typical_rows, GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *tensor = g_strdup_vprintf (format, args);
  va_end (args);
  g_autofree char *weight_name = g_strconcat (tensor, ".weight", NULL);
  g_autofree char *bias_name = g_strconcat (tensor, ".bias", NULL);
  g_autofree float *weight = g_new (float, (gsize) n * k);
  g_autofree float *bias = g_new (float, n);
  if (!clip_weights_read (weights, weight_name, weight, (gsize) n * k, error)
      || (has_bias && !clip_weights_read (weights, bias_name, bias, n, error)))
    return NULL;
  return clip_linear_new (queue, precision, weight, has_bias ? bias : NULL, n, k, typical_rows, error);
}

gboolean
clip_load_norm (ClipQueue *queue, ClipWeights *weights, guint width, ClipNorm *norm, GError **error,
    const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *name = g_strdup_vprintf (format, args);
  va_end (args);
  norm->gamma = clip_load_vector (queue, weights, width, error, "%s.weight", name);
  if (!norm->gamma)
    return FALSE;
  norm->beta = clip_load_vector (queue, weights, width, error, "%s.bias", name);
  return norm->beta != NULL;
}

void
clip_norm_clear (ClipNorm *norm)
{
  g_clear_pointer (&norm->gamma, clip_buffer_unref);
  g_clear_pointer (&norm->beta, clip_buffer_unref);
}
