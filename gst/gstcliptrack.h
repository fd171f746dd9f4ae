/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is known of a picture, or of an object in it, over time. */
#pragma once

#include <gst/gst.h>

#include "classify/clip-pool.h"
#include "classify/clip-span.h"
#include "gstclipregion.h"
#include "gstclipresult.h"

G_BEGIN_DECLS

/** GstClipTrack: for the streaming thread */
typedef struct {
  guint64 id;         /* the region's tracking id; 0: the full picture, or a region that is not tracked */
  guint embed_dim;
  gboolean known;     /* there is an embedding */
  float *embedding, norm;   /* [embed_dim]: the newest */
  ClipRect rect;      /* where it was taken */
  GstClockTime pts;   /* of the frame it was taken from */
  GstClockTime time;  /* running time of the last frame that it is known to describe */
  GstClockTime end;   /* running time at which the last frame that showed it ends */
  ClipPool *pool;
  float *pooled;      /* [embed_dim]: what the window says; valid when pooled_frames > 0 */
  guint pooled_frames;
  GstClockTime pooled_start; /* running time of the oldest frame in it */
  ClipSpan *span;
  guint64 requested;  /* the frame, counted from 1, that was last sent to the encoder; 0: none */
  guint64 seen;       /* the frame, counted from 1, that had this object last */
} GstClipTrack;

GstClipTrack *gst_clip_track_new (guint64 id, guint embed_dim);
void gst_clip_track_free (GstClipTrack *track);

/** gst_clip_track_observe: a new embedding, of the frame at running time @time */
void gst_clip_track_observe (GstClipTrack *track, const float *embedding, float norm, const ClipRect *rect,
    GstClockTime pts, GstClockTime time);
/** gst_clip_track_pool: puts the newest embedding into the window, as of @track's time */
void gst_clip_track_pool (GstClipTrack *track, ClipPooling pooling, GstClockTime window);

/** gst_clip_track_get_result: (transfer full): the scores of the window, else of the newest embedding */
GstClipResult *gst_clip_track_get_result (const GstClipTrack *track, ClipEncodedPrompts *prompts,
    const ClipModelConfig *config, const GstClipRules *rules);

/**
 * gst_clip_track_follow:
 * @result: the scores now
 *
 * Returns: TRUE when another label holds from now on; @change says which
 */
gboolean gst_clip_track_follow (
    GstClipTrack *track, const GstClipResult *result, const ClipSpanRules *rules, ClipLabelChange *change);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstClipTrack, gst_clip_track_free)

G_END_DECLS
