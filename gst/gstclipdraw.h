/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The picture of a result: a line and a bar for each reported label. */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/** GstClipBar: one line of the picture */
typedef struct {
  const char *label;
  gdouble confidence; /* 0..1: length of the bar */
} GstClipBar;

/**
 * gst_clip_draw:
 * @width, @height: of the frame; the text's size follows them
 *
 * Returns: (transfer full) (nullable): a rectangle for the upper left corner; NULL for no bars
 */
GstVideoOverlayRectangle *gst_clip_draw (const GstClipBar *bars, guint n, guint width, guint height);

G_END_DECLS
