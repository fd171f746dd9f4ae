// SPDX-License-Identifier: LGPL-2.1-or-later
// The activations of a product's vectors, included by the products; `activation` is a ClipActivation
// (src/gemm/clip-gemm.h).

#include "exponential.cl"

// 1 / x for finite x >= 1: a guess from the exponent (12 % off), then three Newton steps. A vector
// division keeps its unit busy for five times as long.
static vec reciprocal (const vec x)
{
  vec r = AS_VEC ((ivec) 0x7ef311c7 - AS_INT (x));
  r *= fma (-x, r, (vec) 2.0f);
  r *= fma (-x, r, (vec) 2.0f);
  return fma (fma (-x, r, (vec) 1.0f), r, r);
}

// 1 / (1 + e^-x); exactly 0 below -87, where x * 0 is wanted and not x * 1e-38
static vec logistic (const vec x)
{
  const vec e = exponential (fmax (fmin (-x, (vec) 87.0f), (vec) -87.0f));
  return select (reciprocal (e + 1.0f), (vec) 0.0f, x < -87.0f);
}

// x P (X <= x) for normal X = max (x, 0) - u Q (u), u = |x|, Q (u) = P (X > u) = e^(-u^2 / 2) t S (t),
// t = 1 / (1 + 0.3 u); S was fitted to 1.3e-9 of u Q (u). Good in both tails, unlike 1 + erf (x).
static vec gelu (const vec x)
{
  const vec u = fmin (fabs (x), (vec) 13.0f);
  const vec t = reciprocal (fma ((vec) 0.3f, u, (vec) 1.0f));
  vec s = fma ((vec) 3.09619326e-2f, t, (vec) -1.33162051e-1f);
  s = fma (s, t, (vec) 1.55205444e-1f);
  s = fma (s, t, (vec) 4.95395157e-3f);
  s = fma (s, t, (vec) 8.96233842e-2f);
  s = fma (s, t, (vec) 1.14785276e-1f);
  s = fma (s, t, (vec) 1.17763661e-1f);
  s = fma (s, t, (vec) 1.19868405e-1f);
  const vec q = s * t * exponential (u * u * -0.5f);
  return select (x, (vec) 0.0f, x < 0.0f) - u * q;
}

// select keeps a NaN; fmax would hide it
static vec activate (const vec x, const int activation)
{
  switch (activation) {
    case 1: return x * logistic (1.702f * x);
    case 2: return gelu (x);
    case 3: return x * logistic (1.59576912f * fma (0.044715f * x * x, x, x));
    case 4: return select (x, (vec) 0.0f, x < 0.0f);
    default: return x;
  }
}
