/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reduced.h"

#include <math.h>
#include <string.h>

/* to the nearest of 8 significant bits, ties to even: by the definition, through the exponent */
static float
round_bf16 (float x)
{
  int exponent;
  if (!isfinite (x) || x == 0)
    return x;
  double fraction = frexp (x, &exponent);
  exponent = MAX (exponent, -125); /* smaller ones lose bits */
  fraction = ldexp (x, 8 - exponent);
  return (float) ldexp (nearbyint (fraction), exponent - 8);
}

/* to the nearest of 11 significant bits, ties to even, from 2^-24 to 65504 */
static float
round_fp16 (float x)
{
  int exponent;
  if (!isfinite (x) || x == 0)
    return x;
  frexp (x, &exponent);
  exponent = MAX (exponent, -13); /* smaller ones lose bits */
  double rounded = ldexp (nearbyint (ldexp (x, 11 - exponent)), exponent - 11);
  return (float) (fabs (rounded) > 65504 ? copysign (INFINITY, x) : rounded);
}

/* low + step * u, u of 0..255 */
static void
round_bytes (float *row, guint k)
{
  float low = INFINITY, high = -INFINITY;
  for (guint i = 0; i < k; i++) {
    low = MIN (low, row[i]);
    high = MAX (high, row[i]);
  }
  float step = (high - low) / 255, inverse = step > 1e-35f ? 1 / step : 0;
  for (guint i = 0; i < k; i++) {
    /* a float of this size has no fraction: what the addition leaves is the rounded integer */
    float u = fmaf (row[i] - low, inverse, 12582912.0f) - 12582912.0f;
    row[i] = (float) (low + (double) step * u);
  }
}

void
reduced_fit (const ClipLinearBackend *backend, float *values, gsize count)
{
  for (gsize i = 0; backend->precision == CLIP_PRECISION_FP16 && i < count; i++)
    values[i] = CLAMP (values[i], -60000, 60000);
}

void
reduced_row (const ClipLinearBackend *backend, float *row, guint k)
{
  if (backend->precision == CLIP_PRECISION_INT8)
    round_bytes (row, k);
  for (guint i = 0; backend->precision == CLIP_PRECISION_BF16 && i < k; i++)
    row[i] = round_bf16 (row[i]);
  for (guint i = 0; backend->precision == CLIP_PRECISION_FP16 && i < k; i++)
    row[i] = round_fp16 (row[i]);
}

void
reduced_weights (const ClipLinearBackend *backend, float *weight, guint n, guint k)
{
  for (guint j = 0; j < n; j++, weight += k) {
    float most = 0;
    for (guint i = 0; i < k; i++)
      most = MAX (most, fabsf (weight[i]));
    for (guint i = 0; i < k; i++) {
      if (backend->precision == CLIP_PRECISION_BF16)
        weight[i] = round_bf16 (weight[i]);
      else if (backend->precision == CLIP_PRECISION_FP16)
        weight[i] = round_fp16 (weight[i]);
      else if (backend->precision == CLIP_PRECISION_INT8 && most > 0)
        weight[i] = (float) (nearbyint (weight[i] * (1 / (most / 127))) * (double) (most / 127));
    }
  }
}

double
reduced_slack (const ClipLinearBackend *backend, const float *row, const float *w, guint k)
{
  double low = INFINITY, sum = 0, high = -INFINITY;
  if (backend->precision != CLIP_PRECISION_INT8)
    return 0;
  for (guint i = 0; i < k; i++) {
    low = fmin (low, row[i]);
    high = fmax (high, row[i]);
    sum += fabs ((double) w[i]);
  }
  return 4e-7 * (fabs (low) + fabs (high)) * sum;
}

static void
add (const ClipLinearBackend *backend, const char *prefix, const char *name, GTestDataFunc test)
{
  g_autofree char *path = g_strdup_printf ("/%s/%s/%s", prefix, backend->name, name);
  g_test_add_data_func (path, backend, test);
}

void
reduced_add_levels (
    ClipDevice *device, ClipPrecision precision, const char *prefix, const char *name, GTestDataFunc test)
{
  ClipDotLevel most = clip_dot_get_level (device, precision);
  for (ClipDotLevel level = CLIP_DOT_PORTABLE; level <= most; level++)
    add (&clip_linear_dot[precision - CLIP_PRECISION_BF16][level], prefix, name, test);
}

void
reduced_add_half (ClipDevice *device, const char *prefix, const char *name, GTestDataFunc test)
{
  static const ClipPrecision precisions[] = { CLIP_PRECISION_FP16, CLIP_PRECISION_BF16 };
  for (guint i = 0; i < G_N_ELEMENTS (precisions); i++) {
    add (clip_half_get (precisions[i], CLIP_DOT_PORTABLE), prefix, name, test);
    if (clip_dot_get_level (device, precisions[i]) == CLIP_DOT_MATRIX)
      add (clip_half_get (precisions[i], CLIP_DOT_MATRIX), prefix, name, test);
  }
}

void
reduced_add_tests (ClipDevice *device, const char *prefix, const char *name, GTestDataFunc test)
{
  add (&clip_linear_panel, prefix, name, test);
  add (&clip_linear_clblast, prefix, name, test);
  for (guint i = 0; clip_device_is_cpu (device) && i < 2; i++)
    reduced_add_levels (device, CLIP_PRECISION_BF16 + i, prefix, name, test);
  if (!clip_device_is_cpu (device))
    reduced_add_half (device, prefix, name, test);
}
