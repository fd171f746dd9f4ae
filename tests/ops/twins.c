/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "twins.h"

#include <math.h>

void
twin_layernorm (const float *x, gsize stride, const float *gamma, const float *beta, float eps, guint rows,
    guint width, float *y)
{
  for (guint r = 0; r < rows; r++) {
    double mean = 0, variance = 0;
    for (guint i = 0; i < width; i++)
      mean += x[r * stride + i] / (double) width;
    for (guint i = 0; i < width; i++)
      variance += (x[r * stride + i] - mean) * (x[r * stride + i] - mean) / width;
    for (guint i = 0; i < width; i++)
      y[(gsize) r * width + i] = (x[r * stride + i] - mean) / sqrt (variance + eps) * gamma[i] + beta[i];
  }
}

static double
score (const float *q, const float *k, guint head_dim)
{
  double sum = 0;
  for (guint d = 0; d < head_dim; d++)
    sum += (double) q[d] * k[d];
  return sum / sqrt (head_dim);
}

/* One query of one head; keys and values lie @stride floats apart. */
static void
attend (const float *q, const float *keys, const float *values, guint n, guint stride, guint head_dim, float *y)
{
  g_autofree double *s = g_new (double, n);
  double top = -INFINITY, sum = 0;
  for (guint j = 0; j < n; j++) {
    s[j] = score (q, keys + (gsize) j * stride, head_dim);
    top = fmax (top, s[j]);
  }
  for (guint j = 0; j < n; j++)
    sum += s[j] = exp (s[j] - top);
  for (guint d = 0; d < head_dim; d++) {
    double acc = 0;
    for (guint j = 0; j < n; j++)
      acc += s[j] / sum * values[(gsize) j * stride + d];
    y[d] = acc;
  }
}

void
twin_attention (const float *qkv, const gint32 *lengths, guint batch, guint length, guint width, guint heads,
    gboolean causal, float *y)
{
  guint head_dim = width / heads, stride = 3 * width;
  for (guint b = 0; b < batch; b++) {
    for (guint h = 0; h < heads; h++) {
      const float *base = qkv + (gsize) b * length * stride + h * head_dim;
      for (guint i = 0; i < length; i++) {
        guint n = lengths ? (guint) lengths[b] : length;
        if (causal)
          n = MIN (n, i + 1);
        attend (base + (gsize) i * stride, base + width, base + 2 * width, n, stride, head_dim,
            y + ((gsize) b * length + i) * width + h * head_dim);
      }
    }
  }
}

void
twin_pool_attention (const float *q, guint q_stride, const float *kv, guint batch, guint length, guint width,
    guint heads, float *y)
{
  guint head_dim = width / heads, stride = 2 * width;
  for (guint b = 0; b < batch; b++)
    for (guint h = 0; h < heads; h++) {
      const float *keys = kv + (gsize) b * length * stride + h * head_dim;
      attend (q + (gsize) b * q_stride + h * head_dim, keys, keys + width, length, stride, head_dim,
          y + (gsize) b * width + h * head_dim);
    }
}

void
twin_patches (const float *pixels, guint batch, guint size, guint patch, float *y)
{
  guint side = size / patch;
  for (guint b = 0; b < batch; b++)
    for (guint py = 0; py < side; py++)
      for (guint px = 0; px < side; px++)
        for (guint c = 0; c < 3; c++)
          for (guint dy = 0; dy < patch; dy++)
            for (guint dx = 0; dx < patch; dx++)
              *y++ = pixels[(((gsize) b * 3 + c) * size + py * patch + dy) * size + px * patch + dx];
}

void
twin_l2_norm (float *x, guint rows, guint width, float *norms)
{
  for (guint r = 0; r < rows; r++) {
    float *row = x + (gsize) r * width;
    double sum = 0;
    for (guint i = 0; i < width; i++)
      sum += (double) row[i] * row[i];
    norms[r] = sqrt (sum);
    for (guint i = 0; i < width; i++)
      row[i] = sum > 0 ? row[i] / sqrt (sum) : 0;
  }
}

void
twin_softmax (float *x, guint rows, guint width)
{
  for (guint r = 0; r < rows; r++) {
    float *row = x + (gsize) r * width;
    double top = -INFINITY, sum = 0;
    for (guint i = 0; i < width; i++)
      top = fmax (top, row[i]);
    for (guint i = 0; i < width; i++)
      sum += exp (row[i] - top);
    for (guint i = 0; i < width; i++)
      row[i] = exp (row[i] - top) / sum;
  }
}
