// SPDX-License-Identifier: LGPL-2.1-or-later
// Row-wise operations on [rows, width] with a work-group of WG items a row (WG = 1 on CPU devices).
//   layernorm: y = (x - mean) / sqrt (var + eps) * gamma + beta
//   l2_norm:   x = x / |x|, zeros where |x| = 0
//   softmax:   x = exp (x - max) / sum
#define CAT_(a, b) a##b
#define CAT(a, b) CAT_ (a, b)
#define FV CAT (float, V)
#define VLOAD CAT (vload, V)
#define VSTORE CAT (vstore, V)

float sum_lanes (const FV v)
{
  float lanes[V], sum = 0.0f;
  VSTORE (v, 0, lanes);
  for (int i = 0; i < V; i++)
    sum += lanes[i];
  return sum;
}

float group_sum (float value, __local float *scratch)
{
#if WG == 1
  return value;
#else
  const int lid = get_local_id (0);
  scratch[lid] = value;
  barrier (CLK_LOCAL_MEM_FENCE);
  for (int step = WG / 2; step > 0; step /= 2) {
    if (lid < step)
      scratch[lid] += scratch[lid + step];
    barrier (CLK_LOCAL_MEM_FENCE);
  }
  value = scratch[0];
  barrier (CLK_LOCAL_MEM_FENCE);
  return value;
#endif
}

float group_max (float value, __local float *scratch)
{
#if WG == 1
  return value;
#else
  const int lid = get_local_id (0);
  scratch[lid] = value;
  barrier (CLK_LOCAL_MEM_FENCE);
  for (int step = WG / 2; step > 0; step /= 2) {
    if (lid < step)
      scratch[lid] = fmax (scratch[lid], scratch[lid + step]);
    barrier (CLK_LOCAL_MEM_FENCE);
  }
  value = scratch[0];
  barrier (CLK_LOCAL_MEM_FENCE);
  return value;
#endif
}

// sum of (x - shift)^power over the row, power 1 or 2; a whole vector at a time, then the rest
float row_sum (__global const float *x, int width, float shift, int square, __local float *scratch)
{
  const int lid = get_local_id (0), whole = width / V;
  FV partial = 0.0f;
  for (int i = lid; i < whole; i += WG) {
    const FV d = VLOAD (i, x) - shift;
    partial += square ? d * d : d;
  }
  float sum = sum_lanes (partial);
  for (int i = whole * V + lid; i < width; i += WG) {
    const float d = x[i] - shift;
    sum += square ? d * d : d;
  }
  return group_sum (sum, scratch);
}

__kernel __attribute__ ((reqd_work_group_size (WG, 1, 1))) void layernorm (__global const float *x, const ulong offset,
    const ulong stride, __global const float *gamma, __global const float *beta, const float eps, const int width,
    __global float *y)
{
  __local float scratch[WG];
  const int lid = get_local_id (0), whole = width / V;
  x += offset + get_group_id (0) * stride;
  y += (ulong) get_group_id (0) * width;
  const float mean = row_sum (x, width, 0.0f, 0, scratch) / width;
  const float scale = 1.0f / sqrt (row_sum (x, width, mean, 1, scratch) / width + eps);
  for (int i = lid; i < whole; i += WG)
    VSTORE (fma ((VLOAD (i, x) - mean) * scale, VLOAD (i, gamma), VLOAD (i, beta)), i, y);
  for (int i = whole * V + lid; i < width; i += WG)
    y[i] = fma ((x[i] - mean) * scale, gamma[i], beta[i]);
}

__kernel __attribute__ ((reqd_work_group_size (WG, 1, 1))) void l2_norm (
    __global float *x, const int width, __global float *norms)
{
  __local float scratch[WG];
  const int lid = get_local_id (0);
  x += (ulong) get_group_id (0) * width;
  const float norm = sqrt (row_sum (x, width, 0.0f, 1, scratch));
  const float scale = norm > 0.0f ? 1.0f / norm : 0.0f;
  for (int i = lid; i < width; i += WG)
    x[i] *= scale;
  if (lid == 0)
    norms[get_group_id (0)] = norm;
}

__kernel __attribute__ ((reqd_work_group_size (WG, 1, 1))) void softmax (__global float *x, const int width)
{
  __local float scratch[WG];
  const int lid = get_local_id (0);
  float top = -INFINITY, sum = 0.0f;
  x += (ulong) get_group_id (0) * width;
  for (int i = lid; i < width; i += WG)
    top = fmax (top, x[i]);
  top = group_max (top, scratch);
  for (int i = lid; i < width; i += WG) {
    x[i] = exp (x[i] - top);
    sum += x[i];
  }
  const float scale = 1.0f / group_sum (sum, scratch);
  for (int i = lid; i < width; i += WG)
    x[i] *= scale;
}
