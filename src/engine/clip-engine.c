/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-engine.h"

#include <math.h>

#include "clip-prompt-job.h"

/* A frame that its owner waits for. Lives on the owner's stack. */
typedef struct {
  const ClipFrame *frame;
  float *embedding, *norm;
  guint8 *rgb; /* when set: only preprocess */
  gboolean done, ok;
  GError **error;
} FrameJob;

struct _ClipEngine {
  gatomicrefcount refs;
  ClipQueue *queue;
  ClipModel *model;
  ClipPreprocessor *preprocessor;
  ClipTokenizer *tokenizer;
  ClipBuffer *pixels; /* [1,3,size,size] */
  guint text_rows; /* tokens whose encoding costs about as much as a frame's */
  GThread *worker;

  GMutex lock; /* guards what follows */
  GCond work, done;
  GQueue frames;  /* of FrameJob */
  GQueue prompts; /* of ClipPromptJob */
  gboolean quit, frame_was_last;
};

/* Multiply-adds of a transformer per token, attention left out. */
static double
token_cost (const ClipTransformerConfig *t)
{
  return (double) t->layers * t->width * (4.0 * t->width + 2.0 * t->mlp_width);
}

static guint
text_rows_per_frame (const ClipModelConfig *config)
{
  guint side = config->image_size / config->patch_size;
  double frame = (side * side + 1.0) * token_cost (&config->vision);
  return (guint) CLAMP (frame / token_cost (&config->text), 32.0, 1024.0);
}

static void
engine_free (ClipEngine *engine)
{
  g_clear_pointer (&engine->preprocessor, clip_preprocessor_free);
  g_clear_pointer (&engine->model, clip_model_free);
  g_clear_pointer (&engine->tokenizer, clip_tokenizer_free);
  g_clear_pointer (&engine->pixels, clip_buffer_unref);
  g_clear_pointer (&engine->queue, clip_queue_unref);
  g_mutex_clear (&engine->lock);
  g_cond_clear (&engine->work);
  g_cond_clear (&engine->done);
  g_free (engine);
}

static gboolean
encode_frame (ClipEngine *engine, FrameJob *job)
{
  if (job->rgb)
    return clip_preprocessor_run_rgb (engine->preprocessor, job->frame, job->rgb, job->error);
  float norm;
  if (!clip_preprocessor_run (engine->preprocessor, job->frame, engine->pixels, 0, job->error)
      || !clip_model_encode_pixels (
          engine->model, engine->pixels, 1, job->embedding, &norm, job->error))
    return FALSE;
  if (!isfinite (norm)) {
    g_set_error (job->error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "the image embedding is not finite; the model's weights are damaged");
    return FALSE;
  }
  if (job->norm)
    *job->norm = norm;
  return TRUE;
}

/* Call with the lock held; it is released while the frame is encoded. */
static void
serve_frame (ClipEngine *engine)
{
  FrameJob *job = g_queue_pop_head (&engine->frames);
  g_mutex_unlock (&engine->lock);
  gboolean ok = encode_frame (engine, job);
  g_mutex_lock (&engine->lock);
  job->ok = ok;
  job->done = TRUE;
  engine->frame_was_last = TRUE;
  g_cond_broadcast (&engine->done);
}

/* Call with the lock held; it is released during the step. */
static void
serve_prompts (ClipEngine *engine)
{
  ClipPromptJob *job = g_queue_pop_head (&engine->prompts);
  g_mutex_unlock (&engine->lock);
  gboolean more = clip_prompt_job_step (job, engine->model, engine->tokenizer, engine->text_rows);
  if (!more)
    clip_prompt_job_free (job);
  g_mutex_lock (&engine->lock);
  if (more)
    g_queue_push_head (&engine->prompts, job);
  engine->frame_was_last = FALSE;
}

/* Frames and steps of prompts take turns when both are waiting, so that neither starves. */
static gpointer
work (gpointer data)
{
  ClipEngine *engine = data;
  g_mutex_lock (&engine->lock);
  while (!engine->quit) {
    gboolean frames = !g_queue_is_empty (&engine->frames);
    gboolean prompts = !g_queue_is_empty (&engine->prompts);
    if (frames && !(prompts && engine->frame_was_last))
      serve_frame (engine);
    else if (prompts)
      serve_prompts (engine);
    else
      g_cond_wait (&engine->work, &engine->lock);
  }
  g_mutex_unlock (&engine->lock);
  ClipPromptJob *job;
  while ((job = g_queue_pop_head (&engine->prompts))) {
    clip_prompt_job_abandon (job);
    clip_prompt_job_free (job);
  }
  return NULL;
}

/* The last reference was dropped by the worker itself, in a prompt function: a thread cannot join itself. */
static gpointer
reap (gpointer data)
{
  ClipEngine *engine = data;
  g_thread_join (engine->worker);
  engine_free (engine);
  return NULL;
}

static gboolean
open_model (ClipEngine *engine, const char *path, GError **error)
{
  engine->model = clip_model_load (engine->queue, path, error);
  if (!engine->model)
    return FALSE;
  const ClipModelConfig *config = clip_model_get_config (engine->model);
  engine->preprocessor = clip_preprocessor_new (engine->queue, &config->preprocess, error);
  if (!engine->preprocessor)
    return FALSE;
  engine->tokenizer = clip_model_open_tokenizer (config, error);
  if (!engine->tokenizer)
    return FALSE;
  gsize floats = (gsize) 3 * config->preprocess.size * config->preprocess.size;
  engine->pixels
      = clip_buffer_new (clip_queue_get_device (engine->queue), floats * sizeof (float), error);
  engine->text_rows = text_rows_per_frame (config);
  return engine->pixels != NULL;
}

