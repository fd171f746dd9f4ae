/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "resnet-twins.h"

#include <math.h>

void
twin_im2col_pixels (const float *pixels, guint first, guint batch, guint size, float *y)
{
  int side = (size + 1) / 2, s = size;
  for (guint b = first; b < first + batch; b++)
    for (int oy = 0; oy < side; oy++)
      for (int ox = 0; ox < side; ox++)
        for (int c = 0; c < 3; c++)
          for (int iy = 2 * oy - 1; iy <= 2 * oy + 1; iy++)
            for (int ix = 2 * ox - 1; ix <= 2 * ox + 1; ix++)
              *y++ = iy < 0 || iy >= s || ix < 0 || ix >= s ? 0 : pixels[(((gsize) b * 3 + c) * s + iy) * s + ix];
}

void
twin_im2col (const float *x, guint height, guint width, guint channels, guint first, guint rows, float *y)
{
  for (guint r = first; r < first + rows; r++) {
    int px = r % width, py = r / width % height, item = r / width / height;
    for (int iy = py - 1; iy <= py + 1; iy++)
      for (int ix = px - 1; ix <= px + 1; ix++)
        for (guint c = 0; c < channels; c++) {
          gboolean outside = iy < 0 || iy >= (int) height || ix < 0 || ix >= (int) width;
          *y++ = outside ? 0 : x[(((gsize) item * height + iy) * width + ix) * channels + c];
        }
  }
}

void
twin_avgpool (const float *x, guint batch, guint height, guint width, guint channels, float *y)
{
  for (guint b = 0; b < batch; b++)
    for (guint oy = 0; oy < height / 2; oy++)
      for (guint ox = 0; ox < width / 2; ox++)
        for (guint c = 0; c < channels; c++) {
          double sum = 0;
          for (guint i = 0; i < 4; i++)
            sum += x[(((gsize) b * height + 2 * oy + i / 2) * width + 2 * ox + i % 2) * channels + c];
          *y++ = sum / 4;
        }
}

void
twin_mean_token (const float *x, const float *positions, guint batch, guint n, guint width, float *y)
{
  for (guint b = 0; b < batch; b++)
    for (guint j = 0; j <= n; j++)
      for (guint i = 0; i < width; i++) {
        double first = positions[i];
        for (guint t = 0; t < n; t++)
          first += x[((gsize) b * n + t) * width + i] / (double) n;
        *y++ = j == 0 ? first
                      : x[((gsize) b * n + j - 1) * width + i] + positions[(gsize) j * width + i] - first;
      }
}

void
twin_head_keys (const float *q, const float *weight, guint batch, guint width, guint heads, guint inputs, float *y)
{
  guint head_dim = width / heads;
  for (guint b = 0; b < batch; b++)
    for (guint h = 0; h < heads; h++)
      for (guint i = 0; i < inputs; i++) {
        double sum = 0;
        for (guint r = h * head_dim; r < (h + 1) * head_dim; r++)
          sum += (double) q[(gsize) b * width + r] * weight[(gsize) r * inputs + i];
        *y++ = sum / sqrt (head_dim);
      }
}

void
twin_head_scores (const float *u, const float *x, guint batch, guint heads, guint n, guint width, float *y)
{
  for (guint b = 0; b < batch; b++)
    for (guint h = 0; h < heads; h++)
      for (guint j = 0; j < n; j++) {
        double sum = 0;
        for (guint i = 0; i < width && j > 0; i++)
          sum += (double) u[((gsize) b * heads + h) * width + i] * x[((gsize) b * n + j) * width + i];
        *y++ = sum;
      }
}

void
twin_head_mix (const float *p, const float *x, guint batch, guint heads, guint n, guint width, float *y)
{
  for (guint b = 0; b < batch; b++)
    for (guint h = 0; h < heads; h++)
      for (guint i = 0; i < width; i++) {
        double sum = x[(gsize) b * n * width + i];
        for (guint j = 1; j < n; j++)
          sum += (double) p[((gsize) b * heads + h) * n + j] * x[((gsize) b * n + j) * width + i];
        *y++ = sum;
      }
}

void
twin_head_values (const float *x, const float *weight, const float *bias, guint batch, guint width, guint heads,
    guint inputs, float *y)
{
  guint head_dim = width / heads;
  for (guint b = 0; b < batch; b++)
    for (guint r = 0; r < width; r++) {
      double sum = bias[r];
      for (guint i = 0; i < inputs; i++)
        sum += (double) weight[(gsize) r * inputs + i] * x[((gsize) b * heads + r / head_dim) * inputs + i];
      *y++ = sum;
    }
}
