/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipdraw.h"

#include <math.h>
#include <pango/pangocairo.h>

#include "gstcliphistory.h"

/* Sizes in parts of a line. */
#define TEXT 0.72
#define PADDING 0.3
#define BAR_HEIGHT 0.22
#define PERCENT_WIDTH 2.7
#define SMALL 0.62 /* a line in a tag and in the strip, of the panel's */
#define PANEL_WIDTH 0.46 /* of the frame's width */

/* FNV-1a, whose bits spread better than g_str_hash()'s and will not change. */
static guint32
hash_label (const char *label)
{
  guint32 hash = 2166136261u;
  for (const guchar *c = (const guchar *) label; *c; c++)
    hash = (hash ^ *c) * 16777619u;
  return hash ^ hash >> 15;
}

void
gst_clip_color (const char *label, double *rgb)
{
  static const double saturations[] = { 0.75, 0.55, 0.85 }, values[] = { 0.95, 0.85, 0.75 };
  guint32 hash = hash_label (label);
  double hue = (hash % 360) / 60.0, s = saturations[hash / 360 % 3], v = values[hash / 1080 % 3];
  for (guint i = 0; i < 3; i++) {
    double k = fmod (5.0 - 2.0 * i + hue, 6.0); /* red, green and blue are a third of the circle apart */
    rgb[i] = v - v * s * CLAMP (MIN (k, 4.0 - k), 0.0, 1.0);
  }
}

/* Black or white, whichever is read better on the label's colour. */
static void
set_text_color (cairo_t *cr, const char *label)
{
  double rgb[3];
  gst_clip_color (label, rgb);
  double level = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 0.55 ? 0.0 : 1.0;
  cairo_set_source_rgb (cr, level, level, level);
}

static void
set_color (cairo_t *cr, const char *label)
{
  double rgb[3] = { 0.7, 0.7, 0.7 };
  if (label)
    gst_clip_color (label, rgb);
  cairo_set_source_rgb (cr, rgb[0], rgb[1], rgb[2]);
}

/* (transfer full): of one line, @width wide or as wide as the text, cut with dots */
static PangoLayout *
new_layout (cairo_t *cr, const GstClipLook *look, const char *text, double width, double size)
{
  PangoLayout *layout = pango_cairo_create_layout (cr);
  PangoFontDescription *font = pango_font_description_from_string (look->font && *look->font ? look->font : "Sans Bold");
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  pango_font_description_set_absolute_size (font, size * TEXT * PANGO_SCALE);
  pango_layout_set_font_description (layout, font);
  pango_layout_set_single_paragraph_mode (layout, TRUE);
  pango_layout_set_width (layout, (int) (MAX (width, 1.0) * PANGO_SCALE));
  pango_layout_set_ellipsize (layout, PANGO_ELLIPSIZE_END);
  pango_layout_set_text (layout, valid, -1);
  /* on the left, whichever way it is written: for Pango's paragraphs from right to left, left is right */
  if (pango_layout_get_direction (layout, 0) == PANGO_DIRECTION_RTL)
    pango_layout_set_alignment (layout, PANGO_ALIGN_RIGHT);
  pango_font_description_free (font);
  return layout;
}

/* In the middle of a line that begins at @y. */
static void
draw_text (cairo_t *cr, const GstClipLook *look, const char *text, double x, double y, double width, double size)
{
  PangoLayout *layout = new_layout (cr, look, text, width, size);
  int text_height;
  pango_layout_get_pixel_size (layout, NULL, &text_height);
  cairo_move_to (cr, x, y + (size - text_height) / 2);
  pango_cairo_show_layout (cr, layout);
  g_object_unref (layout);
}

typedef void (*DrawFunc) (cairo_t *cr, gpointer data);

static GstBuffer *
draw (guint width, guint height, DrawFunc func, gpointer data)
{
  if (width == 0 || height == 0)
    return NULL;
  GstBuffer *pixels = gst_buffer_new_allocate (NULL, (gsize) width * height * 4, NULL);
  gst_buffer_memset (pixels, 0, 0, -1);
  gst_buffer_add_video_meta (
      pixels, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_OVERLAY_COMPOSITION_FORMAT_RGB, width, height);
  GstMapInfo map;
  gst_buffer_map (pixels, &map, GST_MAP_READWRITE);
  cairo_surface_t *surface = cairo_image_surface_create_for_data (
      map.data, CAIRO_FORMAT_ARGB32, (int) width, (int) height, (int) width * 4);
  cairo_t *cr = cairo_create (surface);
  func (cr, data);
  cairo_destroy (cr);
  cairo_surface_destroy (surface);
  gst_buffer_unmap (pixels, &map);
  return pixels;
}

typedef struct {
  const GstClipLook *look;
  const GstClipBar *bars;
  guint n;
  double width, row, padding;
} Panel;

static void
draw_bar (cairo_t *cr, const Panel *p, const GstClipBar *bar, double y)
{
  double x = p->padding, width = p->width - 2 * p->padding, line = p->look->line;
  g_autofree char *percent = g_strdup_printf ("%d %%", bar->percent);
  cairo_set_source_rgb (cr, 1, 1, 1);
  draw_text (cr, p->look, percent, x, y, line * PERCENT_WIDTH, line);
  draw_text (cr, p->look, bar->label, x + line * PERCENT_WIDTH, y, width - line * PERCENT_WIDTH, line);
  cairo_set_source_rgba (cr, 1, 1, 1, 0.25);
  cairo_rectangle (cr, x, y + line, width, line * BAR_HEIGHT);
  cairo_fill (cr);
  set_color (cr, bar->label);
  cairo_rectangle (cr, x, y + line, width * bar->percent / 100, line * BAR_HEIGHT);
  cairo_fill (cr);
}

