/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The attention pool of a ModifiedResNet (openai/CLIP model.py AttentionPool2d): a transformer's attention
 * whose only query is the mean token. */
#pragma once

#include "clip-transformer.h"

G_BEGIN_DECLS

typedef struct _ClipAttnpool ClipAttnpool;

ClipAttnpool *clip_attnpool_load (ClipQueue *queue, ClipWeights *weights, GError **error);
void clip_attnpool_free (ClipAttnpool *pool);

/** clip_attnpool_scratch: floats of an item that the pool needs in scratch->x and ->qkv */
void clip_attnpool_scratch (const ClipAttnpool *pool, gsize *x, gsize *qkv);

/**
 * clip_attnpool_run:
 * @x: [n*side^2, width], scratch->x or scratch->norm; the scratch's other buffers are written over
 * @out: receives [n,embed_dim] at float @offset
 */
gboolean clip_attnpool_run (ClipAttnpool *pool, ClipQueue *queue, ClipScratch *scratch,
    ClipBuffer *x, guint n, ClipBuffer *out, gsize offset, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipAttnpool, clip_attnpool_free)

G_END_DECLS
