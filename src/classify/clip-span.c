/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-span.h"

typedef struct {
  double sum;
  guint64 n;
} Mean;

struct _ClipSpan {
  char *label; /* (nullable): that holds */
  guint64 start;
  Mean confidence; /* of @label, from its start on */
  gboolean leading; /* somebody else leads: @candidate, since @since */
  char *candidate;  /* (nullable) */
  guint64 since;
  Mean lead, meanwhile; /* since then: confidence of the candidate, and of the label that holds */
};

ClipSpan *
clip_span_new (void)
{
  return g_new0 (ClipSpan, 1);
}

void
clip_span_free (ClipSpan *span)
{
  g_free (span->label);
  g_free (span->candidate);
  g_free (span);
}

void
clip_label_change_clear (ClipLabelChange *change)
{
  g_clear_pointer (&change->label, g_free);
  g_clear_pointer (&change->previous, g_free);
}

static void
add (Mean *mean, double value)
{
  mean->sum += value;
  mean->n++;
}

static double
value_of (const Mean *mean)
{
  return mean->n > 0 ? mean->sum / (double) mean->n : 0.0;
}

/* The label that holds goes on: what it had meanwhile is its own. */
static void
drop_candidate (ClipSpan *span)
{
  span->confidence.sum += span->meanwhile.sum;
  span->confidence.n += span->meanwhile.n;
  span->lead = span->meanwhile = (Mean){ 0 };
  span->leading = FALSE;
  g_clear_pointer (&span->candidate, g_free);
}

static void
nominate (ClipSpan *span, const char *label, guint64 time)
{
  if (span->leading && g_strcmp0 (span->candidate, label) == 0)
    return;
  drop_candidate (span);
  span->leading = TRUE;
  span->candidate = g_strdup (label);
  span->since = time;
}

static gboolean
has_held (const ClipSpan *span, guint64 hold_time, guint64 time)
{
  if (time == CLIP_TIME_NONE || span->since == CLIP_TIME_NONE || time < span->since)
    return TRUE;
  return time - span->since >= hold_time;
}

/* @label: (transfer full) */
static void
take_over (ClipSpan *span, char *label, gint label_id, double confidence, guint64 start, ClipLabelChange *change)
{
  *change = (ClipLabelChange){ .label = g_strdup (label), .label_id = label_id, .confidence = confidence, .start = start,
    .previous = span->label, .previous_start = CLIP_TIME_NONE, .previous_end = CLIP_TIME_NONE };
  if (span->label) {
    change->previous_start = span->start;
    change->previous_end = start;
    change->previous_confidence = value_of (&span->confidence);
  }
  span->label = label;
  span->start = start;
  span->confidence = span->lead;
  span->lead = span->meanwhile = (Mean){ 0 };
}

gboolean
clip_span_push (ClipSpan *span, const ClipSpanRules *rules, guint64 time, const char *label, gint label_id,
    double confidence, double holder_confidence, ClipLabelChange *change)
{
  gboolean same = g_strcmp0 (label, span->label) == 0;
  if (same || (label && span->label && confidence < holder_confidence + rules->hysteresis)) {
    drop_candidate (span);
    add (&span->confidence, same ? confidence : holder_confidence);
    return FALSE;
  }
  nominate (span, label, time);
  add (&span->lead, confidence);
  add (&span->meanwhile, holder_confidence);
  if (!has_held (span, rules->hold_time, time))
    return FALSE;
  take_over (span, g_steal_pointer (&span->candidate), label ? label_id : -1, label ? confidence : 0.0, span->since,
      change);
  drop_candidate (span);
  return TRUE;
}

const char *
clip_span_get_label (const ClipSpan *span)
{
  return span->label;
}

gboolean
clip_span_end (ClipSpan *span, guint64 time, ClipLabelChange *change)
{
  drop_candidate (span);
  if (!span->label)
    return FALSE;
  take_over (span, NULL, -1, 0.0, time, change);
  return TRUE;
}
