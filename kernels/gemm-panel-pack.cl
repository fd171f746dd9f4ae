// SPDX-License-Identifier: LGPL-2.1-or-later
// A[M,K] as gemm-panel.cl reads it: a[tile][k][row of the tile], with a vector's gap after each tile. A work-item packs
// a tile.
//   gemm_pack_a           rows as they are, or the surroundings of pixels for a 3x3 convolution
//   gemm_pack_normalised  (x - mean) / sqrt (var + eps) * gamma + beta of each row, as layernorm in rows.cl: one way
//                         less through memory
//
// Options: -DVW=16|8|4 floats in a vector register, -DMAX_ROWS=14|6.

#include "gemm-tile.cl"
#include "row-sum.cl"

__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_pack_a (const uint k, const uint height, const uint higher,
    __global const float *source, const ulong offset, const uint lda, const uint conv_height,
    const uint conv_width, __global float *a)
{
  const uint tile = get_global_id (0);
  const uint row = tile * height + min (tile, higher);
  pack_tile (k, height + (tile < higher), row, source + offset, lda, conv_height, conv_width,
      a + (ulong) row * k + (ulong) tile * VW);
}

__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_pack_normalised (const uint k, const uint height, const uint higher, __global const float *x,
    __global const float *gamma, __global const float *beta, const float eps, __global float *a)
{
  const uint tile = get_global_id (0), rows = height + (tile < higher);
  const uint row = tile * height + min (tile, higher);
  __global const float *from[BLOCKS * VW];
  float mean[BLOCKS * VW], scale[BLOCKS * VW];
  for (uint r = 0; r < BLOCKS * VW; r++) {
    from[r] = x + (ulong) (row + min (r, rows - 1)) * k;
    if (r < rows) {
      mean[r] = sum_row (from[r], k, 0.0f, 0) / k;
      scale[r] = 1.0f / sqrt (sum_row (from[r], k, mean[r], 1) / k + eps);
    } else {
      mean[r] = scale[r] = 0.0f;
    }
  }
  a += (ulong) row * k + (ulong) tile * VW;
  uint i = 0;
  for (; i + VW <= k; i += VW) {
    vec block[BLOCKS][VW];
    const vec g = VLOAD (0, gamma + i), b = VLOAD (0, beta + i);
    _Pragma ("unroll") for (uint r = 0; r < BLOCKS * VW; r++)
      block[r / VW][r % VW] = fma ((VLOAD (0, from[r] + i) - mean[r]) * scale[r], g, b);
    store_columns (block, rows, 0, a + (ulong) i * rows);
  }
  for (; i < k; i++)
    for (uint r = 0; r < rows; r++)
      a[(ulong) i * rows + r] = fma ((from[r][i] - mean[r]) * scale[r], gamma[i], beta[i]);
}
