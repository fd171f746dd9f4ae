/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames and regions go to the encoder, and their way there. */
#include "gstclipclassify-private.h"
#include "gstclipframe.h"

#define GST_CAT_DEFAULT gst_clip_classify_debug

static void
free_video_frame (gpointer data)
{
  gst_video_frame_unmap (data);
  g_free (data);
}

/* (transfer full) (nullable): the buffer's pixels, which the frame keeps alive */
static GstVideoFrame *
map_frame (GstClipClassify *self, GstBuffer *buffer, ClipFrame *frame)
{
  g_autofree GstVideoFrame *video = g_new0 (GstVideoFrame, 1);
  if (!gst_video_frame_map (video, &self->info, buffer, GST_MAP_READ)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("A buffer is smaller than its caps say."),
        ("%" G_GSIZE_FORMAT " bytes for %dx%d", gst_buffer_get_size (buffer), self->info.width, self->info.height));
    return NULL;
  }
  if (!gst_clip_frame_from_video (video, frame)) {
    gst_video_frame_unmap (video);
    GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("The frame's layout is not supported."), (NULL));
    return NULL;
  }
  return g_steal_pointer (&video);
}

/* Downstream says by QoS events what comes too late to be shown. */
static gboolean
is_late (GstClipClassify *self, GstClockTime time)
{
  gboolean enabled = gst_base_transform_is_qos_enabled (GST_BASE_TRANSFORM (self));
  GST_OBJECT_LOCK (self);
  gboolean late = enabled && !self->asynchronous && GST_CLOCK_TIME_IS_VALID (time) && GST_CLOCK_TIME_IS_VALID (self->earliest_time)
                  && time <= self->earliest_time;
  self->stats.late += late;
  GST_OBJECT_UNLOCK (self);
  if (late)
    GST_DEBUG_OBJECT (self, "the frame of running time %" GST_TIME_FORMAT " comes too late to be encoded", GST_TIME_ARGS (time));
  return late;
}

static gboolean
is_due (GstClipClassify *self, const GstClipSettings *settings, GstClockTime time)
{
  gboolean first = !self->full->known && g_queue_is_empty (&self->frames) && g_queue_is_empty (&self->flying);
  if (settings->region == GST_CLIP_REGION_FULL_FRAME && first)
    return TRUE;
  return (self->count - 1) % settings->interval == 0 && !is_late (self, time);
}

/* Whether the picture has stood still since the one that was encoded last. */
static gboolean
stands_still (GstClipClassify *self, const GstClipSettings *settings, const ClipFrame *frame, GstClockTime time)
{
  if (settings->change_threshold <= 0 || settings->region != GST_CLIP_REGION_FULL_FRAME)
    return FALSE;
  gdouble difference = clip_change_measure (self->change, frame);
  gboolean refresh = settings->refresh_interval > 0 && GST_CLOCK_TIME_IS_VALID (time)
                     && GST_CLOCK_TIME_IS_VALID (self->refreshed)
                     && (time < self->refreshed || time - self->refreshed >= settings->refresh_interval);
  GST_DEBUG_OBJECT (self, "the picture differs by %.2f levels%s", difference, refresh ? "; refresh is due" : "");
  if (difference < settings->change_threshold && !refresh)
    return TRUE;
  clip_change_keep (self->change);
  self->refreshed = time;
  return FALSE;
}

static gboolean
region_is_due (GstClipClassify *self, const GstClipSettings *settings, const GstClipRegion *region)
{
  if (region->tracking_id == 0)
    return TRUE;
  GstClipTrack *track = g_hash_table_lookup (self->tracks, &region->tracking_id);
  if (!track) {
    track = gst_clip_track_new (region->tracking_id, clip_engine_get_config (self->engine)->embed_dim);
    g_hash_table_insert (self->tracks, &track->id, track);
  }
  track->seen = self->count;
  if (track->requested == 0)
    return TRUE;
  return settings->reclassify_interval > 0 && self->count - track->requested >= settings->reclassify_interval;
}

/* (transfer full) (element-type GstClipSent): the regions of @buffer that are to be encoded */
static GArray *
choose_regions (GstClipClassify *self, const GstClipSettings *settings, GstBuffer *buffer)
{
  GArray *sent = g_array_new (FALSE, FALSE, sizeof (GstClipSent));
  guint width = (guint) self->info.width, height = (guint) self->info.height;
  if (settings->region == GST_CLIP_REGION_FULL_FRAME) {
    GstClipSent all = { 0, { 0, 0, width, height } };
    g_array_append_val (sent, all);
    return sent;
  }
  g_autoptr (GArray) regions
      = gst_clip_regions_collect (buffer, width, height, g_quark_to_string (settings->object_class));
  for (guint i = 0; i < regions->len; i++) {
    const GstClipRegion *region = &g_array_index (regions, GstClipRegion, i);
    GstClipSent one = { region->tracking_id, region->rect };
    if (region_is_due (self, settings, region))
      g_array_append_val (sent, one);
  }
  return sent;
}

void
gst_clip_mark_requested (GstClipClassify *self, const GArray *sent, guint64 count)
{
  for (guint i = 0; i < sent->len; i++) {
    const GstClipSent *one = &g_array_index (sent, GstClipSent, i);
    GstClipTrack *track = one->tracking_id ? g_hash_table_lookup (self->tracks, &one->tracking_id) : NULL;
    if (track)
      track->requested = count;
  }
}

/* @video: (transfer full) */
static void
send (GstClipClassify *self, const GstClipSettings *settings, GstClipEntry *entry, GstVideoFrame *video,
    const ClipFrame *frame)
{
  g_autofree ClipRect *rects = g_new (ClipRect, entry->sent->len);
  for (guint i = 0; i < entry->sent->len; i++)
    rects[i] = g_array_index (entry->sent, GstClipSent, i).rect;
  entry->whole = settings->region == GST_CLIP_REGION_FULL_FRAME;
  entry->job
      = clip_job_new (self->engine, frame, entry->whole ? NULL : rects, entry->sent->len, free_video_frame, video);
  gst_clip_mark_requested (self, entry->sent, self->count);
  clip_stream_submit (self->stream, entry->job, self->asynchronous);
}

gboolean
gst_clip_send_if_due (GstClipClassify *self, const GstClipSettings *settings, GstClipEntry *entry)
{
  ClipFrame frame;
  if (!is_due (self, settings, entry->time))
    return TRUE;
  entry->sent = choose_regions (self, settings, entry->buffer);
  if (entry->sent->len == 0)
    return TRUE;
  GstVideoFrame *video = map_frame (self, entry->buffer, &frame);
  if (!video)
    return FALSE;
  entry->unchanged = stands_still (self, settings, &frame, entry->time);
  if (entry->unchanged)
    free_video_frame (video);
  else
    send (self, settings, entry, video, &frame);
  return TRUE;
}
