/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstcliptrack.h"

#include <string.h>

GstClipTrack *
gst_clip_track_new (guint64 id, guint embed_dim)
{
  GstClipTrack *track = g_new0 (GstClipTrack, 1);
  track->id = id;
  track->embed_dim = embed_dim;
  track->embedding = g_new0 (float, embed_dim);
  track->pts = track->time = track->end = GST_CLOCK_TIME_NONE;
  track->span = clip_span_new ();
  return track;
}

void
gst_clip_track_free (GstClipTrack *track)
{
  g_free (track->embedding);
  g_free (track->pooled);
  g_clear_pointer (&track->pool, clip_pool_free);
  clip_span_free (track->span);
  g_free (track);
}

void
gst_clip_track_observe (GstClipTrack *track, const float *embedding, float norm, const ClipRect *rect,
    GstClockTime pts, GstClockTime time)
{
  memcpy (track->embedding, embedding, track->embed_dim * sizeof (float));
  track->norm = norm;
  track->rect = *rect;
  track->pts = pts;
  track->time = time;
  track->known = TRUE;
}

void
gst_clip_track_pool (GstClipTrack *track, ClipPooling pooling, GstClockTime window)
{
  track->pooled_frames = 0;
  if (pooling == CLIP_POOLING_NONE) {
    g_clear_pointer (&track->pool, clip_pool_free);
    return;
  }
  if (!track->pool)
    track->pool = clip_pool_new (track->embed_dim);
  if (!track->pooled)
    track->pooled = g_new0 (float, track->embed_dim);
  clip_pool_push (track->pool, pooling, window, track->time, track->embedding);
  track->pooled_frames = clip_pool_get (track->pool, track->pooled, &track->pooled_start);
}

GstClipResult *
gst_clip_track_get_result (const GstClipTrack *track, ClipEncodedPrompts *prompts, const ClipModelConfig *config,
    const GstClipRules *rules)
{
  GstClipResult *result = gst_clip_result_new (
      prompts, track->pooled_frames ? track->pooled : track->embedding, track->norm, config, rules);
  if (track->pooled_frames)
    gst_clip_result_add_frame (result, track->embedding, config, rules);
  return result;
}

/* The confidence now of the label that holds; prompts may have changed since: it is found by its text. */
static gdouble
holder_confidence (const GstClipTrack *track, const GstClipResult *result)
{
  const char *holder = clip_span_get_label (track->span);
  for (guint i = 0; holder && i < clip_prompt_set_get_size (result->prompts->set); i++) {
    if (g_str_equal (clip_prompt_set_get (result->prompts->set, i)->label, holder))
      return result->scores[i].confidence;
  }
  return 0.0;
}

gboolean
gst_clip_track_follow (
    GstClipTrack *track, const GstClipResult *result, const ClipSpanRules *rules, ClipLabelChange *change)
{
  const ClipLabel *top = gst_clip_result_get_top_label (result);
  gint id = top ? (gint) result->top[0] : -1;
  gdouble confidence = top ? result->scores[id].confidence : 0.0;
  return clip_span_push (track->span, rules, track->time, top ? top->label : NULL, id, confidence,
      holder_confidence (track, result), change);
}
