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
//   a[tile of rows][point][channel][row], with a gap of VW floats after each point; a row is a tile of 2x2 outputs

#include "gemm-tile.cl"

// The upper left output of a row's tile; the rows count over the items from `first` on
static uint3 locate (const uint row, const uint first, const uint conv_height, const uint conv_width)
{
  const uint across = (conv_width + 1) / 2, down = (conv_height + 1) / 2;
  return (uint3) (2 * (row % across), 2 * (row / across % down), first + row / across / down);
}

// v[point * ROWS_UP] = B' d B of VW channels
#define ROWS_UP (BLOCKS * VW)

static void transform (__global const float *from, const ulong line, const uint channels, const uint inside, vec *v)
{
  vec d[4][4];
  _Pragma ("unroll") for (int i = 0; i < 4; i++) {
    _Pragma ("unroll") for (int x = 0; x < 4; x++)
      d[i][x] = inside >> (4 * i + x) & 1 ? VLOAD (0, from + i * line + x * channels) : (vec) 0.0f;
  }
  _Pragma ("unroll") for (int x = 0; x < 4; x++) {
    const vec d1 = d[1][x];
    d[0][x] -= d[2][x];
    d[1][x] = d1 + d[2][x];
    d[2][x] -= d1;
    d[3][x] = d1 - d[3][x];
  }
  _Pragma ("unroll") for (int i = 0; i < 4; i++) {
    v[(4 * i + 0) * ROWS_UP] = d[i][0] - d[i][2];
    v[(4 * i + 1) * ROWS_UP] = d[i][1] + d[i][2];
    v[(4 * i + 2) * ROWS_UP] = d[i][2] - d[i][1];
    v[(4 * i + 3) * ROWS_UP] = d[i][1] - d[i][3];
  }
}

// Work-items: [tile of rows]; channels is a multiple of VW
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void winograd_pixels (const uint channels, const uint height, const uint higher,
    __global const float *source, const uint first, const uint conv_height, const uint conv_width,
    __global float *a)
{
  const uint tile = get_global_id (0), start = tile * height + min (tile, higher), rows = height + (tile < higher);
  const ulong stride = (ulong) rows * channels + VW, line = (ulong) conv_width * channels;
  long from[MAX_ROWS];
  uint inside[MAX_ROWS];
  vec v[16 * ROWS_UP];
  for (uint r = 0; r < rows; r++) {
    const uint3 at = locate (start + r, first, conv_height, conv_width);
    from[r] = (((long) at.z * conv_height + at.y - 1) * conv_width + at.x - 1) * channels;
    inside[r] = 0;
    // above 0 and to the left of it the sum wraps, and is beyond the size, too
    for (uint i = 0; i < 16; i++)
      inside[r] |= (at.y + i / 4 - 1 < conv_height && at.x + i % 4 - 1 < conv_width) << i;
  }
  for (uint i = 0; i < 16 * ROWS_UP; i++)
    v[i] = (vec) 0.0f;
  a += 16 * ((ulong) start * channels + tile * VW);
  for (uint c = 0; c < channels; c += VW) {
    for (uint r = 0; r < rows; r++)
      transform (source + from[r] + c, line, channels, inside[r], v + r);
    // a store writes beyond its rows: see pack_rows
    for (uint point = 0; point < 16; point++) {
      __global float *to = a + point * stride + (ulong) c * rows;
      vec block[BLOCKS][VW];
      _Pragma ("unroll") for (uint r = 0; r < ROWS_UP; r++)
        block[r / VW][r % VW] = v[point * ROWS_UP + r];
      _Pragma ("unroll") for (uint b = 0; b < BLOCKS; b++)
        transpose (block[b]);
      _Pragma ("unroll") for (uint j = 0; j < VW; j++) {
        for (uint b = 0; b * VW < rows; b++)
          VSTORE (block[b][j], b, to + (ulong) j * rows);
      }
    }
  }
}

// y[output] += T' sum T, the part of one point
static void add_point (const uint point, const uint count, const vec *sum, vec *y)
{
  const float across[2][4] = { { 1, 1, 1, 0 }, { 0, 1, -1, -1 } };
  for (uint output = 0; output < 4; output++, y += 2 * MAX_ROWS) {
    const float factor = across[output / 2][point / 4] * across[output % 2][point % 4];
    if (factor == 0.0f)
      continue;
    for (uint i = 0; i < count; i++)
      y[i] = fma ((vec) factor, sum[i], y[i]);
  }
}

// Work-items: [tile of the chunk, panel, chunk], as in gemm-panel.cl
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void winograd_panel (const uint n, const uint channels, const uint tiles, const uint height,
    const uint higher, __global const float *a, __global const vec *w, __global const vec *bias,
    const int relu, const uint first, const uint conv_height, const uint conv_width, __global float *c)
{
  const uint panel = get_global_id (1), column = panel * 2 * VW;
  const uint chunk = get_global_id (2) * get_global_size (0), tile = chunk + get_global_id (0);
  if (tile >= tiles)
    return;
  const uint start = tile * height + min (tile, higher), rows = height + (tile < higher);
  const uint in_chunk = min ((uint) get_global_size (0), tiles - chunk);
  const uint step = (2 * sizeof (vec) + in_chunk - 1) / in_chunk;
  const ulong stride = (ulong) rows * channels + VW, k = 16 * (ulong) channels;
  __global const char *next = (__global const char *) (w + (panel + 1) * k * 2) + (tile - chunk) * k * step;
  vec sum[2 * MAX_ROWS], y[4 * 2 * MAX_ROWS];
  for (uint i = 0; i < 4 * 2 * MAX_ROWS; i++)
    y[i] = (vec) 0.0f;
  a += 16 * ((ulong) start * channels + tile * VW);
  w += panel * k * 2;
  for (uint point = 0; point < 16; point++, a += stride, w += 2 * channels, next += (ulong) channels * step) {
    multiply (rows, channels, a, w, next, step, sum);
    add_point (point, 2 * rows, sum, y);
  }
  for (uint r = 0; r < rows; r++) {
    const uint3 at = locate (start + r, first, conv_height, conv_width);
    for (uint output = 0; output < 4; output++) {
      const uint py = at.y + output / 2, px = at.x + output % 2;
      if (py >= conv_height || px >= conv_width)
        continue;
      __global float *to = c + (((ulong) at.z * conv_height + py) * conv_width + px) * n + column;
      for (uint h = 0; h < 2 && column + h * VW < n; h++)
        store (y[output * 2 * MAX_ROWS + 2 * r + h] + bias[2 * panel + h], n - column - h * VW, 0, relu, to + h * VW,
            to + h * VW);
    }
  }
}
