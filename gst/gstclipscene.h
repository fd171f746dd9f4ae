/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What clipoverlay shows of a frame's GstClipMeta. */
#pragma once

#include <gst/gst.h>

#include "image/clip-image.h"

G_BEGIN_DECLS

/** GstClipBar: a label of the whole picture; the string belongs to the metadata */
typedef struct {
  const char *label;
  gint percent; /* 0..100 */
} GstClipBar;

/** GstClipBox: a region, inside the picture, and its best label */
typedef struct {
  ClipRect rect;
  GstClipBar best; /* label (nullable): nothing passed */
} GstClipBox;

/** GstClipBand: a stretch of the history, in steps; 0 is its oldest end */
typedef struct {
  const char *label;
  guint from, to;
} GstClipBand;

/** GstClipScene: all that is drawn on one frame */
typedef struct {
  GArray *bars, *boxes, *bands;
  GstClockTime history; /* duration of the bands' strip; 0: none is shown */
} GstClipScene;

void gst_clip_scene_init (GstClipScene *scene);
void gst_clip_scene_clear (GstClipScene *scene);

/** gst_clip_scene_read: @meta: (nullable): the fields of a GstClipMeta, which must live as long as the bars and boxes */
void gst_clip_scene_read (GstClipScene *scene, const GstStructure *meta, guint width, guint height);

/** gst_clip_scene_get_best_label: (nullable): of the whole picture, else the surest of the regions' */
const char *gst_clip_scene_get_best_label (const GstClipScene *scene);

/** gst_clip_scene_make_key: (transfer full): two scenes with the same key look the same */
char *gst_clip_scene_make_key (const GstClipScene *scene);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GstClipScene, gst_clip_scene_clear)

G_END_DECLS
