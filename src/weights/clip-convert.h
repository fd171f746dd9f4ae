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

/** clip_find_not_finite: index of the first NaN or infinity, or @count */
gsize clip_find_not_finite (const float *values, gsize count);

G_END_DECLS
