// SPDX-License-Identifier: LGPL-2.1-or-later
// The sums that a row's norm needs, included after vector.cl by kernels for CPU devices.

// sum of x - shift, or of its square
static float sum_row (__global const float *x, const uint length, const float shift, const int square)
{
  union {
    vec whole;
    float lanes[VW];
  } u = { (vec) 0.0f };
  float sum = 0.0f;
  uint i = 0;
  for (; i + VW <= length; i += VW) {
    const vec d = VLOAD (0, x + i) - shift;
    u.whole += square ? d * d : d;
  }
  for (; i < length; i++)
    sum += square ? (x[i] - shift) * (x[i] - shift) : x[i] - shift;
  for (uint step = VW / 2; step >= 4; step /= 2) {
    for (i = 0; i < step; i++)
      u.lanes[i] += u.lanes[i + step];
  }
  return sum + u.lanes[0] + u.lanes[1] + u.lanes[2] + u.lanes[3];
}
