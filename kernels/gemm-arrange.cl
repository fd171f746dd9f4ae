// SPDX-License-Identifier: LGPL-2.1-or-later
// The factor A[M,K] of a product, row r at a_offset + r * lda, in the form that a BLAS multiplies without a copy of its
// own. MP >= M and KP >= K are multiples of its tiles; what is beyond A is 0.
//   arrange_columns: P[KP,MP], P[k][m] = A[m][k]. Global size: KP and MP rounded up to TILE, local TILE x TILE.
//   arrange_rows:    P[MP,KP], P[m][k] = A[m][k]. Global size: KP x MP.
#define TILE 16

__kernel void arrange_columns (__global const float *a, const ulong a_offset, const uint lda, const uint m, const uint k,
    __global float *p, const uint mp, const uint kp)
{
  __local float tile[TILE][TILE + 1]; // one more: a column does not lie in one bank of the memory
  const uint x = get_local_id (0), y = get_local_id (1);
  const uint first_k = get_group_id (0) * TILE, first_m = get_group_id (1) * TILE;
  const uint from_k = first_k + x, from_m = first_m + y;
  tile[y][x] = from_k < k && from_m < m ? a[a_offset + (size_t) from_m * lda + from_k] : 0.0f;
  barrier (CLK_LOCAL_MEM_FENCE);
  const uint to_k = first_k + y, to_m = first_m + x;
  if (to_k < kp && to_m < mp)
    p[(size_t) to_k * mp + to_m] = tile[x][y];
}

__kernel void arrange_rows (__global const float *a, const ulong a_offset, const uint lda, const uint m, const uint k,
    __global float *p, const uint mp, const uint kp)
{
  const uint column = get_global_id (0), row = get_global_id (1);
  if (column < kp && row < mp)
    p[(size_t) row * kp + column] = row < m && column < k ? a[a_offset + (size_t) row * lda + column] : 0.0f;
}
