/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclippainter.h"

#include <pango/pango.h>

#define LINES_PER_FRAME 18.0 /* so that a line of a 240-row frame still has 13 rows */
#define MINIMUM_LINE 12.0
#define TEXT_PER_LINE 0.72
#define STROKES_PER_FRAME 270
#define BASE_WIDTH 640.0 /* a font size is meant for a picture so wide, as textoverlay's */

struct _GstClipPainter {
  char *key; /* of the composition */
  GstVideoOverlayComposition *composition; /* (nullable) */
  GHashTable *pieces; /* key -> GstBuffer: those of the composition */
  GHashTable *used;   /* the same of the one being made */
  guint64 renders;
};

/* One composition in the making. */
typedef struct {
  GstClipPainter *painter;
  const GstClipStyle *style;
  const GstClipScene *scene;
  GstClipLook look;
  GstVideoOverlayComposition *composition;
} Canvas;

static GHashTable *
new_pieces (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) gst_buffer_unref);
}

GstClipPainter *
gst_clip_painter_new (void)
{
  GstClipPainter *painter = g_new0 (GstClipPainter, 1);
  painter->pieces = new_pieces ();
  return painter;
}

void
gst_clip_painter_forget (GstClipPainter *painter)
{
  g_clear_pointer (&painter->key, g_free);
  g_clear_pointer (&painter->composition, gst_video_overlay_composition_unref);
  g_hash_table_remove_all (painter->pieces);
}

void
gst_clip_painter_free (GstClipPainter *painter)
{
  gst_clip_painter_forget (painter);
  g_hash_table_unref (painter->pieces);
  g_free (painter);
}

guint64
gst_clip_painter_get_renders (const GstClipPainter *painter)
{
  return painter->renders;
}

static GstClipLook
make_look (const GstClipStyle *style, guint width, guint height)
{
  GstClipLook look
      = { style->font_desc, MAX (MINIMUM_LINE, height / LINES_PER_FRAME), style->line_width, width, height };
  if (style->font_desc && *style->font_desc) {
    PangoFontDescription *font = pango_font_description_from_string (style->font_desc);
    double size = pango_font_description_get_size (font) / (double) PANGO_SCALE;
    if (size > 0)
      look.line = MAX (1.0, size * 96 / 72 * width / BASE_WIDTH / TEXT_PER_LINE);
    pango_font_description_free (font);
  }
  if (look.stroke == 0)
    look.stroke = MAX (2, (height + STROKES_PER_FRAME / 2) / STROKES_PER_FRAME);
  return look;
}

/* (transfer none) (nullable): the piece of this key if it is there already */
static GstBuffer *
find_piece (Canvas *canvas, const char *key)
{
  GstClipPainter *p = canvas->painter;
  GstBuffer *piece = g_hash_table_lookup (p->used, key);
  if (!piece && (piece = g_hash_table_lookup (p->pieces, key)))
    g_hash_table_insert (p->used, g_strdup (key), gst_buffer_ref (piece));
  return piece;
}

/* @piece: (transfer full) (nullable). Returns: (transfer none) (nullable) */
static GstBuffer *
keep_piece (Canvas *canvas, const char *key, GstBuffer *piece)
{
  if (piece) {
    canvas->painter->renders++;
    g_hash_table_insert (canvas->painter->used, g_strdup (key), piece);
  }
  return piece;
}

static void
place (Canvas *canvas, GstBuffer *piece, gint x, gint y)
{
  const GstVideoMeta *size = gst_buffer_get_video_meta (piece);
  GstVideoOverlayRectangle *rectangle = gst_video_overlay_rectangle_new_raw (
      piece, x, y, size->width, size->height, GST_VIDEO_OVERLAY_FORMAT_FLAG_PREMULTIPLIED_ALPHA);
  if (canvas->composition)
    gst_video_overlay_composition_add_rectangle (canvas->composition, rectangle);
  else
    canvas->composition = gst_video_overlay_composition_new (rectangle);
  gst_video_overlay_rectangle_unref (rectangle);
}

static void
paint_line (Canvas *canvas, const char *label, guint x, guint y, guint width, guint height)
{
  g_autofree char *key = g_strdup_printf ("line %u %u %s", width, height, label ? label : "");
  GstBuffer *piece = find_piece (canvas, key);
  if (!piece)
    piece = keep_piece (canvas, key, gst_clip_draw_line (label, width, height));
  if (piece)
    place (canvas, piece, (gint) x, (gint) y);
}

/* Above its box where there is room, else inside. */
static void
paint_tag (Canvas *canvas, const GstClipBox *box)
{
  g_autofree char *key = g_strdup_printf ("tag %d %s", box->best.percent, box->best.label);
  guint tag_width = (canvas->look.width + 2) / 3; /* a longer one hides too much of other boxes */
  GstBuffer *piece = find_piece (canvas, key);
  if (!piece)
    piece = keep_piece (canvas, key, gst_clip_draw_tag (&canvas->look, &box->best, tag_width));
  if (!piece)
    return;
  const GstVideoMeta *size = gst_buffer_get_video_meta (piece);
  guint x = MIN (box->rect.x, canvas->look.width - size->width);
  guint y = box->rect.y >= size->height ? box->rect.y - size->height : box->rect.y;
  place (canvas, piece, (gint) x, (gint) MIN (y, canvas->look.height - size->height));
}

