/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes back from the encoder, put to the picture or the object that it is of. */
#include "gstclipclassify-private.h"

#define GST_CAT_DEFAULT gst_clip_classify_debug

/* In a live pipeline whose frames wait for their results, downstream must know for how long. */
static void
count_result (GstClipClassify *self, ClipJob *job)
{
  gint64 latency = clip_job_get_latency (job);
  GST_OBJECT_LOCK (self);
  self->stats.inferred++;
  self->stats.latency_sum += latency;
  self->stats.latency_max = MAX (self->stats.latency_max, latency);
  gboolean longer
      = self->live && !self->asynchronous && (GstClockTime) latency * GST_USECOND > self->latency;
  if (longer)
    self->latency = (GstClockTime) (latency + latency / 4) * GST_USECOND;
  GST_OBJECT_UNLOCK (self);
  if (longer)
    gst_element_post_message (GST_ELEMENT (self), gst_message_new_latency (GST_OBJECT (self)));
}

static void
take_region (GstClipClassify *self, const GstClipSettings *settings, const GstClipEntry *entry, guint index)
{
  const GstClipSent *sent = &g_array_index (entry->sent, GstClipSent, index);
  GstClipTrack *track = self->full;
  float norm;
  const float *embedding = clip_job_get_embedding (entry->job, index, &norm);
  if (!entry->whole) {
    track = sent->tracking_id ? g_hash_table_lookup (self->tracks, &sent->tracking_id)
                              : gst_clip_track_new (0, self->full->embed_dim);
    if (!track) /* has not been seen for long */
      return;
    if (!sent->tracking_id)
      g_ptr_array_add (self->loose, track);
  }
  gst_clip_track_observe (track, embedding, norm, &sent->rect, entry->pts, entry->time);
  gst_clip_track_pool (track, sent->tracking_id || track == self->full ? settings->pooling : CLIP_POOLING_NONE,
      settings->window);
  if (sent->tracking_id || track == self->full)
    gst_clip_follow (self, track, settings);
}

static void
take_result (GstClipClassify *self, const GstClipSettings *settings, const GstClipEntry *entry)
{
  count_result (self, entry->job);
  GST_DEBUG_OBJECT (self, "result of %" GST_TIME_FORMAT " after %.1f ms", GST_TIME_ARGS (entry->pts),
      clip_job_get_latency (entry->job) * 1e-3);
  g_ptr_array_set_size (self->loose, 0);
  for (guint i = 0; i < entry->sent->len; i++)
    take_region (self, settings, entry, i);
}

void
gst_clip_take_unchanged (GstClipClassify *self, const GstClipSettings *settings, const GstClipEntry *entry)
{
  if (!self->full->known)
    return;
  self->full->time = entry->time;
  gst_clip_track_pool (self->full, settings->pooling, settings->window);
  gst_clip_follow (self, self->full, settings);
}

GstFlowReturn
gst_clip_take_job (
    GstClipClassify *self, const GstClipSettings *settings, const GstClipEntry *entry, ClipJobStatus status)
{
  switch (status) {
    case CLIP_JOB_DONE:
      take_result (self, settings, entry);
      return GST_FLOW_OK;
    case CLIP_JOB_FAILED:
      if (!self->failed) /* one error is enough: those that were on their way fail with it */
        GST_ELEMENT_ERROR (self, STREAM, FAILED, ("%s", clip_job_get_error (entry->job)->message),
            ("classifying the frame of %" GST_TIME_FORMAT, GST_TIME_ARGS (entry->pts)));
      self->failed = TRUE;
      return GST_FLOW_ERROR;
    case CLIP_JOB_DROPPED:
    case CLIP_JOB_PENDING:
    default:
      return GST_FLOW_FLUSHING;
  }
}

static void
give_up (GstClipClassify *self, const GstClipEntry *entry)
{
  GST_DEBUG_OBJECT (self, "the frame of %" GST_TIME_FORMAT " is given up for a newer one", GST_TIME_ARGS (entry->pts));
  gst_clip_mark_requested (self, entry->sent, 0);
  GST_OBJECT_LOCK (self);
  self->stats.dropped++;
  GST_OBJECT_UNLOCK (self);
}

GstFlowReturn
gst_clip_collect (GstClipClassify *self, const GstClipSettings *settings, gboolean wait)
{
  GstFlowReturn ret = GST_FLOW_OK;
  GstClipEntry *head;
  while (ret == GST_FLOW_OK && (head = g_queue_peek_head (&self->flying))) {
    ClipJobStatus status
        = wait ? clip_stream_wait (self->stream, head->job) : clip_stream_poll (self->stream, head->job);
    if (status == CLIP_JOB_PENDING)
      break;
    g_autoptr (GstClipEntry) entry = g_queue_pop_head (&self->flying);
    if (status == CLIP_JOB_DROPPED)
      give_up (self, entry);
    else
      ret = gst_clip_take_job (self, settings, entry, status);
  }
  return ret;
}
