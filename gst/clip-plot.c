/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-plot.h"

#include <math.h>
#include <pango/pangocairo.h>

#include "clip-error.h"

#define MARGIN 16.0
#define LARGEST_CELL 96.0
#define TABLE_SIDE 1600.0 /* what many rows or columns share */
#define SMALLEST_CELL 1.0
#define LARGEST_LABEL 460.0
#define SMALLEST_TEXT 7.0 /* smaller letters cannot be read, and are left out */
#define FONT "Sans"

typedef struct {
  double cell, text;          /* side of a cell, height of letters */
  double left, top;           /* of the table */
  double width, height;       /* of the picture */
} Layout;

/* The viridis colours of matplotlib (S. van der Walt and N. Smith, CC0) at ten places */
static const guint8 colours[][3] = { { 68, 1, 84 }, { 72, 40, 120 }, { 62, 74, 137 }, { 49, 104, 142 },
  { 38, 130, 142 }, { 31, 158, 137 }, { 53, 183, 121 }, { 110, 206, 88 }, { 181, 222, 43 },
  { 253, 231, 37 } };

/* Share of the way from the first colour to the last */
static double
place_of (const ClipHeatMap *map, float value)
{
  const double range = (double) map->high - map->low;
  const double place = range > 0 ? ((double) value - map->low) / range : 0.5;
  return isfinite (place) ? CLAMP (place, 0.0, 1.0) : 0.0;
}

static void
set_colour (cairo_t *cr, double place)
{
  const double at = place * (G_N_ELEMENTS (colours) - 1);
  const guint first = MIN ((guint) at, G_N_ELEMENTS (colours) - 2);
  const double part = at - first;
  double rgb[3];
  for (guint i = 0; i < 3; i++)
    rgb[i] = (colours[first][i] * (1 - part) + colours[first + 1][i] * part) / 255.0;
  cairo_set_source_rgb (cr, rgb[0], rgb[1], rgb[2]);
}

/* (transfer full) */
static PangoLayout *
text_layout (cairo_t *cr, const char *text, double size, double width)
{
  PangoLayout *layout = pango_cairo_create_layout (cr);
  PangoFontDescription *font = pango_font_description_from_string (FONT);
  pango_font_description_set_absolute_size (font, size * PANGO_SCALE);
  pango_layout_set_font_description (layout, font);
  pango_font_description_free (font);
  pango_layout_set_single_paragraph_mode (layout, TRUE);
  pango_layout_set_ellipsize (layout, PANGO_ELLIPSIZE_END);
  pango_layout_set_width (layout, (int) (width * PANGO_SCALE));
  pango_layout_set_text (layout, text, -1);
  return layout;
}

static double
widest (cairo_t *cr, const char *const *labels, guint n, double size)
{
  double most = 0;
  for (guint i = 0; labels && i < n; i++) {
    g_autoptr (PangoLayout) layout = text_layout (cr, labels[i], size, LARGEST_LABEL);
    int width = 0;
    pango_layout_get_pixel_size (layout, &width, NULL);
    most = MAX (most, width);
  }
  return most;
}

static Layout
make_layout (const ClipHeatMap *map)
{
  Layout layout = { 0 };
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_RGB24, 1, 1);
  cairo_t *cr = cairo_create (surface);
  layout.cell = floor (CLAMP (TABLE_SIDE / MAX (map->rows, map->columns), SMALLEST_CELL, LARGEST_CELL));
  layout.text = MIN (17.0, layout.cell * 0.75);
  const gboolean readable = layout.text >= SMALLEST_TEXT;
  layout.left = MARGIN + (readable ? widest (cr, map->row_labels, map->rows, layout.text) + 10 : 0);
  layout.top = MARGIN;
  if (map->column_images)
    layout.top += layout.cell;
  else if (map->column_labels && readable)
    layout.top += widest (cr, map->column_labels, map->columns, layout.text) + 10;
  layout.width = layout.left + map->columns * layout.cell + MARGIN;
  layout.height = layout.top + map->rows * layout.cell + MARGIN;
  cairo_destroy (cr);
  cairo_surface_destroy (surface);
  return layout;
}

static void
draw_number (cairo_t *cr, const Layout *l, float value, double place, double x, double y)
{
  const gboolean whole = value == floorf (value) && (value == 0 || fabsf (value) >= 2); /* a count */
  /* what rounds to zero has no sign */
  g_autofree char *text = g_strdup_printf (whole ? "%.0f" : "%.2f", fabsf (value) < 0.005f ? 0.0 : (double) value);
  g_autoptr (PangoLayout) layout = text_layout (cr, text, l->cell * 0.24, l->cell);
  pango_layout_set_alignment (layout, PANGO_ALIGN_CENTER);
  int height = 0;
  pango_layout_get_pixel_size (layout, NULL, &height);
  const double grey = place > 0.6 ? 0.05 : 1.0;
  cairo_set_source_rgb (cr, grey, grey, grey);
  cairo_move_to (cr, x, y + (l->cell - height) / 2);
  pango_cairo_show_layout (cr, layout);
}

