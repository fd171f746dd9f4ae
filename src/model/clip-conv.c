/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-conv.h"

#include <math.h>
#include <string.h>

#define EPS 1e-5 /* PyTorch's BatchNorm2d */

typedef struct {
  float *weight, *bias, *mean, *var; /* [out] each */
} BatchNorm;

static void
batch_norm_clear (BatchNorm *bn)
{
  g_free (bn->weight);
  g_free (bn->bias);
  g_free (bn->mean);
  g_free (bn->var);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BatchNorm, batch_norm_clear)

static gboolean
check_variances (const float *var, guint n, const char *tensor, GError **error)
{
  for (guint i = 0; i < n; i++) {
    if (var[i] >= 0)
      continue;
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "%s.bn.var has the value %g, expected a variance, which is never negative; is the file damaged?", tensor,
        var[i]);
    return FALSE;
  }
  return TRUE;
}

static gboolean
read_batch_norm (ClipWeights *weights, const char *tensor, guint n, BatchNorm *bn, GError **error)
{
  struct {
    const char *name;
    float **values;
  } parts[] = { { "weight", &bn->weight }, { "bias", &bn->bias }, { "mean", &bn->mean }, { "var", &bn->var } };
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++) {
    g_autofree char *name = g_strdup_printf ("%s.bn.%s", tensor, parts[i].name);
    *parts[i].values = g_new (float, n);
    if (!clip_weights_read (weights, name, *parts[i].values, n, error))
      return FALSE;
  }
  return check_variances (bn->var, n, tensor, error);
}

/* [in][9] -> [9][in] for each output */
static void
put_channels_last (float *weight, guint out, guint in)
{
  g_autofree float *row = g_new (float, (gsize) 9 * in);
  for (guint o = 0; o < out; o++, weight += (gsize) 9 * in) {
    for (guint c = 0; c < in; c++)
      for (guint tap = 0; tap < 9; tap++)
        row[(gsize) tap * in + c] = weight[(gsize) c * 9 + tap];
    memcpy (weight, row, (gsize) 9 * in * sizeof (float));
  }
}

/* bn (W x) = (W x - mean) / sqrt (var + eps) * weight + bias = scale W x + (bias - scale mean); the latter
 * replaces bn->bias */
static void
fold (float *weight, guint out, gsize k, BatchNorm *bn)
{
  for (guint o = 0; o < out; o++) {
    double scale = bn->weight[o] / sqrt (bn->var[o] + EPS);
    for (gsize i = 0; i < k; i++)
      weight[o * k + i] = (float) (scale * weight[o * k + i]);
    bn->bias[o] = (float) (bn->bias[o] - scale * bn->mean[o]);
  }
}

ClipLinear *
clip_load_conv (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, ClipConvKind kind, guint out,
    guint in, guint typical_rows, GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *tensor = g_strdup_vprintf (format, args);
  va_end (args);
  guint k = kind == CLIP_CONV_1X1 ? in : 9 * in;
  g_autofree char *name = g_strconcat (tensor, ".weight", NULL);
  g_autofree float *weight = g_new (float, (gsize) out * k);
  g_auto (BatchNorm) bn = { 0 };
  if (!clip_weights_read (weights, name, weight, (gsize) out * k, error)
      || !read_batch_norm (weights, tensor, out, &bn, error))
    return NULL;
  if (kind == CLIP_CONV_3X3)
    put_channels_last (weight, out, in);
  fold (weight, out, k, &bn);
  return kind == CLIP_CONV_3X3
             ? clip_linear_new_conv3 (queue, precision, weight, bn.bias, out, in, typical_rows, error)
             : clip_linear_new (queue, precision, weight, bn.bias, out, k, typical_rows, error);
}
