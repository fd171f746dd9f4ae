/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-transformer.h"

#include "ops/clip-ops.h"

#include <string.h>

typedef struct {
  ClipNorm ln_1, ln_2;
  ClipLinear *qkv; /* [3 width, width]: queries, keys, values in one product */
  ClipLinear *out, *fc1, *fc2;
} Block;

struct _ClipTransformer {
  char *tower;
  ClipTransformerConfig config;
  Block *blocks;
};

static gboolean
reserve (ClipBuffer **buffer, ClipDevice *device, gsize *have, gsize want, GError **error)
{
  if (*buffer && *have >= want)
    return TRUE;
  g_clear_pointer (buffer, clip_buffer_unref);
  *have = 0;
  *buffer = clip_buffer_new (device, want * sizeof (float), error);
  if (!*buffer)
    return FALSE;
  *have = want;
  return TRUE;
}

gboolean
clip_scratch_reserve (
    ClipScratch *scratch, ClipDevice *device, gsize x, gsize qkv, gsize hidden, GError **error)
{
  gsize norm_size = scratch->norm ? scratch->x_size : 0;
  return reserve (&scratch->norm, device, &norm_size, x, error)
         && reserve (&scratch->x, device, &scratch->x_size, x, error)
         && reserve (&scratch->qkv, device, &scratch->qkv_size, qkv, error)
         && reserve (&scratch->hidden, device, &scratch->hidden_size, hidden, error);
}

void
clip_scratch_clear (ClipScratch *scratch)
{
  g_clear_pointer (&scratch->x, clip_buffer_unref);
  g_clear_pointer (&scratch->norm, clip_buffer_unref);
  g_clear_pointer (&scratch->qkv, clip_buffer_unref);
  g_clear_pointer (&scratch->hidden, clip_buffer_unref);
  memset (scratch, 0, sizeof *scratch);
}

gboolean
clip_trace (const ClipTrace *trace, ClipQueue *queue, ClipBuffer *buffer, guint rows, guint width,
    GError **error, const char *format, ...)
{
  if (!trace->func)
    return TRUE;
  va_list args;
  va_start (args, format);
  g_autofree char *name = g_strdup_vprintf (format, args);
  va_end (args);
  g_autofree float *values = g_new (float, (gsize) rows * width);
  if (!clip_buffer_read (buffer, queue, 0, values, (gsize) rows * width * sizeof (float), error))
    return FALSE;
  trace->func (name, values, rows, width, trace->user_data);
  return TRUE;
}

static const char *const qkv_names[] = { "q", "k", "v" };

static ClipLinear *
load_qkv (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, const char *prefix, guint width, guint rows,
    GError **error)
{
  gsize square = (gsize) width * width;
  g_autofree float *weight = g_new (float, 3 * square);
  g_autofree float *bias = g_new (float, (gsize) 3 * width);
  for (guint i = 0; i < 3; i++) {
    g_autofree char *w = g_strdup_printf ("%s.attn.%s.weight", prefix, qkv_names[i]);
    g_autofree char *b = g_strdup_printf ("%s.attn.%s.bias", prefix, qkv_names[i]);
    if (!clip_weights_read (weights, w, weight + i * square, square, error)
        || !clip_weights_read (weights, b, bias + (gsize) i * width, width, error))
      return NULL;
  }
  return clip_linear_new (queue, precision, weight, bias, 3 * width, width, rows, error);
}

gboolean
clip_transformer_load_block (ClipTransformer *t, guint index, ClipQueue *queue, ClipWeights *weights, ClipPrecision p,
    guint rows, GError **error)
{
  Block *b = &t->blocks[index];
  guint w = t->config.width, m = t->config.mlp_width;
  g_autofree char *prefix = g_strdup_printf ("%s.blocks.%u", t->tower, index);
  return clip_load_norm (queue, weights, w, &b->ln_1, error, "%s.ln_1", prefix)
         && (b->qkv = load_qkv (queue, weights, p, prefix, w, rows, error))
         && (b->out = clip_load_linear (queue, weights, p, w, w, TRUE, rows, error, "%s.attn.out", prefix))
         && clip_load_norm (queue, weights, w, &b->ln_2, error, "%s.ln_2", prefix)
         && (b->fc1 = clip_load_linear (queue, weights, p, m, w, TRUE, rows, error, "%s.mlp.fc1", prefix))
         && (b->fc2 = clip_load_linear (queue, weights, p, w, m, TRUE, rows, error, "%s.mlp.fc2", prefix));
}

ClipTransformer *
clip_transformer_new (const char *tower, const ClipTransformerConfig *config)
{
  ClipTransformer *t = g_new0 (ClipTransformer, 1);
  t->tower = g_strdup (tower);
  t->config = *config;
  t->blocks = g_new0 (Block, config->layers);
  return t;
}

ClipTransformer *
clip_transformer_load (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, const char *tower,
    const ClipTransformerConfig *config, guint typical_rows, GError **error)
{
  g_autoptr (ClipTransformer) t = clip_transformer_new (tower, config);
  for (guint i = 0; i < config->layers; i++) {
    if (!clip_transformer_load_block (t, i, queue, weights, precision, typical_rows, error))
      return NULL;
  }
  return g_steal_pointer (&t);
}

static void
block_clear (Block *b)
{
  clip_norm_clear (&b->ln_1);
  clip_norm_clear (&b->ln_2);
  g_clear_pointer (&b->qkv, clip_linear_free);
  g_clear_pointer (&b->out, clip_linear_free);
  g_clear_pointer (&b->fc1, clip_linear_free);
  g_clear_pointer (&b->fc2, clip_linear_free);
}

