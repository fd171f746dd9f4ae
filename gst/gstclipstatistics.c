/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The numbers an operator watches: read-only properties, and the element message clip-statistics. */
#include "gstclipclassify-private.h"

#define GST_CAT_DEFAULT gst_clip_classify_debug

static gdouble
frames_per_second (const GstClipStatistics *s)
{
  return s->frames > 1 && s->last > s->first ? (s->frames - 1) * 1e6 / (s->last - s->first) : 0.0;
}

static gdouble
inferences_per_second (const GstClipStatistics *s)
{
  return s->inferred > 1 && s->last > s->first ? (s->inferred - 1) * 1e6 / (s->last - s->first) : 0.0;
}

/* In milliseconds */
static gdouble
latency_mean (const GstClipStatistics *s)
{
  return s->inferred ? s->latency_sum * 1e-3 / s->inferred : 0.0;
}

static gdouble
batch_mean (ClipEngine *engine)
{
  ClipEngineStats stats = { 0, 0 };
  if (engine)
    stats = clip_engine_get_stats (engine);
  return stats.batches ? (gdouble) stats.regions / stats.batches : 0.0;
}

static GstClipStatistics
snapshot (GstClipClassify *self, ClipEngine **engine)
{
  GST_OBJECT_LOCK (self);
  GstClipStatistics s = self->stats;
  *engine = self->engine ? clip_engine_ref (self->engine) : NULL;
  GST_OBJECT_UNLOCK (self);
  return s;
}

gboolean
gst_clip_statistics_get (GstClipClassify *self, const char *name, GValue *value)
{
  g_autoptr (ClipEngine) engine = NULL;
  GstClipStatistics s = snapshot (self, &engine);
  const struct {
    const char *name;
    guint64 count;
  } counts[] = { { "frames-inferred", s.inferred }, { "frames-reused", s.reused }, { "frames-skipped", s.skipped },
    { "frames-dropped", s.dropped }, { "frames-late", s.late } };
  const struct {
    const char *name;
    gdouble number;
  } numbers[] = { { "fps", frames_per_second (&s) }, { "inference-fps", inferences_per_second (&s) },
    { "latency-mean", latency_mean (&s) },
    { "latency-max", s.latency_max * 1e-3 }, { "batch-mean", batch_mean (engine) } };
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++) {
    if (g_str_equal (name, counts[i].name)) {
      g_value_set_uint64 (value, counts[i].count);
      return TRUE;
    }
  }
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    if (g_str_equal (name, numbers[i].name)) {
      g_value_set_double (value, numbers[i].number);
      return TRUE;
    }
  }
  return FALSE;
}

void
gst_clip_statistics_post (GstClipClassify *self, GstClockTime interval)
{
  g_autoptr (ClipEngine) engine = NULL;
  gint64 now = g_get_monotonic_time ();
  if (!self->reported)
    self->reported = now;
  if (interval == 0 || (GstClockTime) (now - self->reported) * GST_USECOND < interval)
    return;
  self->reported = now;
  GstClipStatistics s = snapshot (self, &engine);
  GstStructure *fields = gst_structure_new ("clip-statistics", "frames-inferred", G_TYPE_UINT64, s.inferred,
      "frames-reused", G_TYPE_UINT64, s.reused, "frames-skipped", G_TYPE_UINT64, s.skipped, "frames-dropped",
      G_TYPE_UINT64, s.dropped, "frames-late", G_TYPE_UINT64, s.late, "fps", G_TYPE_DOUBLE, frames_per_second (&s),
      "inference-fps", G_TYPE_DOUBLE, inferences_per_second (&s), "latency-mean", G_TYPE_DOUBLE,
      latency_mean (&s), "latency-max", G_TYPE_DOUBLE, s.latency_max * 1e-3,
      "batch-mean", G_TYPE_DOUBLE, batch_mean (engine), NULL);
  gst_element_post_message (GST_ELEMENT (self), gst_message_new_element (GST_OBJECT (self), fields));
}

void
gst_clip_statistics_log (GstClipClassify *self)
{
  g_autoptr (ClipEngine) engine = NULL;
  GstClipStatistics s = snapshot (self, &engine);
  GST_INFO_OBJECT (self,
      "%" G_GUINT64_FORMAT " frames (%.1f/s): %" G_GUINT64_FORMAT " encoded, %" G_GUINT64_FORMAT " stood still, %"
      G_GUINT64_FORMAT " given up for a newer one, %" G_GUINT64_FORMAT " late; %.1f ms to a result, at most %.1f; %.1f in a "
      "batch",
      s.frames, frames_per_second (&s), s.inferred, s.skipped, s.dropped, s.late,
      latency_mean (&s), s.latency_max * 1e-3, batch_mean (engine));
}
