/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which label holds, and from when to when, without flicker. */
#pragma once

#include <glib.h>

#include "clip-time.h"

G_BEGIN_DECLS

/**
 * ClipSpanRules:
 * @hold_time: nanoseconds that another label must lead without a break before it takes over
 * @hysteresis: by how much its confidence must exceed that of the label that holds, 0..1
 */
typedef struct {
  guint64 hold_time;
  double hysteresis;
} ClipSpanRules;

/** ClipLabelChange: @label holds from @start on; @previous held from @previous_start to @previous_end. NULL: none */
typedef struct {
  char *label;
  gint label_id; /* -1: none */
  double confidence; /* at the time of the change */
  guint64 start;
  char *previous;
  guint64 previous_start, previous_end; /* CLIP_TIME_NONE without @previous */
  double previous_confidence; /* mean over its span; 0 without @previous */
} ClipLabelChange;

void clip_label_change_clear (ClipLabelChange *change);

typedef struct _ClipSpan ClipSpan;

ClipSpan *clip_span_new (void);
void clip_span_free (ClipSpan *span);

/**
 * clip_span_push:
 * @time: nanoseconds, never less than before; CLIP_TIME_NONE: unknown, then nothing is held back
 * @label: (nullable): the best label that passes at this time
 * @holder_confidence: at this time, of the label that holds; 0 when there is none any more
 * @change: (out caller-allocates): filled when another label holds from now on. Its start is when it began to lead
 */
gboolean clip_span_push (ClipSpan *span, const ClipSpanRules *rules, guint64 time, const char *label, gint label_id,
    double confidence, double holder_confidence, ClipLabelChange *change);

/** clip_span_get_label: (nullable): the label that holds */
const char *clip_span_get_label (const ClipSpan *span);

/** clip_span_end: the stream ended at @time; TRUE when a label held, @change then ends its span */
gboolean clip_span_end (ClipSpan *span, guint64 time, ClipLabelChange *change);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipSpan, clip_span_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ClipLabelChange, clip_label_change_clear)

G_END_DECLS
