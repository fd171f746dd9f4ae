/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames to the engine, and results back: in order and with each frame's own result, or never waiting. */
#include "gstclipclassify-private.h"

#define GST_CAT_DEFAULT gst_clip_classify_debug

/* A tracked object that has not been seen for so many frames is forgotten. */
#define TRACK_FRAMES 300

void
gst_clip_entry_free (GstClipEntry *entry)
{
  gst_clear_buffer (&entry->buffer);
  gst_clear_event (&entry->event);
  g_clear_pointer (&entry->job, clip_job_unref);
  g_clear_pointer (&entry->sent, g_array_unref);
  g_free (entry);
}

static void
entry_free (gpointer entry)
{
  gst_clip_entry_free (entry);
}

static GstClipSettings
get_settings (GstClipClassify *self)
{
  GST_OBJECT_LOCK (self);
  GstClipSettings settings = self->settings;
  GST_OBJECT_UNLOCK (self);
  return settings;
}

static void
track_free (gpointer track)
{
  gst_clip_track_free (track);
}

void
gst_clip_flow_start (GstClipClassify *self, ClipEngine *engine)
{
  self->full = gst_clip_track_new (0, clip_engine_get_config (engine)->embed_dim);
  self->tracks = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, track_free);
  self->loose = g_ptr_array_new_with_free_func (track_free);
  self->change = clip_change_new ();
  self->refreshed = GST_CLOCK_TIME_NONE;
  self->count = 0;
  self->live_known = self->failed = FALSE;
  g_mutex_lock (&self->stream_lock);
  self->stream = clip_stream_new (engine);
  g_mutex_unlock (&self->stream_lock);
  gst_clip_flow_set_batch (self);
}

static void
forget_frames (GstClipClassify *self)
{
  g_queue_clear_full (&self->frames, entry_free);
  g_queue_clear_full (&self->flying, entry_free);
}

static void
end_tracks (GstClipClassify *self)
{
  GHashTableIter iter;
  gpointer track;
  gst_clip_end_track (self, self->full);
  g_hash_table_iter_init (&iter, self->tracks);
  while (g_hash_table_iter_next (&iter, NULL, &track))
    gst_clip_end_track (self, track);
}

void
gst_clip_flow_stop (GstClipClassify *self)
{
  g_mutex_lock (&self->stream_lock);
  ClipStream *stream = g_steal_pointer (&self->stream);
  g_mutex_unlock (&self->stream_lock);
  g_clear_pointer (&stream, clip_stream_free);
  forget_frames (self);
  end_tracks (self);
  g_clear_pointer (&self->full, gst_clip_track_free);
  g_clear_pointer (&self->tracks, g_hash_table_unref);
  g_clear_pointer (&self->loose, g_ptr_array_unref);
  g_clear_pointer (&self->change, clip_change_free);
}

void
gst_clip_flow_set_flushing (GstClipClassify *self, gboolean flushing)
{
  g_mutex_lock (&self->stream_lock);
  if (self->stream)
    clip_stream_set_flushing (self->stream, flushing);
  g_mutex_unlock (&self->stream_lock);
}

void
gst_clip_flow_set_batch (GstClipClassify *self)
{
  GstClipSettings settings = get_settings (self);
  g_mutex_lock (&self->stream_lock);
  if (self->stream)
    clip_stream_set_batch (self->stream, settings.batch_size, settings.batch_timeout * G_TIME_SPAN_MILLISECOND);
  g_mutex_unlock (&self->stream_lock);
}

void
gst_clip_flow_discard (GstClipClassify *self)
{
  forget_frames (self);
  end_tracks (self);
  g_clear_pointer (&self->full, gst_clip_track_free);
  self->full = gst_clip_track_new (0, clip_engine_get_config (self->engine)->embed_dim);
  g_hash_table_remove_all (self->tracks);
  g_ptr_array_set_size (self->loose, 0);
  clip_change_reset (self->change);
  self->refreshed = GST_CLOCK_TIME_NONE;
  self->count = 0;
  self->failed = FALSE;
}

static gboolean
forget_unseen (gpointer key, gpointer data, gpointer user_data)
{
  GstClipClassify *self = user_data;
  GstClipTrack *track = data;
  if (self->count - track->seen <= TRACK_FRAMES)
    return FALSE;
  gst_clip_end_track (self, track);
  return TRUE;
}

/* The upstream is asked once a stream, when it has its elements linked. */
static void
learn_mode (GstClipClassify *self, const GstClipSettings *settings)
{
  gboolean live = self->live;
  if (!self->live_known) {
    g_autoptr (GstQuery) query = gst_query_new_latency ();
    live = FALSE;
    if (gst_pad_peer_query (GST_BASE_TRANSFORM_SINK_PAD (self), query))
      gst_query_parse_latency (query, &live, NULL, NULL);
  }
  gboolean asynchronous
      = settings->async == GST_CLIP_ASYNC_ALWAYS || (settings->async == GST_CLIP_ASYNC_AUTO && live);
  if (!self->live_known || asynchronous != self->asynchronous)
    GST_INFO_OBJECT (self, "the stream is %s: %s", live ? "live" : "not live",
        asynchronous ? "frames do not wait, they get the newest result" : "each frame waits for its own result");
  self->live_known = TRUE;
  GST_OBJECT_LOCK (self);
  self->live = live;
  self->asynchronous = asynchronous;
  GST_OBJECT_UNLOCK (self);
}

static void
count_frame (GstClipClassify *self, const GstClipEntry *entry)
{
  GST_OBJECT_LOCK (self);
  GstClipStatistics *s = &self->stats;
  s->last = g_get_monotonic_time ();
  if (!s->first)
    s->first = s->last;
  s->frames++;
  s->skipped += entry->unchanged;
  s->reused += !entry->job || self->asynchronous;
  GST_OBJECT_UNLOCK (self);
}

