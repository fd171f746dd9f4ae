/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the products by packed panels share. */
#pragma once

#include "clip-gemm-private.h"

G_BEGIN_DECLS

typedef struct {
  guint width;    /* floats in a vector */
  guint max_rows; /* of a register tile: 14 x 2 of 32 registers, 6 x 2 of 16 */
} ClipPanelGeometry;

typedef struct {
  guint count, height, higher; /* the first `higher` tiles have height + 1 rows, the others height */
} ClipPanelTiles;

ClipPanelGeometry clip_panel_get_geometry (ClipDevice *device);
cl_kernel clip_panel_get_kernel (ClipQueue *queue, const ClipPanelGeometry *geometry, const char *program,
    const char *name, GError **error);
/** clip_panel_get_tiles: @m rows in tiles of @max_rows at most */
ClipPanelTiles clip_panel_get_tiles (guint m, guint max_rows);
/** clip_panel_get_count: panels of @n columns */
guint clip_panel_get_count (guint n, const ClipPanelGeometry *geometry);
/** clip_panel_get_tiles_per_chunk: so many that their rows of A stay in the second-level cache */
guint clip_panel_get_tiles_per_chunk (const ClipPanelTiles *tiles, guint m, guint k);
/** clip_panel_pack: one panel: to[k][columns] = from[columns][k], columns up to @panel_width are zeros */
void clip_panel_pack (const float *from, guint columns, guint k, guint panel_width, float *to);
/** clip_panel_pack_bias: makes @linear's bias: @bias: (nullable), and zeros up to @columns */
gboolean clip_panel_pack_bias (ClipLinear *linear, ClipQueue *queue, const float *bias, gsize columns, GError **error);

G_END_DECLS
