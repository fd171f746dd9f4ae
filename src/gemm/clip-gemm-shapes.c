/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-gemm-draw.h"

#include <math.h>
#include <stdio.h>

/* products of less than this share of the work are left out, and of the others all but the first */
#define MIN_SHARE 0.005
#define MAX_SHAPES 16
/* what more rows take is in proportion */
#define MAX_ROWS 4096

gboolean
clip_gemm_shape_from_label (const char *label, ClipGemmShape *shape)
{
  shape->weight = 0;
  return sscanf (label, "product %ux%ux%u", &shape->m, &shape->n, &shape->k) == 3
         || sscanf (label, "3x3 convolution %ux%ux%u", &shape->m, &shape->n, &shape->k) == 3;
}

double
clip_gemm_shape_work (const ClipGemmShape *shape)
{
  return (double) shape->m * shape->n * shape->k;
}

static double
weighted_work (const ClipTuneRow *row)
{
  return clip_gemm_shape_work (&row->shape) * row->shape.weight;
}

static int
compare_work (gconstpointer a, gconstpointer b)
{
  const double x = weighted_work (a), y = weighted_work (b);
  return x < y ? 1 : x > y ? -1 : 0;
}

GArray *
clip_gemm_select_shapes (const GArray *shapes)
{
  GArray *rows = g_array_new (FALSE, TRUE, sizeof (ClipTuneRow));
  double all = 0;
  for (guint i = 0; i < shapes->len; i++) {
    ClipTuneRow row = { .shape = g_array_index (shapes, ClipGemmShape, i), .before = INFINITY, .after = INFINITY };
    all += weighted_work (&row);
    row.shape.weight *= MAX (1, (double) row.shape.m / MAX_ROWS);
    row.shape.m = MIN (row.shape.m, MAX_ROWS);
    g_array_append_val (rows, row);
  }
  g_array_sort (rows, compare_work);
  guint count = 0;
  while (count < MIN (rows->len, MAX_SHAPES)
         && (count == 0 || weighted_work (&g_array_index (rows, ClipTuneRow, count)) >= MIN_SHARE * all))
    count++;
  g_array_set_size (rows, count);
  return rows;
}
