// SPDX-License-Identifier: LGPL-2.1-or-later
// C[M,N] = max (A[M,K] * W[N,K]^T + bias[N] + residual[M,N], 0), the maximum if asked for, and 3x3
// convolutions, with many rows and a small W. As gemm-panel.cl, but A is copied tile by tile by the
// work-item that uses it: packed as a whole it would be memory traffic that rivals the arithmetic.
//
// A work-item has per_item tiles, and copies in_slice of them at a time into its own slice of the scratch memory. With
// a W that stays in the second-level cache that is one tile for all panels, while the next tile's rows of A and C are
// asked for; a larger W passes by once for many tiles, and its next panel is asked for. Activations that need constants
// would be slow here (see gemm_panel); ReLU needs none.

#include "gemm-rows.cl"

// A part of `bytes` while one of `parts` multiplications runs over k
static Ahead look_ahead (__global const float *at, const uint bytes, const uint part, const uint parts, const uint k)
{
  const uint step = (bytes + parts * k - 1) / (parts * k);
  return (Ahead){ (__global const char *) at + (ulong) part * k * step, step };
}

// The lines of memory that a tile of C has in a panel
static void prefetch_tile (const uint rows, __global const float *c, const uint ldc)
{
  for (uint r = 0; r < rows; r++, c += ldc) {
    PREFETCH (c, SECOND_LEVEL);
    PREFETCH (c + VW, SECOND_LEVEL);
  }
}

__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_slices (const uint n, const uint k, const uint tiles, const uint height, const uint higher,
    const uint per_item, const uint in_slice, __global const float *source, const ulong offset, const uint lda,
    __global float *scratch, __global const vec *w, __global const vec *bias, const int relu, const int add,
    __global const float *residual, __global float *c, const ulong c_offset, const uint ldc)
{
  const uint first = get_global_id (0) * per_item, end = min (tiles, first + per_item);
  const uint panels = (n + 2 * VW - 1) / (2 * VW);
  const ulong strip = get_strip_size (k);
  scratch += get_global_id (0) * in_slice * strip;
  for (uint slice = first; slice < end; slice += in_slice) {
    const uint last = min (slice + in_slice, end);
    for (uint tile = slice; tile < last; tile++) {
      const ulong row = tile * height + min (tile, higher);
      for (uint r = 0; r < height + (tile < higher); r++)
        copy_row (k, source + offset + (row + r) * lda, 1, scratch + (tile - slice) * strip + r * VW);
    }
    for (uint panel = 0; panel < panels; panel++) {
      const uint column = panel * 2 * VW;
      __global const vec *const panel_w = w + (ulong) panel * k * 2;
      for (uint tile = slice; tile < last; tile++) {
        const uint rows = height + (tile < higher);
        const ulong row = tile * height + min (tile, higher), to = c_offset + row * ldc;
        const End finish
            = { n - column, bias + 2 * panel, add, relu, residual + to + column, c + to + column, ldc };
        Ahead in, out;
        if (in_slice == 1) {
          in = look_ahead (source + offset + (row + rows) * lda, rows * k * sizeof (float), panel, panels, k);
          out = look_ahead (c + to + rows * (ulong) ldc, rows * n * sizeof (float), panel, panels, k);
        } else {
          __global const float *const next = (__global const float *) (panel_w + 2 * k);
          in = look_ahead (next, 2 * k * sizeof (vec), tile - slice, last - slice, k);
          out = (Ahead){ in.at, 0 };
          prefetch_tile (rows, c + to + column, ldc);
        }
        multiply_rows (rows, 1, k, scratch + (tile - slice) * strip, panel_w, in, out, finish);
      }
    }
  }
}

// The pixels x - 1 .. x - 2 + STRIP of the three lines around `line`, which counts over all items
static void copy_strips (const uint channels, const uint line, const uint x, const uint conv_height,
    const uint conv_width, __global const float *source, __global float *strip)
{
  const uint y = line % conv_height;
  for (int dy = -1; dy <= 1; dy++, strip += get_strip_size (channels)) {
    for (uint r = 0; r < STRIP; r++) {
      // to the left of 0 and above it wraps, and is beyond the size, too
      const uint inside = x + r - 1 < conv_width && y + dy < conv_height;
      copy_row (channels, source + ((long) (line + dy) * conv_width + x + r - 1) * channels, inside, strip + r * VW);
    }
  }
}

// per_line tiles of height or height + 1 pixels are a line
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void conv3_slices (const uint n, const uint channels, const uint tiles, const uint per_line,
    const uint height, const uint higher, const uint per_item, __global const float *source,
    const uint conv_height, const uint conv_width, __global float *scratch, __global const vec *w,
    __global const vec *bias, const int relu, __global float *c)
{
  const uint first = get_global_id (0) * per_item, end = min (tiles, first + per_item);
  const uint panels = (n + 2 * VW - 1) / (2 * VW);
  __global float *const strip = scratch + (ulong) get_global_id (0) * 3 * get_strip_size (channels);
  for (uint tile = first; tile < end; tile++) {
    const uint line = tile / per_line, part = tile % per_line, rows = height + (part < higher);
    const uint x = part * height + min (part, higher);
    const ulong row = (ulong) line * conv_width + x;
    copy_strips (channels, line, x, conv_height, conv_width, source, strip);
    for (uint panel = 0; panel < panels; panel++) {
      const Ahead in = look_ahead (source + (row + conv_width + rows) * channels,
          rows * channels * sizeof (float), panel, panels, 9 * channels);
      const Ahead out = look_ahead (c + (row + rows) * n, rows * n * sizeof (float), panel, panels, 9 * channels);
      const uint column = panel * 2 * VW;
      __global float *const to = c + row * n + column;
      const End finish = { n - column, bias + 2 * panel, 0, relu, to, to, n };
      multiply_rows (rows, 9, channels, strip, w + (ulong) panel * channels * 18, in, out, finish);
    }
  }
}
