/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstcliphistory.h"

typedef struct {
  char *label; /* (nullable) */
  GstClockTime start, end;
} Span;

struct _GstClipHistory {
  GQueue spans; /* of Span, oldest first; each ends where the next one starts */
};

static void
span_free (gpointer data)
{
  Span *span = data;
  g_free (span->label);
  g_free (span);
}

GstClipHistory *
gst_clip_history_new (void)
{
  GstClipHistory *history = g_new (GstClipHistory, 1);
  g_queue_init (&history->spans);
  return history;
}

void
gst_clip_history_clear (GstClipHistory *history)
{
  g_queue_clear_full (&history->spans, span_free);
}

void
gst_clip_history_free (GstClipHistory *history)
{
  gst_clip_history_clear (history);
  g_free (history);
}

static void
forget_before (GstClipHistory *history, GstClockTime time)
{
  Span *oldest;
  while ((oldest = g_queue_peek_head (&history->spans)) && oldest->end < time)
    span_free (g_queue_pop_head (&history->spans));
}

void
gst_clip_history_add (GstClipHistory *history, const char *label, GstClockTime time, GstClockTime duration)
{
  Span *last = g_queue_peek_tail (&history->spans);
  if (last && time < last->end) {
    gst_clip_history_clear (history);
    last = NULL;
  }
  if (last)
    last->end = time;
  if (!last || g_strcmp0 (last->label, label) != 0) {
    Span *span = g_new (Span, 1);
    *span = (Span){ g_strdup (label), time, time };
    g_queue_push_tail (&history->spans, span);
  }
  forget_before (history, time > duration ? time - duration : 0);
}

/* Steps count from the start of running time: a band's width does not change while the strip moves on. */
void
gst_clip_history_show (const GstClipHistory *history, GstClockTime duration, GstClipScene *scene)
{
  const Span *last = g_queue_peek_tail ((GQueue *) &history->spans);
  GstClockTime step = MAX (duration / GST_CLIP_HISTORY_STEPS, 1);
  gint64 now = last ? (gint64) (last->end / step) + 1 : 0, oldest = now - GST_CLIP_HISTORY_STEPS;
  scene->history = duration;
  for (const GList *l = history->spans.head; l; l = l->next) {
    const Span *span = l->data;
    gint64 from = MAX ((gint64) (span->start / step), oldest);
    gint64 to = l->next ? (gint64) (span->end / step) : now;
    GstClipBand band = { span->label, (guint) (from - oldest), (guint) (MAX (to, from) - oldest) };
    if (span->label && band.to > band.from)
      g_array_append_val (scene->bands, band);
  }
}
