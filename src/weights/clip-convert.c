/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights/clip-convert.h"

#include <string.h>
#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

static guint16
load_u16 (const guint8 *p)
{
  return p[0] | p[1] << 8;
}

/* Exponent and mantissa move by 13 bits and the bias grows by 112. A subnormal becomes
 * 2^-14 (1 + m) first and loses the 2^-14 again: no operand is a float32 subnormal, so the
 * thread's flush-to-zero mode has no say. */
static float
f16_to_f32 (guint16 half)
{
  const guint32 bias = 112u << 23, smallest = 113u << 23;
  guint32 bits = (half & 0x7fffu) << 13, exponent = half & 0x7c00u;
  float value, base;
  bits += bias;
  if (exponent == 0x7c00u)
    bits += bias;
  if (exponent == 0)
    bits += 1u << 23;
  memcpy (&value, &bits, sizeof value);
  memcpy (&base, &smallest, sizeof base);
  if (exponent == 0)
    value -= base;
  return half & 0x8000u ? -value : value;
}

void
clip_convert_f16_portable (const guint8 *src, float *dst, gsize count)
{
  for (gsize i = 0; i < count; i++)
    dst[i] = f16_to_f32 (load_u16 (src + 2 * i));
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__ ((target ("avx,f16c"))) static gsize
convert_f16c (const guint8 *src, float *dst, gsize count)
{
  gsize i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps (dst + i, _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *)(src + 2 * i))));
  return i;
}

static gsize
convert_fast (const guint8 *src, float *dst, gsize count)
{
  /* whoever has AVX2 has F16C, whose own name clang 14 does not know */
  return __builtin_cpu_supports ("avx2")
             ? convert_f16c (src, dst, count)
             : 0;
}
#else
static gsize
convert_fast (const guint8 *src, float *dst, gsize count)
{
  return 0;
}
#endif

void
clip_convert_f16 (const guint8 *src, float *dst, gsize count)
{
  gsize done = convert_fast (src, dst, count);
  clip_convert_f16_portable (src + 2 * done, dst + done, count - done);
}

void
clip_convert_bf16 (const guint8 *src, float *dst, gsize count)
{
  for (gsize i = 0; i < count; i++) {
    guint32 bits = (guint32)load_u16 (src + 2 * i) << 16;
    memcpy (dst + i, &bits, sizeof bits);
  }
}

void
clip_convert_f32 (const guint8 *src, float *dst, gsize count)
{
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
  memcpy (dst, src, count * sizeof *dst);
#else
  for (gsize i = 0; i < count; i++) {
    guint32 bits;
    memcpy (&bits, src + 4 * i, sizeof bits);
    bits = GUINT32_FROM_LE (bits);
    memcpy (dst + i, &bits, sizeof bits);
  }
#endif
}

/* Low halves of the bytes are the first 16 elements, high halves the others; the fifth bits, where there are
 * any, lie in one word by element. @m of -0.0 changes no sum, not even a zero's sign */
static void
convert_nibbles (const guint8 *nibbles, guint32 fifths, int zero, float d, float m, float *dst)
{
  for (guint j = 0; j < CLIP_QUANT_BLOCK; j++) {
    int low = j < 16 ? nibbles[j] & 15 : nibbles[j - 16] >> 4;
    int q = low | (int)(fifths >> j & 1) << 4;
    dst[j] = (float)(q - zero) * d + m;
  }
}

static guint32
load_u32 (const guint8 *p)
{
  return load_u16 (p) | (guint32)load_u16 (p + 2) << 16;
}

void
clip_convert_q8_0 (const guint8 *src, float *dst, gsize count)
{
  for (; count > 0; count -= CLIP_QUANT_BLOCK, src += 34, dst += CLIP_QUANT_BLOCK) {
    float d = f16_to_f32 (load_u16 (src));
    for (guint j = 0; j < CLIP_QUANT_BLOCK; j++)
      dst[j] = (float)(gint8)src[2 + j] * d;
  }
}

void
clip_convert_q5_1 (const guint8 *src, float *dst, gsize count)
{
  for (; count > 0; count -= CLIP_QUANT_BLOCK, src += 24, dst += CLIP_QUANT_BLOCK)
    convert_nibbles (src + 8, load_u32 (src + 4), 0, f16_to_f32 (load_u16 (src)),
        f16_to_f32 (load_u16 (src + 2)), dst);
}

void
clip_convert_q5_0 (const guint8 *src, float *dst, gsize count)
{
  for (; count > 0; count -= CLIP_QUANT_BLOCK, src += 22, dst += CLIP_QUANT_BLOCK)
    convert_nibbles (src + 6, load_u32 (src + 2), 16, f16_to_f32 (load_u16 (src)), -0.0f, dst);
}

void
clip_convert_q4_1 (const guint8 *src, float *dst, gsize count)
{
  for (; count > 0; count -= CLIP_QUANT_BLOCK, src += 20, dst += CLIP_QUANT_BLOCK)
    convert_nibbles (
        src + 4, 0, 0, f16_to_f32 (load_u16 (src)), f16_to_f32 (load_u16 (src + 2)), dst);
}

void
clip_convert_q4_0 (const guint8 *src, float *dst, gsize count)
{
  for (; count > 0; count -= CLIP_QUANT_BLOCK, src += 18, dst += CLIP_QUANT_BLOCK)
    convert_nibbles (src + 2, 0, 8, f16_to_f32 (load_u16 (src)), -0.0f, dst);
}

gsize
clip_find_not_finite (const float *values, gsize count)
{
  for (gsize i = 0; i < count; i++) {
    guint32 bits;
    memcpy (&bits, values + i, sizeof bits);
    if ((bits & 0x7f800000u) == 0x7f800000u)
      return i;
  }
  return count;
}
