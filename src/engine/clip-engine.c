/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "clip-engine-private.h"
#include "gemm/clip-gemm-tuning.h"

/* Who changes prompts may soon change them again. */
#define TEXT_IDLE (10 * G_TIME_SPAN_SECOND)

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
  g_clear_pointer (&engine->cache, clip_prompt_cache_free);
  g_clear_pointer (&engine->tokenizer, clip_tokenizer_free);
  g_clear_pointer (&engine->pixels, clip_buffer_unref);
  g_clear_pointer (&engine->queue, clip_queue_unref);
  g_ptr_array_unref (engine->streams);
  g_free (engine->embeddings);
  g_free (engine->norms);
  g_free (engine->id);
  g_mutex_clear (&engine->lock);
  g_cond_clear (&engine->work);
  g_cond_clear (&engine->done);
  g_free (engine);
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
    g_queue_push_tail (&engine->prompts, job); /* sets of several elements take turns */
  engine->frame_was_last = FALSE;
  engine->text_used = g_get_monotonic_time ();
  engine->may_have_text = TRUE;
}

/* The text encoder's memory is given back when nobody has needed it for a while. Call with the lock held.
 * @until: (inout): when the worker looks again, as in serve() */
static void
rest (ClipEngine *engine, gint64 *until)
{
  gint64 end = engine->text_used + engine->text_idle;
  if (!engine->may_have_text)
    return;
  if (g_get_monotonic_time () >= end) {
    engine->may_have_text = FALSE;
    g_mutex_unlock (&engine->lock);
    clip_model_drop_text (engine->model);
    g_mutex_lock (&engine->lock);
    *until = g_get_monotonic_time (); /* the lock was open: something may have come */
  } else {
    *until = *until ? MIN (*until, end) : end;
  }
}

/* Frames and steps of prompts take turns when both are waiting, so that neither starves. Call with the lock held.
 * Returns: FALSE when there is nothing to do before @until (monotonic, us; 0: for ever) */
static gboolean
serve (ClipEngine *engine, gint64 *until)
{
  gboolean prompts = !g_queue_is_empty (&engine->prompts), due = engine->waiting > 0;
  guint limit = due ? clip_batch_limit (engine) : 0;
  *until = due && engine->waiting < limit ? clip_batch_deadline (engine) : 0;
  if (*until > g_get_monotonic_time ())
    due = FALSE;
  if (due && !(prompts && engine->frame_was_last)) {
    clip_batch_serve (engine, limit);
    engine->frame_was_last = TRUE;
  } else if (prompts) {
    serve_prompts (engine);
  }
  return due || prompts;
}

