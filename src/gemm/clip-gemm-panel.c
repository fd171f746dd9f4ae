/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The packed-panel backend, for CPU devices: kernels/gemm-panel.cl and gemm-slices.cl say how it works. */
#include "clip-gemm-panel-private.h"

#include <string.h>

/* A chunk of A rows together with a panel of W stays in the second-level cache. */
#define CHUNK_BYTES (1024 * 1024)
/* A is copied in slices when there are so many tiles for a compute unit. A W of this size stays in the second-level
 * cache and each tile can meet all of it; a larger one passes by once for a slice of at most so much. */
#define SLICE_MIN_TILES 4
#define SLICE_CACHED_W (512 * 1024)
#define SLICE_BYTES (1024 * 1024)
#define ITEMS_PER_UNIT 8 /* with a W that is cached, so that a core that others use does not hold up all */

ClipPanelGeometry
clip_panel_get_geometry (ClipDevice *device)
{
  guint width = clip_device_get_vector_width (device);
  return (ClipPanelGeometry){ width, width == 16 ? 14 : 6 };
}

cl_kernel
clip_panel_get_kernel (ClipQueue *queue, const ClipPanelGeometry *geometry, const char *program, const char *name, GError **error)
{
  g_autofree char *options = g_strdup_printf ("-DVW=%u -DMAX_ROWS=%u", geometry->width, geometry->max_rows);
  return clip_queue_get_kernel (queue, program, name, options, error);
}

ClipPanelTiles
clip_panel_get_tiles (guint m, guint max_rows)
{
  guint count = (m - 1) / max_rows + 1;
  return (ClipPanelTiles){ count, m / count, m % count };
}

guint
clip_panel_get_count (guint n, const ClipPanelGeometry *geometry)
{
  return (n - 1) / (2 * geometry->width) + 1;
}

/* One panel: to[k][columns] = from[columns][k], in blocks of k that stay in the first-level cache. */
void
clip_panel_pack (const float *from, guint columns, guint k, guint panel_width, float *to)
{
  const guint block = 16;
  for (guint start = 0; start < k; start += block) {
    guint end = MIN (start + block, k);
    for (guint j = 0; j < columns; j++) {
      for (guint i = start; i < end; i++)
        to[(gsize) i * panel_width + j] = from[(gsize) j * k + i];
    }
    for (guint i = start; i < end; i++)
      memset (to + (gsize) i * panel_width + columns, 0, (panel_width - columns) * sizeof (float));
  }
}

static gboolean
pack_weight (ClipLinear *linear, ClipQueue *queue, const float *weight, guint panel_width, GError **error)
{
  float *to = clip_buffer_map (linear->weight, queue, CL_MAP_WRITE, error);
  if (!to)
    return FALSE;
  for (guint column = 0; column < linear->n; column += panel_width) {
    guint columns = MIN (panel_width, linear->n - column);
    clip_panel_pack (weight + (gsize) column * linear->k, columns, linear->k, panel_width,
        to + (gsize) column * linear->k);
  }
  clip_buffer_unmap (linear->weight, queue, to);
  return TRUE;
}

gboolean
clip_panel_pack_bias (ClipLinear *linear, ClipQueue *queue, const float *bias, gsize columns, GError **error)
{
  g_autofree float *padded = g_new0 (float, columns);
  if (bias)
    memcpy (padded, bias, linear->n * sizeof (float));
  linear->bias = clip_buffer_new (clip_queue_get_device (queue), columns * sizeof (float), error);
  return linear->bias && clip_buffer_write (linear->bias, queue, 0, padded, columns * sizeof (float), error);
}

static gboolean
panel_pack (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  ClipPanelGeometry geometry = clip_panel_get_geometry (device);
  gsize columns = (gsize) clip_panel_get_count (linear->n, &geometry) * 2 * geometry.width;
  linear->weight = clip_buffer_new (device, columns * linear->k * sizeof (float), error);
  if (!linear->weight || !pack_weight (linear, queue, weight, 2 * geometry.width, error))
    return FALSE;
  return clip_panel_pack_bias (linear, queue, bias, columns, error);
}

static gboolean
run_pack (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry,
    const ClipPanelTiles *tiles, ClipBuffer *packed, GError **error)
{
  cl_kernel kernel = clip_panel_get_kernel (queue, geometry, "gemm-panel-pack", "gemm_pack_a", error);
  cl_uint k = linear->k, height = tiles->height, higher = tiles->higher, lda = call->lda;
  cl_uint conv_height = call->height, conv_width = call->width;
  cl_ulong offset = call->a_offset;
  const gsize global = tiles->count, local = 1;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (k), CLIP_ARG (height), CLIP_ARG (higher),
             CLIP_ARG_BUFFER (call->a), CLIP_ARG (offset), CLIP_ARG (lda), CLIP_ARG (conv_height),
             CLIP_ARG (conv_width), CLIP_ARG_BUFFER (packed), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 1, &global, &local, error);
}

