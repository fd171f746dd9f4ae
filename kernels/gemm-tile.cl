// SPDX-License-Identifier: LGPL-2.1-or-later
// What gemm-panel*.cl and gemm-slices.cl share: the products of a tile, its packing and its end.
// Options: -DVW=16|8|4 floats in a vector register, -DMAX_ROWS=14|6.

#include "vector.cl"

// The next panel is asked for while this one is used, evenly over its tiles: a panel is read from
// memory once and then kept in the second-level cache, and without this its first tile waits. From there both
// streams are asked for some steps ahead, because a core's own prefetching follows two of them badly: worth 5 to 8 %.
// Not by inline assembly: PoCL 6 aborts on it. The builtin knows no address spaces, hence the integer.
#if defined(__x86_64__) || defined(__aarch64__)
#define PREFETCH(p, locality) __builtin_prefetch ((const void *) (ulong) (p), 0, locality)
#else
#define PREFETCH(p, locality)
#endif
#define FIRST_LEVEL 3
#define SECOND_LEVEL 2
#define AHEAD 16 // steps of k

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
        PREFETCH (next, SECOND_LEVEL); \
        PREFETCH (a + 2 * AHEAD * ROWS, FIRST_LEVEL); \
        PREFETCH (w + 2 * AHEAD, FIRST_LEVEL); \
        PREFETCH (w + 2 * AHEAD + 1, FIRST_LEVEL); \
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
  union {
    vec whole;
    float part[VW];
  } u = { value };
  for (uint i = 0; i < valid; i++) {
    const float x = add ? u.part[i] + residual[i] : u.part[i];
    out[i] = relu && x < 0.0f ? 0.0f : x;
  }
}

// Vectors that a row of up to MAX_ROWS values takes
#define BLOCKS ((MAX_ROWS + VW - 1) / VW)

// to[j][row] = block[row][j] for VW columns j and a tile's rows. A store is a whole vector: what it writes beyond the
// tile's rows, the store of the next column makes good. After the last column comes a gap, or, with `inside`, what others
// write: there the stores end with it.
static void store_columns (vec (*block)[VW], const uint rows, const int inside, __global float *to)
{
  _Pragma ("unroll") for (uint b = 0; b < BLOCKS; b++)
    transpose (block[b]);
  if (!inside) {
    _Pragma ("unroll") for (uint j = 0; j < VW; j++) {
      for (uint b = 0; b * VW < rows; b++)
        VSTORE (block[b][j], b, to + (ulong) j * rows);
    }
    return;
  }
  for (uint j = 0; j < VW; j++, to += rows) {
    union {
      vec whole[BLOCKS];
      float rows[BLOCKS * VW];
    } column;
    for (uint b = 0; b < BLOCKS; b++)
      column.whole[b] = block[b][j];
    if ((VW - j) * rows >= BLOCKS * VW) {
      for (uint b = 0; b < BLOCKS; b++)
        VSTORE (column.whole[b], b, to);
    } else {
      for (uint r = 0; r < rows; r++)
        to[r] = column.rows[r];
    }
  }
}

// a[k][row] = from[row][k] for a tile's rows, zeros for those whose bit in `inside` is not set. What the last store
// writes beyond the tile meets the gap after it.
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
    store_columns (block, rows, 0, a + (ulong) i * rows);
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
