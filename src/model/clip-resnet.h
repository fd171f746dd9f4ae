/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ModifiedResNet image encoder (Radford et al. 2021, section 2.4; openai/CLIP model.py ModifiedResNet). */
#pragma once

#include "clip-transformer.h"

G_BEGIN_DECLS

typedef struct _ClipResnet ClipResnet;

ClipResnet *clip_resnet_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error);
void clip_resnet_free (ClipResnet *resnet);
const char *clip_resnet_get_gemm_backend (ClipResnet *resnet);

/**
 * clip_resnet_run:
 * @pixels: [n,3,size,size]
 * @out: (out) (transfer none): [n,embed_dim], not normalised; valid until the next call
 *
 * Large batches are computed in parts, so that the activations take a bounded amount of memory.
 */
gboolean clip_resnet_run (ClipResnet *resnet, ClipQueue *queue, ClipScratch *scratch,
    ClipBuffer *pixels, guint n, const ClipTrace *trace, ClipBuffer **out, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipResnet, clip_resnet_free)

G_END_DECLS
