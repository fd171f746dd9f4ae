// SPDX-License-Identifier: LGPL-2.1-or-later
// y = softmax (q k^T / sqrt (HD)) v for each head (Vaswani et al. 2017), HD = head_dim, for devices whose work-groups
// share local memory. qkv [batch*length, 3*width], y [batch*length, width].
//
// A work-group takes QUERIES queries of a head and carries KEYS keys and values at a time to local memory; scores
// are never stored (Dao et al. 2022, arXiv 2205.14135). A query has PARTS work-items: each takes every PARTS-th bundle
// of BUNDLE keys with a running maximum and sum of its own (Milakov and Gimelshein 2018), which are put together at
// the end: where there are few queries the walk over the keys is shorter. Neighbouring work-items have the same part,
// so they read the same key at the same time.
//
// Options: -DHD, -DQUERIES, -DPARTS, -DKEYS (a multiple of PARTS * BUNDLE).
#define ITEMS (QUERIES * PARTS)
#define BUNDLE 4
#define VECTORS ((HD + 3) / 4) // of a head; what is over is 0
#define PITCH (4 * VECTORS)
#define SUMS (VECTORS + 1) // of a query, where parts are put together: neighbours are on other banks
#define TILE (2 * KEYS * VECTORS)
#define EXCHANGE (PARTS == 1 ? ITEMS / 2 : QUERIES * SUMS)

// what a work-item knows of its query
typedef struct {
  float top, sum;
  float4 acc[VECTORS];
} State;

// keys[j], and values[j] behind all keys, of the keys `first` + j; zeros from `end` on
void load_tile (__global const float *k, ulong stride, int width, int first, int end, __local float *keys)
{
#if HD % 4 == 0
  for (int i = get_local_id (0); i < KEYS * VECTORS; i += ITEMS) {
    const int j = i / VECTORS;
    __global const float *from = k + (first + j) * stride + i % VECTORS * 4;
    const int inside = first + j < end;
    ((__local float4 *) keys)[i] = inside ? *(__global const float4 *) from : 0.0f;
    ((__local float4 *) keys)[KEYS * VECTORS + i] = inside ? *(__global const float4 *) (from + width) : 0.0f;
  }
#else
  for (int i = get_local_id (0); i < KEYS * PITCH; i += ITEMS) {
    const int j = i / PITCH, d = i % PITCH;
    __global const float *from = k + (first + j) * stride + d;
    const int inside = first + j < end && d < HD;
    keys[i] = inside ? from[0] : 0.0f;
    keys[KEYS * PITCH + i] = inside ? from[width] : 0.0f;
  }
#endif
}

void load_query (__global const float *from, float4 *q)
{
  const float scale = 1.0f / sqrt ((float) HD);
#pragma unroll
  for (int d = 0; d < VECTORS; d++) {
    const int over = HD - 4 * d;
    q[d].x = from[4 * d] * scale;
    q[d].y = over > 1 ? from[4 * d + 1] * scale : 0.0f;
    q[d].z = over > 2 ? from[4 * d + 2] * scale : 0.0f;
    q[d].w = over > 3 ? from[4 * d + 3] * scale : 0.0f;
  }
}

// BUNDLE keys of the tile from `j` on, of which those before `end` count
void take_bundle (const float4 *q, __local const float4 *tile, int j, int end, State *state)
{
  __local const float4 *k = tile + j * VECTORS, *v = k + KEYS * VECTORS;
  float s[BUNDLE], peak = state->top, total = 0.0f;
#pragma unroll
  for (int u = 0; u < BUNDLE; u++) {
    float4 sums = 0.0f;
#pragma unroll
    for (int d = 0; d < VECTORS; d++)
      sums = fma (q[d], k[u * VECTORS + d], sums);
    s[u] = j + u < end ? sums.x + sums.y + sums.z + sums.w : -INFINITY;
    peak = fmax (peak, s[u]);
  }
  // who has seen no key yet keeps -INFINITY: subtract 0 there, not infinity from infinity
  const float shift = isinf (peak) ? 0.0f : peak, decay = exp (state->top - shift);
#pragma unroll
  for (int u = 0; u < BUNDLE; u++) {
    s[u] = exp (s[u] - shift);
    total += s[u];
  }
  state->top = peak;
  state->sum = fma (state->sum, decay, total);
#pragma unroll
  for (int d = 0; d < VECTORS; d++) {
    float4 a = state->acc[d] * decay;
#pragma unroll
    for (int u = 0; u < BUNDLE; u++)
      a = fma ((float4) s[u], v[u * VECTORS + d], a);
    state->acc[d] = a;
  }
}