static gboolean
run_pack_normalised (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry,
    const ClipPanelTiles *tiles, ClipBuffer *packed, GError **error)
{
  cl_kernel kernel = clip_panel_get_kernel (queue, geometry, "gemm-panel-pack", "gemm_pack_normalised", error);
  cl_uint k = linear->k, height = tiles->height, higher = tiles->higher;
  const gsize global = tiles->count, local = 1;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (k), CLIP_ARG (height), CLIP_ARG (higher),
             CLIP_ARG_BUFFER (call->a), CLIP_ARG_BUFFER (call->norm->gamma), CLIP_ARG_BUFFER (call->norm->beta),
             CLIP_ARG (call->norm->eps), CLIP_ARG_BUFFER (packed), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 1, &global, &local, error);
}

/* A as row tiles in the queue's scratch memory */
static ClipBuffer *
pack_a (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry,
    const ClipPanelTiles *tiles, GError **error)
{
  /* each tile is followed by a vector's gap, over which its last store runs */
  gsize floats = (gsize) call->m * linear->k + (gsize) tiles->count * geometry->width;
  ClipBuffer *packed = clip_queue_get_scratch (queue, floats * sizeof (float), error);
  gboolean ok = packed
                && (call->norm ? run_pack_normalised (linear, queue, call, geometry, tiles, packed, error)
                               : run_pack (linear, queue, call, geometry, tiles, packed, error));
  return ok ? packed : NULL;
}

guint
clip_panel_get_tiles_per_chunk (const ClipPanelTiles *tiles, guint m, guint k)
{
  gsize chunks = (gsize) m * k * sizeof (float) / CHUNK_BYTES;
  return (tiles->count - 1) / CLAMP (chunks, 1, tiles->count) + 1;
}

/* Many rows: then packing A as a whole would be a good part of the work */
static gboolean
is_for_slices (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry)
{
  gboolean simple = call->activation == CLIP_ACTIVATION_NONE || call->activation == CLIP_ACTIVATION_SUM_RELU
                    || (call->activation == CLIP_ACTIVATION_RELU && !call->residual);
  guint units = clip_device_get_compute_units (clip_queue_get_device (queue));
  gboolean is_small = (gsize) linear->n * linear->k * sizeof (float) <= SLICE_CACHED_W;
  gboolean plain = !call->norm && !call->a_packed && !call->c_packed;
  return simple && plain && clip_panel_get_tiles (call->m, geometry->max_rows).count >= SLICE_MIN_TILES * units
         && (is_small || call->height == 0);
}

typedef struct {
  cl_uint per_item, in_slice; /* tiles of a work-item, and of those copied at a time */
  gsize items;
  ClipBuffer *scratch; /* a slice for each of them */
} Slices;

static gboolean
get_slices (ClipLinear *linear, ClipQueue *queue, const ClipPanelGeometry *geometry, guint tiles, gsize tile_bytes,
    Slices *s, GError **error)
{
  gboolean is_small = (gsize) linear->n * linear->k * sizeof (float) <= SLICE_CACHED_W;
  guint want = clip_device_get_compute_units (clip_queue_get_device (queue)) * (is_small ? ITEMS_PER_UNIT : 1);
  s->per_item = (tiles - 1) / want + 1;
  s->items = (tiles - 1) / s->per_item + 1;
  s->in_slice = is_small ? 1 : (cl_uint) CLAMP (SLICE_BYTES / tile_bytes, 1, s->per_item);
  s->scratch = clip_queue_get_scratch (queue, s->items * s->in_slice * tile_bytes, error);
  return s->scratch != NULL;
}

/* Of k values of each row, see gemm-rows.cl */
static gsize
get_strip_bytes (const ClipPanelGeometry *geometry, guint k)
{
  return (gsize) (geometry->max_rows + 2) * ((k - 1) / geometry->width + 1) * geometry->width * sizeof (float);
}

