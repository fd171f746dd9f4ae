/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-pool.h"

#include <math.h>
#include <string.h>

typedef struct {
  guint64 time;
  float embedding[];
} Frame;

struct _ClipPool {
  guint embed_dim;
  ClipPooling pooling;
  GQueue frames; /* of Frame: what a later window may have to take out of the sum again */
  double *sum;   /* [embed_dim]: in double, so that hours of adding and taking out leave no trace */
  guint count;
  gboolean all; /* the sum holds every frame since @start */
  guint64 start, newest;
};

ClipPool *
clip_pool_new (guint embed_dim)
{
  ClipPool *pool = g_new0 (ClipPool, 1);
  pool->embed_dim = embed_dim;
  pool->sum = g_new0 (double, embed_dim);
  return pool;
}

void
clip_pool_free (ClipPool *pool)
{
  g_queue_clear_full (&pool->frames, g_free);
  g_free (pool->sum);
  g_free (pool);
}

void
clip_pool_reset (ClipPool *pool)
{
  g_queue_clear_full (&pool->frames, g_free);
  memset (pool->sum, 0, pool->embed_dim * sizeof *pool->sum);
  pool->count = 0;
}

static void
remember (ClipPool *pool, guint64 time, const float *embedding)
{
  gsize size = pool->embed_dim * sizeof (float);
  Frame *frame = g_malloc (sizeof *frame + size);
  frame->time = time;
  memcpy (frame->embedding, embedding, size);
  g_queue_push_tail (&pool->frames, frame);
}

static void
forget_older (ClipPool *pool, guint64 window)
{
  Frame *oldest;
  while ((oldest = g_queue_peek_head (&pool->frames)) && pool->newest - oldest->time >= window
         && pool->frames.length > 1) {
    for (guint i = 0; i < pool->embed_dim; i++)
      pool->sum[i] -= oldest->embedding[i];
    g_free (g_queue_pop_head (&pool->frames));
    pool->count--;
  }
  pool->start = oldest->time;
}

static void
push_mean (ClipPool *pool, guint64 window, const float *embedding)
{
  for (guint i = 0; i < pool->embed_dim; i++)
    pool->sum[i] += embedding[i];
  pool->count++;
  if (pool->all)
    return;
  remember (pool, pool->newest, embedding);
  forget_older (pool, window);
}

static void
push_ema (ClipPool *pool, guint64 window, guint64 elapsed, const float *embedding)
{
  double keep = pool->count == 0 || window == 0 ? 0.0 : exp (-(double) elapsed / (double) window);
  for (guint i = 0; i < pool->embed_dim; i++)
    pool->sum[i] = keep * pool->sum[i] + (1.0 - keep) * embedding[i];
  pool->count++;
}

void
clip_pool_push (ClipPool *pool, ClipPooling pooling, guint64 window, guint64 time, const float *embedding)
{
  gboolean all = pooling == CLIP_POOLING_MEAN && window == 0;
  gboolean unknown = time == CLIP_TIME_NONE;
  if (unknown)
    time = pool->count > 0 ? pool->newest : 0;
  if ((unknown && pooling == CLIP_POOLING_EMA) || pooling != pool->pooling || all != pool->all
      || (pool->count > 0 && time < pool->newest))
    clip_pool_reset (pool);
  pool->pooling = pooling;
  pool->all = all;
  guint64 elapsed = pool->count > 0 ? time - pool->newest : 0;
  if (pool->count == 0)
    pool->start = time;
  pool->newest = time;
  if (pooling == CLIP_POOLING_MEAN)
    push_mean (pool, window, embedding);
  else if (pooling == CLIP_POOLING_EMA)
    push_ema (pool, window, elapsed, embedding);
}

guint
clip_pool_get (const ClipPool *pool, float *embedding, guint64 *start)
{
  double square = 0.0;
  for (guint i = 0; i < pool->embed_dim; i++)
    square += pool->sum[i] * pool->sum[i];
  /* what is left of opposite embeddings is rounding, and points nowhere */
  double scale = square > 1e-20 * pool->count * pool->count ? 1.0 / sqrt (square) : 0.0;
  for (guint i = 0; i < pool->embed_dim; i++)
    embedding[i] = (float) (scale * pool->sum[i]);
  if (start)
    *start = pool->start;
  return pool->count;
}
