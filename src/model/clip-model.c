/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-model-private.h"

#include "clip-text.h"
#include "clip-vision.h"
#include "ops/clip-ops.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <string.h>

/* Rows of one text batch: large enough for a full GEMM, small enough to stay in the cache. */
#define TEXT_BATCH_ROWS 512
struct _ClipModel {
  ClipQueue *queue;
  ClipWeights *weights; /* keeps the configuration */
  const ClipModelConfig *config;
  ClipPrecision precision;
  ClipVision *vision;
  ClipText *text;    /* (nullable): not loaded, or dropped */
  double text_flops; /* done so far */
  ClipScratch scratch;
  ClipBuffer *norms; /* [norms_size] */
  guint norms_size;
  ClipTrace trace;
};

ClipModel *
clip_model_new (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error)
{
  g_autoptr (ClipModel) model = g_new0 (ClipModel, 1);
  model->queue = clip_queue_ref (queue);
  model->precision = precision;
  model->weights = weights;
  model->config = clip_weights_get_config (weights);
  model->vision = clip_vision_load (queue, weights, precision, error);
  return model->vision ? g_steal_pointer (&model) : NULL;
}

ClipModel *
clip_model_load (ClipQueue *queue, const char *path, ClipPrecision precision, GError **error)
{
  if (precision == CLIP_PRECISION_AUTO)
    return clip_model_load_fastest (queue, path, error);
  if (!clip_precision_check (precision, queue, error))
    return NULL;
  ClipWeights *weights = clip_weights_open (path, error);
  return weights ? clip_model_new (queue, weights, precision, error) : NULL;
}

/* A tower of which a step failed is begun anew by the next attempt. */
gboolean
clip_model_load_text_step (ClipModel *model, gboolean *more, GError **error)
{
  if (!model->text) {
    if (!clip_weights_check_unchanged (model->weights, error))
      return FALSE;
    model->text = clip_text_new (model->config, model->precision);
  }
  if (clip_text_load_step (model->text, model->queue, model->weights, more, error))
    return TRUE;
  g_clear_pointer (&model->text, clip_text_free);
  return FALSE;
}

gboolean
clip_model_load_text (ClipModel *model, GError **error)
{
  gboolean more = TRUE;
  while (more) {
    if (!clip_model_load_text_step (model, &more, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
clip_model_has_text (ClipModel *model)
{
  return model->text && clip_text_is_loaded (model->text);
}

void
clip_model_drop_text (ClipModel *model)
{
  if (!model->text)
    return;
  clip_queue_finish (model->queue, NULL);
  g_clear_pointer (&model->text, clip_text_free);
#ifdef __GLIBC__
  malloc_trim (0); /* a CPU device's buffers lie between others in the heap, which keeps them otherwise */
#endif
}

double
clip_model_get_text_flops (ClipModel *model)
{
  return model->text_flops;
}

void
clip_model_free (ClipModel *model)
{
  clip_queue_finish (model->queue, NULL);
  g_clear_pointer (&model->vision, clip_vision_free);
  g_clear_pointer (&model->text, clip_text_free);
  clip_scratch_clear (&model->scratch);
  g_clear_pointer (&model->norms, clip_buffer_unref);
  g_clear_pointer (&model->weights, clip_weights_free);
  clip_queue_unref (model->queue);
  g_free (model);
}

ClipQueue *
clip_model_get_queue (ClipModel *model)
{
  return model->queue;
}

const ClipModelConfig *
clip_model_get_config (ClipModel *model)
{
  return model->config;
}

ClipPrecision
clip_model_get_precision (ClipModel *model)
{
  return model->precision;
}

char *
clip_model_get_digest (ClipModel *model)
{
  g_autofree char *weights = clip_weights_get_digest (model->weights);
  return weights ? g_strjoin ("|", weights, clip_precision_get_name (model->precision),
                       clip_device_get_key (clip_queue_get_device (model->queue)), NULL)
                 : NULL;
}

const char *
clip_model_get_gemm_backend (ClipModel *model)
{
  return clip_vision_get_gemm_backend (model->vision);
}

void
clip_model_set_trace (ClipModel *model, ClipTraceFunc func, gpointer user_data)
{
  model->trace.func = func;
  model->trace.user_data = user_data;
}

static gboolean
reserve_norms (ClipModel *model, guint n, GError **error)
{
  if (n <= model->norms_size)
    return TRUE;
  g_clear_pointer (&model->norms, clip_buffer_unref);
  model->norms_size = 0;
  model->norms
      = clip_buffer_new (clip_queue_get_device (model->queue), n * sizeof (float), error);
  if (!model->norms)
    return FALSE;
  model->norms_size = n;
  return TRUE;
}

/* Normalises [n,embed_dim] on the device and reads it back. */
static gboolean
read_embeddings (
    ClipModel *model, ClipBuffer *raw, guint n, float *embeddings, float *norms, GError **error)
{
  guint d = model->config->embed_dim;
  if (!reserve_norms (model, n, error)
      || !clip_op_l2_norm (model->queue, raw, n, d, model->norms, error)
      || !clip_buffer_read (raw, model->queue, 0, embeddings, (gsize) n * d * sizeof (float), error))
    return FALSE;
  return !norms
         || clip_buffer_read (model->norms, model->queue, 0, norms, n * sizeof (float), error);
}

gboolean
clip_model_encode_pixels (
    ClipModel *model, ClipBuffer *pixels, guint n, float *embeddings, float *norms, GError **error)
{
  ClipBuffer *raw;
  if (n == 0)
    return TRUE;
  return clip_vision_run (
             model->vision, model->queue, &model->scratch, pixels, n, &model->trace, &raw, error)
         && read_embeddings (model, raw, n, embeddings, norms, error);
}

static gboolean
check_tokens (const ClipModelConfig *config, const GArray *tokens, GError **error)
{
  /* without a mask every position counts, padding too */
  if (config->family == CLIP_FAMILY_SIGLIP && tokens->len != config->context_length) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "a prompt has %u tokens; SigLIP takes exactly %u, padding included", tokens->len,
        config->context_length);
    return FALSE;
  }
  if (tokens->len < 2 || tokens->len > config->context_length) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "a prompt has %u tokens, start and end included; this model takes 2 to %u", tokens->len,
        config->context_length);
    return FALSE;
  }
  for (guint i = 0; i < tokens->len; i++) {
    gint32 id = g_array_index (tokens, gint32, i);
    if (id < 0 || (guint) id >= config->vocab_size) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
          "token id %d is outside the model's vocabulary of %u; is this another model's tokenizer?", id,
          config->vocab_size);
      return FALSE;
    }
  }
  return TRUE;
}