static gpointer
work (gpointer data)
{
  ClipEngine *engine = data;
  gint64 until;
  g_mutex_lock (&engine->lock);
  while (!engine->quit) {
    gboolean served = serve (engine, &until);
    if (g_queue_is_empty (&engine->prompts))
      rest (engine, &until);
    if (served)
      continue;
    if (until)
      g_cond_wait_until (&engine->work, &engine->lock, until);
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

/* The parts of a start, for tests/start-time. Returns: the time now */
static gint64
log_part (const char *part, gint64 since)
{
  gint64 now = g_get_monotonic_time ();
  g_info ("start: %s %.4f s", part, (double) (now - since) / G_USEC_PER_SEC);
  return now;
}

static gboolean
open_model (ClipEngine *engine, const char *path, ClipPrecision precision, GError **error)
{
  gint64 since = g_get_monotonic_time ();
  engine->model = clip_model_load (engine->queue, path, precision, error);
  if (!engine->model)
    return FALSE;
  const ClipModelConfig *config = clip_model_get_config (engine->model);
  since = log_part ("image encoder", since);
  engine->preprocessor = clip_preprocessor_new (engine->queue, &config->preprocess, error);
  if (!engine->preprocessor)
    return FALSE;
  since = log_part ("preprocessing", since);
  engine->tokenizer = clip_model_open_tokenizer (config, error);
  if (!engine->tokenizer)
    return FALSE;
  since = log_part ("tokenizer", since);
  engine->cache = clip_prompt_cache_new (engine->model, engine->tokenizer);
  log_part ("identity of the weights", since);
  engine->text_rows = text_rows_per_frame (config);
  return TRUE;
}

ClipEngine *
clip_engine_new (const char *model, const char *device_selector, ClipPrecision precision, GError **error)
{
  g_autofree char *path = clip_model_find (model, NULL, error);
  if (!path)
    return NULL;
  gint64 since = g_get_monotonic_time ();
  g_autoptr (ClipDevice) device = clip_device_open (device_selector, error);
  if (!device)
    return NULL;
  log_part ("device", since);
  ClipEngine *engine = g_new0 (ClipEngine, 1);
  g_atomic_ref_count_init (&engine->refs);
  g_mutex_init (&engine->lock);
  g_cond_init (&engine->work);
  g_cond_init (&engine->done);
  engine->streams = g_ptr_array_new ();
  engine->memory_limit = CLIP_BATCH_MAX;
  engine->text_idle = TEXT_IDLE;
  engine->queue = clip_queue_new (device, error);
  if (!engine->queue || !open_model (engine, path, precision, error)) {
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
  if (!(engine->id ? clip_share_forget (engine) : g_atomic_ref_count_dec (&engine->refs)))
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

ClipPrecision
clip_engine_get_precision (ClipEngine *engine)
{
  return clip_model_get_precision (engine->model);
}

const char *
clip_engine_get_gemm_backend (ClipEngine *engine)
{
  return clip_model_get_gemm_backend (engine->model);
}

gboolean
clip_engine_is_tuned (ClipEngine *engine)
{
  return *clip_gemm_tuning_use (clip_queue_get_device (engine->queue)) != '\0';
}

ClipEngineStats
clip_engine_get_stats (ClipEngine *engine)
{
  g_mutex_lock (&engine->lock);
  ClipEngineStats stats = engine->stats;
  g_mutex_unlock (&engine->lock);
  return stats;
}

gboolean
clip_engine_encode_frame (
    ClipEngine *engine, const ClipFrame *frame, float *embedding, float *norm, GError **error)
{
  g_autoptr (ClipStream) stream = clip_stream_new (engine);
  g_autoptr (ClipJob) job = clip_job_new (engine, frame, NULL, 1, NULL, NULL);
  float length;
  clip_stream_submit (stream, job, FALSE);
  if (clip_stream_wait (stream, job) != CLIP_JOB_DONE) {
    g_propagate_error (error, g_error_copy (clip_job_get_error (job)));
    return FALSE;
  }
  const float *result = clip_job_get_embedding (job, 0, &length);
  memcpy (embedding, result, clip_engine_get_config (engine)->embed_dim * sizeof (float));
  if (norm)
    *norm = length;
  return TRUE;
}

void
clip_engine_encode_prompts_async (ClipEngine *engine, ClipPromptSet *set, char **templates,
    gboolean truncate, gpointer cancellable, ClipPromptsFunc func, gpointer user_data,
    GDestroyNotify destroy)
{
  ClipPromptJob *job = clip_prompt_job_new (set, templates, clip_engine_get_config (engine)->embed_dim,
      truncate, cancellable, func, user_data, destroy);
  clip_prompt_job_set_cache (job, engine->cache);
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
  gint64 since = g_get_monotonic_time ();
  g_mutex_init (&waiter.lock);
  g_cond_init (&waiter.cond);
  clip_engine_encode_prompts_async (engine, set, templates, truncate, NULL, wake, &waiter, NULL);
  g_mutex_lock (&waiter.lock);
  while (!waiter.done)
    g_cond_wait (&waiter.cond, &waiter.lock);
  g_mutex_unlock (&waiter.lock);
  g_mutex_clear (&waiter.lock);
  g_cond_clear (&waiter.cond);
  log_part ("prompts", since);
  if (waiter.error)
    g_propagate_error (error, waiter.error);
  return waiter.prompts;
}

GArray *
clip_engine_tokenize (ClipEngine *engine, const char *text, gssize length, GError **error)
{
  return clip_tokenizer_encode (engine->tokenizer, text, length, error);
}
