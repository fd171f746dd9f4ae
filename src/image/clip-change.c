/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-change.h"

#include <math.h>
#include <string.h>

#define COLUMNS 16
#define ROWS 9
#define SAMPLES 1024 /* of a cell, about: more do not make its mean much quieter */

/* Where luma lies in plane 0: the samples' distance, and for RGB the three that make it up */
typedef struct {
  guint step, luma, red, green, blue;
  gboolean rgb;
} Layout;

static const Layout layouts[] = {
  [CLIP_FORMAT_RGB] = { 3, 0, 0, 1, 2, TRUE },
  [CLIP_FORMAT_BGR] = { 3, 0, 2, 1, 0, TRUE },
  [CLIP_FORMAT_RGBX] = { 4, 0, 0, 1, 2, TRUE },
  [CLIP_FORMAT_XRGB] = { 4, 0, 1, 2, 3, TRUE },
  [CLIP_FORMAT_BGRX] = { 4, 0, 2, 1, 0, TRUE },
  [CLIP_FORMAT_XBGR] = { 4, 0, 3, 2, 1, TRUE },
  [CLIP_FORMAT_RGBA] = { 4, 0, 0, 1, 2, TRUE },
  [CLIP_FORMAT_ARGB] = { 4, 0, 1, 2, 3, TRUE },
  [CLIP_FORMAT_BGRA] = { 4, 0, 2, 1, 0, TRUE },
  [CLIP_FORMAT_ABGR] = { 4, 0, 3, 2, 1, TRUE },
  [CLIP_FORMAT_GRAY8] = { 1 },
  [CLIP_FORMAT_NV12] = { 1 },
  [CLIP_FORMAT_NV21] = { 1 },
  [CLIP_FORMAT_I420] = { 1 },
  [CLIP_FORMAT_YV12] = { 1 },
  [CLIP_FORMAT_YUY2] = { 2, 0 },
  [CLIP_FORMAT_UYVY] = { 2, 1 },
  [CLIP_FORMAT_Y42B] = { 1 },
  [CLIP_FORMAT_Y444] = { 1 },
};

typedef struct {
  ClipFormat format;
  guint width, height; /* 0: nothing */
  float means[ROWS][COLUMNS];
} Grid;

struct _ClipChange {
  Grid kept, measured;
};

ClipChange *
clip_change_new (void)
{
  return g_new0 (ClipChange, 1);
}

void
clip_change_free (ClipChange *change)
{
  g_free (change);
}

void
clip_change_reset (ClipChange *change)
{
  change->kept.width = change->measured.width = 0;
}

/* The loop over neighbours stands alone, so that the compiler makes vectors of it. */
static guint
sum_bytes (const guint8 *p, guint n, guint step)
{
  guint sum = 0;
  if (step == 1) {
    for (guint i = 0; i < n; i++)
      sum += p[i];
    return sum;
  }
  for (guint i = 0; i < n; i++)
    sum += p[(gsize) i * step];
  return sum;
}

/* Luma of n pixels of a row, added up; of RGB a quarter red, a half green, a quarter blue */
static double
sum_luma (const Layout *layout, const guint8 *row, guint n)
{
  if (!layout->rgb)
    return sum_bytes (row + layout->luma, n, layout->step);
  return 0.25 * sum_bytes (row + layout->red, n, layout->step)
         + 0.5 * sum_bytes (row + layout->green, n, layout->step)
         + 0.25 * sum_bytes (row + layout->blue, n, layout->step);
}

static float
cell_mean (const ClipFrame *frame, guint x0, guint x1, guint y0, guint y1)
{
  const Layout *layout = &layouts[frame->format];
  guint width = x1 - x0, step = MAX (1, width * (y1 - y0) / SAMPLES), rows = 0;
  double sum = 0.0;
  for (guint y = y0; y < y1; y += step, rows++)
    sum += sum_luma (layout, frame->planes[0] + y * frame->strides[0] + (gsize) x0 * layout->step, width);
  return (float) (sum / ((double) rows * width));
}

static void
measure_grid (const ClipFrame *frame, Grid *grid)
{
  guint columns = MIN (COLUMNS, frame->width), rows = MIN (ROWS, frame->height);
  *grid = (Grid){ frame->format, frame->width, frame->height };
  for (guint j = 0; j < rows; j++) {
    guint y0 = j * frame->height / rows, y1 = (j + 1) * frame->height / rows;
    for (guint i = 0; i < columns; i++)
      grid->means[j][i]
          = cell_mean (frame, i * frame->width / columns, (i + 1) * frame->width / columns, y0, y1);
  }
}

double
clip_change_measure (ClipChange *change, const ClipFrame *frame)
{
  Grid *now = &change->measured;
  const Grid *kept = &change->kept;
  measure_grid (frame, now);
  if (kept->width != now->width || kept->height != now->height || kept->format != now->format)
    return INFINITY;
  float largest = 0.0f;
  for (guint j = 0; j < ROWS; j++) {
    for (guint i = 0; i < COLUMNS; i++)
      largest = fmaxf (largest, fabsf (now->means[j][i] - kept->means[j][i]));
  }
  return largest;
}

void
clip_change_keep (ClipChange *change)
{
  change->kept = change->measured;
}
