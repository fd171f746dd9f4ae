/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backends of reduced precision, for CPU devices: kernels/gemm-dot.cl says how they work. */
#include "clip-gemm-private.h"

#include <math.h>

/* A chunk of A rows together with a panel of W stays in the second-level cache. */
#define CHUNK_BYTES (1024 * 1024)
#define LINE 64

typedef struct {
  guint width, max_rows;
} Geometry;

typedef struct {
  guint count, height, higher; /* the first `higher` tiles have height + 1 rows, the others height */
  guint stride;                /* rows that a tile takes in memory */
  guint per_chunk;
} Tiles;

static Geometry
get_geometry (ClipDevice *device, ClipDotLevel level)
{
  guint width = clip_device_get_vector_width (device);
  if (level == CLIP_DOT_MATRIX)
    return (Geometry){ 16, 16 };
  return (Geometry){ width, width == 16 ? 14 : 6 };
}

static Tiles
get_tiles (const ClipLinear *linear, const Geometry *geometry, guint m, guint blocks)
{
  Tiles t = { .count = (m - 1) / geometry->max_rows + 1 };
  gboolean matrix = linear->backend->level == CLIP_DOT_MATRIX;
  if (matrix && t.count > 1) /* they are taken two at a time */
    t.count += t.count % 2;
  gsize chunks = (gsize) m * blocks * LINE / CHUNK_BYTES;
  t.height = m / t.count;
  t.higher = m % t.count;
  t.stride = t.height + (t.higher > 0);
  t.per_chunk = (t.count - 1) / (guint) CLAMP (chunks, 1, t.count) + 1;
  if (matrix)
    t.per_chunk += t.per_chunk % 2;
  return t;
}

static cl_kernel
get_kernel (const ClipLinear *linear, ClipQueue *queue, const Geometry *geometry, gboolean packed, GError **error)
{
  ClipDotLevel level = linear->backend->level;
  int bytes = linear->backend->precision == CLIP_PRECISION_INT8;
  gboolean vex = bytes && level == CLIP_DOT_VECTOR && clip_dot_is_vex (clip_queue_get_device (queue));
  g_autofree char *options = g_strdup_printf ("-DVW=%u -DMAX_ROWS=%u -DBYTES=%d -DLEVEL=%d -DPACKED=%d%s",
      geometry->width, geometry->max_rows, bytes, (int) level, packed, vex ? " -DVEX" : "");
  return clip_queue_get_kernel (queue, "gemm-dot", "gemm_dot", options, error);
}

static gboolean
dot_pack (ClipLinear *linear, ClipQueue *queue, const float *weight, const float *bias, GError **error)
{
  Geometry geometry = get_geometry (clip_queue_get_device (queue), linear->backend->level);
  return clip_dot_pack (linear, queue, geometry.width, weight, bias, error);
}

/* A's tiles in the queue's scratch memory, and after them low and step of each row, from float2 *ranges on */
static ClipBuffer *
pack_a (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, const Tiles *tiles, guint blocks,
    cl_ulong *ranges, GError **error)
{
  gboolean bytes = linear->backend->precision == CLIP_PRECISION_INT8;
  const ClipLinearNorm none = { 0 }, *norm = call->norm ? call->norm : &none;
  g_autofree char *options = g_strdup_printf ("-DBYTES=%d -DNORM=%d", bytes, call->norm != NULL);
  gsize size = (gsize) tiles->count * tiles->stride * blocks * LINE;
  ClipBuffer *packed = clip_queue_get_scratch (queue, size + call->m * sizeof (cl_float2), error);
  cl_kernel kernel = packed ? clip_queue_get_kernel (queue, "gemm-dot-pack", "gemm_dot_pack",
                                  options, error)
                            : NULL;
  cl_uint k = linear->k, n_blocks = blocks, height = tiles->height, higher = tiles->higher, lda = call->lda;
  cl_uint conv_height = call->height, conv_width = call->width;
  cl_ulong offset = call->a_offset;
  const gsize global = call->m, local = 1;
  *ranges = size / sizeof (cl_float2);
  gboolean ok = kernel
                && clip_kernel_set_args (kernel, error, CLIP_ARG (k), CLIP_ARG (n_blocks), CLIP_ARG (height),
                    CLIP_ARG (higher), CLIP_ARG_BUFFER (call->a), CLIP_ARG (offset), CLIP_ARG (lda),
                    CLIP_ARG (conv_height), CLIP_ARG (conv_width), CLIP_ARG_BUFFER (packed),
                    CLIP_ARG_BUFFER (packed), CLIP_ARG (*ranges), CLIP_ARG_BUFFER (norm->gamma),
                    CLIP_ARG_BUFFER (norm->beta), CLIP_ARG (norm->eps), CLIP_ARGS_END)
                && clip_queue_run (queue, kernel, 1, &global, &local, error);
  return ok ? packed : NULL;
}

