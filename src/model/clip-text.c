/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-text.h"

#include "ops/clip-ops.h"

#include <string.h>

/* Rows for which the GEMM backend is chosen: a few prompts of usual length. */
#define TYPICAL_ROWS 64
/* Floats of the table in a step: about those of a block */
#define TABLE_PART (4 * 1024 * 1024)

struct _ClipText {
  guint embed_dim, width, mlp_width, layers;
  float eps;
  gboolean causal;
  ClipBuffer *table, *positions;
  ClipNorm ln_final;
  ClipTransformer *transformer;
  ClipLinear *projection;
  ClipPrecision precision;
  gsize table_done; /* floats */
  guint steps; /* done: 0 is the table, 1 what else is outside the blocks, then a block each */
  ClipBuffer *ids, *ends; /* int32 [ids_size], [ids_size] */
  guint ids_size;
};

static gboolean
load_outside (ClipText *t, ClipQueue *queue, ClipWeights *weights, const ClipModelConfig *config, GError **error)
{
  guint w = t->width;
  t->positions
      = clip_load_vector (queue, weights, (gsize) config->context_length * w, error, "text.positions");
  return t->positions && clip_load_norm (queue, weights, w, &t->ln_final, error, "text.ln_final")
         && (t->projection = clip_load_linear (
                 queue, weights, CLIP_PRECISION_FP32, t->embed_dim, w, config->family == CLIP_FAMILY_SIGLIP, 8,
                 error, "text.projection"));
}

/* A part of the table, which is as large as a dozen blocks. */
static gboolean
load_table (ClipText *t, ClipQueue *queue, ClipWeights *weights, const ClipModelConfig *config, GError **error)
{
  const char *name = "text.token_embedding.weight";
  gsize total = (gsize) config->vocab_size * t->width;
  gsize count = MIN (clip_weights_get_part (weights, name, TABLE_PART), total - t->table_done);
  g_autofree float *values = g_new (float, count);
  if (!t->table)
    t->table = clip_buffer_new (clip_queue_get_device (queue), total * sizeof (float), error);
  if (!t->table || !clip_weights_read_part (weights, name, t->table_done, values, count, total, error)
      || !clip_buffer_write (
          t->table, queue, t->table_done * sizeof (float), values, count * sizeof (float), error))
    return FALSE;
  t->table_done += count;
  return TRUE;
}

gboolean
clip_text_load_step (ClipText *t, ClipQueue *queue, ClipWeights *weights, gboolean *more, GError **error)
{
  const ClipModelConfig *config = clip_weights_get_config (weights);
  guint steps = config->text.layers + 2;
  gboolean ok = t->steps >= steps
                || (t->steps == 0   ? load_table (t, queue, weights, config, error)
                    : t->steps == 1 ? load_outside (t, queue, weights, config, error)
                                    : clip_transformer_load_block (
                                          t->transformer, t->steps - 2, queue, weights, t->precision, TYPICAL_ROWS, error));
  gboolean is_in_table = t->steps == 0 && t->table_done < (gsize) config->vocab_size * t->width;
  if (ok && t->steps < steps && !is_in_table)
    t->steps++;
  *more = ok && t->steps < steps;
  return ok;
}

gboolean
clip_text_is_loaded (const ClipText *t)
{
  return t->steps == t->layers + 2;
}

ClipText *
clip_text_new (const ClipModelConfig *config, ClipPrecision precision)
{
  ClipText *t = g_new0 (ClipText, 1);
  t->precision = precision;
  t->embed_dim = config->embed_dim;
  t->causal = config->family != CLIP_FAMILY_SIGLIP;
  t->width = config->text.width;
  t->mlp_width = config->text.mlp_width;
  t->layers = config->text.layers;
  t->eps = config->text.layernorm_eps;
  t->transformer = clip_transformer_new ("text", &config->text);
  return t;
}

double
clip_text_get_flops (const ClipModelConfig *config, guint n, guint length, gboolean only_ends)
{
  const ClipTransformerConfig *t = &config->text;
  double w = t->width, rows = (double) n * length, rows_after = (double) n * (only_ends ? 1 : length);
  double attention = rows * w * (3.0 * w + 2.0 * length), after = w * (w + 2.0 * t->mlp_width);
  return 2.0 * (t->layers * attention + ((t->layers - 1) * rows + rows_after) * after + (double) n * w * config->embed_dim);
}

