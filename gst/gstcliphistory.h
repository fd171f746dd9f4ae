/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which label held when, over the last seconds. */
#pragma once

#include "gstclipscene.h"

G_BEGIN_DECLS

/** GST_CLIP_HISTORY_STEPS: of a strip: it moves on a step at a time, so that it is not drawn anew for each frame */
#define GST_CLIP_HISTORY_STEPS 100

typedef struct _GstClipHistory GstClipHistory;

GstClipHistory *gst_clip_history_new (void);
void gst_clip_history_free (GstClipHistory *history);
void gst_clip_history_clear (GstClipHistory *history);

/**
 * gst_clip_history_add:
 * @label: (nullable): the best one of the frame at running time @time; NULL: nothing passed
 * @duration: what is older is forgotten
 *
 * A time before the last one starts anew.
 */
void gst_clip_history_add (GstClipHistory *history, const char *label, GstClockTime time, GstClockTime duration);

/** gst_clip_history_show: the bands of the last @duration; their labels live until the next gst_clip_history_add() */
void gst_clip_history_show (const GstClipHistory *history, GstClockTime duration, GstClipScene *scene);

G_END_DECLS
