/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The engine on a device that fails: at each call of each kind once, and from each on for ever. Never a wrong result, a
 * hang or a leak; an error that says what failed, or a result that is right all the same. */
#include <string.h>

#include "device/clip-device.h"
#include "engine/clip-stream.h"
#include "faults.h"

#define SIDE 64
#define FRAMES 4
#define DIM_MAX 1024
/* All allocations and builds are tried; of the many other calls so many, evenly spread. */
#define TRIES 40
#define AUTO_TRIES 12 /* each measures for a second */

typedef struct {
  gboolean loaded, texts, frames; /* how far it came */
  guint dim;
  float prompts[2 * DIM_MAX], embeddings[FRAMES * DIM_MAX];
  char *message; /* of the first error */
} Outcome;

static guint8 pixels[FRAMES][SIDE * SIDE * 3];
static Outcome expected;

/* Notes an error; its message must say something. */
static void
note (Outcome *o, const GError *error)
{
  g_assert_nonnull (error);
  g_assert_cmpuint (strlen (error->message), >, 20);
  if (!o->message)
    o->message = g_strdup (error->message);
}

static void
encode_prompts (ClipEngine *engine, Outcome *o)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipPromptSet) set = clip_prompt_set_parse ("a red circle;snow", NULL);
  char *templates[] = { (char *) "{}", NULL };
  g_autoptr (ClipEncodedPrompts) encoded = clip_engine_encode_prompts (engine, set, templates, FALSE, &error);
  o->texts = encoded != NULL;
  if (encoded)
    memcpy (o->prompts, encoded->matrix, 2 * o->dim * sizeof (float));
  else
    note (o, error);
}

static ClipFrame
frame_of (guint i)
{
  return (ClipFrame){ .format = CLIP_FORMAT_RGB, .width = SIDE, .height = SIDE, .planes = { pixels[i] },
    .strides = { SIDE * 3 } };
}

/* One by itself, which is also how the engine learns how long one takes; then a batch. */
static void
encode_frames (ClipEngine *engine, Outcome *o)
{
  g_autoptr (ClipStream) stream = clip_stream_new (engine);
  g_autoptr (GError) error = NULL;
  ClipJob *jobs[FRAMES];
  ClipFrame first = frame_of (0);
  o->frames = clip_engine_encode_frame (engine, &first, o->embeddings, NULL, &error);
  if (!o->frames)
    note (o, error);
  clip_stream_set_batch (stream, FRAMES, G_TIME_SPAN_SECOND);
  for (guint i = 0; i < FRAMES; i++) {
    ClipFrame frame = frame_of (i);
    jobs[i] = clip_job_new (engine, &frame, NULL, 1, NULL, NULL);
    clip_stream_submit (stream, jobs[i], FALSE);
  }
  for (guint i = 0; i < FRAMES; i++) {
    float norm;
    ClipJobStatus status = clip_stream_wait (stream, jobs[i]);
    g_assert_true (status == CLIP_JOB_DONE || status == CLIP_JOB_FAILED);
    if (status == CLIP_JOB_DONE)
      memcpy (o->embeddings + i * o->dim, clip_job_get_embedding (jobs[i], 0, &norm), o->dim * sizeof (float));
    else
      note (o, clip_job_get_error (jobs[i]));
    o->frames = o->frames && status == CLIP_JOB_DONE;
    clip_job_unref (jobs[i]);
  }
}

static void
run (Outcome *o)
{
  g_autoptr (GError) error = NULL;
  *o = (Outcome){ 0 };
  g_autoptr (ClipEngine) engine = clip_engine_new ("demo", NULL, CLIP_PRECISION_FP32, &error);
  o->loaded = engine != NULL;
  if (!engine) {
    note (o, error);
    return;
  }
  o->dim = clip_engine_get_config (engine)->embed_dim;
  g_assert_cmpuint (o->dim, <=, DIM_MAX);
  encode_prompts (engine, o);
  encode_frames (engine, o);
}

