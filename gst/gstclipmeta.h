/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result of a frame as metadata that any language can read. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GST_CLIP_META_NAME:
 *
 * A custom meta (gst_meta_register_custom()) whose structure has the fields
 *   model (string), prompts-serial (uint), logit-scale (double) and
 *   objects: a GstValueArray of structures "object" with x, y, w, h (uint, pixels),
 *     inferred (boolean), age (guint64, ns) and
 *     labels: a GstValueArray of structures "label" in the order of the prompts, with label (string),
 *       label-id (uint), cosine (double), confidence (double), negative (boolean), passed (boolean)
 *     top: a GstValueArray of label-id (uint) of the labels that are reported, best first
 */
#define GST_CLIP_META_NAME "GstClipMeta"

/** gst_clip_meta_register: once per process, at the plugin's start */
void gst_clip_meta_register (void);

/** gst_clip_meta_set: puts @fields (transfer full) onto a writable buffer, in place of an older result */
void gst_clip_meta_set (GstBuffer *buffer, GstStructure *fields);

/** gst_clip_meta_get: (transfer none) (nullable) */
const GstStructure *gst_clip_meta_get (GstBuffer *buffer);

G_END_DECLS
