/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine with the demo model: batches, turns, what is dropped, what is shared. */
#include <math.h>
#include <string.h>

#include "engine/clip-stream.h"

#define SIDE 64

/* A picture of its own; counts how often its memory was given back. */
typedef struct {
  guint8 pixels[SIDE * SIDE * 3];
  ClipFrame frame;
  gint released;
} Picture;

static ClipEngine *engine;

static Picture *
new_picture (guint32 seed)
{
  Picture *p = g_new0 (Picture, 1);
  for (guint y = 0; y < SIDE; y++) {
    for (guint x = 0; x < SIDE; x++) {
      guint32 value = (x / 8 + seed) * 2654435761u ^ (y / 8 + 7 * seed) * 40503u;
      for (guint c = 0; c < 3; c++)
        p->pixels[(y * SIDE + x) * 3 + c] = (guint8) (value >> (8 * c + 3));
    }
  }
  p->frame = (ClipFrame){ .format = CLIP_FORMAT_RGB, .width = SIDE, .height = SIDE, .planes = { p->pixels },
    .strides = { SIDE * 3 } };
  return p;
}

static void
count_release (gpointer data)
{
  g_atomic_int_inc (&((Picture *) data)->released);
}

static ClipJob *
new_job (Picture *p)
{
  return clip_job_new (engine, &p->frame, NULL, 1, count_release, p);
}

static guint
dim (void)
{
  return clip_engine_get_config (engine)->embed_dim;
}

static float *
encode_alone (const ClipFrame *frame)
{
  g_autoptr (GError) error = NULL;
  float *embedding = g_new (float, dim ());
  clip_engine_encode_frame (engine, frame, embedding, NULL, &error);
  g_assert_no_error (error);
  return embedding;
}

static void
assert_equal (const float *a, const float *b)
{
  for (guint i = 0; i < dim (); i++)
    g_assert_cmpfloat_with_epsilon (a[i], b[i], 1e-5);
}

/* A batch gives what its pictures give alone. */
static void
test_batch (void)
{
  g_autoptr (ClipStream) stream = clip_stream_new (engine);
  Picture *pictures[21];
  ClipJob *jobs[21];
  ClipEngineStats before = clip_engine_get_stats (engine);
  clip_stream_set_batch (stream, 8, G_TIME_SPAN_SECOND);
  for (guint i = 0; i < 21; i++) {
    pictures[i] = new_picture (i);
    jobs[i] = new_job (pictures[i]);
    clip_stream_submit (stream, jobs[i], FALSE);
  }
  for (guint i = 0; i < 21; i++) {
    float norm;
    g_assert_cmpint (clip_stream_wait (stream, jobs[i]), ==, CLIP_JOB_DONE);
    g_assert_cmpint (clip_job_get_latency (jobs[i]), >, 0);
    g_assert_cmpint (g_atomic_int_get (&pictures[i]->released), ==, 1);
    g_autofree float *alone = encode_alone (&pictures[i]->frame);
    assert_equal (clip_job_get_embedding (jobs[i], 0, &norm), alone);
    g_assert_cmpfloat (norm, >, 0.0);
    clip_job_unref (jobs[i]);
    g_free (pictures[i]);
  }
  ClipEngineStats after = clip_engine_get_stats (engine);
  g_assert_cmpuint (after.regions - before.regions, ==, 42);
  g_assert_cmpuint (after.batches - before.batches, <=, 21 + 11); /* 21 alone, and at most two to a batch on average */
}

/* Regions are what their crops are. */
static void
test_regions (void)
{
  static const ClipRect regions[] = { { 0, 0, 64, 64 }, { 3, 5, 17, 40 }, { 32, 32, 32, 32 }, { 63, 63, 1, 1 },
    { 0, 10, 64, 9 } };
  g_autoptr (ClipStream) stream = clip_stream_new (engine);
  g_autofree Picture *picture = new_picture (3);
  g_autoptr (ClipJob) job
      = clip_job_new (engine, &picture->frame, regions, G_N_ELEMENTS (regions), count_release, picture);
  clip_stream_set_batch (stream, 2, 0); /* its regions are of several batches */
  clip_stream_submit (stream, job, FALSE);
  g_assert_cmpint (clip_stream_wait (stream, job), ==, CLIP_JOB_DONE);
  g_assert_cmpuint (clip_job_get_size (job), ==, G_N_ELEMENTS (regions));
  for (guint i = 0; i < G_N_ELEMENTS (regions); i++) {
    const ClipRect *r = &regions[i];
    ClipFrame cut = picture->frame; /* RGB: a crop is another first pixel */
    float norm;
    cut.planes[0] += (r->y * SIDE + r->x) * 3;
    cut.width = r->width;
    cut.height = r->height;
    g_autofree float *alone = encode_alone (&cut);
    assert_equal (clip_job_get_embedding (job, i, &norm), alone);
  }
  g_assert_cmpint (g_atomic_int_get (&picture->released), ==, 1);
}