/* The job goes its own way, the buffer on at once. */
static void
part_with_job (GstClipClassify *self, GstClipEntry *entry)
{
  GstClipEntry *flying = g_new0 (GstClipEntry, 1);
  flying->job = g_steal_pointer (&entry->job);
  flying->sent = g_steal_pointer (&entry->sent);
  flying->pts = entry->pts;
  flying->time = entry->time;
  flying->whole = entry->whole;
  g_queue_push_tail (&self->flying, flying);
}

static void
set_times (GstClipClassify *self, GstClipEntry *entry)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClockTime duration = GST_BUFFER_DURATION (entry->buffer);
  entry->pts = GST_BUFFER_PTS (entry->buffer);
  entry->time = entry->end = segment->format == GST_FORMAT_TIME
                                 ? gst_segment_to_running_time (segment, GST_FORMAT_TIME, entry->pts)
                                 : GST_CLOCK_TIME_NONE;
  if (!GST_CLOCK_TIME_IS_VALID (duration))
    duration = self->info.fps_n > 0 ? gst_util_uint64_scale_int (GST_SECOND, self->info.fps_d, self->info.fps_n) : 0;
  if (GST_CLOCK_TIME_IS_VALID (entry->time))
    entry->end += (GstClockTime) ((gdouble) duration / ABS (segment->rate));
}

GstFlowReturn
gst_clip_flow_push (GstClipClassify *self, GstBuffer *buffer)
{
  GstClipSettings settings = get_settings (self);
  g_autoptr (GstClipEntry) entry = g_new0 (GstClipEntry, 1);
  entry->buffer = buffer;
  set_times (self, entry);
  self->full->end = entry->end;
  self->count++;
  learn_mode (self, &settings);
  GstFlowReturn ret = self->failed ? GST_FLOW_ERROR : gst_clip_collect (self, &settings, FALSE);
  if (ret != GST_FLOW_OK)
    return ret;
  if (self->count % TRACK_FRAMES == 0)
    g_hash_table_foreach_remove (self->tracks, forget_unseen, self);
  if (!gst_clip_send_if_due (self, &settings, entry))
    return GST_FLOW_ERROR;
  count_frame (self, entry);
  if (entry->job && self->asynchronous)
    part_with_job (self, entry);
  g_queue_push_tail (&self->frames, g_steal_pointer (&entry));
  gst_clip_statistics_post (self, settings.statistics_interval);
  return GST_FLOW_OK;
}

static guint
count_jobs (const GQueue *frames)
{
  guint n = 0;
  for (const GList *link = frames->head; link; link = link->next)
    n += ((const GstClipEntry *) link->data)->job != NULL;
  return n;
}

/* Waits for a full batch's worth of frames, so that one stream alone can fill a batch. */
static gboolean
must_wait (GstClipClassify *self, const GstClipSettings *settings)
{
  return count_jobs (&self->frames) >= MAX (1, settings->batch_size);
}

/* Events that came after frames which were held go after them. */
static void
push_events (GstClipClassify *self)
{
  GstClipEntry *head;
  while ((head = g_queue_peek_head (&self->frames)) && head->event) {
    g_autoptr (GstClipEntry) entry = g_queue_pop_head (&self->frames);
    gst_pad_push_event (GST_BASE_TRANSFORM_SRC_PAD (self), g_steal_pointer (&entry->event));
  }
}

/* Returns: whether what is known describes @head now; if not, @ret says why */
static gboolean
make_ready (GstClipClassify *self, const GstClipSettings *settings, const GstClipEntry *head, gboolean drain,
    GstFlowReturn *ret)
{
  *ret = GST_FLOW_OK;
  if (!head->job) {
    if (head->unchanged && g_queue_is_empty (&self->flying))
      gst_clip_take_unchanged (self, settings, head);
    return TRUE;
  }
  ClipJobStatus status = drain || must_wait (self, settings) ? clip_stream_wait (self->stream, head->job)
                                                             : clip_stream_poll (self->stream, head->job);
  if (status == CLIP_JOB_PENDING)
    return FALSE;
  *ret = gst_clip_take_job (self, settings, head, status);
  return *ret == GST_FLOW_OK;
}

GstFlowReturn
gst_clip_flow_pull (GstClipClassify *self, gboolean drain, GstBuffer **buffer)
{
  GstClipSettings settings = get_settings (self);
  GstFlowReturn ret = GST_FLOW_OK;
  *buffer = NULL;
  push_events (self);
  const GstClipEntry *head = g_queue_peek_head (&self->frames);
  if (!head || !make_ready (self, &settings, head, drain, &ret))
    return ret;
  g_autoptr (GstClipEntry) entry = g_queue_pop_head (&self->frames);
  *buffer = gst_buffer_make_writable (g_steal_pointer (&entry->buffer));
  gst_clip_attach (self, *buffer, &settings, entry->end, entry->job != NULL);
  return GST_FLOW_OK;
}

gboolean
gst_clip_flow_push_event (GstClipClassify *self, GstEvent *event)
{
  if (g_queue_is_empty (&self->frames))
    return FALSE;
  GstClipEntry *entry = g_new0 (GstClipEntry, 1);
  entry->event = event;
  g_queue_push_tail (&self->frames, entry);
  return TRUE;
}

GstFlowReturn
gst_clip_flow_settle (GstClipClassify *self)
{
  GstClipSettings settings = get_settings (self);
  return gst_clip_collect (self, &settings, TRUE);
}

GstFlowReturn
gst_clip_flow_finish (GstClipClassify *self)
{
  GstFlowReturn ret = gst_clip_flow_settle (self);
  end_tracks (self);
  return ret;
}
