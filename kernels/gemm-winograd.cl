// SPDX-License-Identifier: LGPL-2.1-or-later
// C = act (conv (A, W) + bias), a 3x3 convolution of stride 1 with a border of zeros, by minimal filtering (Winograd
// 1980; Lavin and Gray, arXiv 1509.09308), F(2x2,3x3): 2x2 outputs y from 4x4 inputs d and the filter g,
//
//   y = T' [(G g G') * (B' d B)] T     B' = 1  0 -1  0    T' = 1  1  1  0
//                                           0  1  1  0         0  1 -1 -1
//                                           0 -1  1  0
//                                           0  1  0 -1
//
// where * is elementwise and sums over the channels: 16 products [tiles,channels] x [channels,n], one for each point of
// the 4x4, in place of 9 on four times the rows: 2.25 times fewer multiplications. The matrices but G, which is used
// once when W is packed, need additions alone, and the results are as exact as those of the direct sum, nearly.
//
//   w[panel][point][channel][2 * VW]     A [batch,height,width,channels], C [batch,height,width,n]
//
// The rows of the products are tiles of 2x2 outputs, MAX_ROWS of them are a group. A work-item has per_item groups and
// panels_per_item panels. It takes SLICE groups at a time, for which W passes by once, and transforms them into its own
// part of the scratch memory,
//
//   v[group][point], a strip each (gemm-rows.cl)     m[group][point][row][2 * VW], the products of one panel
//
// Options: those of gemm-tile.cl, -DSLICE

#include "gemm-rows.cl"

#define POINTS 16
#define PRODUCT (MAX_ROWS * 2 * VW) // floats of the products of a group at one point

// A row's tile: its first pixel in A and C, and which of 4x4 inputs, and of their middle 2x2 outputs, are inside
typedef struct {
  ulong pixel;
  uint inside;
} Place;

static Place locate (const uint row, const uint conv_height, const uint conv_width)
{
  const uint across = (conv_width + 1) / 2, down = (conv_height + 1) / 2;
  const uint x = 2 * (row % across), line = row / across, y = 2 * (line % down);
  Place at = { ((ulong) (line / down) * conv_height + y) * conv_width + x, 0 };
  // above 0 and to the left of it the sum wraps, and is beyond the size, too
  for (uint i = 0; i < 16; i++)
    at.inside |= (y + i / 4 - 1 < conv_height && x + i % 4 - 1 < conv_width) << i;
  return at;
}

// v[point] = B' d B of the channels of a row
static void transform_pixels (
    const uint channels, const Place at, __global const float *source, const uint conv_width, __global float *v)
{
  const ulong line = (ulong) conv_width * channels, strip = get_strip_size (channels);
  __global const float *from = source + ((long) at.pixel - conv_width - 1) * (long) channels;
  for (uint c = 0; c < channels; c += VW, from += VW, v += BLOCK) {
    vec d[4][4];
    _Pragma ("unroll") for (int i = 0; i < 4; i++) {
      _Pragma ("unroll") for (int x = 0; x < 4; x++)
        d[i][x] = at.inside >> (4 * i + x) & 1 ? VLOAD (0, from + i * line + x * channels) : (vec) 0.0f;
    }
    _Pragma ("unroll") for (int x = 0; x < 4; x++) {
      const vec d1 = d[1][x];
      d[0][x] -= d[2][x];
      d[1][x] = d1 + d[2][x];
      d[2][x] -= d1;
      d[3][x] = d1 - d[3][x];
    }
    _Pragma ("unroll") for (int i = 0; i < 4; i++) {
      __global float *const to = v + 4 * i * strip;
      VSTORE (d[i][0] - d[i][2], 0, to);
      VSTORE (d[i][1] + d[i][2], 0, to + strip);
      VSTORE (d[i][2] - d[i][1], 0, to + 2 * strip);
      VSTORE (d[i][1] - d[i][3], 0, to + 3 * strip);
    }
  }
}

// y[dy][dx] = T' m T of the products of a row
static void transform_products (__global const float *m, vec y[2][2])
{
  vec t[2][4];
  _Pragma ("unroll") for (int x = 0; x < 4; x++) {
    const vec m0 = VLOAD (0, m + x * PRODUCT), m1 = VLOAD (0, m + (4 + x) * PRODUCT);
    const vec m2 = VLOAD (0, m + (8 + x) * PRODUCT), m3 = VLOAD (0, m + (12 + x) * PRODUCT);
    t[0][x] = m0 + m1 + m2;
    t[1][x] = m1 - m2 - m3;
  }
  _Pragma ("unroll") for (int dy = 0; dy < 2; dy++) {
    y[dy][0] = t[dy][0] + t[dy][1] + t[dy][2];
    y[dy][1] = t[dy][1] - t[dy][2] - t[dy][3];
  }
}