// The factor by which this part's sums count, so that those of all parts of a query add up to the result
float weigh_part (const State *state, __local float *exchange)
{
  const int lid = get_local_id (0), query = lid % QUERIES;
  float peak = -INFINITY, sum = 0.0f;
  barrier (CLK_LOCAL_MEM_FENCE);
  exchange[lid] = state->top;
  exchange[ITEMS + lid] = state->sum;
  barrier (CLK_LOCAL_MEM_FENCE);
  for (int part = 0; part < PARTS; part++)
    peak = fmax (peak, exchange[part * QUERIES + query]);
  const float shift = isinf (peak) ? 0.0f : peak;
  for (int part = 0; part < PARTS; part++) {
    const int at = part * QUERIES + query;
    sum = fma (exchange[ITEMS + at], exp (exchange[at] - shift), sum);
  }
  return sum == 0.0f ? 0.0f : exp (state->top - shift) / sum;
}

// Adds up the parts, one after the other, in local memory, and stores. Nothing here may index `acc` by a variable: it
// lives in registers.
void store_result (__global float *y, int width, int count, const State *state, __local float *exchange)
{
  const int lid = get_local_id (0), query = lid % QUERIES, own_part = lid / QUERIES;
  const float weight = weigh_part (state, exchange);
#if PARTS == 1
  __global float *own = y + (ulong) query * width;
#pragma unroll
  for (int d = 0; d < VECTORS; d++) {
    const float4 a = state->acc[d] * weight;
    const int over = query < count ? HD - 4 * d : 0;
    if (over > 3)
      vstore4 (a, d, own);
    if (over == 1 || over == 2 || over == 3)
      own[4 * d] = a.x;
    if (over == 2 || over == 3)
      own[4 * d + 1] = a.y;
    if (over == 3)
      own[4 * d + 2] = a.z;
  }
#else
  __local float4 *sums = (__local float4 *) exchange + query * SUMS;
  for (int part = 0; part < PARTS; part++) {
    barrier (CLK_LOCAL_MEM_FENCE);
    if (part == own_part) {
#pragma unroll
      for (int d = 0; d < VECTORS; d++)
        sums[d] = part == 0 ? state->acc[d] * weight : fma (state->acc[d], (float4) weight, sums[d]);
    }
  }
  barrier (CLK_LOCAL_MEM_FENCE);
  for (int i = lid; i < count * HD; i += ITEMS)
    y[(ulong) (i / HD) * width + i % HD] = exchange[i / HD * 4 * SUMS + i % HD];
#endif
}

__kernel __attribute__ ((reqd_work_group_size (ITEMS, 1, 1))) void attention_group (__global const float *qkv,
    __global const int *lengths, const int has_lengths, const int length, const int width, const int causal,
    __global float *y)
{
  __local float4 local_memory[TILE > EXCHANGE ? TILE : EXCHANGE];
  __local float *floats = (__local float *) local_memory;
  const int lid = get_local_id (0), part = lid / QUERIES, head = get_global_id (1), item = get_global_id (2);
  const int first = get_group_id (0) * QUERIES, count = min (QUERIES, length - first);
  const int query = first + min (lid % QUERIES, count - 1);
  const ulong stride = 3 * (ulong) width;
  __global const float *base = qkv + item * length * stride + head * HD;
  const int valid = has_lengths ? lengths[item] : length;
  const int end = causal ? min (valid, first + count) : valid;
  const int own_end = causal ? min (valid, query + 1) : valid;
  float4 q[VECTORS];
  State state;
  load_query (base + query * stride, q);
  state.top = -INFINITY;
  state.sum = 0.0f;
#pragma unroll
  for (int d = 0; d < VECTORS; d++)
    state.acc[d] = 0.0f;
  for (int tile = 0; tile < end; tile += KEYS) {
    barrier (CLK_LOCAL_MEM_FENCE);
    load_tile (base + width, stride, width, tile, end, floats);
    barrier (CLK_LOCAL_MEM_FENCE);
    for (int j = part * BUNDLE; j < KEYS && tile + j < own_end; j += PARTS * BUNDLE)
      take_bundle (q, local_memory, j, own_end - tile, &state);
  }
  store_result (y + (item * (ulong) length + first) * width + head * HD, width, count, &state, floats);
}
