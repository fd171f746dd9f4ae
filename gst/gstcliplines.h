/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames of a stream get a line, and what clipjson and clippublish have in common. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct _GstClipLines GstClipLines;

/** The properties source, only-on-change and interval; an element's own begin at GST_CLIP_LINES_PROP_NEXT. */
enum {
  GST_CLIP_LINES_PROP_SOURCE = 1,
  GST_CLIP_LINES_PROP_ONLY_ON_CHANGE,
  GST_CLIP_LINES_PROP_INTERVAL,
  GST_CLIP_LINES_PROP_NEXT,
};

GstClipLines *gst_clip_lines_new (void);
void gst_clip_lines_free (GstClipLines *lines);

void gst_clip_lines_install_properties (GObjectClass *klass);
/** Return: whether the property is one of these */
gboolean gst_clip_lines_set_property (GstClipLines *lines, guint id, const GValue *value);
gboolean gst_clip_lines_get_property (GstClipLines *lines, guint id, GValue *value);

/** gst_clip_lines_set_caps: of the video. Returns: FALSE if they do not say its size */
gboolean gst_clip_lines_set_caps (GstClipLines *lines, GstCaps *caps);

/** gst_clip_lines_reset: a stream begins */
void gst_clip_lines_reset (GstClipLines *lines);

/**
 * gst_clip_lines_next: (transfer full) (nullable): the frame's line, NULL when it is to have none
 *
 * only-on-change compares with what was last written: a change that falls into the interval comes after it.
 */
char *gst_clip_lines_next (GstClipLines *lines, GstElement *element, const GstSegment *segment, GstBuffer *buffer);

/** gst_clip_lines_dup_source: (transfer full) (nullable) */
char *gst_clip_lines_dup_source (GstClipLines *lines);

G_END_DECLS
