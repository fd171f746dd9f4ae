/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pieces of clipoverlay's picture, each drawn into a buffer of its own. */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include "gstclipscene.h"

G_BEGIN_DECLS

/** GstClipLook: sizes in pixels of the frame */
typedef struct {
  const char *font; /* Pango description, its size is not used */
  double line;      /* height of a line of text */
  guint stroke;     /* width of a box's lines */
  guint width, height; /* of the frame */
} GstClipLook;

/**
 * gst_clip_color:
 * @rgb: (array fixed-size=3) (out): 0..1
 *
 * The colour of a label: the same in every run, stream and version, as it depends on the text alone.
 */
void gst_clip_color (const char *label, double *rgb);

/*
 * Each returns a (transfer full) (nullable) buffer of GST_VIDEO_OVERLAY_COMPOSITION_FORMAT_RGB with alpha premultiplied;
 * its GstVideoMeta has the size. NULL: there is no room.
 */

/** gst_clip_draw_panel: a line and a bar for each label that has room in @height rows */
GstBuffer *gst_clip_draw_panel (const GstClipLook *look, const GstClipBar *bars, guint n, guint height);
/** gst_clip_draw_tag: a label on its colour, at most @width wide */
GstBuffer *gst_clip_draw_tag (const GstClipLook *look, const GstClipBar *bar, guint width);
/** gst_clip_draw_line: one colour; @label: (nullable): grey */
GstBuffer *gst_clip_draw_line (const char *label, guint width, guint height);
/** gst_clip_draw_strip: the bands over the width of the frame, above a scale of time */
GstBuffer *gst_clip_draw_strip (const GstClipLook *look, const GstClipBand *bands, guint n, GstClockTime duration);

G_END_DECLS