static void
draw_cells (cairo_t *cr, const ClipHeatMap *map, const Layout *l)
{
  const gboolean numbers = l->cell * 0.24 >= SMALLEST_TEXT;
  for (guint row = 0; row < map->rows; row++)
    for (guint column = 0; column < map->columns; column++) {
      const float value = map->values[(gsize) row * map->columns + column];
      const double x = l->left + column * l->cell, y = l->top + row * l->cell, place = place_of (map, value);
      set_colour (cr, place);
      cairo_rectangle (cr, x, y, l->cell, l->cell);
      cairo_fill (cr);
      if (numbers)
        draw_number (cr, l, value, place, x, y);
    }
}

static void
draw_row_labels (cairo_t *cr, const ClipHeatMap *map, const Layout *l)
{
  for (guint row = 0; row < map->rows; row++) {
    g_autoptr (PangoLayout) layout = text_layout (cr, map->row_labels[row], l->text, l->left - MARGIN - 10);
    pango_layout_set_alignment (layout, PANGO_ALIGN_RIGHT);
    int height = 0;
    pango_layout_get_pixel_size (layout, NULL, &height);
    cairo_move_to (cr, MARGIN, l->top + row * l->cell + (l->cell - height) / 2);
    pango_cairo_show_layout (cr, layout);
  }
}

/* Upright letters would need more room: they are turned to be read from below */
static void
draw_column_labels (cairo_t *cr, const ClipHeatMap *map, const Layout *l)
{
  for (guint column = 0; column < map->columns; column++) {
    g_autoptr (PangoLayout) layout = text_layout (cr, map->column_labels[column], l->text, l->top - MARGIN - 10);
    int height = 0;
    pango_layout_get_pixel_size (layout, NULL, &height);
    cairo_save (cr);
    cairo_translate (cr, l->left + column * l->cell + (l->cell - height) / 2, l->top - 10);
    cairo_rotate (cr, -G_PI / 2);
    pango_cairo_show_layout (cr, layout);
    cairo_restore (cr);
  }
}

static void
draw_column_images (cairo_t *cr, const ClipHeatMap *map, const Layout *l)
{
  const double side = l->cell - 4;
  for (guint column = 0; column < map->columns; column++) {
    cairo_surface_t *image = map->column_images[column];
    const int width = cairo_image_surface_get_width (image), height = cairo_image_surface_get_height (image);
    const double scale = side / MAX (MAX (width, height), 1);
    cairo_save (cr);
    cairo_translate (cr, l->left + column * l->cell + (l->cell - width * scale) / 2,
        l->top - 4 - side + (side - height * scale) / 2);
    cairo_scale (cr, scale, scale);
    cairo_set_source_surface (cr, image, 0, 0);
    cairo_paint (cr);
    cairo_restore (cr);
  }
}

static void
draw (cairo_t *cr, const ClipHeatMap *map, const Layout *l)
{
  cairo_set_source_rgb (cr, 1, 1, 1);
  cairo_paint (cr);
  draw_cells (cr, map, l);
  cairo_set_source_rgb (cr, 0.1, 0.1, 0.1);
  if (l->text >= SMALLEST_TEXT)
    draw_row_labels (cr, map, l);
  if (map->column_images)
    draw_column_images (cr, map, l);
  else if (map->column_labels && l->text >= SMALLEST_TEXT)
    draw_column_labels (cr, map, l);
}

static cairo_status_t
append (void *closure, const unsigned char *data, unsigned int length)
{
  g_byte_array_append (closure, data, length);
  return CAIRO_STATUS_SUCCESS;
}

gboolean
clip_plot_heat_map (const char *path, const ClipHeatMap *map, GError **error)
{
  const Layout layout = make_layout (map);
  cairo_surface_t *surface
      = cairo_image_surface_create (CAIRO_FORMAT_RGB24, (int) ceil (layout.width), (int) ceil (layout.height));
  cairo_t *cr = cairo_create (surface);
  draw (cr, map, &layout);
  g_autoptr (GByteArray) png = g_byte_array_new ();
  cairo_status_t status = cairo_status (cr);
  if (status == CAIRO_STATUS_SUCCESS)
    status = cairo_surface_write_to_png_stream (surface, append, png);
  cairo_destroy (cr);
  cairo_surface_destroy (surface);
  if (status != CAIRO_STATUS_SUCCESS) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "a table of %u x %u cannot be drawn: %s", map->rows, map->columns,
        cairo_status_to_string (status));
    return FALSE;
  }
  return g_file_set_contents (path, (const char *) png->data, png->len, error);
}
