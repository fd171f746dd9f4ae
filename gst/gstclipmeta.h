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
 *   and, where they apply:
 *     window: a structure with pooling (string), frames (uint) and span (guint64, ns, from the oldest of them to the
 *       newest): the labels' cosine and confidence are then the window's, and each label has frame-cosine and
 *       frame-confidence (double) of the newest frame alone
 *     object-class (string), tracking-id (guint64) of a region
 *     embedding (GBytes) with clipclassify's embedding-meta: float32, little endian, of unit length; of the newest frame
 *       alone, also where labels are a window's
 *
 * The full frame is one object. With regions there is one for each region that has been classified; before the first
 * result of a live stream there is none. The metadata stays through copies, conversion and scaling, which scales the
 * objects too; what crops or turns the picture drops it.
 */
#define GST_CLIP_META_NAME "GstClipMeta"

/** gst_clip_meta_register: once per process, at the plugin's start */
void gst_clip_meta_register (void);

/** gst_clip_meta_new: (transfer full): the fields; @objects: (transfer full): a GstValueArray, cleared on return */
GstStructure *gst_clip_meta_new (const char *model, guint serial, gdouble logit_scale, GValue *objects);

/** gst_clip_meta_append: puts @structure (transfer full) into a GstValueArray */
void gst_clip_meta_append (GValue *array, GstStructure *structure);

/** gst_clip_meta_set: puts @fields (transfer full) onto a writable buffer, in place of an older result */
void gst_clip_meta_set (GstBuffer *buffer, GstStructure *fields);

/** gst_clip_meta_get: (transfer none) (nullable) */
const GstStructure *gst_clip_meta_get (GstBuffer *buffer);

/* Metadata may come from elsewhere: what is not as it should be counts as absent. */
/** gst_clip_meta_get_objects: (nullable): @meta: (nullable) */
const GValue *gst_clip_meta_get_objects (const GstStructure *meta);
/** gst_clip_meta_count: how many structures are in @array: (nullable) */
guint gst_clip_meta_count (const GValue *array);
/** gst_clip_meta_nth: (nullable) */
const GstStructure *gst_clip_meta_nth (const GValue *array, guint n);
/** gst_clip_meta_get_top: (nullable): the @n-th best label of @object that passed, counted from 0 */
const GstStructure *gst_clip_meta_get_top (const GstStructure *object, guint n);

G_END_DECLS
