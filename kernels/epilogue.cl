// SPDX-License-Identifier: LGPL-2.1-or-later
// C[M,N] = act (P[M,N] + bias[N]) + residual[M,N], what follows a product that a BLAS has computed.
// P may be C, residual may be C: every work-item reads and writes its own element alone.
// `activation` is a ClipActivation (src/gemm/clip-gemm.h).

#define SUM_RELU 5 // comes after the residual

static float activate (const float x, const int activation)
{
  switch (activation) {
    case 1: return x / (1.0f + exp (-1.702f * x));
    case 2: return 0.5f * x * erfc (-0.70710678f * x);
    case 3: return x / (1.0f + exp (-1.59576912f * fma (0.044715f * x * x, x, x)));
    case 4: return x < 0.0f ? 0.0f : x;
    default: return x;
  }
}

__kernel void epilogue (__global const float *p, const ulong p_offset, const uint ldp,
    __global const float *bias, const int activation, const int add,
    __global const float *residual, __global float *c, const ulong c_offset, const uint ldc)
{
  const size_t column = get_global_id (0), row = get_global_id (1);
  const size_t at = c_offset + row * ldc + column;
  const float x = activate (p[p_offset + row * ldp + column] + bias[column], activation);
  const float sum = add ? x + residual[at] : x;
  c[at] = activation == SUM_RELU && sum < 0.0f ? 0.0f : sum;
}
