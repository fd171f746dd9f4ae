// SPDX-License-Identifier: LGPL-2.1-or-later
// C[M,N] = act (A[M,K] * W[N,K]^T + bias[N]) + residual[M,N]
//
// For CPU devices: one work-item computes one tile of C, and a work-group is one work-item. The sums of a tile of up to MAX_ROWS rows stay in
// registers (14 x 2 of the 32 that AVX-512 has) while k runs; per k two vectors of W and one
// broadcast value per row are loaded, so the two FMA units are busy and not the load ports.
//
//   W is packed once:  w[panel][k][2 * VW], columns beyond N are zero
//   A is packed a call: a[tile][k][row of the tile], by gemm-panel-pack.cl or by the product before; a tile then is one
//                       stream of memory, and rows 4096 bytes apart do not fight for the same cache set
//
// The M rows are cut into tiles of equal height or one less (50 = 13 + 13 + 12 + 12), each height
// has its own unrolled loop, and no multiplication is wasted.
//
// Options: -DVW=16|8|4 floats in a vector register, -DMAX_ROWS=14|6.

#include "gemm-tile.cl"
#include "gemm-activate.cl"

// C as the A of the next product: the panel's columns of a tile, one after the other; what follows is another work-item's
static void store_packed (const uint rows, const vec *sum, __global const vec *bias, const int activation, __global float *to)
{
  for (uint h = 0; h < 2; h++) {
    vec block[BLOCKS][VW];
    for (uint r = 0; r < BLOCKS * VW; r++)
      block[r / VW][r % VW] = r < rows ? activate (sum[2 * r + h] + bias[h], activation) : (vec) 0.0f;
    store_columns (block, rows, h, to + h * VW * rows);
  }
}

// Work-items: [tile of the chunk, panel, chunk], in this order in a CPU's queue: the tiles of a panel
// follow each other. A loop over them in here would be natural, but then the compiler hoists the
// constants of activate () out of it, and spills the sums in the loops that matter, at half the speed.
// gap: floats after each tile of A; packed: C is the A of the next product, without gaps, N a multiple of the panel
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_panel (const uint n, const uint k, const uint tiles, const uint height,
    const uint higher, __global const float *a, const ulong a_offset, const uint gap, __global const vec *w,
    __global const vec *bias, const int activation, const int add, __global const float *residual,
    __global float *c, const ulong c_offset, const uint ldc, const int packed)
{
  const uint panel = get_global_id (1), column = panel * 2 * VW;
  const uint first = get_global_id (2) * get_global_size (0), tile = first + get_global_id (0);
  if (tile >= tiles)
    return;
  const uint row = tile * height + min (tile, higher);
  const uint rows = height + (tile < higher);
  const uint in_chunk = min ((uint) get_global_size (0), tiles - first);
  const uint step = (2 * sizeof (vec) + in_chunk - 1) / in_chunk;
  __global const vec *const next = w + (ulong) (panel + 1) * k * 2;
  vec sum[2 * MAX_ROWS];

  multiply (rows, k, a + a_offset + (ulong) row * k + tile * gap, w + (ulong) panel * k * 2,
      (__global const char *) next + (ulong) (tile - first) * k * step, step, sum);
  if (packed) {
    store_packed (rows, sum, bias + 2 * panel, activation, c + (ulong) row * n + column * rows);
    return;
  }
  for (uint r = 0; r < rows; r++) {
    const ulong at = c_offset + (ulong) (row + r) * ldc + column;
    for (uint h = 0; h < 2 && column + h * VW < n; h++) {
      const vec x = activate (sum[2 * r + h] + bias[2 * panel + h], activation);
      store (x, n - column - h * VW, add, activation == 5, residual + at + h * VW, c + at + h * VW);
    }
  }
}