static int
compare_length (gconstpointer a, gconstpointer b, gpointer tokens)
{
  guint la = ((GArray **) tokens)[*(const guint *) a]->len;
  guint lb = ((GArray **) tokens)[*(const guint *) b]->len;
  return la < lb ? -1 : la > lb;
}

/* Encodes the texts order[0..count) and puts each result where its text stands in the input. */
static gboolean
encode_bucket (ClipModel *model, GArray **tokens, const guint *order, guint count, float *embeddings,
    float *norms, GError **error)
{
  guint d = model->config->embed_dim;
  g_autofree GArray **batch = g_new (GArray *, count);
  g_autofree float *values = g_new (float, (gsize) count * d);
  g_autofree float *lengths = g_new (float, count);
  ClipBuffer *raw;
  for (guint i = 0; i < count; i++)
    batch[i] = tokens[order[i]];
  model->text_flops += clip_text_get_flops (model->config, count, batch[count - 1]->len, TRUE);
  if (!clip_text_run (
          model->text, model->queue, &model->scratch, batch, count, &model->trace, &raw, error)
      || !read_embeddings (model, raw, count, values, lengths, error))
    return FALSE;
  for (guint i = 0; i < count; i++) {
    memcpy (embeddings + (gsize) order[i] * d, values + (gsize) i * d, d * sizeof (float));
    if (norms)
      norms[order[i]] = lengths[i];
  }
  return TRUE;
}

/* How many texts from @first on, in order of length, fit one batch. */
static guint
bucket_size (GArray **tokens, const guint *order, guint first, guint n)
{
  guint count = 1;
  while (first + count < n && (count + 1) * tokens[order[first + count]]->len <= TEXT_BATCH_ROWS)
    count++;
  return count;
}

gboolean
clip_model_encode_tokens (
    ClipModel *model, GArray **tokens, guint n, float *embeddings, float *norms, GError **error)
{
  g_autofree guint *order = g_new (guint, n);
  for (guint i = 0; i < n; i++) {
    if (!check_tokens (model->config, tokens[i], error))
      return FALSE;
    order[i] = i;
  }
  if (n > 0 && !clip_model_load_text (model, error))
    return FALSE;
  if (n > 1)
    g_qsort_with_data (order, n, sizeof *order, compare_length, tokens);
  for (guint first = 0, count; first < n; first += count) {
    count = bucket_size (tokens, order, first, n);
    if (!encode_bucket (model, tokens, order + first, count, embeddings, norms, error))
      return FALSE;
  }
  return TRUE;
}
