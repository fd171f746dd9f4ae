/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SigLIP's attention-pooling head (Zhai et al. 2022, arXiv 2106.04560, section 3.2; transformers
 * modeling_siglip.py SiglipMultiheadAttentionPoolingHead). */
#pragma once

#include "clip-transformer.h"

G_BEGIN_DECLS

typedef struct _ClipSiglipHead ClipSiglipHead;

/** clip_siglip_head_load: @typical_rows: tokens of a picture, for the choice of the GEMM backend */
ClipSiglipHead *clip_siglip_head_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision,
    const ClipTransformerConfig *config, guint typical_rows, GError **error);
void clip_siglip_head_free (ClipSiglipHead *head);

/**
 * clip_siglip_head_run:
 * @scratch: norm holds all tokens [n*length, width] after ln_post; x receives the pooled [n, width]
 */
gboolean clip_siglip_head_run (ClipSiglipHead *head, ClipQueue *queue, ClipScratch *scratch, guint n,
    guint length, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipSiglipHead, clip_siglip_head_free)

G_END_DECLS
