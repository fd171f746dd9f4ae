/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each kernel as plain scalar C in double precision. */
#pragma once

#include <glib.h>

void twin_layernorm (const float *x, gsize stride, const float *gamma, const float *beta, float eps,
    guint rows, guint width, float *y);
void twin_attention (const float *qkv, const gint32 *lengths, guint batch, guint length, guint width,
    guint heads, gboolean causal, float *y);
void twin_pool_attention (const float *q, guint q_stride, const float *kv, guint batch, guint length,
    guint width, guint heads, float *y);
void twin_patches (const float *pixels, guint batch, guint size, guint patch, float *y);
void twin_l2_norm (float *x, guint rows, guint width, float *norms);
void twin_softmax (float *x, guint rows, guint width);
