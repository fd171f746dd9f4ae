// SPDX-License-Identifier: LGPL-2.1-or-later
// C[M,N] = max (A[M,K] * W[N,K]^T + bias[N] + residual[M,N], 0), the maximum if asked for, and 3x3
// convolutions, with many rows and a small W. As gemm-panel.cl, but A is packed piece by piece by the
// work-item that uses it: packed as a whole it would be memory traffic that rivals the arithmetic.
//
// A work-item has per_item tiles and packs in_slice of them at a time into its own slice of the scratch
// memory, which stays in the second-level cache as W does. Activations that need constants would be slow
// here (see gemm_panel); ReLU needs none.

#include "gemm-tile.cl"

// A tile's columns of one panel, n of them are left in the row; for activations without constants
static void store_tile (const uint rows, const uint n, const vec *sum, __global const vec *bias, const int relu,
    const int add, __global const float *residual, __global float *c, const uint ldc)
{
  for (uint r = 0; r < rows; r++, residual += ldc, c += ldc) {
    for (uint h = 0; h < 2 && h * VW < n; h++)
      store (sum[2 * r + h] + bias[h], n - h * VW, add, relu, residual + h * VW, c + h * VW);
  }
}

__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_slices (const uint n, const uint k, const uint tiles, const uint height,
    const uint higher, const uint per_item, const uint in_slice, __global const float *source,
    const ulong offset, const uint lda, __global float *scratch, __global const vec *w,
    __global const vec *bias, const int relu, const int add, __global const float *residual,
    __global float *c, const ulong c_offset, const uint ldc)
{
  const ulong stride = (ulong) (height + 1) * k + VW;
  const uint end = min (tiles, (uint) (get_global_id (0) + 1) * per_item);
  __global float *const slice = scratch + get_global_id (0) * in_slice * stride;
  vec sum[2 * MAX_ROWS];
  for (uint first = get_global_id (0) * per_item; first < end; first += in_slice) {
    const uint last = min (first + in_slice, end);
    for (uint tile = first; tile < last; tile++)
      pack_tile (k, height + (tile < higher), tile * height + min (tile, higher), source + offset, lda,
          0, 0, slice + (tile - first) * stride);
    for (uint column = 0; column < n; column += 2 * VW) {
      const ulong panel = column / (2 * VW);
      __global const vec *const panel_w = w + panel * k * 2;
      for (uint tile = first; tile < last; tile++) {
        const uint rows = height + (tile < higher);
        multiply (rows, k, slice + (tile - first) * stride, panel_w, (__global const char *) panel_w, 0, sum);
        const ulong at = c_offset + (ulong) (tile * height + min (tile, higher)) * ldc + column;
        store_tile (rows, n - column, sum, bias + 2 * panel, relu, add, residual + at, c + at, ldc);
      }
    }
  }
}

// A 3x3 convolution in slices. The tiles are runs of pixels of one image line, so that the three taps of a line
// are windows into one strip of STRIP pixels: what is packed is a third, strip[dy][channel][pixel].
#define STRIP (MAX_ROWS + 2)

#define FLUSH(ROWS) \
  _Pragma ("unroll") for (int r = 0; r < ROWS; r++) { \
    sum[2 * r] += c[r][0]; \
    sum[2 * r + 1] += c[r][1]; \
    c[r][0] = c[r][1] = (vec) 0.0f; \
  }

