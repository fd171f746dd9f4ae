// SPDX-License-Identifier: LGPL-2.1-or-later
// C[M,N] = act (A[M,K] * W[N,K]^T + bias[N]) + residual[M,N]
//
// For CPU devices: one work-item computes one tile of C, and a work-group is one work-item. The sums of a tile of up to MAX_ROWS rows stay in
// registers (14 x 2 of the 32 that AVX-512 has) while k runs; per k two vectors of W and one
// broadcast value per row are loaded, so the two FMA units are busy and not the load ports.
//
//   W is packed once:  w[panel][k][2 * VW], columns beyond N are zero
//   A is packed a call: a[tile][k][row of the tile], by gemm_pack_a; a tile then is one stream of
//                       memory, and rows 4096 bytes apart do not fight for the same cache set
//
// The M rows are cut into tiles of equal height or one less (50 = 13 + 13 + 12 + 12), each height
// has its own unrolled loop, and no multiplication is wasted.
//
// Options: -DVW=16|8|4 floats in a vector register, -DMAX_ROWS=14|6.
// `activation` is a ClipActivation (src/gemm/clip-gemm.h).

#include "gemm-tile.cl"

// 1 / x for finite x >= 1: a guess from the exponent (12 % off), then three Newton steps. A vector
// division keeps its unit busy for five times as long.
static vec reciprocal (const vec x)
{
  vec r = AS_VEC ((ivec) 0x7ef311c7 - AS_INT (x));
  r *= fma (-x, r, (vec) 2.0f);
  r *= fma (-x, r, (vec) 2.0f);
  return fma (fma (-x, r, (vec) 1.0f), r, r);
}

// e^x for |x| <= 87: 2^n e^f, n = rint (x / ln 2) lands in the low bits of a float of 1.5 * 2^23, and
// e^f is a polynomial that was fitted to 3.5e-9 on |f| <= ln 2 / 2.
static vec exponential (const vec x)
{
  const vec shifted = fma (x, (vec) 1.44269504f, (vec) 12582912.0f);
  const vec n = shifted - 12582912.0f;
  const vec f = fma (n, (vec) -1.42860677e-6f, fma (n, (vec) -0.693145752f, x));
  vec p = fma ((vec) 1.39476056e-3f, f, (vec) 8.36987328e-3f);
  p = fma (p, f, (vec) 4.16662470e-2f);
  p = fma (p, f, (vec) 1.66665092e-1f);
  p = fma (p, f, (vec) 0.5f);
  p = fma (p, f * f, f + 1.0f);
  return p * AS_VEC ((AS_INT (shifted) << 23) + 0x3f800000);
}

// 1 / (1 + e^-x); exactly 0 below -87, where x * 0 is wanted and not x * 1e-38
static vec logistic (const vec x)
{
  const vec e = exponential (fmax (fmin (-x, (vec) 87.0f), (vec) -87.0f));
  return select (reciprocal (e + 1.0f), (vec) 0.0f, x < -87.0f);
}

// x P (X <= x) for normal X = max (x, 0) - u Q (u), u = |x|, Q (u) = P (X > u) = e^(-u^2 / 2) t S (t),
// t = 1 / (1 + 0.3 u); S was fitted to 1.3e-9 of u Q (u). Good in both tails, unlike 1 + erf (x).
static vec gelu (const vec x)
{
  const vec u = fmin (fabs (x), (vec) 13.0f);
  const vec t = reciprocal (fma ((vec) 0.3f, u, (vec) 1.0f));
  vec s = fma ((vec) 3.09619326e-2f, t, (vec) -1.33162051e-1f);
  s = fma (s, t, (vec) 1.55205444e-1f);
  s = fma (s, t, (vec) 4.95395157e-3f);
  s = fma (s, t, (vec) 8.96233842e-2f);
  s = fma (s, t, (vec) 1.14785276e-1f);
  s = fma (s, t, (vec) 1.17763661e-1f);
  s = fma (s, t, (vec) 1.19868405e-1f);
  const vec q = s * t * exponential (u * u * -0.5f);
  return select (x, (vec) 0.0f, x < 0.0f) - u * q;
}

// select keeps a NaN; fmax would hide it
static vec activate (const vec x, const int activation)
{
  switch (activation) {
    case 1: return x * logistic (1.702f * x);
    case 2: return gelu (x);
    case 3: return x * logistic (1.59576912f * fma (0.044715f * x * x, x, x));
    case 4: return select (x, (vec) 0.0f, x < 0.0f);
    default: return x;
  }
}

// Work-items: [tile of the chunk, panel, chunk], in this order in a CPU's queue: the tiles of a panel
// follow each other. A loop over them in here would be natural, but then the compiler hoists the
// constants of activate () out of it, and spills the sums in the loops that matter, at half the speed.
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_panel (const uint n, const uint k, const uint tiles, const uint height,
    const uint higher, __global const float *a, const ulong a_offset, __global const vec *w,
    __global const vec *bias, const int activation, const int add, __global const float *residual,
    __global float *c, const ulong c_offset, const uint ldc)
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

  multiply (rows, k, a + a_offset + (ulong) row * k + tile * VW, w + (ulong) panel * k * 2,
      (__global const char *) next + (ulong) (tile - first) * k * step, step, sum);
  for (uint r = 0; r < rows; r++) {
    const ulong at = c_offset + (ulong) (row + r) * ldc + column;
    for (uint h = 0; h < 2 && column + h * VW < n; h++) {
      const vec x = activate (sum[2 * r + h] + bias[2 * panel + h], activation);
      store (x, n - column - h * VW, add, activation == 5, residual + at + h * VW, c + at + h * VW);
    }
  }
}

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
