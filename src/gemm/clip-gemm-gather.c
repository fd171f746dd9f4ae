/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 3x3 convolutions for backends that multiply rows as they lie: the rows go to the scratch memory first. */
#include "clip-gemm-private.h"

#include "ops/clip-ops.h"

/* of the gathered rows */
#define GATHER_BYTES (32u << 20)

gboolean
clip_linear_run_gathered (ClipLinear *linear, ClipQueue *queue, const ClipLinearCall *call,
    ClipLinearProduct product, GError **error)
{
  guint chunk = CLAMP (GATHER_BYTES / (linear->k * sizeof (float)), 1, call->m);
  ClipBuffer *rows = clip_queue_get_scratch (queue, (gsize) chunk * linear->k * sizeof (float), error);
  ClipLinearCall part = *call;
  part.a = rows;
  part.lda = linear->k;
  part.height = part.width = 0;
  for (guint first = 0; rows && first < call->m; first += chunk) {
    part.m = MIN (chunk, call->m - first);
    part.c_offset = call->c_offset + (gsize) first * call->ldc;
    if (!clip_op_im2col (queue, call->a, call->height, call->width, call->lda, first, part.m, rows, error)
        || !product (linear, queue, &part, error))
      return FALSE;
  }
  return rows != NULL;
}