void
clip_text_free (ClipText *t)
{
  g_clear_pointer (&t->table, clip_buffer_unref);
  g_clear_pointer (&t->positions, clip_buffer_unref);
  clip_norm_clear (&t->ln_final);
  g_clear_pointer (&t->transformer, clip_transformer_free);
  g_clear_pointer (&t->projection, clip_linear_free);
  g_clear_pointer (&t->ids, clip_buffer_unref);
  g_clear_pointer (&t->ends, clip_buffer_unref);
  g_free (t);
}

static gboolean
reserve_ids (ClipText *t, ClipQueue *queue, guint count, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  if (count <= t->ids_size)
    return TRUE;
  g_clear_pointer (&t->ids, clip_buffer_unref);
  g_clear_pointer (&t->ends, clip_buffer_unref);
  t->ids_size = 0;
  t->ids = clip_buffer_new (device, count * sizeof (gint32), error);
  if (!t->ids)
    return FALSE;
  t->ends = clip_buffer_new (device, count * sizeof (gint32), error);
  if (!t->ends)
    return FALSE;
  t->ids_size = count;
  return TRUE;
}

static guint
longest (GArray **tokens, guint n)
{
  guint length = 0;
  for (guint i = 0; i < n; i++)
    length = MAX (length, tokens[i]->len);
  return length;
}

/* Ids padded with 0 to [n,length] (what follows the end token has no effect), and the end rows. */
static gboolean
upload (ClipText *t, ClipQueue *queue, GArray **tokens, guint n, guint length, GError **error)
{
  g_autofree gint32 *ids = g_new0 (gint32, (gsize) n * length);
  g_autofree gint32 *ends = g_new0 (gint32, n);
  for (guint i = 0; i < n; i++) {
    memcpy (ids + (gsize) i * length, tokens[i]->data, tokens[i]->len * sizeof (gint32));
    ends[i] = (gint32) (i * length + tokens[i]->len - 1);
  }
  return reserve_ids (t, queue, n * length, error)
         && clip_buffer_write (t->ids, queue, 0, ids, (gsize) n * length * sizeof (gint32), error)
         && clip_buffer_write (t->ends, queue, 0, ends, n * sizeof (gint32), error);
}

/* ids -> x [n, width]: the end rows after the last block. A trace is shown ln_final of every row. */
static gboolean
run_blocks (ClipText *t, ClipQueue *q, ClipScratch *s, guint n, guint length, const ClipTrace *trace, GError **error)
{
  guint w = t->width, rows = n * length;
  if (!trace->func)
    return clip_transformer_run (t->transformer, q, s, n, length, t->causal, t->ends, trace, error);
  return clip_transformer_run (t->transformer, q, s, n, length, t->causal, NULL, trace, error)
         && clip_op_layernorm (q, s->x, 0, w, t->ln_final.gamma, t->ln_final.beta, t->eps, rows, w, s->norm, error)
         && clip_trace (trace, q, s->norm, rows, w, error, "text.ln_final")
         && clip_scratch_keep_rows (s, q, t->ends, n, w, error);
}

gboolean
clip_text_run (ClipText *t, ClipQueue *q, ClipScratch *s, GArray **tokens, guint n, const ClipTrace *trace,
    ClipBuffer **out, GError **error)
{
  guint w = t->width, length = longest (tokens, n);
  gsize rows = (gsize) n * length;
  *out = NULL;
  if (!clip_scratch_reserve (s, clip_queue_get_device (q), rows * w,
          MAX (rows * 3 * w, (gsize) n * t->embed_dim), rows * t->mlp_width, error)
      || !upload (t, q, tokens, n, length, error)
      || !clip_op_embed_text (q, t->ids, t->table, t->positions, n, length, w, s->x, error)
      || !clip_trace (trace, q, s->x, rows, w, error, "text.embeddings")
      || !run_blocks (t, q, s, n, length, trace, error)
      || !clip_op_layernorm (
          q, s->x, 0, w, t->ln_final.gamma, t->ln_final.beta, t->eps, n, w, s->norm, error)
      || !clip_trace (trace, q, s->norm, n, w, error, "text.pooled")
      || !clip_linear_run (t->projection, q, n, s->norm, 0, w, CLIP_ACTIVATION_NONE, NULL, s->qkv, 0,
          t->embed_dim, error))
    return FALSE;
  *out = s->qkv;
  return TRUE;
}
