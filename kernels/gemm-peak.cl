// SPDX-License-Identifier: LGPL-2.1-or-later
// x[32 + item] = sum of CHAINS independent chains c = c * x[0] + x[1], STEPS long: nothing but fused
// multiply-adds in registers, the speed that no matrix product on this device can exceed.
//
// Options: -DVW=16|8|4 floats in a vector register, -DCHAINS (more than units times latency),
// -DSTEPS.
#if VW == 16
typedef float16 vec;
#elif VW == 8
typedef float8 vec;
#else
typedef float4 vec;
#endif

__attribute__ ((reqd_work_group_size (1, 1, 1)))
__kernel void gemm_peak (__global float *x)
{
  const vec factor = (vec) x[0], term = (vec) x[1];
  vec c[CHAINS], sum = (vec) 0.0f;
  _Pragma ("unroll") for (int i = 0; i < CHAINS; i++)
    c[i] = (vec) x[i];
  for (uint step = 0; step < STEPS; step++) {
    _Pragma ("unroll") for (int i = 0; i < CHAINS; i++)
      c[i] = fma (c[i], factor, term);
  }
  _Pragma ("unroll") for (int i = 0; i < CHAINS; i++)
    sum += c[i];
  x[32 + get_global_id (0)] = sum.s0 + sum.s1 + sum.s2 + sum.s3;
}
