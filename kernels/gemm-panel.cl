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

#if VW == 16
typedef float16 vec;
typedef int16 ivec;
#define VLOAD vload16
#define VSTORE vstore16
#define AS_VEC as_float16
#define AS_INT as_int16
#elif VW == 8
typedef float8 vec;
typedef int8 ivec;
#define VLOAD vload8
#define VSTORE vstore8
#define AS_VEC as_float8
#define AS_INT as_int8
#else
typedef float4 vec;
typedef int4 ivec;
#define VLOAD vload4
#define VSTORE vstore4
#define AS_VEC as_float4
#define AS_INT as_int4
#endif

// The next panel is asked for while this one is used, evenly over its tiles: a panel is read from
// memory once and then kept in the second-level cache, and without this its first tile waits.
#if defined(__x86_64__)
#define PREFETCH(p) __asm__ volatile ("prefetcht1 (%0)" : : "r"(p))
#elif defined(__aarch64__)
#define PREFETCH(p) __asm__ volatile ("prfm pldl2keep, [%0]" : : "r"(p))
#else
#define PREFETCH(p)
#endif

// A sum runs over K_BLOCK products and is then added to the sum of such sums: the rounding errors of one long
// sum grow with its length, and the scores of a deep ResNet's attention pool magnify them.
#define K_BLOCK 256

#define TILE(ROWS) \
  static void tile_##ROWS (const uint k, __global const float *a, __global const vec *w, \
      __global const char *next, const uint step, vec *sum) \
  { \
    _Pragma ("unroll") for (int r = 0; r < 2 * ROWS; r++) \
      sum[r] = (vec) 0.0f; \
    for (uint left = k; left > 0;) { \
      vec c[ROWS][2]; \
      const uint block = min (left, (uint) K_BLOCK); \
      _Pragma ("unroll") for (int r = 0; r < ROWS; r++) \
        c[r][0] = c[r][1] = (vec) 0.0f; \
      for (uint i = block; i > 0; i--, a += ROWS, w += 2, next += step) { \
        PREFETCH (next); \
        const vec w0 = w[0], w1 = w[1]; \
        _Pragma ("unroll") for (int r = 0; r < ROWS; r++) { \
          const vec x = (vec) a[r]; \
          c[r][0] = fma (x, w0, c[r][0]); \
          c[r][1] = fma (x, w1, c[r][1]); \
        } \
      } \
      _Pragma ("unroll") for (int r = 0; r < ROWS; r++) { \
        sum[2 * r] += c[r][0]; \
        sum[2 * r + 1] += c[r][1]; \
      } \
      left -= block; \
    } \
  }

TILE (1) TILE (2) TILE (3) TILE (4) TILE (5) TILE (6)
#if MAX_ROWS > 6
TILE (7) TILE (8) TILE (9) TILE (10) TILE (11) TILE (12) TILE (13) TILE (14)
#endif

#define CASE(ROWS) \
  case ROWS: \
    tile_##ROWS (k, a, w, next, step, sum); \
    break;

static void multiply (const uint rows, const uint k, __global const float *a,
    __global const vec *w, __global const char *next, const uint step, vec *sum)
{
  switch (rows) {
    CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#if MAX_ROWS > 6
    CASE (7) CASE (8) CASE (9) CASE (10) CASE (11) CASE (12) CASE (13) CASE (14)
#endif
  }
}

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

static vec rectify (const vec x)
{
  return select (x, (vec) 0.0f, x < 0.0f);
}

