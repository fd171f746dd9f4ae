// SPDX-License-Identifier: LGPL-2.1-or-later
// y = softmax (q k^T / sqrt (HD)) v for each head (Vaswani et al. 2017), HD = head_dim.
// qkv [batch*length, 3*width], y [batch*length, width].
//
// A work-item holds 16 queries of one head, one in each lane, and walks over the keys in groups of KEYS with
// the running maximum and sum of the online softmax (Milakov and Gimelshein 2018): no lane ever needs another
// lane's value, so there is no horizontal reduction, and scores are never stored. Keys and values are read as
// scalars that all lanes share.
#define LANES 16
#define KEYS 4

void load_queries (__global const float *q, ulong stride, int count, float16 *out)
{
  const float scale = 1.0f / sqrt ((float) HD);
  for (int d = 0; d < HD; d++) {
    float lanes[LANES];
    for (int i = 0; i < LANES; i++)
      lanes[i] = q[min (i, count - 1) * stride + d];
    out[d] = vload16 (0, lanes) * scale;
  }
}

void store_result (__global float *y, ulong stride, int count, const float16 *acc, float16 scale)
{
  for (int d = 0; d < HD; d++) {
    float lanes[LANES];
    vstore16 (acc[d] * scale, 0, lanes);
    for (int i = 0; i < count; i++)
      y[i * stride + d] = lanes[i];
  }
}

__kernel __attribute__ ((reqd_work_group_size (1, 1, 1))) void attention (__global const float *qkv,
    __global const int *lengths, const int has_lengths, const int length, const int width, const int causal,
    __global float *y)
{
  const int first = get_global_id (0) * LANES, head = get_global_id (1), item = get_global_id (2);
  const int count = min (LANES, length - first);
  const ulong stride = 3 * (ulong) width;
  __global const float *base = qkv + item * length * stride + head * HD;
  __global const float *k = base + width, *v = base + 2 * width;
  const int valid = has_lengths ? lengths[item] : length;
  const int end = causal ? min (valid, first + count) : valid;
  const int16 query = first + (int16) (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  float16 q[HD], acc[HD], top = -INFINITY, sum = 0.0f;
  load_queries (base + first * stride, stride, count, q);
  for (int d = 0; d < HD; d++)
    acc[d] = 0.0f;
  for (int j = 0; j < end; j += KEYS) {
    // keys past the end repeat the last one and are masked below
    __global const float *kj[KEYS], *vj[KEYS];
    float16 s[KEYS];
    for (int u = 0; u < KEYS; u++) {
      const ulong row = min (j + u, end - 1) * stride;
      kj[u] = k + row;
      vj[u] = v + row;
      s[u] = 0.0f;
    }
    for (int d = 0; d < HD; d++) {
#pragma unroll
      for (int u = 0; u < KEYS; u++)
        s[u] = fma (q[d], (float16) kj[u][d], s[u]);
    }
    float16 peak = top;
    for (int u = 0; u < KEYS; u++) {
      if (j + u >= end)
        s[u] = -INFINITY;
      if (causal)
        s[u] = select (s[u], (float16) -INFINITY, (int16) (j + u) > query);
      peak = fmax (peak, s[u]);
    }
    // a lane that has seen no key yet keeps -INFINITY: subtract 0 there, not infinity from infinity
    const float16 shift = select (peak, (float16) 0.0f, isinf (peak));
    const float16 decay = exp (top - shift);
    float16 total = 0.0f;
    for (int u = 0; u < KEYS; u++) {
      s[u] = exp (s[u] - shift);
      total += s[u];
    }
    sum = fma (sum, decay, total);
    top = peak;
    for (int d = 0; d < HD; d++) {
      float16 a = acc[d] * decay;
#pragma unroll
      for (int u = 0; u < KEYS; u++)
        a = fma (s[u], (float16) vj[u][d], a);
      acc[d] = a;
    }
  }
  const float16 scale = select (1.0f / sum, (float16) 0.0f, sum == 0.0f);
  store_result (y + (item * (ulong) length + first) * width + head * HD, width, count, acc, scale);
}
