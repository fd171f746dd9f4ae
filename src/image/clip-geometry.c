/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and filter weights, as torchvision's transforms, open_clip's and Pillow's Resample.c compute them. */
#include "clip-image-private.h"

#include <math.h>

/* a fused multiply-add would round once where Pillow rounds twice */
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif

#define WEIGHT_BITS 22

static void
resize_shortest (ClipGeometry *geometry, guint size, guint width, guint height)
{
  guint64 shorter = MIN (width, height), longer = MAX (width, height);
  guint length = (guint) (size * longer / shorter);
  geometry->width = width <= height ? size : length;
  geometry->height = width <= height ? length : size;
}

static void
resize_longest (ClipGeometry *geometry, guint size, guint width, guint height)
{
  double ratio = MAX (height / (double) size, width / (double) size);
  geometry->width = MAX (1, (guint) rint (width / ratio));
  geometry->height = MAX (1, (guint) rint (height / ratio));
}

/* torchvision: round ((n - size) / 2), halves to even; where the picture is smaller, it is centred on
 * black, the odd row or column behind it */
static void
crop_axis (guint resized, guint size, guint *crop, guint *offset, guint *count)
{
  *crop = resized > size ? (guint) rint ((resized - size) / 2.0) : 0;
  *offset = resized < size ? (size - resized) / 2 : 0;
  *count = MIN (resized, size);
}

void
clip_geometry_init (ClipGeometry *geometry, const ClipPreprocessConfig *config, guint width, guint height)
{
  if (config->mode == CLIP_RESIZE_SHORTEST)
    resize_shortest (geometry, config->size, width, height);
  else if (config->mode == CLIP_RESIZE_LONGEST)
    resize_longest (geometry, config->size, width, height);
  else
    geometry->width = geometry->height = config->size;
  crop_axis (geometry->width, config->size, &geometry->crop_x, &geometry->left, &geometry->out_width);
  crop_axis (geometry->height, config->size, &geometry->crop_y, &geometry->top, &geometry->out_height);
}

static double
bicubic (double x)
{
  const double a = -0.5;
  x = fabs (x);
  if (x < 1.0)
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0)
    return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

static double
bilinear (double x)
{
  x = fabs (x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

/* the inputs of output I: a range, and the double weights that add up to 1 */
static guint
filter_output (ClipFilter filter, guint in_size, guint out_size, guint i, guint *first, double *weights)
{
  double scale = (double) in_size / out_size, filter_scale = MAX (scale, 1.0);
  double support = (filter == CLIP_FILTER_BICUBIC ? 2.0 : 1.0) * filter_scale;
  double center = (i + 0.5) * scale, inverse = 1.0 / filter_scale, total = 0;
  guint begin = (guint) MAX (0, (gint) (center - support + 0.5));
  guint end = MIN (in_size, (guint) (gint) (center + support + 0.5));
  for (guint x = begin; x < end; x++) {
    double at = (x - center + 0.5) * inverse;
    weights[x - begin] = filter == CLIP_FILTER_BICUBIC ? bicubic (at) : bilinear (at);
    total += weights[x - begin];
  }
  for (guint x = 0; x < end - begin && total != 0.0; x++)
    weights[x] /= total;
  *first = begin;
  return end - begin;
}

/* bounds filter_output(), whose range is 2 * support + 1 before it is cut down to integers */
static guint
most_taps (ClipFilter filter, guint in_size, guint out_size)
{
  double support = filter == CLIP_FILTER_BICUBIC ? 2.0 : 1.0;
  if (in_size > out_size)
    support *= (double) in_size / out_size;
  return MIN (in_size, (guint) (2 * support + 1e-6) + 1);
}

static gint
to_fixed (double weight)
{
  return (gint) (weight * (1 << WEIGHT_BITS) + (weight < 0 ? -0.5 : 0.5));
}

void
clip_axis_init (ClipAxis *axis, ClipFilter filter, guint in_size, guint out_size, guint begin, guint count,
    guint group, guint align)
{
  gboolean same = in_size == out_size; /* not resampled at all: one tap of weight 1 */
  guint taps = same ? 1 : most_taps (filter, in_size, out_size);
  g_autofree double *weights = g_new (double, taps);
  axis->count = (count + group - 1) / group * group;
  axis->taps = (taps + align - 1) / align * align;
  axis->first = g_new (gint, axis->count);
  axis->weights = g_new0 (gint, (gsize) axis->count * axis->taps);
  axis->from = in_size;
  axis->to = 0;
  for (guint i = 0; i < count; i++) {
    guint first = begin + i, n = 1;
    weights[0] = 1.0;
    if (!same)
      n = filter_output (filter, in_size, out_size, begin + i, &first, weights);
    axis->first[i] = (gint) first;
    axis->from = MIN (axis->from, first);
    axis->to = MAX (axis->to, first + n);
    for (guint t = 0; t < n; t++)
      axis->weights[(gsize) i * axis->taps + t] = to_fixed (weights[t]);
  }
  for (guint i = count; i < axis->count; i++)
    axis->first[i] = axis->first[count - 1];
}

void
clip_axis_clear (ClipAxis *axis)
{
  g_clear_pointer (&axis->first, g_free);
  g_clear_pointer (&axis->weights, g_free);
}
