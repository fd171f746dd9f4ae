/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside clipclassify: its state, and what its files give each other. */
#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/video/video.h>

#include "classify/clip-pool.h"
#include "classify/clip-span.h"
#include "engine/clip-stream.h"
#include "gstclipclassify.h"
#include "gstclipprompts.h"
#include "gstclipresult.h"
#include "gstcliptrack.h"
#include "image/clip-change.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_clip_classify_debug);

typedef enum { GST_CLIP_ASYNC_AUTO, GST_CLIP_ASYNC_NEVER, GST_CLIP_ASYNC_ALWAYS } GstClipAsync;
typedef enum { GST_CLIP_REGION_FULL_FRAME, GST_CLIP_REGION_ROI_LIST } GstClipInferenceRegion;

/** GstClipSettings: what may change while playing; a frame is treated with a copy of it */
typedef struct {
  GstClipRules rules;
  guint interval;
  GstClipAsync async;
  guint batch_size, batch_timeout; /* ms */
  gdouble change_threshold;        /* luma levels; 0: off */
  GstClockTime refresh_interval;   /* 0: never */
  ClipPooling pooling;
  GstClockTime window;
  ClipSpanRules span;
  GstClipInferenceRegion region;
  GQuark object_class; /* 0: all */
  guint reclassify_interval;
  GstClockTime statistics_interval; /* 0: never */
  gboolean tensor_meta;
  gboolean embedding_meta;
} GstClipSettings;

/** GstClipStatistics: since the start */
typedef struct {
  guint64 frames;   /* that came */
  guint64 inferred; /* frames whose result has come */
  guint64 reused;   /* frames that repeat an older result */
  guint64 skipped;  /* of these: because the picture stood still */
  guint64 dropped;  /* frames that were waiting for the encoder and were given up for a newer one */
  guint64 late;     /* frames not encoded because downstream was late */
  gint64 first, last; /* monotonic times of the first and the newest frame, us */
  gint64 latency_sum, latency_max; /* us, from sending a frame to its result */
} GstClipStatistics;

/** GstClipSent: what was sent to the encoder: the full picture or a region */
typedef struct {
  guint64 tracking_id;
  ClipRect rect;
} GstClipSent;

/** GstClipEntry: a frame on its way, or an event between frames */
typedef struct {
  GstEvent *event;   /* (nullable): then there is nothing else */
  GstBuffer *buffer; /* (nullable): its job goes its own way */
  ClipJob *job;      /* (nullable): nothing was sent */
  GArray *sent;      /* (nullable) (element-type GstClipSent): the job's regions */
  gboolean whole;    /* what was sent is the full picture */
  GstClockTime pts;
  GstClockTime time, end; /* running times */
  gboolean unchanged;     /* the picture stands still: the newest result describes it too */
} GstClipEntry;

void gst_clip_entry_free (GstClipEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstClipEntry, gst_clip_entry_free)

struct _GstClipClassify {
  GstBaseTransform parent;

  GstClipPrompts *prompts;

  /* under the object lock */
  char *model, *device, *instance;
  ClipPrecision precision;
  GstClipSettings settings;
  GstClipStatistics stats;
  ClipEngine *engine;
  gboolean live, asynchronous;
  GstClockTime latency;       /* that is reported to a live pipeline */
  GstClockTime earliest_time; /* running time, from QoS events */

  /* a flush comes on any thread: @stream is looked at there under its own lock */
  GMutex stream_lock;
  ClipStream *stream;

  /* the streaming thread's own */
  GstVideoInfo info;
  gboolean have_info, live_known;
  gboolean failed; /* an error was posted: nothing more is done until the next start or flush */
  GQueue frames; /* of GstClipEntry: buffers in order, with or without a job, and events */
  GQueue flying; /* of GstClipEntry without buffer: jobs whose result goes to later frames */
  GstClipTrack *full; /* the full picture */
  GHashTable *tracks; /* tracking id -> GstClipTrack */
  GPtrArray *loose;   /* of GstClipTrack: regions of the last result that are not tracked */
  ClipChange *change;
  GstClockTime refreshed; /* running time of the last frame that was sent */
  guint64 count;          /* frames */
  gint64 reported;        /* monotonic time of the last statistics message, us */
};

/* gstclipproperties.c */
void gst_clip_classify_install_properties (GObjectClass *klass);
void gst_clip_classify_init_settings (GstClipSettings *settings);
/** gst_clip_classify_check_settings: warns of those that this build cannot follow */
void gst_clip_classify_check_settings (GstClipClassify *self);

