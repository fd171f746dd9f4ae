/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pre-LN residual blocks that both towers share (Radford et al. 2021, section 2.4). */
#pragma once

#include "clip-model.h"

G_BEGIN_DECLS

/** ClipScratch: the activations of one pass; one is shared by both towers. Grows, never shrinks. */
typedef struct {
  ClipBuffer *x;      /* [rows, width] the residual stream */
  ClipBuffer *norm;   /* [rows, width] */
  ClipBuffer *qkv;    /* [rows, 3 width] */
  ClipBuffer *hidden; /* [rows, mlp_width], and [rows, patch inputs] before the first block */
  gsize x_size, qkv_size, hidden_size; /* floats */
} ClipScratch;

/** clip_scratch_reserve: makes room for at least so many floats in each buffer */
gboolean clip_scratch_reserve (ClipScratch *scratch, ClipDevice *device, gsize x, gsize qkv,
    gsize hidden, GError **error);
void clip_scratch_clear (ClipScratch *scratch);

/** ClipTrace: the test hook, and what it needs */
typedef struct {
  ClipTraceFunc func;
  gpointer user_data;
} ClipTrace;

/** clip_trace: reads [rows,width] back and hands it to the hook, if one is set */
gboolean clip_trace (const ClipTrace *trace, ClipQueue *queue, ClipBuffer *buffer, guint rows,
    guint width, GError **error, const char *format, ...) G_GNUC_PRINTF (7, 8);

typedef struct _ClipTransformer ClipTransformer;

/**
 * clip_transformer_load:
 * @tower: "vision" or "text": prefix of the canonical tensor names
 * @typical_rows: rows of a usual call, for the choice of the GEMM backend
 */
ClipTransformer *clip_transformer_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision,
    const char *tower, const ClipTransformerConfig *config, guint typical_rows, GError **error);
/** clip_transformer_new: without its blocks, for which clip_transformer_load_block() is called in any order */
ClipTransformer *clip_transformer_new (const char *tower, const ClipTransformerConfig *config);
gboolean clip_transformer_load_block (ClipTransformer *transformer, guint index, ClipQueue *queue,
    ClipWeights *weights, ClipPrecision precision, guint typical_rows, GError **error);
void clip_transformer_free (ClipTransformer *transformer);
const char *clip_transformer_get_gemm_backend (ClipTransformer *transformer);

/**
 * clip_transformer_run:
 * @scratch: x holds the input [batch*length, width] and then the output
 * @causal: token i sees tokens 0..i
 * @kept: (nullable): int32 [batch], the row of each item that is wanted: then x becomes [batch, width], and what the last
 *   block does to the other rows after its attention is not computed
 */
gboolean clip_transformer_run (ClipTransformer *transformer, ClipQueue *queue, ClipScratch *scratch,
    guint batch, guint length, gboolean causal, ClipBuffer *kept, const ClipTrace *trace, GError **error);
/** clip_scratch_keep_rows: x becomes its rows @kept, int32 [count]; norm's value is lost */
gboolean clip_scratch_keep_rows (
    ClipScratch *scratch, ClipQueue *queue, ClipBuffer *kept, guint count, guint width, GError **error);

/** clip_load_vector: a tensor of @count floats as a device buffer */
ClipBuffer *clip_load_vector (ClipQueue *queue, ClipWeights *weights, gsize count, GError **error,
    const char *format, ...) G_GNUC_PRINTF (5, 6);
/** clip_load_linear: TENSOR.weight [n,k], and TENSOR.bias [n] when @has_bias */
ClipLinear *clip_load_linear (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, guint n, guint k,
    gboolean has_bias, guint typical_rows, GError **error, const char *format, ...)
    G_GNUC_PRINTF (9, 10);

/** ClipNorm: a layer norm's parameters */
typedef struct {
  ClipBuffer *gamma, *beta; /* [width] */
} ClipNorm;

gboolean clip_load_norm (ClipQueue *queue, ClipWeights *weights, guint width, ClipNorm *norm,
    GError **error, const char *format, ...) G_GNUC_PRINTF (6, 7);
void clip_norm_clear (ClipNorm *norm);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipTransformer, clip_transformer_free)

G_END_DECLS
