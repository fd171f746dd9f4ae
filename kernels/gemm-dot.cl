// SPDX-License-Identifier: LGPL-2.1-or-later
// C[M,N] = act (A[M,K] * W[N,K]^T + bias[N]) + residual[M,N] with A and W rounded to bfloat16 or to 8-bit
// integers, and everything after the sums in fp32. For CPU devices.
//
//   bfloat16:  sum of a w, in fp32
//   8 bits:    A[r][k] = low[r] + step[r] u, u of 0..255; W[n][k] = scale[n] s, s of -127..127:
//              A W^T = scale[n] step[r] sum (u s) + low[r] sums[n], sums[n] = scale[n] sum (s), sum (u s) exact in 32 bits
//
// Both are sums of dot products of 32-bit words: 2 bfloat16 or 4 bytes. A block is 16 words, a cache line, and
// what K lacks to a whole block is zero in W:
//   a[tile][block][row of the tile][16 words]   by gemm-dot-pack.cl; a tile takes `stride` rows
//   w[panel][block][half][16 words][VW columns] packed once, columns beyond N are zero
// A half of a block of W, and a tile's rows of one block of A, are what a tile register of AMX takes.
//
// Options: -DVW=16|8|4 32-bit words in a vector register, -DMAX_ROWS=16|14|6, -DBYTES=0|1 (bfloat16 or 8 bits),
// -DLEVEL=0 any device, 1 dot product instructions, 2 AMX; the host asks the processor. -DVEX: those of AVX-VNNI.
// -DPACKED=1: C is the A of the next product, as gemm-dot-pack.cl would pack it (bfloat16, N a multiple of its block).

#include "gemm-tile.cl"
#include "gemm-activate.cl"

#if BYTES
typedef ivec acc;
#define ZERO ((ivec) 0)
#define TO_VEC(x) CONVERT_VEC (x)
#else
typedef vec acc;
#define ZERO ((vec) 0.0f)
#define TO_VEC(x) (x)
#endif

#define BLOCK 16 // words

#if VW == 16
#define CONVERT_VEC convert_float16
#define CONVERT_USHORT convert_ushort16
#define AS_UINT as_uint16
typedef uint16 uvec;
typedef ushort16 __attribute__ ((aligned (2))) loose_shorts;
#elif VW == 8
#define CONVERT_VEC convert_float8
#define CONVERT_USHORT convert_ushort8
#define AS_UINT as_uint8
typedef uint8 uvec;
typedef ushort8 __attribute__ ((aligned (2))) loose_shorts;
#else
#define CONVERT_VEC convert_float4
#define CONVERT_USHORT convert_ushort4
#define AS_UINT as_uint4
typedef uint4 uvec;
typedef ushort4 __attribute__ ((aligned (2))) loose_shorts;
#endif

#if LEVEL == 0
static acc dot_words (const acc c, const ivec x, const ivec w)
{
#if BYTES
  // x is unsigned, w is not
  return c + (x & 255) * (w << 24 >> 24) + (x >> 8 & 255) * (w << 16 >> 24) + (x >> 16 & 255) * (w << 8 >> 24)
         + (x >> 24 & 255) * (w >> 24);
#else
  const int high = (int) 0xffff0000;
  return fma (AS_VEC (x & high), AS_VEC (w & high), fma (AS_VEC (x << 16), AS_VEC (w << 16), c));
#endif
}
#define DOT(c, x, w) c = dot_words (c, x, w)
#elif BYTES && defined(VEX)
#define DOT(c, x, w) __asm__ ("%{vex%} vpdpbusd %2, %1, %0" : "+x"(c) : "x"(x), "x"(w))
#elif BYTES
#define DOT(c, x, w) __asm__ ("vpdpbusd %2, %1, %0" : "+v"(c) : "v"(x), "v"(w))
#else
#define DOT(c, x, w) __asm__ ("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(x), "v"(w))
#endif

// to the nearest, ties to even; not a number stays so
static void store_bf16 (const vec x, __global ushort *to)
{
  const uvec bits = AS_UINT (x), rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  *(__global loose_shorts *) to = CONVERT_USHORT (select (rounded, bits >> 16 | 64u, (bits & 0x7fffffffu) > 0x7f800000u));
}

// What the end of a row's products needs, for one panel
typedef struct {
  uint columns; // that are left, 2 * VW or less count
  __global const vec *bias, *scale, *sums; // [2] of the panel; scale and sums for 8 bits only
  int activation, add;
  uint ldc;
} End;