/* gstclipflow.c: frames to the engine, and results back */
/** gst_clip_flow_start: @engine runs, prompts are encoded; gst_clip_flow_stop: no thread streams any more */
void gst_clip_flow_start (GstClipClassify *self, ClipEngine *engine);
void gst_clip_flow_stop (GstClipClassify *self);
/** gst_clip_flow_set_flushing: on any thread: wakes the streaming thread when it waits for a result */
void gst_clip_flow_set_flushing (GstClipClassify *self, gboolean flushing);
/** gst_clip_flow_set_batch: after a change of batch-size or batch-timeout, on any thread */
void gst_clip_flow_set_batch (GstClipClassify *self);
/** gst_clip_flow_push: (transfer full) @buffer; posts its errors */
GstFlowReturn gst_clip_flow_push (GstClipClassify *self, GstBuffer *buffer);
/** gst_clip_flow_pull: @buffer: (transfer full) (nullable): the next one in order that is ready; with @drain it waits
 * for those that are not */
GstFlowReturn gst_clip_flow_pull (GstClipClassify *self, gboolean drain, GstBuffer **buffer);
/** gst_clip_flow_push_event: @event: (transfer full) when it returns TRUE: frames wait, it goes after them */
gboolean gst_clip_flow_push_event (GstClipClassify *self, GstEvent *event);
/** gst_clip_flow_settle: waits for the results on their way; no frame's memory is held any more */
GstFlowReturn gst_clip_flow_settle (GstClipClassify *self);
/** gst_clip_flow_finish: the stream ends: waits for the results on their way and ends the labels' spans */
GstFlowReturn gst_clip_flow_finish (GstClipClassify *self);
/** gst_clip_flow_discard: forgets all frames and results, as after a seek */
void gst_clip_flow_discard (GstClipClassify *self);

/* gstclipsend.c */
/** gst_clip_send_if_due: sends what of the entry's buffer is due. Returns: FALSE after an error, which it posts */
gboolean gst_clip_send_if_due (GstClipClassify *self, const GstClipSettings *settings, GstClipEntry *entry);
/** gst_clip_mark_requested: marks the tracked objects of a job as asked for with frame @count; 0: to be asked for
 * again */
void gst_clip_mark_requested (GstClipClassify *self, const GArray *sent, guint64 count);

/* gstcliptake.c */
/** gst_clip_take_job: the result of an entry. Returns: FLUSHING when it was dropped, ERROR after a message */
GstFlowReturn gst_clip_take_job (
    GstClipClassify *self, const GstClipSettings *settings, const GstClipEntry *entry, ClipJobStatus status);
/** gst_clip_take_unchanged: the picture stands still: what was seen last is seen again, now */
void gst_clip_take_unchanged (GstClipClassify *self, const GstClipSettings *settings, const GstClipEntry *entry);
/** gst_clip_collect: takes the results that have come to @flying; with @wait also those that are on their way */
GstFlowReturn gst_clip_collect (GstClipClassify *self, const GstClipSettings *settings, gboolean wait);

/* gstclipattach.c: results to metadata and messages */
/** gst_clip_attach: puts what is known onto a writable buffer; @end: running time; @inferred: the full frame's result
 * is its own */
void gst_clip_attach (GstClipClassify *self, GstBuffer *buffer, const GstClipSettings *settings, GstClockTime end,
    gboolean inferred);
/** gst_clip_follow: posts a change of @track's label */
void gst_clip_follow (GstClipClassify *self, GstClipTrack *track, const GstClipSettings *settings);
/** gst_clip_end_track: posts the end of @track's label */
void gst_clip_end_track (GstClipClassify *self, GstClipTrack *track);
/** gst_clip_find_track: (nullable): what is known of a region */
GstClipTrack *gst_clip_find_track (GstClipClassify *self, const GstClipRegion *region);

/* gstclipstatistics.c */
gboolean gst_clip_statistics_get (GstClipClassify *self, const char *name, GValue *value);
/** gst_clip_statistics_post: the message, when @interval has passed since the last one */
void gst_clip_statistics_post (GstClipClassify *self, GstClockTime interval);
/** gst_clip_statistics_log: the sum, for the debug log */
void gst_clip_statistics_log (GstClipClassify *self);

G_END_DECLS
