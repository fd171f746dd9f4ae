// SPDX-License-Identifier: LGPL-2.1-or-later
// The rows of A as gemm-dot.cl reads them: rounded to bfloat16 (nearest, ties to even), or to bytes
//   low = min A[r], step = (max A[r] - min A[r]) / 255, u = round ((A[r][k] - low) / step)
// A row is one segment of the source, or, in a 3x3 convolution over items of [conv_height,conv_width] pixels, nine:
// the surroundings of a pixel, zeros beyond the border. A work-item packs one row.
//
// Options: -DBYTES=0|1 (bfloat16 or 8 bits), -DNORM=0|1: with it A = (source - mean) / sqrt (var + eps) * gamma + beta
// of each row, as layernorm in rows.cl: one way less through memory.
#define VW 16
#include "vector.cl"
#include "row-sum.cl"

#define TAPS 9
#define BLOCK_BYTES 64

#if BYTES
#define PER_BLOCK 64 // values
typedef uchar value_t;
typedef uchar16 values_t;
typedef uchar16 __attribute__ ((aligned (1))) loose_values;
#else
#define PER_BLOCK 32
typedef ushort value_t;
typedef ushort16 values_t;
typedef ushort16 __attribute__ ((aligned (2))) loose_values;
#endif

typedef struct {
  float mean, scale;
  __global const float *gamma, *beta;
} Norm;

#if NORM
static Norm find_norm (__global const float *x, const uint length, __global const float *gamma,
    __global const float *beta, const float eps)
{
  const float mean = sum_row (x, length, 0.0f, 0) / length;
  return (Norm) { mean, 1.0f / sqrt (sum_row (x, length, mean, 1) / length + eps), gamma, beta };
}

#define FETCH16(x, i) fma ((VLOAD (0, x + i) - norm.mean) * norm.scale, VLOAD (0, norm.gamma + i), \
    VLOAD (0, norm.beta + i))
#define FETCH(x, i) fma ((x[i] - norm.mean) * norm.scale, norm.gamma[i], norm.beta[i])
#else
#define FETCH16(x, i) VLOAD (0, x + i)
#define FETCH(x, i) x[i]
#endif

// low and 1 / step for bytes
static values_t reduce (const float16 x, const float2 range)
{
#if BYTES
  // rounded by the addition, the integer is in the low bits of a float of 1.5 * 2^23
  return convert_uchar16 (as_uint16 (fma (x - range.x, (float16) range.y, (float16) 12582912.0f)) & 255u);
#else
  const uint16 bits = as_uint16 (x), rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return convert_ushort16 (select (rounded, bits >> 16 | 64u, (bits & 0x7fffffffu) > 0x7f800000u));
#endif
}

// The segments of a row; those beyond the border are NULL
static uint find_segments (const uint row, const uint k, const uint conv_height, const uint conv_width,
    __global const float *source, const uint lda, __global const float **from)
{
  from[0] = source + (ulong) row * lda;
  if (conv_height == 0)
    return 1;
  const uint x = row % conv_width, y = row / conv_width % conv_height;
  for (int tap = 0; tap < TAPS; tap++) {
    const int dy = tap / 3 - 1, dx = tap % 3 - 1;
    // left of 0 and above it wraps, and is beyond the size, too
    const int inside = x + dx < conv_width && y + dy < conv_height;
    from[tap] = inside ? source + (row + dy * (long) conv_width + dx) * (long) lda : 0;
  }
  return TAPS;
}

#if BYTES
// The least and the greatest value of a row; not a number when one of them is not finite
static float2 find_range (const uint segments, const uint length, __global const float *const *from, const Norm norm)
{
  float16 low16 = INFINITY, high16 = -INFINITY, bad16 = 0.0f;
  float low = INFINITY, high = -INFINITY, bad = 0.0f;
  for (uint s = 0; s < segments; s++) {
    __global const float *const x = from[s];
    uint i = 0;
    if (!x) {
      low = fmin (low, 0.0f);
      high = fmax (high, 0.0f);
      continue;
    }
    for (; i + 16 <= length; i += 16) {
      const float16 v = FETCH16 (x, i);
      low16 = select (low16, v, v < low16);
      high16 = select (high16, v, v > high16);
      bad16 += v - v;
    }
    for (; i < length; i++) {
      const float v = FETCH (x, i);
      low = fmin (low, v);
      high = fmax (high, v);
      bad += v - v;
    }
  }
  const float8 low8 = fmin (low16.lo, low16.hi), high8 = fmax (high16.lo, high16.hi), bad8 = bad16.lo + bad16.hi;
  for (int i = 0; i < 8; i++) {
    low = fmin (low, low8[i]);
    high = fmax (high, high8[i]);
    bad += bad8[i];
  }
  return (float2) (low + bad, high);
}
#endif

// ranges: low and step of each row, from ranges_at on
__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_dot_pack (const uint k, const uint blocks, const uint height, const uint higher,
    __global const float *source, const ulong offset, const uint lda, const uint conv_height, const uint conv_width,
    __global value_t *a, __global float2 *ranges, const ulong ranges_at, __global const float *gamma,
    __global const float *beta, const float eps)
{
  const uint row = get_global_id (0), border = higher * (height + 1), stride = height + (higher > 0);
  const uint tile = row < border ? row / (height + 1) : higher + (row - border) / height;
  const uint in_tile = row - tile * height - min (tile, higher);
  __global const float *from[TAPS];
  const uint segments = find_segments (row, k, conv_height, conv_width, source + offset, lda, from);
  const uint length = k / segments;
  float2 range = 0.0f;
#if NORM
  const Norm norm = find_norm (from[0], length, gamma, beta, eps);
#else
  const Norm norm = { 0 };
#endif
#if BYTES
  range = find_range (segments, length, from, norm);
  const float step = (range.y - range.x) / 255.0f;
  ranges[ranges_at + row] = (float2) (range.x, step);
  range.y = step > 1e-35f ? 1.0f / step : 0.0f; // whose inverse is finite
#endif
  __global value_t *to = a + ((ulong) tile * blocks * stride + in_tile) * PER_BLOCK;
  const ulong next = (ulong) (stride - 1) * PER_BLOCK; // from a block's end to the next one's start
  uint left = PER_BLOCK;                               // of the block
  for (uint s = 0; s < segments; s++) {
    __global const float *const x = from[s];
    for (uint i = 0; i < length;) {
      if (left >= 16 && i + 16 <= length) {
        *(__global loose_values *) to = reduce (x ? FETCH16 (x, i) : (float16) 0.0f, range);
        i += 16, to += 16, left -= 16;
      } else {
        *to++ = reduce ((float16) (x ? FETCH (x, i) : 0.0f), range).s0;
        i++, left--;
      }
      if (left == 0) {
        to += next;
        left = PER_BLOCK;
      }
    }
  }
  // W is zero there, but zero times not a number is none
  for (; left > 0 && left < PER_BLOCK; left--)
    *to++ = 0;
}
