/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: frames to embeddings, in batches that cross the borders of files; prompts likewise. */
#include <math.h>
#include <string.h>

#include "clip-tool-eval.h"
#include "engine/clip-prompt-job.h"

#define TEXT_ROWS 1024 /* tokens encoded in one step */

/* A file whose frames are not all encoded. */
typedef struct {
  guint file, frames;
  gboolean ended, dropped;
  double *sum; /* [embed_dim] of unit embeddings */
} Pending;

struct _EvalEncoder {
  ClipDevice *device;
  ClipQueue *queue;
  ClipModel *model;
  ClipPreprocessor *preprocessor;
  ClipBuffer *pixels; /* [EVAL_BATCH,3,size,size] */
  float *embeddings, *norms;
  guint embed_dim, used; /* slots of pixels */
  Pending *owners[EVAL_BATCH];
  GQueue pending; /* Pending, in order */
  gboolean broken;
  EvalEncodedFunc func;
  gpointer user_data;
};

static void
pending_free (gpointer data)
{
  Pending *pending = data;
  g_free (pending->sum);
  g_free (pending);
}

void
eval_encoder_free (EvalEncoder *encoder)
{
  g_queue_clear_full (&encoder->pending, pending_free);
  g_clear_pointer (&encoder->pixels, clip_buffer_unref);
  g_clear_pointer (&encoder->preprocessor, clip_preprocessor_free);
  g_clear_pointer (&encoder->model, clip_model_free);
  g_clear_pointer (&encoder->queue, clip_queue_unref);
  g_clear_pointer (&encoder->device, clip_device_unref);
  g_free (encoder->embeddings);
  g_free (encoder->norms);
  g_free (encoder);
}

EvalEncoder *
eval_encoder_new (const char *model, EvalEncodedFunc func, gpointer user_data, GError **error)
{
  g_autoptr (EvalEncoder) encoder = g_new0 (EvalEncoder, 1);
  encoder->func = func;
  encoder->user_data = user_data;
  if (!(encoder->device = clip_device_open (tool_options.device, error)) ||
      !(encoder->queue = clip_queue_new (encoder->device, error)) ||
      !(encoder->model = clip_model_load (encoder->queue, model, tool_options.precision, error)))
    return NULL;
  const ClipModelConfig *config = clip_model_get_config (encoder->model);
  const gsize size = config->preprocess.size;
  encoder->embed_dim = config->embed_dim;
  encoder->embeddings = g_new (float, (gsize) EVAL_BATCH * config->embed_dim);
  encoder->norms = g_new (float, EVAL_BATCH);
  if (!(encoder->preprocessor = clip_preprocessor_new (encoder->queue, &config->preprocess, error)) ||
      !(encoder->pixels =
              clip_buffer_new (encoder->device, EVAL_BATCH * 3 * size * size * sizeof (float), error)))
    return NULL;
  return g_steal_pointer (&encoder);
}

ClipModel *
eval_encoder_get_model (EvalEncoder *encoder)
{
  return encoder->model;
}

gboolean
eval_encoder_broken (EvalEncoder *encoder)
{
  return encoder->broken;
}

void
eval_encoder_begin (EvalEncoder *encoder, guint file)
{
  Pending *pending = g_new0 (Pending, 1);
  pending->file = file;
  pending->sum = g_new0 (double, encoder->embed_dim);
  g_queue_push_tail (&encoder->pending, pending);
}

void
eval_encoder_end (EvalEncoder *encoder, gboolean use)
{
  Pending *pending = g_queue_peek_tail (&encoder->pending);
  pending->ended = TRUE;
  pending->dropped = !use;
  for (guint i = 0; i < encoder->used; i++) {
    if (encoder->owners[i] == pending)
      return;
  }
  if (pending->dropped) /* nothing waits for it: many bad files in a row must not pile up */
    pending_free (g_queue_pop_tail (&encoder->pending));
}

static gboolean
encode (EvalEncoder *encoder, GError **error)
{
  const guint d = encoder->embed_dim;
  if (encoder->used > 0 && !clip_model_encode_pixels (encoder->model, encoder->pixels, encoder->used,
                               encoder->embeddings, encoder->norms, error))
    return FALSE;
  for (guint i = 0; i < encoder->used; i++) {
    if (!isfinite (encoder->norms[i])) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
          "an image embedding is not finite; the model's weights are damaged");
      return FALSE;
    }
    for (guint j = 0; j < d; j++)
      encoder->owners[i]->sum[j] += encoder->embeddings[(gsize) i * d + j];
    encoder->owners[i]->frames++;
  }
  encoder->used = 0;
  return TRUE;
}

/* The sum of unit embeddings points where their mean does. */
static gboolean
deliver (EvalEncoder *encoder, const Pending *pending, GError **error)
{
  double square = 0;
  for (guint j = 0; j < encoder->embed_dim; j++)
    square += pending->sum[j] * pending->sum[j];
  const double scale = square > 0 ? 1 / sqrt (square) : 0;
  for (guint j = 0; j < encoder->embed_dim; j++)
    encoder->embeddings[j] = (float) (pending->sum[j] * scale);
  return encoder->func (pending->file, encoder->embeddings, pending->frames, encoder->user_data, error);
}

gboolean
eval_encoder_flush (EvalEncoder *encoder, GError **error)
{
  gboolean ok = encode (encoder, error);
  Pending *pending;
  while (ok && (pending = g_queue_peek_head (&encoder->pending)) && pending->ended) {
    g_queue_pop_head (&encoder->pending);
    ok = pending->dropped || deliver (encoder, pending, error);
    pending_free (pending);
  }
  encoder->broken |= !ok;
  return ok;
}

gboolean
eval_encoder_add (EvalEncoder *encoder, const ClipFrame *frame, GError **error)
{
  if (encoder->used == EVAL_BATCH && !eval_encoder_flush (encoder, error))
    return FALSE;
  if (!clip_preprocessor_run (encoder->preprocessor, frame, encoder->pixels, encoder->used, error))
    return FALSE;
  encoder->owners[encoder->used++] = g_queue_peek_tail (&encoder->pending);
  return TRUE;
}

typedef struct {
  float *matrix;
  GError *error;
} Prompts;

static void
on_prompts (ClipEncodedPrompts *prompts, const GError *error, gpointer user_data)
{
  Prompts *result = user_data;
  if (error)
    result->error = g_error_copy (error);
  else
    result->matrix = g_memdup2 (prompts->matrix, (gsize) clip_prompt_set_get_size (prompts->set) *
                                                     prompts->embed_dim * sizeof (float));
}

float *
eval_prompts (ClipModel *model, ClipPromptSet *set, char **templates, gboolean progress, GError **error)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  g_autoptr (ClipTokenizer) tokenizer = clip_model_open_tokenizer (config, error);
  if (!tokenizer)
    return NULL;
  Prompts result = { NULL };
  EvalProgress shown;
  ClipPromptJob *job =
      clip_prompt_job_new (set, templates, config->embed_dim, FALSE, NULL, on_prompts, &result, NULL);
  g_autoptr (ClipPromptCache) cache = clip_prompt_cache_new (model, tokenizer);
  clip_prompt_job_set_cache (job, cache);
  eval_progress_start (&shown, progress, "classes", clip_prompt_set_get_size (set), 0);
  while (clip_prompt_job_step (job, model, tokenizer, TEXT_ROWS))
    eval_progress_step (&shown, clip_prompt_job_get_label (job));
  eval_progress_end (&shown);
  clip_prompt_job_free (job);
  if (result.error)
    g_propagate_error (error, result.error);
  return result.matrix;
}