// relu: after the residual is added
static void store (const vec value, const uint valid, const int add, const int relu,
    __global const float *residual, __global float *out)
{
  if (valid >= VW) {
    const vec x = add ? value + VLOAD (0, residual) : value;
    VSTORE (relu ? rectify (x) : x, 0, out);
    return;
  }
  float part[VW];
  VSTORE (value, 0, part);
  for (uint i = 0; i < valid; i++) {
    const float x = add ? part[i] + residual[i] : part[i];
    out[i] = relu && x < 0.0f ? 0.0f : x;
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

// One round of the perfect shuffle; log2 (VW) of them transpose VW vectors.
static void shuffle_round (const vec *from, vec *to)
{
  _Pragma ("unroll") for (int i = 0; i < VW / 2; i++) {
    const vec x = from[i], y = from[i + VW / 2];
#if VW == 16
    to[2 * i] = (vec) (x.s0, y.s0, x.s1, y.s1, x.s2, y.s2, x.s3, y.s3, x.s4, y.s4, x.s5, y.s5,
        x.s6, y.s6, x.s7, y.s7);
    to[2 * i + 1] = (vec) (x.s8, y.s8, x.s9, y.s9, x.sa, y.sa, x.sb, y.sb, x.sc, y.sc, x.sd, y.sd,
        x.se, y.se, x.sf, y.sf);
#elif VW == 8
    to[2 * i] = (vec) (x.s0, y.s0, x.s1, y.s1, x.s2, y.s2, x.s3, y.s3);
    to[2 * i + 1] = (vec) (x.s4, y.s4, x.s5, y.s5, x.s6, y.s6, x.s7, y.s7);
#else
    to[2 * i] = (vec) (x.s0, y.s0, x.s1, y.s1);
    to[2 * i + 1] = (vec) (x.s2, y.s2, x.s3, y.s3);
#endif
  }
}

static void transpose (vec *x)
{
  vec y[VW];
  shuffle_round (x, y);
  shuffle_round (y, x);
#if VW > 4
  shuffle_round (x, y);
#if VW == 8
  _Pragma ("unroll") for (int i = 0; i < VW; i++)
    x[i] = y[i];
#else
  shuffle_round (y, x);
#endif
#endif
}

// Vectors that a row of up to MAX_ROWS values takes
#define BLOCKS ((MAX_ROWS + VW - 1) / VW)

// a[k][row] = from[row][k] for a tile's rows, zeros for those whose bit in `inside` is not set. A store is a
// whole vector: what it writes beyond the tile's rows, the store of the next k makes good, and the last one
// meets the gap after the tile.
static void pack_rows (const uint k, const uint rows, __global const float *const *from,
    const uint inside, __global float *a)
{
  vec block[BLOCKS][VW];
  uint i = 0;
  for (; i + VW <= k; i += VW) {
    _Pragma ("unroll") for (uint r = 0; r < BLOCKS * VW; r++) {
      const vec x = VLOAD (0, from[r] + i);
      block[r / VW][r % VW] = inside >> r & 1 ? x : (vec) 0.0f;
    }
    _Pragma ("unroll") for (uint b = 0; b < BLOCKS; b++)
      transpose (block[b]);
    _Pragma ("unroll") for (uint j = 0; j < VW; j++) {
      for (uint b = 0; b * VW < rows; b++)
        VSTORE (block[b][j], b, a + (ulong) (i + j) * rows);
    }
  }
  for (; i < k; i++)
    for (uint r = 0; r < rows; r++)
      a[(ulong) i * rows + r] = inside >> r & 1 ? from[r][i] : 0.0f;
}

// The rows of A from `row` on: rows of the source as they are, or, in a 3x3 convolution over items of
// [conv_height,conv_width] pixels, the nine surroundings of a pixel one after the other.
static void pack_tile (const uint k, const uint rows, const uint row, __global const float *source,
    const uint lda, const uint conv_height, const uint conv_width, __global float *a)
{
  __global const float *from[BLOCKS * VW];
  if (conv_height == 0) {
    for (uint r = 0; r < BLOCKS * VW; r++)
      from[r] = source + (ulong) (row + (r < rows ? r : 0)) * lda;
    pack_rows (k, rows, from, (1u << rows) - 1, a);
    return;
  }
  for (int dy = -1; dy <= 1; dy++) {
    for (int dx = -1; dx <= 1; dx++, a += (ulong) lda * rows) {
      uint inside = 0, x = row % conv_width, y = row / conv_width % conv_height;
      for (uint r = 0; r < BLOCKS * VW; r++) {
        // x + dx is beyond the width when it wraps, too
        const uint is_inside = r < rows && x + dx < conv_width && y + dy < conv_height;
        inside |= is_inside << r;
        from[r] = source
                  + (long) (row + (r < rows ? r : 0) + (is_inside ? dy * (long) conv_width + dx : 0)) * lda;
        if (++x == conv_width) {
          x = 0;
          y = y + 1 == conv_height ? 0 : y + 1;
        }
      }
      pack_rows (lda, rows, from, inside, a);
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

// Both steps at once, for many rows and a small W. A work-item has per_item tiles and packs in_slice of them
// at a time into its own slice of the scratch memory, which stays in the second-level cache as W does.
// Activations that need constants would be slow here (see gemm_panel); ReLU needs none.
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_slices (const uint n, const uint k, const uint tiles, const uint height,
    const uint higher, const uint per_item, const uint in_slice, __global const float *source,
    const ulong offset, const uint lda, const uint conv_height, const uint conv_width,
    __global float *scratch, __global const vec *w, __global const vec *bias, const int relu,
    const int add, __global const float *residual, __global float *c, const ulong c_offset,
    const uint ldc)
{
  const ulong stride = (ulong) (height + 1) * k + VW;
  const uint end = min (tiles, (uint) (get_global_id (0) + 1) * per_item);
  __global float *const slice = scratch + get_global_id (0) * in_slice * stride;
  vec sum[2 * MAX_ROWS];
  for (uint first = get_global_id (0) * per_item; first < end; first += in_slice) {
    const uint last = min (first + in_slice, end);
    for (uint tile = first; tile < last; tile++)
      pack_tile (k, height + (tile < higher), tile * height + min (tile, higher), source + offset, lda,
          conv_height, conv_width, slice + (tile - first) * stride);
    for (uint column = 0; column < n; column += 2 * VW) {
      const ulong panel = column / (2 * VW);
      __global const vec *const panel_w = w + panel * k * 2;
      for (uint tile = first; tile < last; tile++) {
        const uint rows = height + (tile < higher);
        multiply (rows, k, slice + (tile - first) * stride, panel_w, (__global const char *) panel_w, 0, sum);
        ulong at = c_offset + (ulong) (tile * height + min (tile, higher)) * ldc + column;
        for (uint r = 0; r < rows; r++, at += ldc) {
          for (uint h = 0; h < 2 && column + h * VW < n; h++)
            store (sum[2 * r + h] + bias[2 * panel + h], n - column - h * VW, add, relu,
                residual + at + h * VW, c + at + h * VW);
        }
      }
    }
  }
}
