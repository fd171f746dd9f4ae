// SPDX-License-Identifier: LGPL-2.1-or-later
// y[i] = a * x[i] + y[i]: the smallest kernel, for checking that a device builds and runs programs.
__kernel void axpy (const float a, __global const float *x, __global float *y)
{
  const size_t i = get_global_id (0);
  y[i] = fma (a, x[i], y[i]);
}