// A row's two vectors; range: low and step of the row
static void finish_row (const End *end, const acc *sum, const float2 range, __global const float *residual,
    __global float *c)
{
  for (uint h = 0; h < 2 && h * VW < end->columns; h++) {
    vec x = TO_VEC (sum[h]);
#if BYTES
    x = fma (x * range.y, end->scale[h], fma (end->sums[h], (vec) range.x, end->bias[h]));
#else
    x += end->bias[h];
#endif
#if PACKED
    store_bf16 (activate (x, end->activation), (__global ushort *) c + h * VW);
#else
    store (activate (x, end->activation), end->columns - h * VW, end->add, end->activation == 5,
        residual + h * VW, c + h * VW);
#endif
  }
}

// Where a panel's part of a row of C begins, in floats
static ulong place (const uint n, const uint tile, const uint stride, const uint row, const uint in_tile,
    const uint column, const ulong c_offset, const uint ldc)
{
#if PACKED
  const uint values = 2 * BLOCK;
  return (((ulong) tile * (n / values) + column / values) * stride + in_tile) * BLOCK + column % values / 2;
#else
  return c_offset + (ulong) row * ldc + column;
#endif
}

#if LEVEL < 2
#define DOT_TILE(ROWS) \
  static void dot_tile_##ROWS (const uint blocks, const uint stride, __global const int *a, \
      __global const ivec *w, __global const char *next, const uint step, acc *sum) \
  { \
    acc c[ROWS][2]; \
    _Pragma ("unroll") for (int r = 0; r < ROWS; r++) \
      c[r][0] = c[r][1] = ZERO; \
    for (uint block = blocks; block > 0; block--, a += stride * BLOCK, w += 2 * BLOCK) { \
      for (int i = 0; i < BLOCK; i++, next += step) { \
        const ivec w0 = w[i], w1 = w[BLOCK + i]; \
        PREFETCH (next, SECOND_LEVEL); \
        _Pragma ("unroll") for (int r = 0; r < ROWS; r++) { \
          const ivec x = (ivec) a[r * BLOCK + i]; \
          DOT (c[r][0], x, w0); \
          DOT (c[r][1], x, w1); \
        } \
      } \
    } \
    _Pragma ("unroll") for (int r = 0; r < ROWS; r++) { \
      sum[2 * r] = c[r][0]; \
      sum[2 * r + 1] = c[r][1]; \
    } \
  }

DOT_TILE (1) DOT_TILE (2) DOT_TILE (3) DOT_TILE (4) DOT_TILE (5) DOT_TILE (6)
#if MAX_ROWS > 6
DOT_TILE (7) DOT_TILE (8) DOT_TILE (9) DOT_TILE (10) DOT_TILE (11) DOT_TILE (12) DOT_TILE (13) DOT_TILE (14)
#endif

#undef CASE // of multiply
#define CASE(ROWS) \
  case ROWS: \
    dot_tile_##ROWS (blocks, stride, a, w, next, step, sum); \
    break;

static void dot_tile (const uint rows, const uint blocks, const uint stride, __global const int *a,
    __global const ivec *w, __global const char *next, const uint step, acc *sum)
{
  switch (rows) {
    CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#if MAX_ROWS > 6
    CASE (7) CASE (8) CASE (9) CASE (10) CASE (11) CASE (12) CASE (13) CASE (14)
#endif
  }
}

// Work-items: [tile of the chunk, panel, chunk], as gemm_panel and for its reasons
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_dot (const uint n, const uint blocks, const uint tiles, const uint height, const uint higher,
    const uint per_chunk, __global const int *a, __global const float2 *ranges, const ulong ranges_at, __global const ivec *w,
    __global const vec *bias, __global const vec *scale, __global const vec *sums, const int activation,
    const int add, __global const float *residual, __global float *c, const ulong c_offset, const uint ldc)
{
  const uint panel = get_global_id (1), first = get_global_id (2) * per_chunk, tile = first + get_global_id (0);
  if (tile >= tiles)
    return;
  const uint stride = height + (higher > 0), rows = height + (tile < higher);
  const uint row = tile * height + min (tile, higher), column = panel * 2 * VW;
  const uint in_chunk = min (per_chunk, tiles - first), step = (2 * sizeof (vec) + in_chunk - 1) / in_chunk;
  const ulong words = (ulong) blocks * BLOCK;
  const End end = { n - column, bias + 2 * panel, scale + 2 * panel, sums + 2 * panel, activation, add, ldc };
  acc sum[2 * MAX_ROWS];
  dot_tile (rows, blocks, stride, a + tile * words * stride, w + panel * words * 2,
      (__global const char *) (w + (panel + 1) * words * 2) + (ulong) (tile - first) * words * step, step, sum);
  for (uint r = 0; r < rows; r++) {
    const ulong at = place (n, tile, stride, row + r, r, column, c_offset, ldc);
    finish_row (&end, sum + 2 * r, BYTES ? ranges[ranges_at + row + r] : (float2) 0.0f, residual + at, c + at);
  }
}