static void
draw_bars (cairo_t *cr, gpointer data)
{
  const Panel *p = data;
  cairo_set_source_rgba (cr, 0, 0, 0, 0.6);
  cairo_paint (cr);
  for (guint i = 0; i < p->n; i++)
    draw_bar (cr, p, &p->bars[i], p->padding + i * p->row);
}

GstBuffer *
gst_clip_draw_panel (const GstClipLook *look, const GstClipBar *bars, guint n, guint height)
{
  Panel p = { look, bars };
  p.padding = look->line * PADDING;
  p.row = look->line * (1.0 + BAR_HEIGHT) + p.padding;
  p.width = MIN (look->width, MAX (look->width * PANEL_WIDTH, look->line * 12));
  p.n = MIN (n, (guint) MAX (0.0, (height - p.padding) / p.row));
  return p.n > 0 ? draw ((guint) p.width, MIN (height, (guint) (p.padding + p.n * p.row)), draw_bars, &p) : NULL;
}

typedef struct {
  const GstClipLook *look;
  const GstClipBar *bar;
  const char *text;
  double line, width;
} Tag;

static void
draw_tag (cairo_t *cr, gpointer data)
{
  const Tag *tag = data;
  set_color (cr, tag->bar->label);
  cairo_paint (cr);
  set_text_color (cr, tag->bar->label);
  draw_text (cr, tag->look, tag->text, tag->line * PADDING, 0, tag->width - 2 * tag->line * PADDING, tag->line);
}

/* How wide the text wants to be; measured on a surface without pixels. */
static double
measure (const GstClipLook *look, const char *text, double size)
{
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_ARGB32, 0, 0);
  cairo_t *cr = cairo_create (surface);
  PangoLayout *layout = new_layout (cr, look, text, look->width, size);
  int width;
  pango_layout_set_width (layout, -1);
  pango_layout_get_pixel_size (layout, &width, NULL);
  g_object_unref (layout);
  cairo_destroy (cr);
  cairo_surface_destroy (surface);
  return width;
}

GstBuffer *
gst_clip_draw_tag (const GstClipLook *look, const GstClipBar *bar, guint width)
{
  g_autofree char *text = g_strdup_printf ("%s %d %%", bar->label, bar->percent);
  Tag tag = { look, bar, text, look->line * SMALL };
  tag.width = MIN (width, ceil (measure (look, text, tag.line) + 2 * tag.line * PADDING) + 1);
  return draw ((guint) tag.width, MIN (look->height, (guint) ceil (tag.line)), draw_tag, &tag);
}

static void
draw_line (cairo_t *cr, gpointer label)
{
  set_color (cr, label);
  cairo_paint (cr);
}

GstBuffer *
gst_clip_draw_line (const char *label, guint width, guint height)
{
  return draw (width, height, draw_line, (gpointer) label);
}

typedef struct {
  const GstClipLook *look;
  const GstClipBand *bands;
  guint n;
  GstClockTime duration;
  double line;
} Strip;

static void
draw_band (cairo_t *cr, const Strip *strip, const GstClipBand *band)
{
  double step = strip->look->width / (double) GST_CLIP_HISTORY_STEPS, padding = strip->line * PADDING;
  double x = floor (band->from * step), width = floor (band->to * step) - x;
  set_color (cr, band->label);
  cairo_rectangle (cr, x, 0, width, strip->line);
  cairo_fill (cr);
  if (width < strip->line * 2.5) /* a letter and dots say nothing */
    return;
  set_text_color (cr, band->label);
  draw_text (cr, strip->look, band->label, x + padding, 0, width - 2 * padding, strip->line);
}

/* A mark every second, five seconds, minute, ...: at most six. */
static void
draw_scale (cairo_t *cr, const Strip *strip)
{
  static const guint units[] = { 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600 };
  double seconds = strip->duration / (double) GST_SECOND, width = strip->look->width, every = units[0];
  for (guint i = 0; i < G_N_ELEMENTS (units) && seconds / every > 6; i++)
    every = units[i];
  cairo_set_source_rgb (cr, 1, 1, 1);
  for (double t = every; t < seconds && seconds / every < 20; t += every) {
    double x = floor (width * (1 - t / seconds));
    g_autofree char *text = g_strdup_printf (t >= 60 ? "-%g min" : "-%g s", t >= 60 ? t / 60 : t);
    cairo_rectangle (cr, x, strip->line, MAX (1, strip->look->stroke / 2), strip->line * 0.8);
    cairo_fill (cr);
    draw_text (cr, strip->look, text, x + strip->line * PADDING, strip->line, width - x, strip->line * 0.8);
  }
}

static void
draw_strip (cairo_t *cr, gpointer data)
{
  const Strip *strip = data;
  cairo_set_source_rgba (cr, 0, 0, 0, 0.6);
  cairo_paint (cr);
  for (guint i = 0; i < strip->n; i++)
    draw_band (cr, strip, &strip->bands[i]);
  draw_scale (cr, strip);
}

GstBuffer *
gst_clip_draw_strip (const GstClipLook *look, const GstClipBand *bands, guint n, GstClockTime duration)
{
  Strip strip = { look, bands, n, duration, look->line * 0.8 };
  guint height = (guint) ceil (strip.line * 1.8);
  return height <= look->height / 3 ? draw (look->width, height, draw_strip, &strip) : NULL;
}
