/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of one source on their way through an engine, in order. The engine serves its streams in turns. */
#pragma once

#include "clip-engine.h"

G_BEGIN_DECLS

/** ClipStream: for one thread, but for clip_stream_set_flushing(); holds its engine */
typedef struct _ClipStream ClipStream;

/** ClipJob: a frame, or regions of it, and what they become. Reference-counted. */
typedef struct _ClipJob ClipJob;

/**
 * ClipJobStatus:
 * @CLIP_JOB_PENDING: not yet done
 * @CLIP_JOB_DROPPED: given up for a newer one, or by a flush
 */
typedef enum { CLIP_JOB_PENDING, CLIP_JOB_DONE, CLIP_JOB_FAILED, CLIP_JOB_DROPPED } ClipJobStatus;

ClipStream *clip_stream_new (ClipEngine *engine);
/** clip_stream_free: drops what has not begun; waits for nothing */
void clip_stream_free (ClipStream *stream);

/**
 * clip_stream_set_batch:
 * @size: the most regions in a batch; 0: what waits, at most #CLIP_BATCH_AUTO
 * @timeout: how long, in microseconds, a batch that is not full waits for more; not used with size 0
 *
 * A batch holds frames of all streams of the engine: the largest size and the shortest timeout of them hold.
 */
void clip_stream_set_batch (ClipStream *stream, guint size, gint64 timeout);
#define CLIP_BATCH_AUTO 16
#define CLIP_BATCH_MAX 256

/**
 * clip_job_new:
 * @regions: (array length=n) (nullable): parts of the picture, inside of it; NULL with n 1: all of it
 * @release: called once with @user_data, on any thread, when the frame's memory is not read any more
 */
ClipJob *clip_job_new (ClipEngine *engine, const ClipFrame *frame, const ClipRect *regions, guint n,
    GDestroyNotify release, gpointer user_data);
ClipJob *clip_job_ref (ClipJob *job);
void clip_job_unref (ClipJob *job);

/**
 * clip_stream_submit:
 * @replace: drop the stream's frames that have not begun
 */
void clip_stream_submit (ClipStream *stream, ClipJob *job, gboolean replace);

/** clip_stream_poll: does not block */
ClipJobStatus clip_stream_poll (ClipStream *stream, ClipJob *job);
/** clip_stream_wait: blocks until the job is done, has failed or is dropped, or the stream is flushing */
ClipJobStatus clip_stream_wait (ClipStream *stream, ClipJob *job);
/** clip_stream_set_flushing: TRUE drops all that has not begun, wakes who waits, and refuses what is submitted.
 * On any thread. */
void clip_stream_set_flushing (ClipStream *stream, gboolean flushing);

/* Of a job that is done: */
guint clip_job_get_size (ClipJob *job);
/** clip_job_get_embedding: (transfer none): embed_dim floats of unit length; zeros where @norm is 0 */
const float *clip_job_get_embedding (ClipJob *job, guint region, float *norm);
/** clip_job_get_latency: microseconds from submission to result */
gint64 clip_job_get_latency (ClipJob *job);
/** clip_job_get_error: (transfer none): of a job that has failed */
const GError *clip_job_get_error (ClipJob *job);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipStream, clip_stream_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipJob, clip_job_unref)

G_END_DECLS