#else // AMX

#if BYTES
#define TILE_DOT(c, a, w) "tdpbusd %%tmm" #w ", %%tmm" #a ", %%tmm" #c "\n\t"
#else
#define TILE_DOT(c, a, w) "tdpbf16ps %%tmm" #w ", %%tmm" #a ", %%tmm" #c "\n\t"
#endif
#define LOAD(tile, from) "tileloadd (%" #from ",%3,1), %%tmm" #tile "\n\t"

// The shape of each tile register: 0..3 sums of two tiles of A and two halves of W, 4 and 5 of A, 6 and 7 of W
static void configure_tiles (const uint rows)
{
  uchar config[64];
  for (int i = 0; i < 64; i++)
    config[i] = 0;
  config[0] = 1;
  for (int i = 0; i < 8; i++) {
    config[16 + 2 * i] = 64;
    config[48 + i] = i < 6 ? rows : 16;
  }
  __asm__ volatile ("ldtilecfg %0" : : "m"(*(const uchar (*)[64]) config));
}

// c[row][2], of two tiles of A or, with a1 == a, of one and the other's place is not written
static void multiply_tiles (const uint blocks, const uint stride, __global const int *a, __global const int *a1,
    __global const ivec *w, __global const char *next, const uint lines, acc *c)
{
  const long line = 64, row = 128;
  const int two = a1 != a;
  __asm__ volatile ("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3" : : : "memory");
  for (uint block = blocks; block > 0; block--, a += stride * BLOCK, a1 += stride * BLOCK, w += 2 * BLOCK) {
    for (uint i = 0; i < lines; i++, next += 64)
      PREFETCH (next, SECOND_LEVEL);
    __asm__ volatile (LOAD (4, 0) LOAD (6, 1) LOAD (7, 2) TILE_DOT (0, 4, 6) TILE_DOT (1, 4, 7)
        : : "r"(a), "r"(w), "r"(w + BLOCK), "r"(line) : "memory");
    if (two)
      __asm__ volatile (LOAD (5, 0) TILE_DOT (2, 5, 6) TILE_DOT (3, 5, 7)
          : : "r"(a1), "r"(w), "r"(w), "r"(line) : "memory");
  }
  __asm__ volatile ("tilestored %%tmm0, (%0,%1,1)\n\ttilestored %%tmm1, 64(%0,%1,1)" : : "r"(c), "r"(row) : "memory");
  if (two)
    __asm__ volatile ("tilestored %%tmm2, (%0,%1,1)\n\ttilestored %%tmm3, 64(%0,%1,1)"
        : : "r"(c + 2 * stride), "r"(row) : "memory");
}

// Work-items: [panel, chunk]; a chunk's tiles are taken two at a time
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_dot (const uint n, const uint blocks, const uint tiles, const uint height, const uint higher,
    const uint per_chunk, __global const int *a, __global const float2 *ranges, const ulong ranges_at, __global const ivec *w,
    __global const vec *bias, __global const vec *scale, __global const vec *sums, const int activation,
    const int add, __global const float *residual, __global float *c, const ulong c_offset, const uint ldc)
{
  const uint panel = get_global_id (0), column = panel * 2 * VW;
  const uint first = get_global_id (1) * per_chunk, last = min (first + per_chunk, tiles);
  const uint stride = height + (higher > 0), pairs = (last - first + 1) / 2, lines = (32 + pairs - 1) / pairs;
  const ulong words = (ulong) blocks * BLOCK;
  const End end = { n - column, bias + 2 * panel, scale + 2 * panel, sums + 2 * panel, activation, add, ldc };
  __global const ivec *const panel_w = w + panel * words * 2;
  __global const char *next = (__global const char *) (panel_w + words * 2);
  acc sum[2 * 2 * MAX_ROWS];
  configure_tiles (stride);
  for (uint tile = first; tile < last; tile += 2, next += (ulong) blocks * lines * 64) {
    __global const int *const tile_a = a + tile * words * stride;
    multiply_tiles (blocks, stride, tile_a, tile + 1 < last ? tile_a + words * stride : tile_a, panel_w, next,
        lines, sum);
    for (uint t = 0; t < 2 && tile + t < last; t++) {
      const uint row = (tile + t) * height + min (tile + t, higher), rows = height + (tile + t < higher);
      for (uint r = 0; r < rows; r++) {
        const ulong at = place (n, tile + t, stride, row + r, r, column, c_offset, ldc);
        finish_row (&end, sum + 2 * (t * stride + r), BYTES ? ranges[ranges_at + row + r] : (float2) 0.0f, residual + at,
            c + at);
      }
    }
  }
  __asm__ volatile ("tilerelease");
}
#endif
