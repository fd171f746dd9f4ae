// SPDX-License-Identifier: LGPL-2.1-or-later
// y = softmax (q k^T / sqrt (HD)) v for each head, HD = head_dim, with one query an item: attention pooling
// (Lee et al. 2019, arXiv 1810.00825, section 3.2).
// q [width] shared by all items, or [batch, width]; kv [batch*length, 2*width]; y [batch, width].
//
// A work-item is a head of an item: it walks over the keys with the running maximum and sum of the online
// softmax. The work is small beside the products that make keys and values.
__kernel void pool_attention (__global const float *q, const int q_stride, __global const float *kv,
    const int length, const int width, __global float *y)
{
  const int head = get_global_id (0), item = get_global_id (1);
  const float scale = 1.0f / sqrt ((float) HD);
  __global const float *query = q + item * (ulong) q_stride + head * HD;
  __global const float *key = kv + item * (ulong) length * 2 * width + head * HD;
  float acc[HD], top = -INFINITY, sum = 0.0f;
  for (int d = 0; d < HD; d++)
    acc[d] = 0.0f;
  for (int j = 0; j < length; j++, key += 2 * width) {
    __global const float *value = key + width;
    float s = 0.0f;
    for (int d = 0; d < HD; d++)
      s = fma (query[d], key[d], s);
    s *= scale;
    const float peak = fmax (top, s);
    const float decay = exp (top - peak), weight = exp (s - peak);
    sum = fma (sum, decay, weight);
    for (int d = 0; d < HD; d++)
      acc[d] = fma (acc[d], decay, weight * value[d]);
    top = peak;
  }
  for (int d = 0; d < HD; d++)
    y[item * (ulong) width + head * HD + d] = acc[d] / sum;
}