#define WINDOWS(ROWS) \
  static void windows_##ROWS ( \
      const uint channels, __global const float *strip, __global const vec *w, vec *sum) \
  { \
    vec c[ROWS][2]; \
    uint length = 0; \
    _Pragma ("unroll") for (int r = 0; r < ROWS; r++) \
      c[r][0] = c[r][1] = sum[2 * r] = sum[2 * r + 1] = (vec) 0.0f; \
    for (uint tap = 0; tap < 9; tap++) { \
      __global const float *a = strip + tap / 3 * channels * STRIP + tap % 3; \
      for (uint i = channels; i > 0; i--, a += STRIP, w += 2) { \
        const vec w0 = w[0], w1 = w[1]; \
        _Pragma ("unroll") for (int r = 0; r < ROWS; r++) { \
          const vec x = (vec) a[r]; \
          c[r][0] = fma (x, w0, c[r][0]); \
          c[r][1] = fma (x, w1, c[r][1]); \
        } \
      } \
      length += channels; \
      if (length >= K_BLOCK) { \
        FLUSH (ROWS) \
        length = 0; \
      } \
    } \
    FLUSH (ROWS) \
  }

WINDOWS (1) WINDOWS (2) WINDOWS (3) WINDOWS (4) WINDOWS (5) WINDOWS (6)
#if MAX_ROWS > 6
WINDOWS (7) WINDOWS (8) WINDOWS (9) WINDOWS (10) WINDOWS (11) WINDOWS (12) WINDOWS (13) WINDOWS (14)
#endif

#undef CASE // of multiply
#define CASE(ROWS) \
  case ROWS: \
    windows_##ROWS (channels, strip, w, sum); \
    break;

static void multiply_windows (const uint rows, const uint channels, __global const float *strip,
    __global const vec *w, vec *sum)
{
  switch (rows) {
    CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#if MAX_ROWS > 6
    CASE (7) CASE (8) CASE (9) CASE (10) CASE (11) CASE (12) CASE (13) CASE (14)
#endif
  }
}

// The pixels x - 1 .. x - 2 + STRIP of the three lines around `line`, which counts over all items
static void pack_strip (const uint channels, const uint line, const uint x, const uint conv_height,
    const uint conv_width, __global const float *source, __global float *strip)
{
  const uint y = line % conv_height;
  for (int dy = -1; dy <= 1; dy++, strip += channels * STRIP) {
    __global const float *from[STRIP];
    uint inside = 0;
    for (uint r = 0; r < STRIP; r++) {
      // to the left of 0 and above it wraps, and is beyond the size, too
      const uint is_inside = x + r - 1 < conv_width && y + dy < conv_height;
      inside |= is_inside << r;
      from[r] = is_inside ? source + ((ulong) (line + dy) * conv_width + x + r - 1) * channels : source;
    }
    pack_rows (channels, STRIP, from, inside, strip);
  }
}

// per_line tiles of height or height + 1 pixels are a line
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void conv3_slices (const uint n, const uint channels, const uint tiles, const uint per_line,
    const uint height, const uint higher, const uint per_item, const uint in_slice,
    __global const float *source, const uint conv_height, const uint conv_width,
    __global float *scratch, __global const vec *w, __global const vec *bias, const int relu,
    __global float *c)
{
  const uint stride = 3 * channels * STRIP + VW;
  const uint end = min (tiles, (uint) (get_global_id (0) + 1) * per_item);
  __global float *const slice = scratch + get_global_id (0) * in_slice * (ulong) stride;
  vec sum[2 * MAX_ROWS];
  for (uint first = get_global_id (0) * per_item; first < end; first += in_slice) {
    const uint last = min (first + in_slice, end);
    for (uint tile = first; tile < last; tile++) {
      const uint part = tile % per_line;
      pack_strip (channels, tile / per_line, part * height + min (part, higher), conv_height, conv_width,
          source, slice + (tile - first) * stride);
    }
    for (uint column = 0; column < n; column += 2 * VW) {
      const ulong panel = column / (2 * VW);
      for (uint tile = first; tile < last; tile++) {
        const uint part = tile % per_line, rows = height + (part < higher);
        const ulong row = (ulong) (tile / per_line) * conv_width + part * height + min (part, higher);
        multiply_windows (rows, channels, slice + (tile - first) * stride, w + panel * channels * 18, sum);
        __global float *const out = c + row * n + column;
        store_tile (rows, n - column, sum, bias + 2 * panel, relu, 0, out, out, n);
      }
    }
  }
}
