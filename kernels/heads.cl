// SPDX-License-Identifier: LGPL-2.1-or-later
// Attention pooling with one query an item (openai/CLIP model.py AttentionPool2d), without keys and values.
//
//   score_hj = q_h (W_h x_j + k_h) = (q_h W_h) x_j + q_h k_h, and the last term, the same for all tokens j,
//   drops out of the softmax: the keys' bias is not needed
//   y_h = sum_j p_hj (V_h x_j + v_h) = V_h (sum_j p_hj x_j) + v_h, since the p_h sum up to 1
//
// For the same two reasons tokens can be taken as what they differ by from the first one. They must: deep
// networks give tokens of thousands that are nearly alike, and scores between which float has no values left.
//
// With 50 tokens that is a twenty-fifth of the work of making all keys and values; what is left is bound by
// reading W and V once.

// y[b][0] = mean of x[b] + positions[0], y[b][j + 1] = x[b][j] + positions[j + 1] - y[b][0]. A work-item is a
// column. x [batch,n,width], positions [n+1,width], y [batch,n+1,width]
__kernel void mean_token (__global const float *restrict x, __global const float *restrict positions, const int n,
    __global float *restrict y)
{
  const ulong column = get_global_id (0), b = get_global_id (1), width = get_global_size (0);
  __global const float *from = x + b * n * width + column;
  __global float *to = y + b * (n + 1) * width + column;
  const float position = positions[column];
  float sum = 0.0f;
  for (int j = 0; j < n; j++)
    sum += from[j * width];
  const float mean = sum / n;
  to[0] = mean + position;
  for (int j = 0; j < n; j++)
    to[(j + 1) * width] = (from[j * width] - mean) + (positions[(j + 1) * width + column] - position);
}

// y[b][h][i] = HD^-0.5 sum_d q[b][h HD + d] w[h][i / 16][d][i % 16]. A work-item is 16 values for all items:
// its weights, one stream of memory, are read once from there.
__kernel void head_keys (__global const float *q, __global const float16 *w, const int batch, __global float16 *y)
{
  const ulong block = get_global_id (0), blocks = get_global_size (0);
  const ulong head = get_global_id (1), heads = get_global_size (1);
  const float scale = 1.0f / sqrt ((float) HD);
  w += (head * blocks + block) * HD;
  for (int b = 0; b < batch; b++) {
    __global const float *query = q + (b * heads + head) * HD;
    float16 even = 0.0f, odd = 0.0f;
    int d = 0;
    for (; d + 2 <= HD; d += 2) {
      even = fma ((float16) query[d], w[d], even);
      odd = fma ((float16) query[d + 1], w[d + 1], odd);
    }
    if (d < HD)
      even = fma ((float16) query[d], w[d], even);
    y[(b * heads + head) * blocks + block] = (even + odd) * scale;
  }
}

float add_lanes (const float16 x)
{
  const float8 a = x.lo + x.hi;
  const float4 b = a.lo + a.hi;
  const float2 c = b.lo + b.hi;
  return c.x + c.y;
}

// a b, both of 16 n values
float dot_product (__global const float16 *a, __global const float16 *b, const int n)
{
  float16 even = 0.0f, odd = 0.0f;
  int i = 0;
  for (; i + 2 <= n; i += 2) {
    even = fma (a[i], b[i], even);
    odd = fma (a[i + 1], b[i + 1], odd);
  }
  if (i < n)
    even = fma (a[i], b[i], even);
  return add_lanes (even + odd);
}

// y[b][h][j] = u[b][h] x[b][j], 0 for j = 0; blocks of 16 values
__kernel void head_scores (
    __global const float16 *u, __global const float16 *x, const int blocks, __global float *y)
{
  const ulong j = get_global_id (0), head = get_global_id (1), b = get_global_id (2);
  const ulong n = get_global_size (0), row = b * get_global_size (1) + head;
  y[row * n + j] = j == 0 ? 0.0f : dot_product (u + row * blocks, x + (b * n + j) * blocks, blocks);
}

// y[b][h] = x[b][0] + sum_j>0 p[b][h][j] x[b][j]; a work-item is 16 columns
__kernel void head_mix (__global const float *p, __global const float16 *x, const int n, __global float16 *y)
{
  const ulong block = get_global_id (0), head = get_global_id (1), b = get_global_id (2);
  const ulong blocks = get_global_size (0), row = b * get_global_size (1) + head;
  float16 sum = 0.0f;
  x += b * n * blocks + block;
  for (int j = 1; j < n; j++)
    sum = fma ((float16) p[row * n + j], x[j * blocks], sum);
  y[row * blocks + block] = x[0] + sum;
}

// y[b][r] = w[r] x[b][r / HD] + bias[r]. A work-item is a row of w for all items.
__kernel void head_values (__global const float16 *x, __global const float16 *w, __global const float *bias,
    const int batch, const int blocks, __global float *y)
{
  const ulong row = get_global_id (0), width = get_global_size (0);
  const ulong heads = width / HD, head = row / HD;
  for (int b = 0; b < batch; b++)
    y[b * width + row]
        = dot_product (x + (b * heads + head) * blocks, w + row * blocks, blocks) + bias[row];
}
