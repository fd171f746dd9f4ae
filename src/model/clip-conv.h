/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A convolution with its batch norm, as a product. */
#pragma once

#include "gemm/clip-gemm.h"
#include "weights/clip-weights.h"

G_BEGIN_DECLS

/**
 * CLIP_CONV_1X1: k = in
 * CLIP_CONV_3X3: k = 9 in, in the order (dy, dx, channel), for clip_linear_run_conv3()
 * CLIP_CONV_PIXELS: k = 9 in, in the order (channel, dy, dx), for the rows of clip_op_im2col_pixels()
 */
typedef enum { CLIP_CONV_1X1, CLIP_CONV_3X3, CLIP_CONV_PIXELS } ClipConvKind;

/**
 * clip_load_conv: the convolution TENSOR with TENSOR.bn folded into its weight and bias
 * @typical_rows: as for clip_linear_new()
 */
ClipLinear *clip_load_conv (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, ClipConvKind kind,
    guint out, guint in, guint typical_rows, GError **error, const char *format, ...) G_GNUC_PRINTF (9, 10);

G_END_DECLS
