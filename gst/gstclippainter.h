/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From scenes to overlay compositions; what has been drawn once is kept while it is in use. */
#pragma once

#include "gstclipdraw.h"
#include "gstclipscene.h"

G_BEGIN_DECLS

typedef enum { GST_CLIP_HALIGN_LEFT, GST_CLIP_HALIGN_CENTER, GST_CLIP_HALIGN_RIGHT } GstClipHAlign;
typedef enum { GST_CLIP_VALIGN_TOP, GST_CLIP_VALIGN_CENTER, GST_CLIP_VALIGN_BOTTOM } GstClipVAlign;

/** GstClipStyle: what the user chose */
typedef struct {
  char *font_desc; /* (nullable) */
  GstClipHAlign halign;
  GstClipVAlign valign;
  guint xpad, ypad;
  guint line_width;     /* 0: follows the picture's size */
  GstClockTime history; /* 0: no strip */
} GstClipStyle;

typedef struct _GstClipPainter GstClipPainter;

GstClipPainter *gst_clip_painter_new (void);
void gst_clip_painter_free (GstClipPainter *painter);

/** gst_clip_painter_forget: before a picture of another size or style */
void gst_clip_painter_forget (GstClipPainter *painter);

/**
 * gst_clip_painter_paint:
 *
 * Returns: (transfer full) (nullable): the same composition as the last time when the scene looks the same; NULL when
 * there is nothing to be seen
 */
GstVideoOverlayComposition *gst_clip_painter_paint (
    GstClipPainter *painter, const GstClipStyle *style, const GstClipScene *scene, guint width, guint height);

/** gst_clip_painter_get_renders: how many pieces have been drawn */
guint64 gst_clip_painter_get_renders (const GstClipPainter *painter);

G_END_DECLS