static void
assert_close (const float *a, const float *b, guint n)
{
  for (guint i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon (a[i], b[i], 1e-5);
}

/* What succeeded is right. */
static void
assert_right (const Outcome *o)
{
  if (o->texts)
    assert_close (o->prompts, expected.prompts, 2 * o->dim);
  if (o->frames)
    assert_close (o->embeddings, expected.embeddings, FRAMES * o->dim);
}

static guint
calls_of (Fault fault)
{
  Outcome o;
  fault_inject (fault, 0, FALSE);
  run (&o);
  g_assert_null (o.message);
  return fault_count (fault);
}

static void
try_one (Fault fault, guint nth, gboolean persistent, guint *survived)
{
  Outcome o;
  fault_watch (fault_name (fault), nth, 60);
  fault_inject (fault, nth, persistent);
  run (&o);
  fault_inject (fault, 0, FALSE);
  *survived += o.loaded && o.texts && o.frames;
  g_assert_true ((o.loaded && o.texts && o.frames) == (o.message == NULL));
  assert_right (&o);
  g_free (o.message);
}

static void
test_fault (gconstpointer data)
{
  Fault fault = GPOINTER_TO_INT (data);
  guint calls = calls_of (fault), tried = 0, survived = 0;
  guint step = fault == FAULT_ALLOCATE || fault == FAULT_BUILD ? 1 : MAX (1, calls / TRIES);
  for (guint nth = 1; nth <= calls; nth += step) {
    try_one (fault, nth, FALSE, &survived);
    try_one (fault, nth, TRUE, &survived);
    tried += 2;
  }
  fault_watch ("the end", 0, 0);
  g_test_message ("%s: %u calls, %u faults tried, %u survived by a fallback", fault_name (fault), calls, tried, survived);
  g_assert_cmpuint (tried, >, 0);
  Outcome after;
  run (&after); /* nothing is left behind that harms the next */
  g_assert_null (after.message);
  assert_right (&after);
}

/* Pictures are copied on the device only when a batch has failed and they are tried one by one: then that fails too. */
static void
test_second_fault (void)
{
  guint calls = calls_of (FAULT_RUN), copies = 0, survived = 0;
  for (guint nth = calls; nth > calls - 20; nth--) { /* the last calls are those of the batch */
    fault_inject (FAULT_COPY, 1, TRUE);
    try_one (FAULT_RUN, nth, FALSE, &survived);
    copies += fault_count (FAULT_COPY);
  }
  fault_inject (FAULT_COPY, 0, FALSE);
  fault_watch ("the end", 0, 0);
  g_assert_cmpuint (copies, >, 0);
  g_assert_cmpuint (survived, ==, 0);
}

/* After a failure of one frame the engine goes on with the next, and nothing of the device's memory is lost. */
static void
test_goes_on (void)
{
  g_autoptr (ClipDevice) device = clip_device_open (NULL, NULL); /* held, so that its memory can be looked at */
  gsize before = clip_device_get_allocated (device);
  g_autofree Outcome *o = g_new0 (Outcome, 1);
  {
    g_autoptr (ClipEngine) engine = clip_engine_new ("demo", NULL, CLIP_PRECISION_FP32, NULL);
    o->dim = clip_engine_get_config (engine)->embed_dim;
    ClipFrame frame = frame_of (1);
    for (guint nth = 1; nth < 30; nth++) {
      g_autoptr (GError) error = NULL;
      fault_inject (FAULT_RUN, nth, TRUE);
      g_assert_false (clip_engine_encode_frame (engine, &frame, o->embeddings, NULL, &error));
      note (o, error);
      fault_inject (FAULT_RUN, 0, FALSE);
      g_assert_true (clip_engine_encode_frame (engine, &frame, o->embeddings, NULL, NULL));
      assert_close (o->embeddings, expected.embeddings + o->dim, o->dim);
    }
  }
  for (guint nth = 1; nth < 200; nth += 7) {
    fault_inject (FAULT_ALLOCATE, nth, FALSE);
    g_autofree Outcome *failed = g_new0 (Outcome, 1);
    run (failed);
    g_free (failed->message);
    fault_inject (FAULT_ALLOCATE, 0, FALSE);
    g_assert_cmpuint (clip_device_get_allocated (device), ==, before);
  }
  g_free (o->message);
}

/* The weights in @folder with precision=auto and the @nth call failing. Returns: whether it was loaded; then it is right */
static gboolean
load_auto (const char *folder, Fault fault, guint nth, guint *calls)
{
  g_autoptr (GError) error = NULL;
  g_autofree float *embedding = g_new (float, DIM_MAX);
  ClipFrame frame = frame_of (0);
  double cosine = 0;
  fault_watch (fault_name (fault), nth, 60);
  fault_inject (fault, nth, FALSE);
  g_autoptr (ClipEngine) engine = clip_engine_new (folder, NULL, CLIP_PRECISION_AUTO, &error);
  *calls = fault_count (fault);
  fault_inject (fault, 0, FALSE);
  if (!engine) {
    Outcome o = { 0 };
    note (&o, error);
    g_free (o.message);
    return FALSE;
  }
  g_assert_true (clip_engine_encode_frame (engine, &frame, embedding, NULL, &error));
  for (guint i = 0; i < expected.dim; i++)
    cosine += embedding[i] * expected.embeddings[i];
  g_assert_cmpfloat (cosine, >=, 0.995);
  return TRUE;
}

/* A candidate that cannot be loaded or run is no harm. */
static void
test_auto (gconstpointer data)
{
  Fault fault = GPOINTER_TO_INT (data);
  g_autofree char *demo = clip_model_find ("demo", NULL, NULL), *folder = g_dir_make_tmp ("clip-faults-XXXXXX", NULL);
  g_autofree char *copy = g_strdup_printf ("cp -rL '%s/.' '%s'", demo, folder);
  /* weights just written are not trusted to stay: nothing is remembered, each load measures */
  g_autofree char *touch = g_strdup_printf ("touch '%s/model.safetensors'", folder);
  g_autofree char *clean = g_strdup_printf ("rm -rf '%s'", folder);
  g_autoptr (ClipDevice) device = clip_device_open (NULL, NULL);
  const gsize before = clip_device_get_allocated (device);
  guint calls = 0, other, survived = 0;
  g_assert_cmpint (system (copy), ==, 0);
  g_assert_true (load_auto (folder, fault, 0, &calls));
  for (guint i = 1; i <= AUTO_TRIES; i++) {
    g_assert_cmpint (system (touch), ==, 0);
    survived += load_auto (folder, fault, i * calls / (AUTO_TRIES + 1), &other);
    g_assert_cmpuint (clip_device_get_allocated (device), ==, before);
  }
  fault_watch ("the end", 0, 0);
  g_test_message ("%s: %u calls, %u of %u faults survived", fault_name (fault), calls, survived, AUTO_TRIES);
  g_assert_cmpuint (survived, >, 0);
  g_assert_cmpint (system (clean), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < FRAMES; i++) {
    for (guint j = 0; j < sizeof pixels[i]; j++)
      pixels[i][j] = (guint8) ((j / 24 + 3 * i) * 2654435761u >> 24);
  }
  run (&expected);
  g_assert_null (expected.message);
  for (gint i = 0; i < N_FAULTS; i++) {
    if (i == FAULT_COPY)
      continue;
    g_autofree char *path = g_strconcat ("/faults/", fault_name (i), NULL);
    g_test_add_data_func (path, GINT_TO_POINTER (i), test_fault);
  }
  g_test_add_func ("/faults/second", test_second_fault);
  g_test_add_func ("/faults/goes-on", test_goes_on);
  g_test_add_data_func ("/faults/auto/allocate", GINT_TO_POINTER (FAULT_ALLOCATE), test_auto);
  g_test_add_data_func ("/faults/auto/run", GINT_TO_POINTER (FAULT_RUN), test_auto);
  return g_test_run ();
}
