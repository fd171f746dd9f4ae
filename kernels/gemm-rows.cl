// SPDX-License-Identifier: LGPL-2.1-or-later
// What gemm-slices.cl and gemm-winograd.cl share: the products of a tile whose rows of A are copied, and not transposed.
// A tile's rows lie in blocks of VW values of k,
//
//   a[k / VW][row][VW], the rows of a block STRIP apart
//
// so that every row is at a constant distance from the first one and the copies are whole vectors. STRIP has two rows
// more than a tile, so that the three taps of an image line are windows into one strip of pixels.
// Options: those of gemm-tile.cl.

#include "gemm-tile.cl"

#define STRIP (MAX_ROWS + 2)
#define BLOCK (STRIP * VW)

// Floats of a strip of k values each
static uint get_strip_size (const uint k)
{
  return (k + VW - 1) / VW * BLOCK;
}

// One row, zeros if it is not inside; `to` is its place in the first block
static void copy_row (const uint k, __global const float *from, const uint inside, __global float *to)
{
  uint i = 0;
  for (; i + VW <= k; i += VW, to += BLOCK)
    VSTORE (inside ? VLOAD (0, from + i) : (vec) 0.0f, 0, to);
  for (; i < k; i++)
    *to++ = inside ? from[i] : 0.0f;
}

// What is asked for while a tile is multiplied, a step for each k
typedef struct {
  __global const char *at;
  uint step;
} Ahead;

// What becomes of the products: c[row][column] = max (product + bias + residual, 0), the maximum and the sums if
// asked for; `columns` of the two vectors at most
typedef struct {
  uint columns;
  __global const vec *bias;
  int add, relu;
  __global const float *residual;
  __global float *c;
  uint ldc;
} End;

// The sums start with the bias and stay in registers up to the end, but see K_BLOCK. A row that is not stored is left
// out by a condition: a loop that ends early would not be unrolled, and then the sums would live in memory.
#define EACH_ROW(ROWS) _Pragma ("unroll") for (int r = 0; r < ROWS; r++)

#define ROWS_TILE(ROWS) \
  static void rows_##ROWS (const uint rows, const uint taps, const uint k, __global const float *strip, \
      __global const vec *w, Ahead in, Ahead out, const End end) \
  { \
    vec c[ROWS][2], sum[ROWS][2]; \
    uint length = 0, blocks = 0; \
    EACH_ROW (ROWS) { \
      c[r][0] = end.bias ? end.bias[0] : (vec) 0.0f; \
      c[r][1] = end.bias ? end.bias[1] : (vec) 0.0f; \
    } \
    for (uint tap = 0; tap < taps; tap++) { \
      __global const float *block = strip + tap / 3 * get_strip_size (k) + tap % 3 * VW; \
      for (uint left = k; left > 0; block += BLOCK) { \
        const uint count = min (left, (uint) VW); \
        __global const float *a = block; \
        if (length >= K_BLOCK) { \
          EACH_ROW (ROWS) { \
            sum[r][0] = blocks ? sum[r][0] + c[r][0] : c[r][0]; \
            sum[r][1] = blocks ? sum[r][1] + c[r][1] : c[r][1]; \
            c[r][0] = c[r][1] = (vec) 0.0f; \
          } \
          length = 0; \
          blocks++; \
        } \
        for (uint i = count; i > 0; i--, a++, w += 2, in.at += in.step, out.at += out.step) { \
          PREFETCH (in.at, SECOND_LEVEL); \
          PREFETCH (out.at, SECOND_LEVEL); \
          PREFETCH (w + 2 * AHEAD, FIRST_LEVEL); \
          PREFETCH (w + 2 * AHEAD + 1, FIRST_LEVEL); \
          const vec w0 = w[0], w1 = w[1]; \
          EACH_ROW (ROWS) { \
            const vec x = (vec) a[r * VW]; \
            c[r][0] = fma (x, w0, c[r][0]); \
            c[r][1] = fma (x, w1, c[r][1]); \
          } \
        } \
        left -= count; \
        length += count; \
      } \
    } \
    if (blocks) \
      EACH_ROW (ROWS) { \
        c[r][0] += sum[r][0]; \
        c[r][1] += sum[r][1]; \
      } \
    EACH_ROW (ROWS) { \
      const ulong at = r * (ulong) end.ldc; \
      if (r < rows) { \
        store (c[r][0], end.columns, end.add, end.relu, end.residual + at, end.c + at); \
        if (end.columns > VW) \
          store (c[r][1], end.columns - VW, end.add, end.relu, end.residual + at + VW, end.c + at + VW); \
      } \
    } \
  }

// A height that has no loop of its own takes the next higher one's, whose last rows are not stored
#if MAX_ROWS > 6
ROWS_TILE (14) ROWS_TILE (13) ROWS_TILE (12) ROWS_TILE (8) ROWS_TILE (4)
#else
ROWS_TILE (6) ROWS_TILE (5) ROWS_TILE (4) ROWS_TILE (2)
#endif

#undef CASE // of multiply
#define CASE(ROWS) \
  case ROWS: \
    rows_##ROWS (rows, taps, k, strip, w, in, out, end); \
    break;

// Taps: 1, or the 9 of a 3x3 convolution as windows into the strips of three lines
static void multiply_rows (const uint rows, const uint taps, const uint k, __global const float *strip,
    __global const vec *w, const Ahead in, const Ahead out, const End end)
{
#if MAX_ROWS > 6
  switch (rows > 12 ? rows : (rows + 3) / 4 * 4) {
    CASE (14) CASE (13) CASE (12) CASE (8) CASE (4)
  }
#else
  switch (rows > 4 ? rows : (rows + 1) / 2 * 2) {
    CASE (6) CASE (5) CASE (4) CASE (2)
  }
#endif
}