/* Of a stream that only wants the newest, all frames but those that began are dropped and given back. */
static void
test_replace (void)
{
  g_autoptr (ClipStream) stream = clip_stream_new (engine);
  Picture *pictures[300];
  ClipJob *jobs[300];
  guint done = 0, dropped = 0;
  for (guint i = 0; i < 300; i++) {
    pictures[i] = new_picture (i);
    jobs[i] = new_job (pictures[i]);
    clip_stream_submit (stream, jobs[i], TRUE);
  }
  g_assert_cmpint (clip_stream_wait (stream, jobs[299]), ==, CLIP_JOB_DONE);
  for (guint i = 0; i < 300; i++) {
    ClipJobStatus status = clip_stream_poll (stream, jobs[i]);
    done += status == CLIP_JOB_DONE;
    dropped += status == CLIP_JOB_DROPPED;
    clip_job_unref (jobs[i]);
    g_assert_cmpint (g_atomic_int_get (&pictures[i]->released), ==, 1);
    g_free (pictures[i]);
  }
  g_assert_cmpuint (done + dropped, ==, 300);
  g_assert_cmpuint (dropped, >, 100);
}

/* A stream with hundreds of frames in line does not hold up one that has few. */
static void
test_turns (void)
{
  g_autoptr (ClipStream) busy = clip_stream_new (engine), idle = clip_stream_new (engine);
  g_autofree Picture *picture = new_picture (1);
  ClipJob *many[400], *few[4];
  guint done = 0;
  for (guint i = 0; i < 400; i++)
    clip_stream_submit (busy, many[i] = new_job (picture), FALSE);
  for (guint i = 0; i < 4; i++)
    clip_stream_submit (idle, few[i] = new_job (picture), FALSE);
  g_assert_cmpint (clip_stream_wait (idle, few[3]), ==, CLIP_JOB_DONE);
  for (guint i = 0; i < 400; i++)
    done += clip_stream_poll (busy, many[i]) == CLIP_JOB_DONE;
  g_assert_cmpuint (done, <, 150);
  for (guint i = 0; i < 4; i++)
    clip_job_unref (few[i]);
  for (guint i = 0; i < 400; i++) {
    clip_stream_wait (busy, many[i]);
    clip_job_unref (many[i]);
  }
  g_assert_cmpint (g_atomic_int_get (&picture->released), ==, 404);
}

static gpointer
flush_soon (gpointer stream)
{
  g_usleep (2000);
  clip_stream_set_flushing (stream, TRUE);
  return NULL;
}

static void
test_flush (void)
{
  g_autoptr (ClipStream) stream = clip_stream_new (engine);
  g_autofree Picture *picture = new_picture (2);
  ClipJob *jobs[1000];
  for (guint i = 0; i < 1000; i++)
    clip_stream_submit (stream, jobs[i] = new_job (picture), FALSE);
  GThread *thread = g_thread_new ("flush", flush_soon, stream);
  gint64 before = g_get_monotonic_time ();
  g_assert_cmpint (clip_stream_wait (stream, jobs[999]), ==, CLIP_JOB_DROPPED);
  g_assert_cmpint (g_get_monotonic_time () - before, <, G_TIME_SPAN_SECOND);
  g_thread_join (thread);
  g_autoptr (ClipJob) late = new_job (picture);
  clip_stream_submit (stream, late, FALSE);
  g_assert_cmpint (clip_stream_poll (stream, late), ==, CLIP_JOB_DROPPED);
  clip_stream_set_flushing (stream, FALSE);
  g_autoptr (ClipJob) next = new_job (picture);
  clip_stream_submit (stream, next, FALSE);
  g_assert_cmpint (clip_stream_wait (stream, next), ==, CLIP_JOB_DONE);
  for (guint i = 0; i < 1000; i++)
    clip_job_unref (jobs[i]);
  g_assert_cmpint (g_atomic_int_get (&picture->released), ==, 1002);
}

