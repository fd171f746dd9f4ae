/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results to metadata on buffers and to messages on the bus. */
#include "gstclipanalytics.h"
#include "gstclipclassify-private.h"
#include "gstclipmeta.h"

#define GST_CAT_DEFAULT gst_clip_classify_debug

/* A region that is not tracked is taken for one of the last result's when they overlap by half. */
#define SAME_REGION 0.5

GstClipTrack *
gst_clip_find_track (GstClipClassify *self, const GstClipRegion *region)
{
  if (region->tracking_id)
    return g_hash_table_lookup (self->tracks, &region->tracking_id);
  GstClipTrack *best = NULL;
  gdouble overlap = SAME_REGION;
  for (guint i = 0; i < self->loose->len; i++) {
    GstClipTrack *track = g_ptr_array_index (self->loose, i);
    gdouble o = gst_clip_region_overlap (&region->rect, &track->rect);
    if (o > overlap || (!best && o >= overlap)) {
      best = track;
      overlap = o;
    }
  }
  return best;
}

static GstClockTime
age_of (const GstClipTrack *track, GstClockTime pts)
{
  if (!GST_CLOCK_TIME_IS_VALID (pts) || !GST_CLOCK_TIME_IS_VALID (track->pts) || pts < track->pts)
    return 0;
  return pts - track->pts;
}

static void
set_window (GstStructure *object, const GstClipTrack *track, ClipPooling pooling)
{
  GstClockTime span = GST_CLOCK_TIME_IS_VALID (track->time) && track->time > track->pooled_start
                          ? track->time - track->pooled_start
                          : 0;
  g_autoptr (GstStructure) window = gst_structure_new ("window", "pooling", G_TYPE_STRING,
      pooling == CLIP_POOLING_EMA ? "ema" : "mean", "frames", G_TYPE_UINT, track->pooled_frames, "span",
      G_TYPE_UINT64, span, NULL);
  gst_structure_set (object, "window", GST_TYPE_STRUCTURE, window, NULL);
}

/* float32 in the machine's order, which is little endian wherever OpenCL runs */
static void
set_embedding (GstStructure *object, const GstClipTrack *track)
{
  g_autoptr (GBytes) bytes = g_bytes_new (track->embedding, track->embed_dim * sizeof (float));
  gst_structure_set (object, "embedding", G_TYPE_BYTES, bytes, NULL);
}

/* (transfer full): what is known of one region */
static GstStructure *
make_object (const GstClipTrack *track, const GstClipResult *result, const GstClipSettings *settings,
    const GstClipRegion *region, GstClockTime pts)
{
  GstStructure *object = gst_clip_result_to_object (result);
  GstClockTime age = age_of (track, pts);
  gst_structure_set (object, "x", G_TYPE_UINT, region->rect.x, "y", G_TYPE_UINT, region->rect.y, "w", G_TYPE_UINT,
      region->rect.width, "h", G_TYPE_UINT, region->rect.height, "age", G_TYPE_UINT64, age, NULL);
  if (track->pooled_frames)
    set_window (object, track, settings->pooling);
  if (settings->embedding_meta)
    set_embedding (object, track);
  if (region->object_class)
    gst_structure_set (object, "object-class", G_TYPE_STRING, g_quark_to_string (region->object_class), NULL);
  if (region->tracking_id)
    gst_structure_set (object, "tracking-id", G_TYPE_UINT64, region->tracking_id, NULL);
  return object;
}

/* DL Streamer's form, for elements that read regions and not GstClipMeta */
static void
add_roi_param (GstVideoRegionOfInterestMeta *roi, const GstClipResult *result, const char *model)
{
  const ClipLabel *top = gst_clip_result_get_top_label (result);
  if (!top)
    return;
  gst_video_region_of_interest_meta_add_param (roi,
      gst_structure_new ("classification", "label", G_TYPE_STRING, top->label, "label_id", G_TYPE_INT,
          (gint) result->top[0], "confidence", G_TYPE_DOUBLE, (gdouble) result->scores[result->top[0]].confidence,
          "model_name", G_TYPE_STRING, model, NULL));
}

typedef struct {
  GstClipClassify *self;
  const GstClipSettings *settings;
  ClipEncodedPrompts *prompts;
  const ClipModelConfig *config;
  GstClockTime pts, end;
  gboolean inferred;
  GstBuffer *buffer;
  GValue objects;
  GArray *embeddings; /* of float: those of the objects */
} Attachment;

static void
add_object (Attachment *a, GstClipTrack *track, const GstClipRegion *region, gboolean inferred)
{
  g_autoptr (GstClipResult) result
      = gst_clip_track_get_result (track, a->prompts, a->config, &a->settings->rules);
  GstStructure *object = make_object (track, result, a->settings, region, a->pts);
  gst_structure_set (object, "inferred", G_TYPE_BOOLEAN, inferred, NULL);
  if (region->roi)
    add_roi_param (region->roi, result, a->config->name);
  gst_clip_analytics_add_labels (a->buffer, region, result);
  if (a->settings->tensor_meta)
    g_array_append_vals (a->embeddings, track->embedding, track->embed_dim);
  gst_clip_meta_append (&a->objects, object);
}