void
clip_transformer_free (ClipTransformer *t)
{
  for (guint i = 0; i < t->config.layers; i++)
    block_clear (&t->blocks[i]);
  g_free (t->blocks);
  g_free (t->tower);
  g_free (t);
}

const char *
clip_transformer_get_gemm_backend (ClipTransformer *t)
{
  return t->config.layers > 0 ? clip_linear_get_backend (t->blocks[0].fc1) : "none";
}

/* linear (norm (x)) -> to: in one when the product can and nobody wants to see what is between */
static gboolean
run_normalised (const ClipTransformer *t, guint i, const char *step, const ClipNorm *norm, ClipLinear *linear,
    ClipQueue *q, ClipScratch *s, guint rows, ClipActivation activation, ClipBuffer *to, guint n, gboolean pack,
    const ClipTrace *trace, GError **error)
{
  guint w = t->config.width;
  float eps = t->config.layernorm_eps;
  if (!trace->func && clip_linear_can_normalise (linear))
    return clip_linear_run_normalised (
        linear, q, rows, s->x, norm->gamma, norm->beta, eps, activation, to, pack, error);
  return clip_op_layernorm (q, s->x, 0, w, norm->gamma, norm->beta, eps, rows, w, s->norm, error)
         && clip_trace (trace, q, s->norm, rows, w, error, "%s.block.%u.%s", t->tower, i, step)
         && clip_linear_run (linear, q, rows, s->norm, 0, w, activation, NULL, to, 0, n, error);
}

gboolean
clip_scratch_keep_rows (ClipScratch *s, ClipQueue *queue, ClipBuffer *kept, guint count, guint width, GError **error)
{
  if (!clip_op_gather_rows (queue, s->x, kept, count, width, s->norm, error))
    return FALSE;
  ClipBuffer *x = s->norm;
  s->norm = s->x;
  s->x = x;
  return TRUE;
}

/* x += out (attention (qkv (ln_1 (x)))), for the rows that are kept. When traced, the sum is split so that its term can
 * be read. */
static gboolean
run_attention (const ClipTransformer *t, guint i, ClipQueue *q, ClipScratch *s, guint batch, guint length,
    gboolean causal, ClipBuffer *kept, const ClipTrace *trace, GError **error)
{
  const Block *b = &t->blocks[i];
  guint w = t->config.width, rows = batch * length;
  ClipBuffer *heads = s->norm; /* the norm's value is spent once qkv is computed */
  if (!run_normalised (t, i, "ln_1", &b->ln_1, b->qkv, q, s, rows, CLIP_ACTIVATION_NONE, s->qkv, 3 * w, FALSE, trace,
          error)
      || !clip_op_attention (q, s->qkv, NULL, batch, length, w, t->config.heads, causal, heads, error))
    return FALSE;
  if (trace->func
      && (!clip_linear_run (b->out, q, rows, heads, 0, w, CLIP_ACTIVATION_NONE, NULL, s->qkv, 0, w, error)
          || !clip_trace (trace, q, s->qkv, rows, w, error, "%s.block.%u.attn", t->tower, i)))
    return FALSE;
  if (kept) {
    rows = batch;
    if (!clip_op_gather_rows (q, heads, kept, rows, w, s->qkv, error)
        || !clip_scratch_keep_rows (s, q, kept, rows, w, error))
      return FALSE;
    heads = s->qkv;
  }
  return clip_linear_run (b->out, q, rows, heads, 0, w, CLIP_ACTIVATION_NONE, s->x, s->x, 0, w, error);
}

/* x += fc2 (activation (fc1 (ln_2 (x)))) */
static gboolean
run_mlp (const ClipTransformer *t, guint i, ClipQueue *q, ClipScratch *s, guint rows, const ClipTrace *trace,
    GError **error)
{
  const Block *b = &t->blocks[i];
  guint w = t->config.width, m = t->config.mlp_width;
  gboolean pack = !trace->func && clip_linear_can_pack (b->fc1, b->fc2);
  if (!run_normalised (t, i, "ln_2", &b->ln_2, b->fc1, q, s, rows, t->config.activation, s->hidden, m, pack, trace, error))
    return FALSE;
  if (trace->func
      && (!clip_linear_run (b->fc2, q, rows, s->hidden, 0, m, CLIP_ACTIVATION_NONE, NULL, s->qkv, 0, w, error)
          || !clip_trace (trace, q, s->qkv, rows, w, error, "%s.block.%u.mlp", t->tower, i)))
    return FALSE;
  if (pack)
    return clip_linear_run_packed (b->fc2, q, rows, s->hidden, s->x, s->x, error);
  return clip_linear_run (b->fc2, q, rows, s->hidden, 0, m, CLIP_ACTIVATION_NONE, s->x, s->x, 0, w, error);
}

gboolean
clip_transformer_run (ClipTransformer *t, ClipQueue *queue, ClipScratch *scratch, guint batch, guint length,
    gboolean causal, ClipBuffer *kept, const ClipTrace *trace, GError **error)
{
  guint w = t->config.width;
  for (guint i = 0; i < t->config.layers; i++) {
    /* a trace wants to see every row */
    ClipBuffer *keep = i + 1 == t->config.layers && !trace->func ? kept : NULL;
    guint rows = keep ? batch : batch * length;
    if (!run_attention (t, i, queue, scratch, batch, length, causal, keep, trace, error)
        || !run_mlp (t, i, queue, scratch, rows, trace, error)
        || !clip_trace (trace, queue, scratch->x, rows, w, error, "%s.block.%u", t->tower, i))
      return FALSE;
  }
  return !kept || !trace->func || clip_scratch_keep_rows (scratch, queue, kept, batch, w, error);
}
