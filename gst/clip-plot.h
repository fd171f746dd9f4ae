/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables as pictures. */
#pragma once

#include <cairo.h>
#include <glib.h>

G_BEGIN_DECLS

/** ClipHeatMap: a table of numbers; nothing in it is owned */
typedef struct {
  guint rows, columns;
  const float *values; /* [rows,columns] */
  float low, high;     /* the values of the first and the last colour */
  const char *const *row_labels;        /* (array length=rows) */
  const char *const *column_labels;     /* (array length=columns) (nullable) */
  cairo_surface_t *const *column_images; /* (array length=columns) (nullable): drawn above the columns */
} ClipHeatMap;

/**
 * clip_plot_heat_map:
 *
 * Draws the table as a PNG, as the figure of OpenAI's notebook "Interacting with CLIP" does: a label before each row, a
 * picture or label above each column, each number in its cell as long as it fits. The file appears complete or not at
 * all.
 */
gboolean clip_plot_heat_map (const char *path, const ClipHeatMap *map, GError **error);

G_END_DECLS
