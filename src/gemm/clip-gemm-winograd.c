/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 3x3 convolutions by Winograd's minimal filtering on CPU devices: kernels/gemm-winograd.cl says how it works. */
#include "clip-gemm-panel-private.h"

#include <string.h>

#define POINTS 16 /* products of a tile of 2x2 outputs */
/* Transformed pixels of the items that are computed at a time, about */
#define PART_BYTES (4 * 1024 * 1024)
/* Below, the transforms cost more than the products that they save */
#define MIN_CHANNELS 64
#define MIN_PIXELS 196

/* g[3][3] of one channel -> G g G^T at to[point * stride] */
static void
transform_filter (const double g[9], float *to, gsize stride)
{
  static const double matrix[4][3] = { { 1, 0, 0 }, { 0.5, 0.5, 0.5 }, { 0.5, -0.5, 0.5 }, { 0, 0, 1 } };
  for (guint point = 0; point < POINTS; point++) {
    double sum = 0;
    for (guint tap = 0; tap < 9; tap++)
      sum += matrix[point / 4][tap / 3] * g[tap] * matrix[point % 4][tap % 3];
    to[point * stride] = (float) sum;
  }
}

/* weight [columns][9][channels] -> to [point][columns][channels] */
static void
transform_columns (const float *weight, guint columns, guint channels, float *to)
{
  for (guint j = 0; j < columns; j++, weight += (gsize) 9 * channels, to += channels) {
    for (guint c = 0; c < channels; c++) {
      double g[9];
      for (guint tap = 0; tap < 9; tap++)
        g[tap] = weight[(gsize) tap * channels + c];
      transform_filter (g, to + c, (gsize) columns * channels);
    }
  }
}

/* w[panel][point][channel][panel_width] */
static gboolean
pack_weight (ClipLinear *linear, ClipQueue *queue, const float *weight, guint panel_width, GError **error)
{
  const guint channels = linear->k / 9;
  g_autofree float *transformed = g_new (float, (gsize) POINTS * panel_width * channels);
  float *to = clip_buffer_map (linear->weight, queue, CL_MAP_WRITE, error), *panel = to;
  if (!to)
    return FALSE;
  for (guint column = 0; column < linear->n; column += panel_width) {
    guint columns = MIN (panel_width, linear->n - column);
    transform_columns (weight + (gsize) column * linear->k, columns, channels, transformed);
    for (guint point = 0; point < POINTS; point++, panel += (gsize) channels * panel_width)
      clip_panel_pack (
          transformed + (gsize) point * columns * channels, columns, channels, panel_width, panel);
  }
  clip_buffer_unmap (linear->weight, queue, to);
  return TRUE;
}

static gboolean
winograd_pack (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  ClipPanelGeometry geometry = clip_panel_get_geometry (device);
  gsize columns = (gsize) clip_panel_get_count (linear->n, &geometry) * 2 * geometry.width;
  g_return_val_if_fail (linear->k % (9 * geometry.width) == 0, FALSE);
  linear->weight = clip_buffer_new (device, columns * (linear->k / 9) * POINTS * sizeof (float), error);
  if (!linear->weight || !pack_weight (linear, queue, weight, 2 * geometry.width, error))
    return FALSE;
  return clip_panel_pack_bias (linear, queue, bias, columns, error);
}

/* The tiles of 2x2 outputs are the rows of the products */
typedef struct {
  guint first, items, rows; /* rows: of all items */
  ClipPanelTiles tiles;
} Part;

