/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches: regions of frames of all streams, in turns, encoded together. */
#include <math.h>
#include <string.h>

#include "clip-engine-private.h"

/* A batch takes no longer: who flushes or ends an engine waits at most for the one that runs. */
#define MAX_SECONDS 0.5

typedef struct {
  ClipItem items[CLIP_BATCH_MAX];
  guint n;
} Batch;

static guint
largest_power_of_two (guint n)
{
  guint power = 1;
  while (power * 2 <= n)
    power *= 2;
  return power;
}

guint
clip_batch_limit (ClipEngine *engine)
{
  guint limit = 1;
  for (guint i = 0; i < engine->streams->len; i++) {
    const ClipStream *stream = g_ptr_array_index (engine->streams, i);
    limit = MAX (limit, stream->batch_size ? stream->batch_size : CLIP_BATCH_AUTO);
  }
  if (engine->item_seconds == 0) /* the first one tells how long a region takes */
    return 1;
  limit = MIN (limit, engine->memory_limit);
  return (guint) CLAMP (MAX_SECONDS / engine->item_seconds, 1.0, limit);
}

gint64
clip_batch_deadline (ClipEngine *engine)
{
  gint64 oldest = G_MAXINT64, timeout = G_MAXINT64;
  for (guint i = 0; i < engine->streams->len; i++) {
    ClipStream *stream = g_ptr_array_index (engine->streams, i);
    const ClipJob *head = g_queue_peek_head (&stream->jobs);
    timeout = MIN (timeout, stream->batch_size ? stream->batch_timeout : 0);
    if (head)
      oldest = MIN (oldest, head->awaited ? 0 : head->submitted);
  }
  return oldest == 0 || oldest == G_MAXINT64 ? 0 : oldest + timeout;
}

/* The next region of the stream's oldest frame. */
static gboolean
take_item (ClipEngine *engine, ClipStream *stream, ClipItem *item)
{
  ClipJob *job = g_queue_peek_head (&stream->jobs);
  if (!job)
    return FALSE;
  *item = (ClipItem){ clip_job_ref (job), job->begun++ };
  job->reading++;
  engine->waiting--;
  if (job->begun == job->n) {
    job->state = JOB_RUNNING;
    g_queue_pop_head (&stream->jobs);
    clip_job_unref (job);
  }
  return TRUE;
}

/* One region of each stream in turn, until the batch is full or nothing waits. */
static void
take (ClipEngine *engine, Batch *batch, guint limit)
{
  guint n = engine->streams->len, idle = 0;
  for (; batch->n < limit && idle < n; engine->turn++) {
    ClipStream *stream = g_ptr_array_index (engine->streams, engine->turn % n);
    if (take_item (engine, stream, &batch->items[batch->n])) {
      batch->n++;
      idle = 0;
    } else {
      idle++;
    }
  }
}

static gboolean
reserve (ClipEngine *engine, guint n, GError **error)
{
  if (engine->capacity >= n)
    return TRUE;
  const ClipModelConfig *config = clip_engine_get_config (engine);
  gsize floats = (gsize) 3 * config->preprocess.size * config->preprocess.size;
  ClipBuffer *pixels
      = clip_buffer_new (clip_queue_get_device (engine->queue), n * floats * sizeof (float), error);
  if (!pixels)
    return FALSE;
  g_clear_pointer (&engine->pixels, clip_buffer_unref);
  engine->pixels = pixels;
  engine->embeddings = g_renew (float, engine->embeddings, (gsize) n * config->embed_dim);
  engine->norms = g_renew (float, engine->norms, n);
  engine->capacity = n;
  return TRUE;
}

/* Call with the lock held. */
static void
fail (ClipEngine *engine, ClipJob *job, const GError *error)
{
  if (job->state == JOB_FAILED || job->state == JOB_DROPPED)
    return;
  if (job->state == JOB_WAITING) { /* its other regions need not be tried */
    for (guint i = 0; i < engine->streams->len; i++) {
      ClipStream *stream = g_ptr_array_index (engine->streams, i);
      if (g_queue_remove (&stream->jobs, job)) {
        engine->waiting -= job->n - job->begun;
        clip_job_unref (job);
      }
    }
  }
  job->error = g_error_copy (error);
  job->state = JOB_FAILED;
}

/* The items' pixels, to the slots from 0 on; items that fail or are not wanted any more are taken out. Call with the
 * lock held; it is released meanwhile. */
static void
preprocess (ClipEngine *engine, Batch *batch)
{
  guint kept = 0;
  for (guint i = 0; i < batch->n; i++) {
    g_autoptr (GError) error = NULL;
    ClipItem item = batch->items[i];
    gboolean wanted = item.job->state == JOB_WAITING || item.job->state == JOB_RUNNING, ok = FALSE;
    if (wanted) {
      g_mutex_unlock (&engine->lock);
      ClipFrame frame = item.job->frame;
      if (item.job->regions)
        frame.crop = item.job->regions[item.region];
      ok = clip_preprocessor_run (engine->preprocessor, &frame, engine->pixels, kept, &error);
      g_mutex_lock (&engine->lock);
    }
    item.job->reading--;
    if (wanted && !ok)
      fail (engine, item.job, error);
    clip_job_settle (engine, item.job);
    if (ok)
      batch->items[kept++] = item;
    else
      clip_job_unref (item.job);
  }
  batch->n = kept;
}

