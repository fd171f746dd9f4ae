/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the CLBlast backend share; they alone include clblast_c.h. */
#pragma once

#include "clip-gemm-private.h"

#include <clblast_c.h>

G_BEGIN_DECLS

/* scratch memory: A as CLBlast wants it, and C where it is not yet the result; 0 has a convolution's rows */
#define CLIP_CLBLAST_SCRATCH_A 1
#define CLIP_CLBLAST_SCRATCH_C 2

static inline guint
clip_clblast_round_up (guint value, guint multiple)
{
  return (value + multiple - 1) / multiple * multiple;
}

/**
 * ClipClblastProduct: C[m,n] = A[m,k] * W[k,n]
 * @a: row-major from float @a_offset on, rows @lda apart; or, @a_transposed, [k,m] with rows @lda apart
 * @w: row-major from the buffer's begin, rows @ldw apart
 * @c: row-major from float @c_offset on, rows @ldc apart
 */
typedef struct {
  guint m, n, k;
  ClipBuffer *a;
  gsize a_offset;
  guint lda;
  gboolean a_transposed;
  ClipBuffer *w;
  guint ldw;
  ClipBuffer *c;
  gsize c_offset;
  guint ldc;
} ClipClblastProduct;

/** clip_clblast_find_layout: how CLBlast wants the matrices, with the parameters that it uses now on the queue's device */
void clip_clblast_find_layout (ClipQueue *queue, ClipClblastLayout *layout);

/** clip_clblast_is_bare: whether CLBlast computes @product by a single kernel, without a copy of a matrix */
gboolean clip_clblast_is_bare (const ClipClblastLayout *layout, ClipQueue *queue, const ClipClblastProduct *product);

/** clip_clblast_find_threshold: XGEMM_MIN_INDIRECT_SIZE as CLBlast has it now on the queue's device */
guint clip_clblast_find_threshold (ClipQueue *queue);

/** clip_clblast_multiply: enqueues; does not wait */
gboolean clip_clblast_multiply (
    const ClipClblastLayout *layout, ClipQueue *queue, const ClipClblastProduct *product, GError **error);

/** clip_clblast_arrange: A of @product into @to as its layout wants it, padded to @m and @k; @product then is that one */
gboolean clip_clblast_arrange (const ClipClblastLayout *layout, ClipQueue *queue, ClipClblastProduct *product, guint m,
    guint k, ClipBuffer *to, GError **error);

G_END_DECLS