/* A frame that cannot be read fails alone, not the batch it is in. */
static void
test_bad_frame (void)
{
  g_autoptr (ClipStream) stream = clip_stream_new (engine);
  g_autofree Picture *good = new_picture (1), *bad = new_picture (2);
  static const ClipRect outside = { 60, 60, 30, 30 };
  g_autoptr (ClipJob) first = new_job (good);
  g_autoptr (ClipJob) second = clip_job_new (engine, &bad->frame, &outside, 1, count_release, bad);
  g_autoptr (ClipJob) third = new_job (good);
  clip_stream_set_batch (stream, 4, 50 * G_TIME_SPAN_MILLISECOND);
  clip_stream_submit (stream, first, FALSE);
  clip_stream_submit (stream, second, FALSE);
  clip_stream_submit (stream, third, FALSE);
  g_assert_cmpint (clip_stream_wait (stream, first), ==, CLIP_JOB_DONE);
  g_assert_cmpint (clip_stream_wait (stream, second), ==, CLIP_JOB_FAILED);
  g_assert_error (clip_job_get_error (second), CLIP_ERROR, CLIP_ERROR_IMAGE);
  g_assert_cmpint (clip_stream_wait (stream, third), ==, CLIP_JOB_DONE);
  g_assert_cmpint (g_atomic_int_get (&bad->released), ==, 1);
}

static void
test_never_submitted (void)
{
  g_autofree Picture *picture = new_picture (1);
  clip_job_unref (new_job (picture));
  g_assert_cmpint (picture->released, ==, 1);
}

static gpointer
open_same (gpointer path)
{
  return clip_engine_open_shared ("same", path, NULL, CLIP_PRECISION_FP32, NULL);
}

static void
test_share (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = clip_model_find ("demo", NULL, NULL);
  GThread *threads[4];
  ClipEngine *engines[4];
  for (guint i = 0; i < 4; i++)
    threads[i] = g_thread_new ("open", open_same, path);
  for (guint i = 0; i < 4; i++)
    engines[i] = g_thread_join (threads[i]);
  for (guint i = 0; i < 4; i++)
    g_assert_true (engines[i] && engines[i] == engines[0]);
  g_assert_null (clip_engine_open_shared ("same", "/nonexistent", NULL, CLIP_PRECISION_FP32, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_MODEL);
  g_assert_nonnull (strstr (error->message, "\"same\""));
  g_clear_error (&error);
  g_assert_null (clip_engine_open_shared ("same", path, NULL, CLIP_PRECISION_INT8, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_MODEL);
  g_assert_nonnull (strstr (error->message, "fp32"));
  g_assert_nonnull (strstr (error->message, "int8"));
  g_clear_error (&error);
  for (guint i = 0; i < 4; i++)
    clip_engine_unref (engines[i]);
  /* released with its last holder: the name is free for another model, which is not there */
  g_assert_null (clip_engine_open_shared ("same", "/nonexistent", NULL, CLIP_PRECISION_FP32, &error));
  g_assert_nonnull (strstr (error->message, "/nonexistent"));
  g_autoptr (ClipEngine) again = clip_engine_open_shared ("same", path, NULL, CLIP_PRECISION_FP32, NULL);
  g_assert_nonnull (again);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_test_init (&argc, &argv, NULL);
  engine = clip_engine_new ("demo", NULL, CLIP_PRECISION_FP32, &error);
  g_assert_no_error (error);
  g_test_add_func ("/engine/batch", test_batch);
  g_test_add_func ("/engine/regions", test_regions);
  g_test_add_func ("/engine/replace", test_replace);
  g_test_add_func ("/engine/turns", test_turns);
  g_test_add_func ("/engine/flush", test_flush);
  g_test_add_func ("/engine/bad-frame", test_bad_frame);
  g_test_add_func ("/engine/never-submitted", test_never_submitted);
  g_test_add_func ("/engine/share", test_share);
  int status = g_test_run ();
  clip_engine_unref (engine);
  return status;
}