// The 2x2 outputs of a row; `columns` are left of VW
static void store_outputs (const uint columns, const Place at, const uint n, const uint conv_width, const vec y[2][2],
    const vec bias, const int relu, __global float *c)
{
  _Pragma ("unroll") for (int i = 0; i < 4; i++) {
    __global float *const to = c + (at.pixel + i / 2 * conv_width + i % 2) * n;
    if (at.inside >> (4 * (i / 2 + 1) + i % 2 + 1) & 1)
      store (y[i / 2][i % 2] + bias, columns, 0, relu, to, to);
  }
}

static void prefetch_outputs (const Place at, const uint n, const uint conv_width, __global const float *c)
{
  for (uint i = 0; i < 4; i++) {
    __global const float *const to = c + (at.pixel + i / 2 * conv_width + i % 2) * n;
    PREFETCH (to, SECOND_LEVEL);
    PREFETCH (to + VW, SECOND_LEVEL);
  }
}

// Work-items: [part of the groups, part of the panels]; channels is a multiple of VW
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void winograd (const uint n, const uint channels, const uint groups, const uint height, const uint higher,
    const uint per_item, const uint panels_per_item, __global const float *source, const uint conv_height,
    const uint conv_width, __global float *scratch, __global const vec *w, __global const vec *bias, const int relu,
    __global float *c)
{
  const uint strip = get_strip_size (channels), panels = (n + 2 * VW - 1) / (2 * VW);
  const uint first = get_global_id (0) * per_item, end = min (groups, first + per_item);
  const uint first_panel = get_global_id (1) * panels_per_item, end_panel = min (panels, first_panel + panels_per_item);
  const ulong item = get_global_id (1) * get_global_size (0) + get_global_id (0);
  __global float *const v = scratch + item * SLICE * POINTS * (strip + PRODUCT);
  __global float *const m = v + (ulong) SLICE * POINTS * strip;
  Place places[SLICE][MAX_ROWS];
  for (uint slice = first; slice < end; slice += SLICE) {
    const uint in_slice = min ((uint) SLICE, end - slice);
    for (uint g = 0; g < in_slice; g++) {
      const uint group = slice + g, rows = height + (group < higher), row = group * height + min (group, higher);
      for (uint r = 0; r < rows; r++) {
        places[g][r] = locate (row + r, conv_height, conv_width);
        transform_pixels (channels, places[g][r], source, conv_width, v + (ulong) g * POINTS * strip + r * VW);
      }
    }
    for (uint panel = first_panel; panel < end_panel; panel++) {
      __global const vec *const panel_w = w + (ulong) panel * POINTS * channels * 2;
      __global float *const panel_c = c + panel * 2 * VW;
      const uint step = 2 * sizeof (vec) / in_slice;
      Ahead next = { (__global const char *) (panel_w + 2 * channels), step };
      const Ahead none = { next.at, 0 };
      for (uint point = 0; point < POINTS; point++) {
        for (uint g = 0; g < in_slice; g++, next.at += channels * step) {
          const uint rows = height + (slice + g < higher);
          __global float *const to = m + (g * POINTS + point) * PRODUCT;
          const End finish = { 2 * VW, 0, 0, 0, to, to, 2 * VW };
          if (point < rows)
            prefetch_outputs (places[g][point], n, conv_width, panel_c);
          multiply_rows (rows, 1, channels, v + ((ulong) g * POINTS + point) * strip, panel_w + 2 * point * channels,
              next, none, finish);
        }
      }
      for (uint g = 0; g < in_slice; g++) {
        const uint rows = height + (slice + g < higher);
        for (uint r = 0; r < rows; r++) {
          for (uint h = 0; h < 2 && (2 * panel + h) * VW < n; h++) {
            vec y[2][2];
            transform_products (m + g * POINTS * PRODUCT + (2 * r + h) * VW, y);
            store_outputs (n - (2 * panel + h) * VW, places[g][r], n, conv_width, y, bias[2 * panel + h], relu,
                panel_c + h * VW);
          }
        }
      }
    }
  }
}
