/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames to the engine, and results back: in order and with each frame's own result, or never waiting. */
#include "gstclipclassify-private.h"
#include "gstclipframe.h"

#define GST_CAT_DEFAULT gst_clip_classify_debug

/* A tracked object that has not been seen for so many frames is forgotten. */
#define TRACK_FRAMES 300

/* What was sent to the encoder: the full picture or a region. */
typedef struct {
  guint64 tracking_id;
  ClipRect rect;
} Sent;

typedef struct {
  GstBuffer *buffer; /* (nullable) */
  ClipJob *job;      /* (nullable): nothing was sent */
  GArray *sent;      /* (nullable) (element-type Sent): the job's regions */
  GstClockTime pts, time; /* time: running time */
  gboolean unchanged;     /* the picture stands still: the newest result describes it too */
} Entry;

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  gst_clear_buffer (&entry->buffer);
  g_clear_pointer (&entry->job, clip_job_unref);
  g_clear_pointer (&entry->sent, g_array_unref);
  g_free (entry);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Entry, entry_free)

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
  self->live_known = FALSE;
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

void
gst_clip_flow_stop (GstClipClassify *self)
{
  g_mutex_lock (&self->stream_lock);
  ClipStream *stream = g_steal_pointer (&self->stream);
  g_mutex_unlock (&self->stream_lock);
  g_clear_pointer (&stream, clip_stream_free);
  forget_frames (self);
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
  GST_LOG_OBJECT (self, "the picture differs by %.2f levels%s", difference, refresh ? "; refresh is due" : "");
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

/* (transfer full) (element-type Sent): the regions of @buffer that are to be encoded */
static GArray *
choose_regions (GstClipClassify *self, const GstClipSettings *settings, GstBuffer *buffer)
{
  GArray *sent = g_array_new (FALSE, FALSE, sizeof (Sent));
  guint width = (guint) self->info.width, height = (guint) self->info.height;
  if (settings->region == GST_CLIP_REGION_FULL_FRAME) {
    Sent all = { 0, { 0, 0, width, height } };
    g_array_append_val (sent, all);
    return sent;
  }
  g_autoptr (GArray) regions
      = gst_clip_regions_collect (buffer, width, height, g_quark_to_string (settings->object_class));
  for (guint i = 0; i < regions->len; i++) {
    const GstClipRegion *region = &g_array_index (regions, GstClipRegion, i);
    Sent one = { region->tracking_id, region->rect };
    if (region_is_due (self, settings, region))
      g_array_append_val (sent, one);
  }
  return sent;
}

/* Marks the tracked objects of a job as asked for, or as to be asked for again. */
static void
mark_requested (GstClipClassify *self, const GArray *sent, guint64 count)
{
  for (guint i = 0; i < sent->len; i++) {
    const Sent *one = &g_array_index (sent, Sent, i);
    GstClipTrack *track = one->tracking_id ? g_hash_table_lookup (self->tracks, &one->tracking_id) : NULL;
    if (track)
      track->requested = count;
  }
}

/* @video: (transfer full) */
static void
send (GstClipClassify *self, const GstClipSettings *settings, Entry *entry, GstVideoFrame *video,
    const ClipFrame *frame)
{
  g_autofree ClipRect *rects = g_new (ClipRect, entry->sent->len);
  for (guint i = 0; i < entry->sent->len; i++)
    rects[i] = g_array_index (entry->sent, Sent, i).rect;
  gboolean whole = settings->region == GST_CLIP_REGION_FULL_FRAME;
  entry->job
      = clip_job_new (self->engine, frame, whole ? NULL : rects, entry->sent->len, free_video_frame, video);
  mark_requested (self, entry->sent, self->count);
  clip_stream_submit (self->stream, entry->job, self->asynchronous);
}

/* Sends what of the entry's buffer is due. Returns: FALSE after an error */
static gboolean
send_if_due (GstClipClassify *self, const GstClipSettings *settings, Entry *entry)
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

static void
count_frame (GstClipClassify *self, const Entry *entry)
{
  GST_OBJECT_LOCK (self);
  GstClipStatistics *s = &self->stats;
  s->last = g_get_monotonic_time ();
  if (!s->first)
    s->first = s->last;
  s->skipped += entry->unchanged;
  s->reused += !entry->job || self->asynchronous;
  GST_OBJECT_UNLOCK (self);
}

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
take_region (GstClipClassify *self, const GstClipSettings *settings, const Entry *entry, guint index)
{
  const Sent *sent = &g_array_index (entry->sent, Sent, index);
  GstClipTrack *track = self->full;
  float norm;
  const float *embedding = clip_job_get_embedding (entry->job, index, &norm);
  if (settings->region == GST_CLIP_REGION_ROI_LIST) {
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
take_result (GstClipClassify *self, const GstClipSettings *settings, const Entry *entry)
{
  count_result (self, entry->job);
  GST_DEBUG_OBJECT (self, "result of %" GST_TIME_FORMAT " after %.1f ms", GST_TIME_ARGS (entry->pts),
      clip_job_get_latency (entry->job) * 1e-3);
  g_ptr_array_set_size (self->loose, 0);
  for (guint i = 0; i < entry->sent->len; i++)
    take_region (self, settings, entry, i);
}

/* The picture stands still: what was seen last is seen again, now. */
static void
take_unchanged (GstClipClassify *self, const GstClipSettings *settings, const Entry *entry)
{
  if (!self->full->known)
    return;
  self->full->time = entry->time;
  gst_clip_track_pool (self->full, settings->pooling, settings->window);
  gst_clip_follow (self, self->full, settings);
}

/* Returns: FLUSHING when the stream is flushing, ERROR after a message */
static GstFlowReturn
take_job (GstClipClassify *self, const GstClipSettings *settings, const Entry *entry, ClipJobStatus status)
{
  switch (status) {
    case CLIP_JOB_DONE:
      take_result (self, settings, entry);
      return GST_FLOW_OK;
    case CLIP_JOB_FAILED:
      GST_ELEMENT_ERROR (self, STREAM, FAILED, ("%s", clip_job_get_error (entry->job)->message),
          ("classifying the frame of %" GST_TIME_FORMAT, GST_TIME_ARGS (entry->pts)));
      return GST_FLOW_ERROR;
    case CLIP_JOB_DROPPED:
    case CLIP_JOB_PENDING:
    default:
      return GST_FLOW_FLUSHING;
  }
}

static void
give_up (GstClipClassify *self, const Entry *entry)
{
  GST_LOG_OBJECT (self, "the frame of %" GST_TIME_FORMAT " is given up for a newer one", GST_TIME_ARGS (entry->pts));
  mark_requested (self, entry->sent, 0);
  GST_OBJECT_LOCK (self);
  self->stats.dropped++;
  GST_OBJECT_UNLOCK (self);
}

/* The results that have come; with @wait also those that are on their way. */
static GstFlowReturn
collect (GstClipClassify *self, const GstClipSettings *settings, gboolean wait)
{
  GstFlowReturn ret = GST_FLOW_OK;
  Entry *head;
  while (ret == GST_FLOW_OK && (head = g_queue_peek_head (&self->flying))) {
    ClipJobStatus status
        = wait ? clip_stream_wait (self->stream, head->job) : clip_stream_poll (self->stream, head->job);
    if (status == CLIP_JOB_PENDING)
      break;
    g_autoptr (Entry) entry = g_queue_pop_head (&self->flying);
    if (status == CLIP_JOB_DROPPED)
      give_up (self, entry);
    else
      ret = take_job (self, settings, entry, status);
  }
  return ret;
}

/* The job goes its own way, the buffer on at once. */
static void
part_with_job (GstClipClassify *self, Entry *entry)
{
  Entry *flying = g_new0 (Entry, 1);
  flying->job = g_steal_pointer (&entry->job);
  flying->sent = g_steal_pointer (&entry->sent);
  flying->pts = entry->pts;
  flying->time = entry->time;
  g_queue_push_tail (&self->flying, flying);
}

GstFlowReturn
gst_clip_flow_push (GstClipClassify *self, GstBuffer *buffer)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClipSettings settings = get_settings (self);
  g_autoptr (Entry) entry = g_new0 (Entry, 1);
  entry->buffer = buffer;
  entry->pts = GST_BUFFER_PTS (buffer);
  entry->time = segment->format == GST_FORMAT_TIME
                    ? gst_segment_to_running_time (segment, GST_FORMAT_TIME, entry->pts)
                    : GST_CLOCK_TIME_NONE;
  self->count++;
  learn_mode (self, &settings);
  GstFlowReturn ret = collect (self, &settings, FALSE);
  if (ret != GST_FLOW_OK)
    return ret;
  if (self->count % TRACK_FRAMES == 0)
    g_hash_table_foreach_remove (self->tracks, forget_unseen, self);
  if (!send_if_due (self, &settings, entry))
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
    n += ((const Entry *) link->data)->job != NULL;
  return n;
}

/* Waits for a full batch's worth of frames, so that one stream alone can fill a batch. */
static gboolean
must_wait (GstClipClassify *self, const GstClipSettings *settings)
{
  return count_jobs (&self->frames) >= MAX (1, settings->batch_size);
}

GstFlowReturn
gst_clip_flow_pull (GstClipClassify *self, gboolean drain, GstBuffer **buffer)
{
  GstClipSettings settings = get_settings (self);
  Entry *head = g_queue_peek_head (&self->frames);
  *buffer = NULL;
  if (!head)
    return GST_FLOW_OK;
  gboolean inferred = head->job != NULL;
  if (inferred) {
    ClipJobStatus status = drain || must_wait (self, &settings) ? clip_stream_wait (self->stream, head->job)
                                                                : clip_stream_poll (self->stream, head->job);
    if (status == CLIP_JOB_PENDING)
      return GST_FLOW_OK;
    GstFlowReturn ret = take_job (self, &settings, head, status);
    if (ret != GST_FLOW_OK)
      return ret;
  } else if (head->unchanged && g_queue_is_empty (&self->flying)) {
    take_unchanged (self, &settings, head);
  }
  g_autoptr (Entry) entry = g_queue_pop_head (&self->frames);
  *buffer = gst_buffer_make_writable (g_steal_pointer (&entry->buffer));
  gst_clip_attach (self, *buffer, &settings, inferred);
  return GST_FLOW_OK;
}

GstFlowReturn
gst_clip_flow_finish (GstClipClassify *self)
{
  GstClipSettings settings = get_settings (self);
  GstFlowReturn ret = collect (self, &settings, TRUE);
  end_tracks (self);
  return ret;
}