static gboolean
run_slices (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry, GError **error)
{
  ClipPanelTiles tiles = clip_panel_get_tiles (call->m, geometry->max_rows);
  Slices s;
  if (!get_slices (linear, queue, geometry, tiles.count, get_strip_bytes (geometry, linear->k), &s, error))
    return FALSE;
  cl_kernel kernel = clip_panel_get_kernel (queue, geometry, "gemm-slices", "gemm_slices", error);
  cl_uint n = linear->n, k = linear->k, lda = call->lda, ldc = call->ldc;
  cl_ulong offset = call->a_offset, c_offset = call->c_offset;
  cl_int relu = call->activation != CLIP_ACTIVATION_NONE, add = call->residual != NULL;
  const gsize local = 1;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (n), CLIP_ARG (k), CLIP_ARG (tiles.count),
             CLIP_ARG (tiles.height), CLIP_ARG (tiles.higher), CLIP_ARG (s.per_item), CLIP_ARG (s.in_slice),
             CLIP_ARG_BUFFER (call->a), CLIP_ARG (offset), CLIP_ARG (lda), CLIP_ARG_BUFFER (s.scratch),
             CLIP_ARG_BUFFER (linear->weight), CLIP_ARG_BUFFER (linear->bias), CLIP_ARG (relu), CLIP_ARG (add),
             CLIP_ARG_BUFFER (add ? call->residual : call->c), CLIP_ARG_BUFFER (call->c), CLIP_ARG (c_offset),
             CLIP_ARG (ldc), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 1, &s.items, &local, error);
}

static gboolean
run_conv3_slices (
    ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const ClipPanelGeometry *geometry, GError **error)
{
  ClipPanelTiles line = clip_panel_get_tiles (call->width, geometry->max_rows);
  cl_uint n = linear->n, channels = call->lda, tiles = call->m / call->width * line.count;
  cl_uint height = call->height, width = call->width;
  Slices s;
  if (!get_slices (linear, queue, geometry, tiles, 3 * get_strip_bytes (geometry, channels), &s, error))
    return FALSE;
  cl_kernel kernel = clip_panel_get_kernel (queue, geometry, "gemm-slices", "conv3_slices", error);
  cl_int relu = call->activation != CLIP_ACTIVATION_NONE;
  const gsize local = 1;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (n), CLIP_ARG (channels), CLIP_ARG (tiles),
             CLIP_ARG (line.count), CLIP_ARG (line.height), CLIP_ARG (line.higher), CLIP_ARG (s.per_item),
             CLIP_ARG_BUFFER (call->a), CLIP_ARG (height), CLIP_ARG (width),
             CLIP_ARG_BUFFER (s.scratch), CLIP_ARG_BUFFER (linear->weight), CLIP_ARG_BUFFER (linear->bias),
             CLIP_ARG (relu), CLIP_ARG_BUFFER (call->c), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 1, &s.items, &local, error);
}

static gboolean
panel_run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  ClipPanelGeometry geometry = clip_panel_get_geometry (clip_queue_get_device (queue));
  ClipPanelTiles tiles = clip_panel_get_tiles (call->m, geometry.max_rows);
  if (is_for_slices (linear, queue, call, &geometry))
    return call->height ? run_conv3_slices (linear, queue, call, &geometry, error)
                        : run_slices (linear, queue, call, &geometry, error);
  /* a single row is its own packed form */
  gboolean is_packed = call->a_packed || (call->m == 1 && call->height == 0 && !call->norm);
  ClipBuffer *a = is_packed ? call->a : pack_a (linear, queue, call, &geometry, &tiles, error);
  cl_kernel kernel = a ? clip_panel_get_kernel (queue, &geometry, "gemm-panel", "gemm_panel", error) : NULL;
  if (!kernel)
    return FALSE;
  guint panels = clip_panel_get_count (linear->n, &geometry);
  guint per_chunk = clip_panel_get_tiles_per_chunk (&tiles, call->m, linear->k);
  cl_uint n = linear->n, k = linear->k, count = tiles.count, height = tiles.height, higher = tiles.higher;
  cl_ulong a_offset = is_packed ? call->a_offset : 0, c_offset = call->c_offset;
  cl_int activation = call->activation, add = call->residual != NULL, packed = call->c_packed;
  cl_uint ldc = call->ldc, gap = is_packed ? 0 : geometry.width;
  const gsize global[3] = { per_chunk, panels, (tiles.count - 1) / per_chunk + 1 }, local[3] = { 1, 1, 1 };
  return clip_kernel_set_args (kernel, error, CLIP_ARG (n), CLIP_ARG (k), CLIP_ARG (count),
             CLIP_ARG (height), CLIP_ARG (higher), CLIP_ARG_BUFFER (a),
             CLIP_ARG (a_offset), CLIP_ARG (gap), CLIP_ARG_BUFFER (linear->weight), CLIP_ARG_BUFFER (linear->bias),
             CLIP_ARG (activation), CLIP_ARG (add), CLIP_ARG_BUFFER (add ? call->residual : call->c),
             CLIP_ARG_BUFFER (call->c), CLIP_ARG (c_offset), CLIP_ARG (ldc), CLIP_ARG (packed), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, 3, global, local, error);
}

const ClipLinearBackend clip_linear_panel = { "panel", panel_pack, panel_run };
