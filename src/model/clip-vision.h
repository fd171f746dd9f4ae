/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Vision Transformer image encoder (Dosovitskiy et al. 2020; openai/CLIP model.py VisionTransformer),
 * and SigLIP's, which has neither class token nor ln_pre and pools by attention. A ModifiedResNet is handed
 * on to clip-resnet.h. */
#pragma once

#include "clip-transformer.h"

G_BEGIN_DECLS

typedef struct _ClipVision ClipVision;

ClipVision *clip_vision_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error);
void clip_vision_free (ClipVision *vision);
const char *clip_vision_get_gemm_backend (ClipVision *vision);

/**
 * clip_vision_run:
 * @pixels: [n,3,size,size]
 * @out: (out) (transfer none): [n,embed_dim], not normalised; valid until the next call
 */
gboolean clip_vision_run (ClipVision *vision, ClipQueue *queue, ClipScratch *scratch,
    ClipBuffer *pixels, guint n, const ClipTrace *trace, ClipBuffer **out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipVision, clip_vision_free)

G_END_DECLS
