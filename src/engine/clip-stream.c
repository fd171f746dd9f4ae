/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-engine-private.h"

ClipJob *
clip_job_new (ClipEngine *engine, const ClipFrame *frame, const ClipRect *regions, guint n, GDestroyNotify release,
    gpointer user_data)
{
  ClipJob *job = g_new0 (ClipJob, 1);
  g_atomic_ref_count_init (&job->refs);
  job->frame = *frame;
  job->regions = regions ? g_memdup2 (regions, n * sizeof *regions) : NULL;
  job->n = n;
  job->embed_dim = clip_engine_get_config (engine)->embed_dim;
  job->embeddings = g_new0 (float, (gsize) n * job->embed_dim);
  job->norms = g_new0 (float, n);
  job->release = release;
  job->user_data = user_data;
  return job;
}

ClipJob *
clip_job_ref (ClipJob *job)
{
  g_atomic_ref_count_inc (&job->refs);
  return job;
}

void
clip_job_unref (ClipJob *job)
{
  if (!g_atomic_ref_count_dec (&job->refs))
    return;
  if (job->release && !job->released) /* was never submitted */
    job->release (job->user_data);
  g_clear_error (&job->error);
  g_free (job->regions);
  g_free (job->embeddings);
  g_free (job->norms);
  g_free (job);
}

void
clip_job_settle (ClipEngine *engine, ClipJob *job)
{
  gboolean wanted = job->state == JOB_WAITING || job->reading > 0;
  if (wanted || job->released)
    return;
  job->released = TRUE;
  if (!job->release)
    return;
  /* it may run code of the frame's owner, which must not find our lock held */
  g_mutex_unlock (&engine->lock);
  job->release (job->user_data);
  g_mutex_lock (&engine->lock);
}

/* Drops what has not begun, and when flushing also a job of which only some regions have. Call with the lock held;
 * it is released meanwhile. */
static void
drop_waiting (ClipStream *stream)
{
  ClipEngine *engine = stream->engine;
  GQueue kept = G_QUEUE_INIT, dropped = G_QUEUE_INIT;
  ClipJob *job;
  while ((job = g_queue_pop_head (&stream->jobs))) {
    if (job->begun > 0 && !stream->flushing) {
      g_queue_push_tail (&kept, job);
      continue;
    }
    engine->waiting -= job->n - job->begun;
    job->state = JOB_DROPPED;
    g_queue_push_tail (&dropped, job);
  }
  stream->jobs = kept;
  while ((job = g_queue_pop_head (&dropped))) {
    clip_job_settle (engine, job);
    clip_job_unref (job);
  }
}

ClipStream *
clip_stream_new (ClipEngine *engine)
{
  ClipStream *stream = g_new0 (ClipStream, 1);
  stream->engine = clip_engine_ref (engine);
  g_mutex_lock (&engine->lock);
  g_ptr_array_add (engine->streams, stream);
  g_mutex_unlock (&engine->lock);
  return stream;
}

void
clip_stream_free (ClipStream *stream)
{
  clip_stream_set_flushing (stream, TRUE);
  g_mutex_lock (&stream->engine->lock);
  g_ptr_array_remove (stream->engine->streams, stream);
  g_mutex_unlock (&stream->engine->lock);
  clip_engine_unref (stream->engine);
  g_free (stream);
}

void
clip_stream_set_batch (ClipStream *stream, guint size, gint64 timeout)
{
  g_mutex_lock (&stream->engine->lock);
  stream->batch_size = MIN (size, CLIP_BATCH_MAX);
  stream->batch_timeout = timeout;
  g_cond_broadcast (&stream->engine->work);
  g_mutex_unlock (&stream->engine->lock);
}

void
clip_stream_submit (ClipStream *stream, ClipJob *job, gboolean replace)
{
  ClipEngine *engine = stream->engine;
  g_mutex_lock (&engine->lock);
  if (replace)
    drop_waiting (stream);
  job->submitted = g_get_monotonic_time ();
  if (stream->flushing) {
    job->state = JOB_DROPPED;
    clip_job_settle (engine, job);
  } else {
    g_queue_push_tail (&stream->jobs, clip_job_ref (job));
    engine->waiting += job->n;
    g_cond_signal (&engine->work);
  }
  g_mutex_unlock (&engine->lock);
}

/* Call with the lock held. */
static ClipJobStatus
status_of (const ClipStream *stream, const ClipJob *job)
{
  switch (job->state) {
    case JOB_DONE:
      return CLIP_JOB_DONE;
    case JOB_FAILED:
      return CLIP_JOB_FAILED;
    case JOB_DROPPED:
      return CLIP_JOB_DROPPED;
    case JOB_WAITING:
    case JOB_RUNNING:
    default:
      return stream->flushing ? CLIP_JOB_DROPPED : CLIP_JOB_PENDING;
  }
}

ClipJobStatus
clip_stream_poll (ClipStream *stream, ClipJob *job)
{
  g_mutex_lock (&stream->engine->lock);
  ClipJobStatus status = status_of (stream, job);
  g_mutex_unlock (&stream->engine->lock);
  return status;
}

ClipJobStatus
clip_stream_wait (ClipStream *stream, ClipJob *job)
{
  ClipEngine *engine = stream->engine;
  ClipJobStatus status;
  g_mutex_lock (&engine->lock);
  job->awaited = TRUE; /* nothing more comes from this stream: a batch need not wait for it */
  g_cond_signal (&engine->work);
  while ((status = status_of (stream, job)) == CLIP_JOB_PENDING)
    g_cond_wait (&engine->done, &engine->lock);
  g_mutex_unlock (&engine->lock);
  return status;
}

void
clip_stream_set_flushing (ClipStream *stream, gboolean flushing)
{
  ClipEngine *engine = stream->engine;
  g_mutex_lock (&engine->lock);
  stream->flushing = flushing;
  if (flushing) {
    drop_waiting (stream);
    g_cond_broadcast (&engine->done);
  }
  g_mutex_unlock (&engine->lock);
}

guint
clip_job_get_size (ClipJob *job)
{
  return job->n;
}

const float *
clip_job_get_embedding (ClipJob *job, guint region, float *norm)
{
  g_return_val_if_fail (region < job->n, NULL);
  *norm = job->norms[region];
  return job->embeddings + (gsize) region * job->embed_dim;
}

gint64
clip_job_get_latency (ClipJob *job)
{
  return job->finished_at - job->submitted;
}

const GError *
clip_job_get_error (ClipJob *job)
{
  return job->error;
}
