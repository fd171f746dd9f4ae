// SPDX-License-Identifier: LGPL-2.1-or-later
// Vectors of as many floats as a register of the device has, for the kernels of CPU devices that include this.
// Option: -DVW=16|8|4.

#if VW == 16
typedef float16 vec;
typedef int16 ivec;
#define AS_VEC as_float16
#define AS_INT as_int16
#define LANES ((ivec) (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#elif VW == 8
typedef float8 vec;
typedef int8 ivec;
#define AS_VEC as_float8
#define AS_INT as_int8
#define LANES ((ivec) (0, 1, 2, 3, 4, 5, 6, 7))
#else
typedef float4 vec;
typedef int4 ivec;
#define AS_VEC as_float4
#define AS_INT as_int4
#define LANES ((ivec) (0, 1, 2, 3))
#endif

// Vectors in memory, at any float. The library's vload16 and vstore16 become four or more accesses each in PoCL.
typedef vec __attribute__ ((aligned (4))) loose_vec;
#define VLOAD(i, p) (*(__global const loose_vec *) ((p) + (i) * VW))
#define VSTORE(x, i, p) (*(__global loose_vec *) ((p) + (i) * VW) = (x))

// One round of the perfect shuffle; log2 (VW) of them transpose VW vectors.
static void shuffle_round (const vec *from, vec *to)
{
  _Pragma ("unroll") for (int i = 0; i < VW / 2; i++) {
    const vec x = from[i], y = from[i + VW / 2];
#if VW == 16
    to[2 * i] = (vec) (x.s0, y.s0, x.s1, y.s1, x.s2, y.s2, x.s3, y.s3, x.s4, y.s4, x.s5, y.s5,
        x.s6, y.s6, x.s7, y.s7);
    to[2 * i + 1] = (vec) (x.s8, y.s8, x.s9, y.s9, x.sa, y.sa, x.sb, y.sb, x.sc, y.sc, x.sd, y.sd,
        x.se, y.se, x.sf, y.sf);
#elif VW == 8
    to[2 * i] = (vec) (x.s0, y.s0, x.s1, y.s1, x.s2, y.s2, x.s3, y.s3);
    to[2 * i + 1] = (vec) (x.s4, y.s4, x.s5, y.s5, x.s6, y.s6, x.s7, y.s7);
#else
    to[2 * i] = (vec) (x.s0, y.s0, x.s1, y.s1);
    to[2 * i + 1] = (vec) (x.s2, y.s2, x.s3, y.s3);
#endif
  }
}

static void transpose (vec *x)
{
  vec y[VW];
  shuffle_round (x, y);
  shuffle_round (y, x);
#if VW > 4
  shuffle_round (x, y);
#if VW == 8
  _Pragma ("unroll") for (int i = 0; i < VW; i++)
    x[i] = y[i];
#else
  shuffle_round (y, x);
#endif
#endif
}