ClipEngine *
clip_engine_new (const char *model, const char *device_selector, GError **error)
{
  g_autofree char *path = clip_model_find (model, NULL, error);
  if (!path)
    return NULL;
  g_autoptr (ClipDevice) device = clip_device_open (device_selector, error);
  if (!device)
    return NULL;
  ClipEngine *engine = g_new0 (ClipEngine, 1);
  g_atomic_ref_count_init (&engine->refs);
  g_mutex_init (&engine->lock);
  g_cond_init (&engine->work);
  g_cond_init (&engine->done);
  engine->queue = clip_queue_new (device, error);
  if (!engine->queue || !open_model (engine, path, error)) {
    engine_free (engine);
    return NULL;
  }
  engine->worker = g_thread_new ("clip-engine", work, engine);
  return engine;
}

ClipEngine *
clip_engine_ref (ClipEngine *engine)
{
  g_atomic_ref_count_inc (&engine->refs);
  return engine;
}

void
clip_engine_unref (ClipEngine *engine)
{
  if (!g_atomic_ref_count_dec (&engine->refs))
    return;
  g_mutex_lock (&engine->lock);
  engine->quit = TRUE;
  g_cond_broadcast (&engine->work);
  g_mutex_unlock (&engine->lock);
  if (g_thread_self () == engine->worker)
    g_thread_unref (g_thread_new ("clip-reap", reap, engine));
  else
    reap (engine);
}

const ClipModelConfig *
clip_engine_get_config (ClipEngine *engine)
{
  return clip_model_get_config (engine->model);
}

const char *
clip_engine_get_device_name (ClipEngine *engine)
{
  return clip_device_get_name (clip_queue_get_device (engine->queue));
}

const char *
clip_engine_get_gemm_backend (ClipEngine *engine)
{
  return clip_model_get_gemm_backend (engine->model);
}

static gboolean
submit_and_wait (ClipEngine *engine, FrameJob *job)
{
  g_mutex_lock (&engine->lock);
  g_queue_push_tail (&engine->frames, job);
  g_cond_signal (&engine->work);
  while (!job->done)
    g_cond_wait (&engine->done, &engine->lock);
  g_mutex_unlock (&engine->lock);
  return job->ok;
}

gboolean
clip_engine_encode_frame (
    ClipEngine *engine, const ClipFrame *frame, float *embedding, float *norm, GError **error)
{
  FrameJob job = { .frame = frame, .embedding = embedding, .norm = norm, .error = error };
  return submit_and_wait (engine, &job);
}

gboolean
clip_engine_preprocess (ClipEngine *engine, const ClipFrame *frame, guint8 *rgb, GError **error)
{
  FrameJob job = { .frame = frame, .rgb = rgb, .error = error };
  return submit_and_wait (engine, &job);
}

void
clip_engine_encode_prompts_async (ClipEngine *engine, ClipPromptSet *set, char **templates,
    gboolean truncate, gpointer cancellable, ClipPromptsFunc func, gpointer user_data,
    GDestroyNotify destroy)
{
  ClipPromptJob *job = clip_prompt_job_new (set, templates, clip_engine_get_config (engine)->embed_dim,
      truncate, cancellable, func, user_data, destroy);
  g_mutex_lock (&engine->lock);
  g_queue_push_tail (&engine->prompts, job);
  g_cond_signal (&engine->work);
  g_mutex_unlock (&engine->lock);
}

typedef struct {
  GMutex lock;
  GCond cond;
  gboolean done;
  ClipEncodedPrompts *prompts;
  GError *error;
} Waiter;

static void
wake (ClipEncodedPrompts *prompts, const GError *error, gpointer user_data)
{
  Waiter *waiter = user_data;
  g_mutex_lock (&waiter->lock);
  waiter->prompts = prompts ? clip_encoded_prompts_ref (prompts) : NULL;
  waiter->error = error ? g_error_copy (error) : NULL;
  waiter->done = TRUE;
  g_cond_signal (&waiter->cond);
  g_mutex_unlock (&waiter->lock);
}

ClipEncodedPrompts *
clip_engine_encode_prompts (
    ClipEngine *engine, ClipPromptSet *set, char **templates, gboolean truncate, GError **error)
{
  Waiter waiter = { 0 };
  g_mutex_init (&waiter.lock);
  g_cond_init (&waiter.cond);
  clip_engine_encode_prompts_async (engine, set, templates, truncate, NULL, wake, &waiter, NULL);
  g_mutex_lock (&waiter.lock);
  while (!waiter.done)
    g_cond_wait (&waiter.cond, &waiter.lock);
  g_mutex_unlock (&waiter.lock);
  g_mutex_clear (&waiter.lock);
  g_cond_clear (&waiter.cond);
  if (waiter.error)
    g_propagate_error (error, waiter.error);
  return waiter.prompts;
}

GArray *
clip_engine_tokenize (ClipEngine *engine, const char *text, gssize length, GError **error)
{
  return clip_tokenizer_encode (engine->tokenizer, text, length, error);
}
