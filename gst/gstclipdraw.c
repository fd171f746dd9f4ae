/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipdraw.h"

#include <pango/pangocairo.h>

/* Sizes in parts of a line. */
#define LINES_PER_FRAME 18.0 /* so that a line of a 240-row frame still has 13 rows */
#define MINIMUM_LINE 12.0
#define PADDING 0.3
#define BAR_HEIGHT 0.22
#define PANEL_WIDTH 0.46 /* of the frame's width */

typedef struct {
  double line, padding, width, height;
  guint lines;
} Layout;

static Layout
make_layout (guint n, guint width, guint height)
{
  Layout layout;
  layout.line = MAX (MINIMUM_LINE, height / LINES_PER_FRAME);
  layout.padding = layout.line * PADDING;
  layout.width = MIN (width, MAX (width * PANEL_WIDTH, layout.line * 12));
  double row = layout.line * (1.0 + BAR_HEIGHT) + layout.padding;
  guint room = (guint) MAX (0.0, (height - layout.padding) / row);
  layout.lines = MIN (n, room);
  layout.height = layout.padding + layout.lines * row;
  return layout;
}

static void
draw_text (cairo_t *cr, const char *text, double x, double y, double width, double size)
{
  PangoLayout *layout = pango_cairo_create_layout (cr);
  PangoFontDescription *font = pango_font_description_from_string ("Sans Bold");
  pango_font_description_set_absolute_size (font, size * PANGO_SCALE);
  pango_layout_set_font_description (layout, font);
  pango_layout_set_single_paragraph_mode (layout, TRUE);
  pango_layout_set_width (layout, (int) (width * PANGO_SCALE));
  pango_layout_set_ellipsize (layout, PANGO_ELLIPSIZE_END);
  pango_layout_set_text (layout, text, -1);
  cairo_move_to (cr, x, y);
  pango_cairo_show_layout (cr, layout);
  pango_font_description_free (font);
  g_object_unref (layout);
}

static void
draw_bar (cairo_t *cr, const GstClipBar *bar, const Layout *l, double y, gboolean best)
{
  double x = l->padding, width = l->width - 2 * l->padding;
  g_autofree char *text = g_strdup_printf ("%3.0f %%  %s", CLAMP (bar->confidence, 0.0, 1.0) * 100, bar->label);
  cairo_set_source_rgb (cr, 1, 1, 1);
  draw_text (cr, text, x, y, width, l->line * 0.72);
  y += l->line;
  cairo_set_source_rgba (cr, 1, 1, 1, 0.25);
  cairo_rectangle (cr, x, y, width, l->line * BAR_HEIGHT);
  cairo_fill (cr);
  if (best)
    cairo_set_source_rgb (cr, 0.35, 0.85, 0.40);
  else
    cairo_set_source_rgb (cr, 0.45, 0.65, 0.95);
  cairo_rectangle (cr, x, y, width * CLAMP (bar->confidence, 0.0, 1.0), l->line * BAR_HEIGHT);
  cairo_fill (cr);
}

static void
draw_panel (cairo_t *cr, const GstClipBar *bars, const Layout *l)
{
  cairo_set_source_rgba (cr, 0, 0, 0, 0.6);
  cairo_paint (cr);
  double y = l->padding;
  for (guint i = 0; i < l->lines; i++) {
    draw_bar (cr, &bars[i], l, y, i == 0);
    y += l->line * (1.0 + BAR_HEIGHT) + l->padding;
  }
}

GstVideoOverlayRectangle *
gst_clip_draw (const GstClipBar *bars, guint n, guint width, guint height)
{
  Layout l = make_layout (n, width, height);
  gint w = (gint) l.width, h = (gint) MIN (l.height, height);
  if (l.lines == 0 || w <= 0 || h <= 0)
    return NULL;
  GstBuffer *pixels = gst_buffer_new_allocate (NULL, (gsize) w * h * 4, NULL);
  gst_buffer_memset (pixels, 0, 0, -1);
  gst_buffer_add_video_meta (pixels, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_OVERLAY_COMPOSITION_FORMAT_RGB, w, h);
  GstMapInfo map;
  gst_buffer_map (pixels, &map, GST_MAP_READWRITE);
  cairo_surface_t *surface = cairo_image_surface_create_for_data (map.data, CAIRO_FORMAT_ARGB32, w, h, w * 4);
  cairo_t *cr = cairo_create (surface);
  draw_panel (cr, bars, &l);
  cairo_destroy (cr);
  cairo_surface_destroy (surface);
  gst_buffer_unmap (pixels, &map);
  GstVideoOverlayRectangle *rectangle = gst_video_overlay_rectangle_new_raw (
      pixels, 0, 0, w, h, GST_VIDEO_OVERLAY_FORMAT_FLAG_PREMULTIPLIED_ALPHA);
  gst_buffer_unref (pixels);
  return rectangle;
}
