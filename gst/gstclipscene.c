/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipscene.h"

#include "gstclipmeta.h"

#include <math.h>

#define MAX_BARS 16
#define MAX_BOXES 256

void
gst_clip_scene_init (GstClipScene *scene)
{
  scene->bars = g_array_new (FALSE, FALSE, sizeof (GstClipBar));
  scene->boxes = g_array_new (FALSE, FALSE, sizeof (GstClipBox));
  scene->bands = g_array_new (FALSE, FALSE, sizeof (GstClipBand));
  scene->history = 0;
}

void
gst_clip_scene_clear (GstClipScene *scene)
{
  g_clear_pointer (&scene->bars, g_array_unref);
  g_clear_pointer (&scene->boxes, g_array_unref);
  g_clear_pointer (&scene->bands, g_array_unref);
}

/* The @n-th best label of @object. Returns: FALSE when fewer passed */
static gboolean
read_top (const GstStructure *object, guint n, GstClipBar *bar)
{
  const GstStructure *label = gst_clip_meta_get_top (object, n);
  gdouble confidence = 0.0;
  bar->label = label ? gst_structure_get_string (label, "label") : NULL;
  if (!bar->label || !gst_structure_get_double (label, "confidence", &confidence))
    return FALSE;
  bar->percent = (gint) lround (CLAMP (confidence, 0.0, 1.0) * 100);
  return TRUE;
}

/* Returns: FALSE when the object has no place in the picture */
static gboolean
read_rect (const GstStructure *object, guint width, guint height, ClipRect *rect)
{
  if (!gst_structure_get_uint (object, "x", &rect->x) || !gst_structure_get_uint (object, "y", &rect->y)
      || !gst_structure_get_uint (object, "w", &rect->width) || !gst_structure_get_uint (object, "h", &rect->height)
      || rect->x >= width || rect->y >= height || rect->width == 0 || rect->height == 0)
    return FALSE;
  rect->width = MIN (rect->width, width - rect->x);
  rect->height = MIN (rect->height, height - rect->y);
  return TRUE;
}

static void
read_object (GstClipScene *scene, const GstStructure *object, guint width, guint height)
{
  GstClipBox box = { 0 };
  GstClipBar bar;
  if (!read_rect (object, width, height, &box.rect))
    return;
  if (box.rect.width == width && box.rect.height == height) {
    for (guint i = 0; scene->bars->len < MAX_BARS && read_top (object, i, &bar); i++)
      g_array_append_val (scene->bars, bar);
  } else if (scene->boxes->len < MAX_BOXES) {
    if (!read_top (object, 0, &box.best))
      box.best = (GstClipBar){ NULL, 0 };
    g_array_append_val (scene->boxes, box);
  }
}

void
gst_clip_scene_read (GstClipScene *scene, const GstStructure *meta, guint width, guint height)
{
  const GValue *objects = gst_clip_meta_get_objects (meta);
  for (guint i = 0; i < gst_clip_meta_count (objects); i++) {
    const GstStructure *object = gst_clip_meta_nth (objects, i);
    if (object)
      read_object (scene, object, width, height);
  }
}

const char *
gst_clip_scene_get_best_label (const GstClipScene *scene)
{
  if (scene->bars->len > 0)
    return g_array_index (scene->bars, GstClipBar, 0).label;
  GstClipBar best = { NULL, -1 };
  for (guint i = 0; i < scene->boxes->len; i++) {
    const GstClipBar *bar = &g_array_index (scene->boxes, GstClipBox, i).best;
    if (bar->label && bar->percent > best.percent)
      best = *bar;
  }
  return best.label;
}

char *
gst_clip_scene_make_key (const GstClipScene *scene)
{
  GString *key = g_string_new (NULL);
  for (guint i = 0; i < scene->bars->len; i++) {
    const GstClipBar *bar = &g_array_index (scene->bars, GstClipBar, i);
    g_string_append_printf (key, "bar %d %s\n", bar->percent, bar->label);
  }
  for (guint i = 0; i < scene->boxes->len; i++) {
    const GstClipBox *b = &g_array_index (scene->boxes, GstClipBox, i);
    g_string_append_printf (key, "box %u %u %u %u %d %s\n", b->rect.x, b->rect.y, b->rect.width, b->rect.height,
        b->best.percent, b->best.label ? b->best.label : "");
  }
  for (guint i = 0; i < scene->bands->len; i++) {
    const GstClipBand *band = &g_array_index (scene->bands, GstClipBand, i);
    g_string_append_printf (key, "band %u %u %s\n", band->from, band->to, band->label);
  }
  g_string_append_printf (key, "history %" G_GUINT64_FORMAT, scene->history);
  return g_string_free (key, FALSE);
}
