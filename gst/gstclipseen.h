/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which results are new: metadata repeat a result until the next, and in a live stream no frame has its own. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** GstClipSeen: what was seen last, by tracking id. For the streaming thread */
typedef struct _GstClipSeen GstClipSeen;

GstClipSeen *gst_clip_seen_new (void);
void gst_clip_seen_free (GstClipSeen *seen);
/** gst_clip_seen_reset: positions begin anew */
void gst_clip_seen_reset (GstClipSeen *seen);
/** gst_clip_seen_begin_frame: what follows are the objects of the next frame */
void gst_clip_seen_begin_frame (GstClipSeen *seen);
/**
 * gst_clip_seen_is_new:
 * @pts: the frame's
 * @object: of its GstClipMeta
 *
 * Returns: TRUE when the object's result comes from a frame whose result had not been seen before
 */
gboolean gst_clip_seen_is_new (GstClipSeen *seen, GstClockTime pts, const GstStructure *object);

G_END_DECLS
