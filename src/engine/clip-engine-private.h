/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the engine room: what the worker, the streams and the jobs share. */
#pragma once

#include "clip-engine.h"
#include "clip-prompt-job.h"
#include "clip-stream.h"

G_BEGIN_DECLS

typedef enum {
  JOB_WAITING, /* some of its regions are not begun */
  JOB_RUNNING, /* all are begun */
  JOB_DONE,
  JOB_FAILED,
  JOB_DROPPED,
} JobState;

/* Guarded by the engine's lock, but for what its maker sets and what is written before it is done. */
struct _ClipJob {
  gatomicrefcount refs;
  ClipFrame frame;
  ClipRect *regions;
  guint n, embed_dim;
  float *embeddings, *norms; /* [n,embed_dim], [n] */
  GDestroyNotify release;
  gpointer user_data;
  gint64 submitted, finished_at; /* monotonic, us */

  JobState state;
  guint begun, finished; /* regions */
  guint reading;         /* regions whose pixels the worker is about to read */
  gboolean released;     /* the frame's memory was given back */
  gboolean awaited;      /* its owner waits for it */
  GError *error;
};

struct _ClipStream {
  ClipEngine *engine;
  GQueue jobs; /* of ClipJob with regions that are not begun */
  guint batch_size;
  gint64 batch_timeout; /* us */
  gboolean flushing;
};

struct _ClipEngine {
  gatomicrefcount refs;
  char *id; /* (nullable): its key in the table of shared engines */
  ClipQueue *queue;
  ClipModel *model;
  ClipPreprocessor *preprocessor;
  ClipTokenizer *tokenizer;
  ClipPromptCache *cache; /* (nullable) */
  gint64 text_idle; /* us for which the text encoder stays in memory when there are no prompts to encode */
  gint64 text_used; /* (monotonic, us) the last time that it was; the worker's own */
  gboolean may_have_text; /* the worker's own */
  guint text_rows; /* tokens whose encoding costs about as much as a frame's */
  GThread *worker;

  /* the worker's own */
  ClipBuffer *pixels; /* [capacity,3,size,size] */
  float *embeddings, *norms; /* [capacity,embed_dim], [capacity] */
  guint capacity;
  guint memory_limit;  /* regions in a batch that the device had memory for */
  double item_seconds; /* of a region, lately; 0: not known */

  GMutex lock; /* guards what follows, the streams and the jobs */
  GCond work, done;
  GPtrArray *streams; /* of ClipStream, not owned */
  guint turn;         /* the stream that is served next, modulo their number */
  guint waiting;      /* regions that are not begun */
  GQueue prompts;     /* of ClipPromptJob */
  gboolean quit, frame_was_last;
  ClipEngineStats stats;
};

/* clip-batch.c */
typedef struct {
  ClipJob *job; /* (owned) */
  guint region;
} ClipItem;

/** clip_batch_limit: regions that the next batch may hold; call with the lock held */
guint clip_batch_limit (ClipEngine *engine);
/** clip_batch_deadline: (monotonic, us) when a batch that is not full starts nevertheless; with the lock held */
gint64 clip_batch_deadline (ClipEngine *engine);
/** clip_batch_serve: takes a batch of what waits, in turns over the streams, and encodes it.
 * Call with the lock held; it is released meanwhile. */
void clip_batch_serve (ClipEngine *engine, guint limit);

/* clip-stream.c */
/** clip_job_settle: gives the frame's memory back when nobody will read it. With the lock held; it is released
 * meanwhile */
void clip_job_settle (ClipEngine *engine, ClipJob *job);

/* clip-share.c */
/** clip_share_forget: drops a reference of a shared engine. Returns: whether it was the last one; the engine is out
 * of the table then */
gboolean clip_share_forget (ClipEngine *engine);

G_END_DECLS