static gboolean
check_norms (const float *norms, guint n, GError **error)
{
  for (guint i = 0; i < n; i++) {
    if (!isfinite (norms[i])) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
          "the image embedding is not finite; the model's weights are damaged");
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
encode (ClipEngine *engine, guint n, GError **error)
{
  gint64 before = g_get_monotonic_time ();
  if (!clip_model_encode_pixels (engine->model, engine->pixels, n, engine->embeddings, engine->norms, error)
      || !check_norms (engine->norms, n, error))
    return FALSE;
  if (engine->item_seconds == 0)
    g_info ("start: first picture %.4f s", (double) (g_get_monotonic_time () - before) / G_USEC_PER_SEC);
  double seconds = MAX (1, g_get_monotonic_time () - before) * 1e-6 / n;
  if (engine->item_seconds == 0 || seconds < engine->item_seconds)
    engine->item_seconds = seconds;
  else /* a kernel may have been compiled, or the machine was busy */
    engine->item_seconds += 0.25 * (seconds - engine->item_seconds);
  return TRUE;
}

/* Call with the lock held. */
static void
finish (ClipEngine *engine, const Batch *batch)
{
  guint d = clip_engine_get_config (engine)->embed_dim;
  gint64 now = g_get_monotonic_time ();
  for (guint i = 0; i < batch->n; i++) {
    ClipJob *job = batch->items[i].job;
    guint region = batch->items[i].region;
    memcpy (job->embeddings + (gsize) region * d, engine->embeddings + (gsize) i * d, d * sizeof (float));
    job->norms[region] = engine->norms[i];
    job->finished_at = now;
    if (++job->finished == job->n && job->state == JOB_RUNNING)
      job->state = JOB_DONE;
  }
  engine->stats.batches++;
  engine->stats.regions += batch->n;
}

/* The device has no memory for such a batch: the regions go one by one, from the pixels that are there, and the next
 * batches are smaller. */
static gboolean
encode_smaller (ClipEngine *engine, guint n, GError **error)
{
  const ClipModelConfig *config = clip_engine_get_config (engine);
  gsize d = config->embed_dim, floats = (gsize) 3 * config->preprocess.size * config->preprocess.size;
  g_autoptr (ClipBuffer) one
      = clip_buffer_new (clip_queue_get_device (engine->queue), floats * sizeof (float), error);
  for (guint i = 0; i < n; i++) {
    if (!one || !clip_buffer_copy (engine->pixels, engine->queue, i * floats * sizeof (float), one, error)
        || !clip_model_encode_pixels (engine->model, one, 1, engine->embeddings + i * d, engine->norms + i, error)
        || !check_norms (engine->norms + i, 1, error))
      return FALSE;
  }
  engine->memory_limit = MAX (1, n / 2);
  g_message ("%u pictures at a time are too much for %s; batches have at most %u from now on", n,
      clip_engine_get_device_name (engine), engine->memory_limit);
  return TRUE;
}

static gboolean
encode_or_shrink (ClipEngine *engine, guint n, GError **error)
{
  g_autoptr (GError) first = NULL;
  if (encode (engine, n, &first))
    return TRUE;
  if (n > 1 && g_error_matches (first, CLIP_ERROR, CLIP_ERROR_DEVICE) && encode_smaller (engine, n, NULL))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&first));
  return FALSE;
}

/* Room for @n regions, or for fewer when the device has no memory for them. Returns: for how many */
static guint
reserve_or_shrink (ClipEngine *engine, guint n, GError **error)
{
  g_autoptr (GError) first = NULL;
  if (reserve (engine, n, &first))
    return n;
  engine->memory_limit = MAX (1, engine->capacity);
  if (engine->capacity > 0 || (n > 1 && reserve (engine, 1, NULL)))
    return engine->capacity;
  g_propagate_error (error, g_steal_pointer (&first));
  return 0;
}

void
clip_batch_serve (ClipEngine *engine, guint limit)
{
  g_autofree Batch *batch = g_new0 (Batch, 1);
  g_autoptr (GError) error = NULL;
  /* few sizes only: another size of batch may be another kernel to compile */
  guint n = largest_power_of_two (MIN (limit, engine->waiting));
  g_mutex_unlock (&engine->lock);
  guint room = reserve_or_shrink (engine, n, &error);
  g_mutex_lock (&engine->lock);
  take (engine, batch, MAX (1, room));
  gboolean ok = room > 0;
  if (ok) {
    preprocess (engine, batch);
    g_mutex_unlock (&engine->lock);
    ok = batch->n == 0 || encode_or_shrink (engine, batch->n, &error);
    g_mutex_lock (&engine->lock);
  }
  if (ok)
    finish (engine, batch);
  for (guint i = 0; i < batch->n; i++) {
    ClipJob *job = batch->items[i].job;
    if (!ok)
      fail (engine, job, error);
    clip_job_unref (job);
  }
  g_cond_broadcast (&engine->done);
}
