/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernels of a ModifiedResNet as plain scalar C in double precision. */
#pragma once

#include <glib.h>

void twin_im2col_pixels (const float *pixels, guint first, guint batch, guint size, float *y);
void twin_im2col (const float *x, guint height, guint width, guint channels, guint first, guint rows, float *y);
void twin_avgpool (const float *x, guint batch, guint height, guint width, guint channels, float *y);
void twin_mean_token (const float *x, const float *positions, guint batch, guint n, guint width, float *y);
void twin_head_keys (const float *q, const float *weight, guint batch, guint width, guint heads, guint inputs, float *y);
void twin_head_scores (const float *u, const float *x, guint batch, guint heads, guint n, guint width, float *y);
void twin_head_mix (const float *p, const float *x, guint batch, guint heads, guint n, guint width, float *y);
void twin_head_values (const float *x, const float *weight, const float *bias, guint batch, guint width, guint heads,
    guint inputs, float *y);