static gboolean
dot_run (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call, GError **error)
{
  Geometry geometry = get_geometry (clip_queue_get_device (queue), linear->backend->level);
  guint blocks = clip_dot_get_blocks (linear->backend->precision, linear->k);
  Tiles tiles = get_tiles (linear, &geometry, call->m, blocks);
  cl_ulong ranges = 0;
  ClipBuffer *a = call->a_packed ? call->a : pack_a (linear, queue, call, &tiles, blocks, &ranges, error);
  cl_kernel kernel = a ? get_kernel (linear, queue, &geometry, call->c_packed, error) : NULL;
  cl_uint n = linear->n, n_blocks = blocks, count = tiles.count, height = tiles.height, higher = tiles.higher;
  cl_uint per_chunk = tiles.per_chunk, ldc = call->ldc;
  cl_ulong c_offset = call->c_offset;
  cl_int activation = call->activation, add = call->residual != NULL;
  gsize panels = (linear->n - 1) / (2 * geometry.width) + 1, chunks = (tiles.count - 1) / tiles.per_chunk + 1;
  const gsize by_panel[] = { panels, chunks }, by_tile[] = { tiles.per_chunk, panels, chunks }, local[] = { 1, 1, 1 };
  gboolean matrix = linear->backend->level == CLIP_DOT_MATRIX;
  return kernel
         && clip_kernel_set_args (kernel, error, CLIP_ARG (n), CLIP_ARG (n_blocks), CLIP_ARG (count),
             CLIP_ARG (height), CLIP_ARG (higher), CLIP_ARG (per_chunk), CLIP_ARG_BUFFER (a),
             CLIP_ARG_BUFFER (a), CLIP_ARG (ranges), CLIP_ARG_BUFFER (linear->weight), CLIP_ARG_BUFFER (linear->bias),
             CLIP_ARG_BUFFER (linear->scale), CLIP_ARG_BUFFER (linear->sums), CLIP_ARG (activation), CLIP_ARG (add),
             CLIP_ARG_BUFFER (add ? call->residual : call->c), CLIP_ARG_BUFFER (call->c), CLIP_ARG (c_offset),
             CLIP_ARG (ldc), CLIP_ARGS_END)
         && clip_queue_run (queue, kernel, matrix ? 2 : 3, matrix ? by_panel : by_tile, local, error);
}

#define BACKEND(name, precision, level) { name, dot_pack, dot_run, CLIP_PRECISION_##precision, CLIP_DOT_##level }

const ClipLinearBackend clip_linear_dot[2][3] = {
  { BACKEND ("bf16 (portable)", BF16, PORTABLE), BACKEND ("bf16 (AVX-512)", BF16, VECTOR),
      BACKEND ("bf16 (AMX)", BF16, MATRIX) },
  { BACKEND ("int8 (portable)", INT8, PORTABLE), BACKEND ("int8 (VNNI)", INT8, VECTOR),
      BACKEND ("int8 (AMX)", INT8, MATRIX) },
};

/* A product whose result is known: does the device's compiler take the instructions, and do they compute? PoCL does
 * not always fail where its assembler does. */
static gboolean
probe (const ClipLinearBackend *backend, ClipQueue *queue, GError **error)
{
  static const float row[] = { 1, -1, 2, 0.5f }, weight[] = { 1, 2, -1, 3 };
  const float expected = 1 - 2 - 2 + 1.5f;
  float result = 0;
  ClipDevice *device = clip_queue_get_device (queue);
  g_autoptr (ClipLinear) linear = clip_linear_new_with_backend (backend, queue, weight, NULL, 1, 4, error);
  g_autoptr (ClipBuffer) a = linear ? clip_buffer_new (device, sizeof row, error) : NULL;
  g_autoptr (ClipBuffer) c = a ? clip_buffer_new (device, sizeof result, error) : NULL;
  if (!c || !clip_buffer_write (a, queue, 0, row, sizeof row, error)
      || !clip_linear_run (linear, queue, 1, a, 0, 4, CLIP_ACTIVATION_NONE, NULL, c, 0, 1, error)
      || !clip_buffer_read (c, queue, 0, &result, sizeof result, error))
    return FALSE;
  if (fabsf (result - expected) < 0.1f)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE, "%s: a product of %g came out as %g", backend->name, expected, result);
  return FALSE;
}

const ClipLinearBackend *
clip_dot_find (ClipQueue *queue, ClipPrecision precision, GError **error)
{
  const ClipLinearBackend *backends = clip_linear_dot[precision - CLIP_PRECISION_BF16];
  ClipDotLevel level = clip_dot_get_level (clip_queue_get_device (queue), precision);
  for (; level > CLIP_DOT_PORTABLE; level--) {
    g_autoptr (GError) failure = NULL;
    if (probe (&backends[level], queue, &failure))
      return &backends[level];
    g_info ("gemm: %s is out: %s", backends[level].name, failure->message);
  }
  return probe (&backends[CLIP_DOT_PORTABLE], queue, error) ? &backends[CLIP_DOT_PORTABLE] : NULL;
}
