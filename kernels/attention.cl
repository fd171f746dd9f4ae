// SPDX-License-Identifier: LGPL-2.1-or-later
// y = softmax (q k^T / sqrt (HD)) v for each head (Vaswani et al. 2017), HD = head_dim.
// qkv [batch*length, 3*width], y [batch*length, width].
//
// For CPU devices: a work-item holds VW queries of one head, one in each lane, so that no lane ever needs another lane's
// value, and keys and values are read as scalars that all lanes share. It walks over the keys in blocks that stay in the
// first-level cache, with the running maximum and sum of the online softmax (Milakov and Gimelshein 2018). Sums stay
// in registers: of KEYS scores while the head's dimensions run, of DIMS dimensions while the block's keys run.
//
// Options: -DHD=, -DVW=16|8|4 floats in a vector register.

#include "vector.cl"
#include "exponential.cl"

#define BLOCK 64
#define KEYS 10
#define DIMS (VW == 16 ? 16 : 8)

static void load_queries (__global const float *q, const ulong stride, const int count, vec *out)
{
  const float scale = 1.0f / sqrt ((float) HD);
  for (int d = 0; d + VW <= HD; d += VW) {
    vec rows[VW];
    for (int i = 0; i < VW; i++)
      rows[i] = VLOAD (0, q + min (i, count - 1) * stride + d) * scale;
    transpose (rows);
    for (int i = 0; i < VW; i++)
      out[d + i] = rows[i];
  }
  for (int d = HD / VW * VW; d < HD; d++) {
    union {
      float lanes[VW];
      vec whole;
    } u;
    for (int i = 0; i < VW; i++)
      u.lanes[i] = q[min (i, count - 1) * stride + d];
    out[d] = u.whole * scale;
  }
}

static void store_result (__global float *y, const ulong stride, const int count, const vec *acc, const vec scale)
{
  for (int d = 0; d + VW <= HD; d += VW) {
    vec rows[VW];
    for (int i = 0; i < VW; i++)
      rows[i] = acc[d + i] * scale;
    transpose (rows);
    for (int i = 0; i < count; i++)
      VSTORE (rows[i], 0, y + i * stride + d);
  }
  for (int d = HD / VW * VW; d < HD; d++) {
    union {
      vec whole;
      float lanes[VW];
    } u = { acc[d] * scale };
    for (int i = 0; i < count; i++)
      y[i * stride + d] = u.lanes[i];
  }
}

// to[j][d] = from[j][d]: rows that are a multiple of 4096 bytes apart would fight for the same cache set
static void gather (__global const float *from, const ulong stride, const int count, float *to)
{
  for (int j = 0; j < count; j++) {
    for (int d = 0; d + VW <= HD; d += VW)
      *(loose_vec *) (to + j * HD + d) = VLOAD (0, from + j * stride + d);
    for (int d = HD / VW * VW; d < HD; d++)
      to[j * HD + d] = from[j * stride + d];
  }
}

// s[j] = q . k[j] for the `count` keys of a block, and for what lies beyond them up to a multiple of KEYS
static void score (const vec *q, const float *k, const int count, vec *s)
{
  for (int j = 0; j < count; j += KEYS) {
    vec sum[KEYS];
    _Pragma ("unroll") for (int u = 0; u < KEYS; u++)
      sum[u] = 0.0f;
    const float *key = k + (ulong) j * HD;
    for (int d = 0; d < HD; d++, key++) {
      _Pragma ("unroll") for (int u = 0; u < KEYS; u++)
        sum[u] = fma (q[d], (vec) key[u * HD], sum[u]);
    }
    for (int u = 0; u < KEYS; u++)
      s[j + u] = sum[u];
  }
}

// acc[d] = acc[d] * decay + sum of p[j] v[j][d], for N dimensions from FIRST on
#define ACCUMULATE(N, FIRST) \
  { \
    vec sum[N]; \
    _Pragma ("unroll") for (int u = 0; u < N; u++) \
      sum[u] = acc[FIRST + u] * decay; \
    const float *value = v + FIRST; \
    for (int j = 0; j < count; j++, value += HD) { \
      _Pragma ("unroll") for (int u = 0; u < N; u++) \
        sum[u] = fma (p[j], (vec) value[u], sum[u]); \
    } \
    _Pragma ("unroll") for (int u = 0; u < N; u++) \
      acc[FIRST + u] = sum[u]; \
  }

static void accumulate (const vec *p, const float *v, const int count, const vec decay, vec *acc)
{
  for (int d = 0; d + DIMS <= HD; d += DIMS)
    ACCUMULATE (DIMS, d)
#if HD % DIMS
  ACCUMULATE ((HD % DIMS), HD / DIMS * DIMS)
#endif
}

// e^(x - top), for x <= top; keeps a NaN
static vec power (const vec x, const vec top)
{
  const vec d = x - top;
  return exponential (select (d, (vec) -87.0f, d < -87.0f));
}

__kernel __attribute__ ((reqd_work_group_size (1, 1, 1))) void attention (__global const float *qkv,
    __global const int *lengths, const int has_lengths, const int length, const int width, const int causal,
    __global float *y)
{
  const int first = get_global_id (0) * VW, head = get_global_id (1), item = get_global_id (2);
  const int count = min (VW, length - first);
  const ulong stride = 3 * (ulong) width;
  __global const float *base = qkv + item * length * stride + head * HD;
  __global const float *k = base + width, *v = base + 2 * width;
  const int valid = has_lengths ? lengths[item] : length;
  const int end = causal ? min (valid, first + count) : valid;
  float rows[(BLOCK + KEYS) * HD];
  vec q[HD], acc[HD], s[BLOCK + KEYS], top = -INFINITY, sum = 0.0f;
  load_queries (base + first * stride, stride, count, q);
  for (int d = 0; d < HD; d++)
    acc[d] = 0.0f;
  const int blocks = (end + BLOCK - 1) / BLOCK, block = (end + blocks - 1) / max (blocks, 1);
  for (int start = 0; start < end; start += block) {
    const int keys = min (block, end - start);
    gather (k + start * stride, stride, keys, rows);
    score (q, rows, keys, s);
    // lane i sees the keys up to first + i; key 0 is among them
    if (causal) {
      for (int j = 0; j < keys; j++)
        s[j] = select (s[j], (vec) -INFINITY, (ivec) (start + j - first) > LANES);
    }
    vec peak = top;
    for (int j = 0; j < keys; j++)
      peak = fmax (peak, s[j]);
    const vec decay = power (top, peak);
    sum *= decay;
    for (int j = 0; j < keys; j++)
      sum += s[j] = power (s[j], peak);
    gather (v + start * stride, stride, keys, rows);
    accumulate (s, rows, keys, decay, acc);
    top = peak;
  }
  const vec scale = select (1.0f / sum, (vec) 0.0f, sum == 0.0f);
  store_result (y + (item * (ulong) length + first) * width + head * HD, width, count, acc, scale);
}
