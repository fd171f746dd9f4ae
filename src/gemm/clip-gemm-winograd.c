/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 3x3 convolutions by Winograd's minimal filtering on CPU devices: kernels/gemm-winograd.cl says how it works. */
#include "clip-gemm-panel-private.h"

#include <string.h>

#define POINTS 16 /* products of a tile of 2x2 outputs */
#define SLICE 2   /* groups for which the weights are read once */
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

/* How the groups of rows and the panels are shared out: a work-item has its own transformed pixels, so groups are
 * divided, and panels, for which pixels are transformed again, where there are too few of them. */
typedef struct {
  cl_uint per_item, panels_per_item;
  gsize items[2];
  ClipBuffer *scratch;
} Shares;

static gboolean
get_shares (ClipLinear *linear, ClipQueue *queue, const ClipPanelGeometry *geometry, guint groups, Shares *s,
    GError **error)
{
  const guint channels = linear->k / 9, panels = clip_panel_get_count (linear->n, geometry);
  guint units = clip_device_get_compute_units (clip_queue_get_device (queue));
  gsize products = (gsize) geometry->max_rows * 2 * geometry->width;
  gsize floats = (gsize) SLICE * POINTS * ((geometry->max_rows + 2) * channels + products);
  s->per_item = (groups - 1) / units + 1;
  s->items[0] = (groups - 1) / s->per_item + 1;
  s->panels_per_item = (panels - 1) / MIN (panels, (units - 1) / s->items[0] + 1) + 1;
  s->items[1] = (panels - 1) / s->panels_per_item + 1;
  s->scratch = clip_queue_get_scratch (queue, s->items[0] * s->items[1] * floats * sizeof (float), error);
  return s->scratch != NULL;
}

static gboolean
winograd_run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  g_return_val_if_fail (call->height > 0 && !call->residual, FALSE);
  g_return_val_if_fail (call->activation == CLIP_ACTIVATION_NONE || call->activation == CLIP_ACTIVATION_RELU, FALSE);
  ClipPanelGeometry geometry = clip_panel_get_geometry (clip_queue_get_device (queue));
  guint batch = call->m / (call->height * call->width);
  guint rows = batch * ((call->height + 1) / 2) * ((call->width + 1) / 2);
  ClipPanelTiles groups = clip_panel_get_tiles (rows, geometry.max_rows);
  Shares s;
  if (!get_shares (linear, queue, &geometry, groups.count, &s, error))
    return FALSE;
  g_autofree char *options
      = g_strdup_printf ("-DVW=%u -DMAX_ROWS=%u -DSLICE=%u", geometry.width, geometry.max_rows, SLICE);
  cl_kernel kernel = clip_queue_get_kernel (queue, "gemm-winograd", "winograd", options, error);
  cl_uint n = linear->n, channels = linear->k / 9, conv_height = call->height, conv_width = call->width;
  cl_int relu = call->activation != CLIP_ACTIVATION_NONE;
  const gsize local[] = { 1, 1 };
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (n), CLIP_ARG (channels), CLIP_ARG (groups.count),
             CLIP_ARG (groups.height), CLIP_ARG (groups.higher), CLIP_ARG (s.per_item),
             CLIP_ARG (s.panels_per_item), CLIP_ARG_BUFFER (call->a), CLIP_ARG (conv_height), CLIP_ARG (conv_width),
             CLIP_ARG_BUFFER (s.scratch), CLIP_ARG_BUFFER (linear->weight), CLIP_ARG_BUFFER (linear->bias),
             CLIP_ARG (relu), CLIP_ARG_BUFFER (call->c), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 2, s.items, local, error);
}

const ClipLinearBackend clip_linear_winograd = { "winograd", winograd_pack, winograd_run };

static gboolean
is_for_winograd (ClipDevice *device, guint n, guint channels, guint pixels)
{
  const char *forced = g_getenv ("GST_CLIP_GEMM");
  return clip_device_is_cpu (device) && !(forced && *forced)
         && channels % clip_panel_get_geometry (device).width == 0 && channels >= MIN_CHANNELS && n >= MIN_CHANNELS
         && pixels >= MIN_PIXELS;
}

ClipLinear *
clip_linear_new_conv3 (ClipQueue *queue, ClipPrecision precision, const float *weight, const float *bias, guint n,
    guint channels, guint pixels, GError **error)
{
  if (precision == CLIP_PRECISION_FP32 && is_for_winograd (clip_queue_get_device (queue), n, channels, pixels)) {
    const ClipLinearBackend *backend = clip_linear_choose_cpu (queue, error);
    if (!backend)
      return NULL;
    if (backend == &clip_linear_panel)
      return clip_linear_new_with_backend (&clip_linear_winograd, queue, weight, bias, n, 9 * channels, error);
  }
  return clip_linear_new (queue, precision, weight, bias, n, 9 * channels, pixels, error);
}
