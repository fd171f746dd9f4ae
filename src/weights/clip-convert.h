/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stored number types to float32, exactly. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* @src may be unaligned: safetensors promises nothing about its tensors' addresses */
void clip_convert_f16 (const guint8 *src, float *dst, gsize count);
/** clip_convert_f16_portable: the same without instructions for it; clip_convert_f16() falls back
 * to it */
void clip_convert_f16_portable (const guint8 *src, float *dst, gsize count);
void clip_convert_bf16 (const guint8 *src, float *dst, gsize count);
void clip_convert_f32 (const guint8 *src, float *dst, gsize count);

/* ggml's quantised types: rows of blocks of 32 elements, each with a scale d (f16), some with an offset m
 * (f16). q d + m with q as stored (_1) or q - 2^(bits - 1) (_0); one rounding each, as in float32. @count is
 * a multiple of CLIP_QUANT_BLOCK. */
#define CLIP_QUANT_BLOCK 32
void clip_convert_q8_0 (const guint8 *src, float *dst, gsize count);
void clip_convert_q5_1 (const guint8 *src, float *dst, gsize count);
void clip_convert_q5_0 (const guint8 *src, float *dst, gsize count);
void clip_convert_q4_1 (const guint8 *src, float *dst, gsize count);
void clip_convert_q4_0 (const guint8 *src, float *dst, gsize count);

/** clip_find_not_finite: index of the first NaN or infinity, or @count */
gsize clip_find_not_finite (const float *values, gsize count);

G_END_DECLS
