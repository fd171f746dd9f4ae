/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Temporal pooling: the embeddings of a window of time become one. */
#pragma once

#include <glib.h>

#include "clip-time.h"

G_BEGIN_DECLS

/**
 * ClipPooling:
 * @CLIP_POOLING_MEAN: mean of the unit embeddings, normalised again: CLIP's protocol for videos
 * @CLIP_POOLING_EMA: e = e * exp(-dt / window) + x * (1 - exp(-dt / window)), normalised again
 */
typedef enum { CLIP_POOLING_NONE, CLIP_POOLING_MEAN, CLIP_POOLING_EMA } ClipPooling;

typedef struct _ClipPool ClipPool;

ClipPool *clip_pool_new (guint embed_dim);
void clip_pool_free (ClipPool *pool);
void clip_pool_reset (ClipPool *pool);

/**
 * clip_pool_push:
 * @window: nanoseconds. For the mean: only embeddings younger than that, and always the newest; 0: all since the
 *   reset. For ema: the time constant; 0: the newest alone
 * @time: nanoseconds; when it goes back, the pool begins anew. CLIP_TIME_NONE: unknown; the mean takes it for the time
 *   of the newest, and ema, which cannot weigh it, begins anew
 * @embedding: [embed_dim], of unit length or zeros
 *
 * Another pooling than before begins anew.
 */
void clip_pool_push (ClipPool *pool, ClipPooling pooling, guint64 window, guint64 time, const float *embedding);

/**
 * clip_pool_get:
 * @embedding: (array): receives embed_dim floats of unit length, zeros when the sum is zero
 * @start: (out) (nullable): time of the oldest frame in it
 *
 * Returns: how many frames are in it
 */
guint clip_pool_get (const ClipPool *pool, float *embedding, guint64 *start);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipPool, clip_pool_free)

G_END_DECLS
