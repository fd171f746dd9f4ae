// SPDX-License-Identifier: LGPL-2.1-or-later
// Included by kernels for CPU devices, after vector.cl.

// e^x for |x| <= 87: 2^n e^f, n = rint (x / ln 2) lands in the low bits of a float of 1.5 * 2^23, and
// e^f is a polynomial that was fitted to 3.5e-9 on |f| <= ln 2 / 2.
static vec exponential (const vec x)
{
  const vec shifted = fma (x, (vec) 1.44269504f, (vec) 12582912.0f);
  const vec n = shifted - 12582912.0f;
  const vec f = fma (n, (vec) -1.42860677e-6f, fma (n, (vec) -0.693145752f, x));
  vec p = fma ((vec) 1.39476056e-3f, f, (vec) 8.36987328e-3f);
  p = fma (p, f, (vec) 4.16662470e-2f);
  p = fma (p, f, (vec) 1.66665092e-1f);
  p = fma (p, f, (vec) 0.5f);
  p = fma (p, f * f, f + 1.0f);
  return p * AS_VEC ((AS_INT (shifted) << 23) + 0x3f800000);
}
