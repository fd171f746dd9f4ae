/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The prompts of an element: what the user wants, and what is encoded. Thread-safe. */
#pragma once

#include <gst/gst.h>

#include "engine/clip-engine.h"

G_BEGIN_DECLS

typedef struct _GstClipPrompts GstClipPrompts;

/** gst_clip_prompts_new: @element (not owned) receives the warnings */
GstClipPrompts *gst_clip_prompts_new (GstElement *element);
void gst_clip_prompts_free (GstClipPrompts *prompts);

/** gst_clip_prompts_set: a request; encoded at once when an engine runs, else when one starts.
 * The text and the file replace each other: the one that was set last holds. */
void gst_clip_prompts_set_text (GstClipPrompts *prompts, const char *text);
void gst_clip_prompts_set_file (GstClipPrompts *prompts, const char *path);
void gst_clip_prompts_set_templates (GstClipPrompts *prompts, const char *templates);
void gst_clip_prompts_set_truncate (GstClipPrompts *prompts, gboolean truncate);
char *gst_clip_prompts_dup_text (GstClipPrompts *prompts);
char *gst_clip_prompts_dup_file (GstClipPrompts *prompts);
char *gst_clip_prompts_dup_templates (GstClipPrompts *prompts);
gboolean gst_clip_prompts_get_truncate (GstClipPrompts *prompts);

/** gst_clip_prompts_start: parses and encodes what is set, waiting for it; then follows changes */
gboolean gst_clip_prompts_start (GstClipPrompts *prompts, ClipEngine *engine, GError **error);
/** gst_clip_prompts_stop: drops what is on its way and what is encoded */
void gst_clip_prompts_stop (GstClipPrompts *prompts);

/** gst_clip_prompts_get: (transfer full) (nullable): the newest encoded set; @serial counts the sets */
ClipEncodedPrompts *gst_clip_prompts_get (GstClipPrompts *prompts, guint *serial);

G_END_DECLS
