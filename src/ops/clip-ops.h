/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One host launcher per kernel. All enqueue and do not wait; buffers are float32, row-major. */
#pragma once

#include "device/clip-device.h"

G_BEGIN_DECLS

/**
 * clip_op_layernorm:
 * @x: [rows,width], row r begins at float @x_offset + r * @x_stride
 * @y: [rows,width] dense; may be @x when @x_offset is 0 and @x_stride is @width
 *
 * y = (x - mean) / sqrt (var + eps) * gamma + beta (Ba et al. 2016; biased variance).
 */
gboolean clip_op_layernorm (ClipQueue *queue, ClipBuffer *x, gsize x_offset, gsize x_stride,
    ClipBuffer *gamma, ClipBuffer *beta, float eps, guint rows, guint width, ClipBuffer *y,
    GError **error);

/**
 * clip_op_attention:
 * @qkv: [batch*length, 3*width]: queries, keys and values side by side
 * @lengths: (nullable): int32 [batch], keys of each item that count (<= length); NULL: all
 * @causal: query i sees keys 0..i only
 * @y: [batch*length, width]
 *
 * softmax (q k^T * head_dim^-0.5) v per head, head_dim = width / heads (any value up to 256).
 */
gboolean clip_op_attention (ClipQueue *queue, ClipBuffer *qkv, ClipBuffer *lengths, guint batch,
    guint length, guint width, guint heads, gboolean causal, ClipBuffer *y, GError **error);

/**
 * clip_op_pool_attention:
 * @q: [batch,width], or [width] for all items when @q_shared
 * @kv: [batch*length, 2*width]: keys and values side by side
 * @y: [batch,width]
 *
 * As clip_op_attention() with one query an item.
 */
gboolean clip_op_pool_attention (ClipQueue *queue, ClipBuffer *q, gboolean q_shared, ClipBuffer *kv,
    guint batch, guint length, guint width, guint heads, ClipBuffer *y, GError **error);

/**
 * clip_op_patches:
 * @pixels: [batch,3,size,size]
 * @y: [batch*(size/patch)^2, 3*patch*patch]: each patch as a row in the order (channel, y, x),
 *   that of a convolution weight [width,3,patch,patch]. Pixels past the last whole patch are unused.
 */
gboolean clip_op_patches (ClipQueue *queue, ClipBuffer *pixels, guint batch, guint size,
    guint patch, ClipBuffer *y, GError **error);

/**
 * clip_op_im2col_pixels:
 * @pixels: [items,3,size,size], from item @first on
 * @y: [batch*side*side, 27], side = (size + 1) / 2: the 3x3 surroundings of every other pixel as rows in
 *   the order (channel, dy, dx), zeros beyond the border
 */
gboolean clip_op_im2col_pixels (ClipQueue *queue, ClipBuffer *pixels, guint first, guint batch,
    guint size, ClipBuffer *y, GError **error);

/**
 * clip_op_im2col:
 * @x: [batch,height,width,channels]
 * @y: [rows, 9*channels]: the 3x3 surroundings of the pixels @first .. @first + @rows, over all items,
 *   in the order (dy, dx, channel), zeros beyond the border of an item
 */
gboolean clip_op_im2col (ClipQueue *queue, ClipBuffer *x, guint height, guint width, guint channels,
    guint first, guint rows, ClipBuffer *y, GError **error);

/**
 * clip_op_avgpool:
 * @x: [batch,height,width,channels]
 * @y: [batch,height/2,width/2,channels]: means of 2x2; an odd last line or column is left out
 */
gboolean clip_op_avgpool (ClipQueue *queue, ClipBuffer *x, guint batch, guint height, guint width,
    guint channels, ClipBuffer *y, GError **error);

/**
 * clip_op_mean_token:
 * @x: [batch*n, width]
 * @positions: [n+1, width]
 * @y: [batch*(n+1), width]: the mean of an item's rows, then its rows, all with their positions added; the
 *   latter less the first
 */
gboolean clip_op_mean_token (ClipQueue *queue, ClipBuffer *x, ClipBuffer *positions, guint batch,
    guint n, guint width, ClipBuffer *y, GError **error);