static void
paint_box (Canvas *canvas, const GstClipBox *box)
{
  const ClipRect *r = &box->rect;
  guint stroke = MIN (canvas->look.stroke, MIN (r->width, r->height));
  paint_line (canvas, box->best.label, r->x, r->y, r->width, stroke);
  paint_line (canvas, box->best.label, r->x, r->y + r->height - stroke, r->width, stroke);
  paint_line (canvas, box->best.label, r->x, r->y, stroke, r->height);
  paint_line (canvas, box->best.label, r->x + r->width - stroke, r->y, stroke, r->height);
}

/* Returns: its height */
static guint
paint_strip (Canvas *canvas)
{
  const GArray *bands = canvas->scene->bands;
  GString *key = g_string_new ("strip");
  for (guint i = 0; i < bands->len; i++) {
    const GstClipBand *band = &g_array_index (bands, GstClipBand, i);
    g_string_append_printf (key, " %u %u %s\n", band->from, band->to, band->label);
  }
  GstBuffer *piece = find_piece (canvas, key->str);
  if (!piece)
    piece = keep_piece (canvas, key->str, gst_clip_draw_strip (&canvas->look, (const GstClipBand *) bands->data,
                                              bands->len, canvas->scene->history));
  g_string_free (key, TRUE);
  if (!piece)
    return 0;
  guint height = gst_buffer_get_video_meta (piece)->height;
  /* where the panel is not */
  gboolean top = canvas->style->valign == GST_CLIP_VALIGN_BOTTOM;
  place (canvas, piece, 0, top ? 0 : (gint) (canvas->look.height - height));
  return height;
}

static gint
align (guint where, guint pad, guint room, guint size)
{
  guint rest = room > size ? room - size : 0;
  return (gint) (where == 0 ? MIN (pad, rest) : where == 1 ? rest / 2 : rest - MIN (pad, rest));
}

/* @room: rows that the strip leaves */
static void
paint_panel (Canvas *canvas, guint room)
{
  const GArray *bars = canvas->scene->bars;
  const GstClipStyle *style = canvas->style;
  GString *key = g_string_new ("panel");
  g_string_append_printf (key, " %u", room);
  for (guint i = 0; i < bars->len; i++) {
    const GstClipBar *bar = &g_array_index (bars, GstClipBar, i);
    g_string_append_printf (key, " %d %s\n", bar->percent, bar->label);
  }
  GstBuffer *piece = find_piece (canvas, key->str);
  if (!piece)
    piece = keep_piece (canvas, key->str,
        gst_clip_draw_panel (&canvas->look, (const GstClipBar *) bars->data, bars->len, room));
  g_string_free (key, TRUE);
  if (!piece)
    return;
  const GstVideoMeta *size = gst_buffer_get_video_meta (piece);
  guint top = style->valign == GST_CLIP_VALIGN_BOTTOM ? canvas->look.height - room : 0;
  place (canvas, piece, align (style->halign, style->xpad, canvas->look.width, size->width),
      (gint) top + align (style->valign, style->ypad, room, size->height));
}

static void
paint_all (Canvas *canvas)
{
  const GArray *boxes = canvas->scene->boxes;
  guint room = canvas->look.height;
  for (guint i = 0; i < boxes->len; i++)
    paint_box (canvas, &g_array_index (boxes, GstClipBox, i));
  /* no line of another box crosses a label */
  for (guint i = 0; i < boxes->len; i++) {
    if (g_array_index (boxes, GstClipBox, i).best.label)
      paint_tag (canvas, &g_array_index (boxes, GstClipBox, i));
  }
  if (canvas->scene->history)
    room -= paint_strip (canvas);
  if (canvas->scene->bars->len > 0)
    paint_panel (canvas, room);
}

GstVideoOverlayComposition *
gst_clip_painter_paint (
    GstClipPainter *painter, const GstClipStyle *style, const GstClipScene *scene, guint width, guint height)
{
  g_autofree char *key = gst_clip_scene_make_key (scene);
  if (g_strcmp0 (key, painter->key) != 0) {
    Canvas canvas = { painter, style, scene, make_look (style, width, height), NULL };
    painter->used = new_pieces ();
    paint_all (&canvas);
    g_hash_table_unref (painter->pieces);
    painter->pieces = g_steal_pointer (&painter->used);
    g_clear_pointer (&painter->composition, gst_video_overlay_composition_unref);
    painter->composition = canvas.composition;
    g_free (painter->key);
    painter->key = g_steal_pointer (&key);
  }
  return painter->composition ? gst_video_overlay_composition_ref (painter->composition) : NULL;
}