static void
add_regions (Attachment *a)
{
  GstClipClassify *self = a->self;
  g_autoptr (GArray) regions = gst_clip_regions_collect (a->buffer, (guint) self->info.width,
      (guint) self->info.height, g_quark_to_string (a->settings->object_class));
  for (guint i = 0; i < regions->len; i++) {
    const GstClipRegion *region = &g_array_index (regions, GstClipRegion, i);
    GstClipTrack *track = gst_clip_find_track (self, region);
    if (!track || !track->known)
      continue;
    track->end = a->end;
    add_object (a, track, region, a->inferred && track->pts == a->pts);
  }
}

void
gst_clip_attach (GstClipClassify *self, GstBuffer *buffer, const GstClipSettings *settings, GstClockTime end,
    gboolean inferred)
{
  guint serial;
  g_autoptr (ClipEncodedPrompts) prompts = gst_clip_prompts_get (self->prompts, &serial);
  g_autoptr (GArray) embeddings = g_array_new (FALSE, FALSE, sizeof (float));
  Attachment a = { self, settings, prompts, clip_engine_get_config (self->engine), GST_BUFFER_PTS (buffer), end,
    inferred, .buffer = buffer, .embeddings = embeddings };
  const GstClipRegion all = { .rect = { 0, 0, (guint) self->info.width, (guint) self->info.height } };
  gdouble scale = settings->rules.logit_scale > 0 ? settings->rules.logit_scale : a.config->logit_scale;
  g_value_init (&a.objects, GST_TYPE_ARRAY);
  if (settings->region == GST_CLIP_REGION_ROI_LIST)
    add_regions (&a);
  else if (self->full->known)
    add_object (&a, self->full, &all, inferred);
  gst_clip_meta_set (buffer, gst_clip_meta_new (a.config->name, serial, scale, &a.objects));
  if (settings->tensor_meta)
    gst_clip_analytics_add_embeddings (
        buffer, (const float *) embeddings->data, embeddings->len / a.config->embed_dim, a.config->embed_dim);
}

/* A running time as position in the stream's segment; NONE when it is not in it any more. */
static GstClockTime
position_of (const GstSegment *segment, GstClockTime running_time)
{
  if (segment->format != GST_FORMAT_TIME || !GST_CLOCK_TIME_IS_VALID (running_time))
    return GST_CLOCK_TIME_NONE;
  return gst_segment_position_from_running_time (segment, GST_FORMAT_TIME, running_time);
}

static void
post_change (GstClipClassify *self, const GstClipTrack *track, const ClipLabelChange *change, guint serial)
{
  const GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClockTime position = position_of (segment, change->start);
  GstClockTime stream_time = GST_CLOCK_TIME_IS_VALID (position)
                                 ? gst_segment_to_stream_time (segment, GST_FORMAT_TIME, position)
                                 : GST_CLOCK_TIME_NONE;
  GstStructure *s = gst_structure_new ("clip-label-changed", "label", G_TYPE_STRING, change->label, "label-id",
      G_TYPE_INT, change->label_id, "confidence", G_TYPE_DOUBLE, change->confidence, "previous", G_TYPE_STRING,
      change->previous, "previous-start", G_TYPE_UINT64, change->previous_start, "previous-end", G_TYPE_UINT64,
      change->previous_end, "previous-confidence", G_TYPE_DOUBLE, change->previous_confidence, "prompts-serial",
      G_TYPE_UINT, serial, "timestamp", G_TYPE_UINT64, position,
      "running-time", G_TYPE_UINT64, change->start, "stream-time", G_TYPE_UINT64, stream_time, NULL);
  if (track->id)
    gst_structure_set (s, "tracking-id", G_TYPE_UINT64, track->id, NULL);
  GST_INFO_OBJECT (self, "label %s -> %s at running time %" GST_TIME_FORMAT, change->previous, change->label,
      GST_TIME_ARGS (change->start));
  gst_element_post_message (GST_ELEMENT (self), gst_message_new_element (GST_OBJECT (self), s));
}

void
gst_clip_follow (GstClipClassify *self, GstClipTrack *track, const GstClipSettings *settings)
{
  guint serial;
  g_autoptr (ClipEncodedPrompts) prompts = gst_clip_prompts_get (self->prompts, &serial);
  g_autoptr (GstClipResult) result
      = gst_clip_track_get_result (track, prompts, clip_engine_get_config (self->engine), &settings->rules);
  g_auto (ClipLabelChange) change = { 0 };
  if (gst_clip_track_follow (track, result, &settings->span, &change))
    post_change (self, track, &change, serial);
}

void
gst_clip_end_track (GstClipClassify *self, GstClipTrack *track)
{
  guint serial;
  g_autoptr (ClipEncodedPrompts) prompts = gst_clip_prompts_get (self->prompts, &serial);
  g_auto (ClipLabelChange) change = { 0 };
  GstClockTime end = GST_CLOCK_TIME_IS_VALID (track->end) ? track->end : track->time;
  if (clip_span_end (track->span, end, &change))
    post_change (self, track, &change, serial);
}