static ClipBuffer *
transform_pixels (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry,
    const Part *part, GError **error)
{
  cl_uint channels = linear->k / 9, height = part->tiles.height, higher = part->tiles.higher;
  cl_uint conv_height = call->height, conv_width = call->width, first = part->first;
  /* each tile and point is followed by a vector's gap, over which its last store runs */
  gsize floats = (gsize) POINTS * (part->rows * channels + part->tiles.count * geometry->width);
  ClipBuffer *a = clip_queue_get_scratch (queue, floats * sizeof (float), error);
  cl_kernel kernel = a ? clip_panel_get_kernel (queue, geometry, "gemm-winograd", "winograd_pixels", error) : NULL;
  const gsize global = part->tiles.count, local = 1;
  if (!kernel
      || !clip_kernel_set_args (kernel, error, CLIP_ARG (channels), CLIP_ARG (height), CLIP_ARG (higher),
          CLIP_ARG_BUFFER (call->a), CLIP_ARG (first), CLIP_ARG (conv_height), CLIP_ARG (conv_width),
          CLIP_ARG_BUFFER (a), CLIP_ARGS_END)
      || !clip_queue_run (queue, kernel, 1, &global, &local, error))
    return NULL;
  return a;
}

static gboolean
run_part (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry,
    const Part *part, GError **error)
{
  ClipBuffer *a = transform_pixels (linear, queue, call, geometry, part, error);
  cl_kernel kernel = a ? clip_panel_get_kernel (queue, geometry, "gemm-winograd", "winograd_panel", error) : NULL;
  cl_uint n = linear->n, channels = linear->k / 9, count = part->tiles.count, height = part->tiles.height;
  cl_uint higher = part->tiles.higher, conv_height = call->height, conv_width = call->width, first = part->first;
  cl_int relu = call->activation != CLIP_ACTIVATION_NONE;
  gsize per_chunk = clip_panel_get_tiles_per_chunk (&part->tiles, part->rows, POINTS * channels);
  const gsize global[3] = { per_chunk, clip_panel_get_count (n, geometry), (count - 1) / per_chunk + 1 };
  const gsize local[3] = { 1, 1, 1 };
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (n), CLIP_ARG (channels), CLIP_ARG (count),
             CLIP_ARG (height), CLIP_ARG (higher), CLIP_ARG_BUFFER (a), CLIP_ARG_BUFFER (linear->weight),
             CLIP_ARG_BUFFER (linear->bias), CLIP_ARG (relu), CLIP_ARG (first), CLIP_ARG (conv_height),
             CLIP_ARG (conv_width), CLIP_ARG_BUFFER (call->c), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, local, error);
}

static gboolean
winograd_run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  g_return_val_if_fail (call->height > 0 && !call->residual, FALSE);
  g_return_val_if_fail (call->activation == CLIP_ACTIVATION_NONE || call->activation == CLIP_ACTIVATION_RELU, FALSE);
  ClipPanelGeometry geometry = clip_panel_get_geometry (clip_queue_get_device (queue));
  guint batch = call->m / (call->height * call->width);
  guint rows = (call->height + 1) / 2 * ((call->width + 1) / 2);
  gsize bytes = (gsize) rows * POINTS * (linear->k / 9) * sizeof (float);
  guint items = (guint) CLAMP (PART_BYTES / bytes, 1, batch);
  for (Part part = { 0 }; part.first < batch; part.first += items) {
    part.items = MIN (items, batch - part.first);
    part.rows = part.items * rows;
    part.tiles = clip_panel_get_tiles (part.rows, geometry.max_rows);
    if (!run_part (linear, queue, call, &geometry, &part, error))
      return FALSE;
  }
  return TRUE;
}

const ClipLinearBackend clip_linear_winograd = { "winograd", winograd_pack, winograd_run };

ClipLinear *
clip_linear_new_conv3 (ClipQueue *queue, ClipPrecision precision, const float *weight, const float *bias, guint n,
    guint channels, guint pixels, GError **error)
{
  ClipLinear *linear = clip_linear_new (queue, precision, weight, bias, n, 9 * channels, pixels, error);
  guint width = clip_panel_get_geometry (clip_queue_get_device (queue)).width;
  const char *forced = g_getenv ("GST_CLIP_GEMM");
  if (!linear || linear->backend != &clip_linear_panel || (forced && *forced) || channels % width != 0
      || channels < MIN_CHANNELS || n < MIN_CHANNELS || pixels < MIN_PIXELS)
    return linear;
  clip_linear_free (linear);
  return clip_linear_new_with_backend (&clip_linear_winograd, queue, weight, bias, n, 9 * channels, error);
}