/**
 * clip_op_head_keys:
 * @q: [batch,width]: one query an item, heads side by side, head_dim = width / heads
 * @weight: the keys' weight [width,inputs], packed by clip_op_head_keys_pack()
 * @y: [batch,heads,inputs]: head_dim^-0.5 q_h W_h: what is to be multiplied with a token to give its score
 *
 * @inputs is a multiple of 16.
 */
gboolean clip_op_head_keys (ClipQueue *queue, ClipBuffer *q, ClipBuffer *weight, guint batch,
    guint width, guint heads, guint inputs, ClipBuffer *y, GError **error);
/** clip_op_head_keys_pack: @weight [width,inputs] to @packed of as many floats */
void clip_op_head_keys_pack (
    const float *weight, guint width, guint heads, guint inputs, float *packed);

/**
 * clip_op_head_scores:
 * @u: [batch,heads,width]
 * @x: [batch,n,width] as clip_op_mean_token() writes it
 * @y: [batch,heads,n]: u x^T, with 0 for the first token, from which the others are counted
 *
 * @width is a multiple of 16.
 */
gboolean clip_op_head_scores (ClipQueue *queue, ClipBuffer *u, ClipBuffer *x, guint batch,
    guint heads, guint n, guint width, ClipBuffer *y, GError **error);

/**
 * clip_op_head_mix:
 * @p: [batch,heads,n], with sums of 1
 * @x: [batch,n,width] as clip_op_mean_token() writes it
 * @y: [batch,heads,width]: the means of the tokens with the weights @p
 *
 * @width is a multiple of 16.
 */
gboolean clip_op_head_mix (ClipQueue *queue, ClipBuffer *p, ClipBuffer *x, guint batch, guint heads,
    guint n, guint width, ClipBuffer *y, GError **error);

/**
 * clip_op_head_values:
 * @x: [batch,heads,inputs]
 * @weight: [width,inputs] row-major; @bias: [width]
 * @y: [batch,width]: head h's part is W_h x_h + bias_h. @inputs is a multiple of 16
 */
gboolean clip_op_head_values (ClipQueue *queue, ClipBuffer *x, ClipBuffer *weight, ClipBuffer *bias,
    guint batch, guint width, guint heads, guint inputs, ClipBuffer *y, GError **error);

/**
 * clip_op_embed_image:
 * @patches: [batch*n, width] projected patches
 * @class_embedding: (nullable): [width]; then tokens = n + 1, else n
 * @positions: [tokens, width]
 * @y: [batch*tokens, width]
 */
gboolean clip_op_embed_image (ClipQueue *queue, ClipBuffer *patches, ClipBuffer *class_embedding,
    ClipBuffer *positions, guint batch, guint n, guint width, ClipBuffer *y, GError **error);

/**
 * clip_op_embed_text:
 * @ids: int32 [batch*length], each below @vocab (the caller has checked)
 * @table: [vocab,width]; @positions: [>= length, width]; @y: [batch*length, width]
 */
gboolean clip_op_embed_text (ClipQueue *queue, ClipBuffer *ids, ClipBuffer *table,
    ClipBuffer *positions, guint batch, guint length, guint width, ClipBuffer *y, GError **error);

/**
 * clip_op_gather_rows:
 * @rows: int32 [count]: row of @x for each row of @y
 */
gboolean clip_op_gather_rows (ClipQueue *queue, ClipBuffer *x, ClipBuffer *rows, guint count,
    guint width, ClipBuffer *y, GError **error);

/**
 * clip_op_l2_norm:
 * @x: [rows,width], normalised in place: x / |x|; a row of norm 0 becomes zeros, never NaN
 * @norms: [rows], |x| before
 */
gboolean clip_op_l2_norm (ClipQueue *queue, ClipBuffer *x, guint rows, guint width,
    ClipBuffer *norms, GError **error);

/** clip_op_softmax: each row of @x [rows,width], in place, maximum subtracted first */
gboolean clip_op_softmax (ClipQueue *queue, ClipBuffer *x, guint rows, guint width, GError **error);

G_END_DECLS
