/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "twin.h"

#include <math.h>
#include <string.h>

/* where R, G, B, A lie in a pixel; -1: no alpha */
static const gint8 packed[][5] = {
  [CLIP_FORMAT_RGB] = { 0, 1, 2, -1, 3 }, [CLIP_FORMAT_BGR] = { 2, 1, 0, -1, 3 },
  [CLIP_FORMAT_RGBX] = { 0, 1, 2, -1, 4 }, [CLIP_FORMAT_XRGB] = { 1, 2, 3, -1, 4 },
  [CLIP_FORMAT_BGRX] = { 2, 1, 0, -1, 4 }, [CLIP_FORMAT_XBGR] = { 3, 2, 1, -1, 4 },
  [CLIP_FORMAT_RGBA] = { 0, 1, 2, 3, 4 }, [CLIP_FORMAT_ARGB] = { 1, 2, 3, 0, 4 },
  [CLIP_FORMAT_BGRA] = { 2, 1, 0, 3, 4 }, [CLIP_FORMAT_ABGR] = { 3, 2, 1, 0, 4 },
};

static gboolean
is_420 (ClipFormat f)
{
  return f == CLIP_FORMAT_NV12 || f == CLIP_FORMAT_NV21 || f == CLIP_FORMAT_I420 || f == CLIP_FORMAT_YV12;
}

static guint8
luma_at (const ClipFrame *f, guint x, guint y)
{
  const guint8 *row = f->planes[0] + y * f->strides[0];
  if (f->format == CLIP_FORMAT_YUY2)
    return row[2 * x];
  return f->format == CLIP_FORMAT_UYVY ? row[2 * x + 1] : row[x];
}

/* sample X, Y of the stored chroma; COMPONENT 0: U, 1: V */
static gint
chroma_at (const ClipFrame *f, gint component, guint x, guint y)
{
  switch (f->format) {
  case CLIP_FORMAT_NV12:
    return f->planes[1][y * f->strides[1] + 2 * x + component];
  case CLIP_FORMAT_NV21:
    return f->planes[1][y * f->strides[1] + 2 * x + 1 - component];
  case CLIP_FORMAT_YUY2:
    return f->planes[0][y * f->strides[0] + 4 * x + 1 + 2 * component];
  case CLIP_FORMAT_UYVY:
    return f->planes[0][y * f->strides[0] + 4 * x + 2 * component];
  case CLIP_FORMAT_YV12:
    return f->planes[2 - component][y * f->strides[2 - component] + x];
  default:
    return f->planes[1 + component][y * f->strides[1 + component] + x];
  }
}

/* the two samples that pixel I lies between, and the quarters of the first */
static gint
between (guint i, guint n, gboolean halved, gboolean cosited, guint *a, guint *b)
{
  guint last = (n + 1) / 2 - 1;
  *a = *b = halved ? i / 2 : i;
  if (!halved)
    return 4;
  if (i % 2 == 1)
    *b = MIN (*a + 1, last);
  else if (!cosited)
    *b = *a > 0 ? *a - 1 : 0;
  return cosited ? 2 : 3;
}

/* chroma of a pixel in sixteenths */
static gint
chroma16 (const ClipFrame *f, gint component, guint x, guint y)
{
  guint xa, xb, ya, yb;
  gint nx = between (x, f->width, f->format != CLIP_FORMAT_Y444, f->chroma_site & CLIP_CHROMA_LEFT_X, &xa, &xb);
  gint ny = between (y, f->height, is_420 (f->format), f->chroma_site & CLIP_CHROMA_TOP_Y, &ya, &yb);
  return ny * (nx * chroma_at (f, component, xa, ya) + (4 - nx) * chroma_at (f, component, xb, ya))
      + (4 - ny) * (nx * chroma_at (f, component, xa, yb) + (4 - nx) * chroma_at (f, component, xb, yb));
}

static guint8
clip8 (gint64 v)
{
  return v < 0 ? 0 : v > 255 ? 255 : (guint8) v;
}

/* floor division by 2^N for negative numbers too */
static gint64
shift_down (gint64 v, guint n)
{
  gint64 unit = (gint64) 1 << n;
  return v >= 0 ? v / unit : -((-v + unit - 1) / unit);
}

static void
yuv_pixel (const ClipFrame *f, guint x, guint y, guint8 rgba[4])
{
  double kr = f->kr, kb = f->kb, kg = 1 - kr - kb, unit = 2097152, c = f->full_range ? 1 : 255.0 / 224;
  gint64 scale = lrint (unit * (f->full_range ? 1 : 255.0 / 219));
  gint64 l = (luma_at (f, x, y) - (f->full_range ? 0 : 16)) * scale + 1048576, u = 0, v = 0;
  if (f->format != CLIP_FORMAT_GRAY8) {
    u = chroma16 (f, 0, x, y) - 16 * 128;
    v = chroma16 (f, 1, x, y) - 16 * 128;
  }
  c = unit / 16 * c;
  rgba[0] = clip8 (shift_down (l + v * lrint (c * 2 * (1 - kr)), 21));
  rgba[1] = clip8 (
      shift_down (l + u * lrint (-c * 2 * kb * (1 - kb) / kg) + v * lrint (-c * 2 * kr * (1 - kr) / kg), 21));
  rgba[2] = clip8 (shift_down (l + u * lrint (c * 2 * (1 - kb)), 21));
  rgba[3] = 255;
}

void
twin_exact (const ClipFrame *f, guint x, guint y, double rgb[3])
{
  double kr = f->kr, kb = f->kb, kg = 1 - kr - kb;
  double l = luma_at (f, x, y), u = 0, v = 0;
  if (f->format != CLIP_FORMAT_GRAY8) {
    u = chroma16 (f, 0, x, y) / 16.0 - 128;
    v = chroma16 (f, 1, x, y) / 16.0 - 128;
  }
  l = f->full_range ? l / 255 : (l - 16) / 219;
  u /= f->full_range ? 255 : 224;
  v /= f->full_range ? 255 : 224;
  rgb[0] = 255 * (l + 2 * (1 - kr) * v);
  rgb[1] = 255 * (l - 2 * kb * (1 - kb) / kg * u - 2 * kr * (1 - kr) / kg * v);
  rgb[2] = 255 * (l + 2 * (1 - kb) * u);
}

void
twin_pixel (const ClipFrame *f, guint x, guint y, guint8 rgba[4])
{
  if (f->format >= CLIP_FORMAT_GRAY8) {
    yuv_pixel (f, x, y, rgba);
    return;
  }
  const gint8 *at = packed[f->format];
  const guint8 *pixel = f->planes[0] + y * f->strides[0] + x * (gsize) at[4];
  for (guint c = 0; c < 4; c++)
    rgba[c] = at[c] < 0 ? 255 : pixel[at[c]];
}

static double
kernel (ClipFilter filter, double x)
{
  x = fabs (x);
  if (filter == CLIP_FILTER_BILINEAR)
    return x < 1 ? 1 - x : 0;
  if (x < 1)
    return ((-0.5 + 2.0) * x - (-0.5 + 3.0)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/* One value of one pass: output I of N, from M samples that lie STEP bytes apart */
static guint8
resample (ClipFilter filter, const guint8 *in, gsize step, guint m, guint n, guint i)
{
  double scale = (double) m / n, wide = scale > 1 ? scale : 1, total = 0;
  double support = wide * (filter == CLIP_FILTER_BICUBIC ? 2 : 1), center = (i + 0.5) * scale;
  gint first = MAX (0, (gint) (center - support + 0.5)), end = MIN ((gint) m, (gint) (center + support + 0.5));
  gint64 sum = 1 << 21;
  for (gint x = first; x < end; x++)
    total += kernel (filter, (x - center + 0.5) * (1.0 / wide));
  for (gint x = first; x < end; x++) {
    double w = kernel (filter, (x - center + 0.5) * (1.0 / wide)) / total;
    sum += (gint64) (w * 4194304 + (w < 0 ? -0.5 : 0.5)) * in[(gsize) x * step];
  }
  return clip8 (shift_down (sum, 22));
}

/* [height, width, 4] -> [h, w, 4] */
static guint8 *
resize (ClipFilter filter, const guint8 *in, guint width, guint height, guint w, guint h)
{
  g_autofree guint8 *wide = g_malloc ((gsize) w * height * 4);
  guint8 *out = g_malloc ((gsize) w * h * 4);
  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < w; x++)
      for (guint c = 0; c < 4; c++) {
        const guint8 *row = in + (gsize) y * width * 4 + c;
        wide[((gsize) y * w + x) * 4 + c] = w == width ? row[x * 4] : resample (filter, row, 4, width, w, x);
      }
  for (guint y = 0; y < h; y++)
    for (guint x = 0; x < w; x++)
      for (guint c = 0; c < 4; c++) {
        const guint8 *column = wide + (gsize) x * 4 + c;
        out[((gsize) y * w + x) * 4 + c] = h == height
            ? column[(gsize) y * w * 4] : resample (filter, column, (gsize) w * 4, height, h, y);
      }
  return out;
}

static void
multiply_alpha (guint8 *rgba, gsize pixels)
{
  for (gsize i = 0; i < pixels; i++)
    for (guint c = 0; c < 3; c++) {
      guint t = rgba[4 * i + c] * rgba[4 * i + 3] + 128;
      rgba[4 * i + c] = (guint8) (((t >> 8) + t) >> 8);
    }
}

static void
divide_alpha (guint8 *rgba, gsize pixels)
{
  for (gsize i = 0; i < pixels; i++) {
    guint a = rgba[4 * i + 3];
    for (guint c = 0; c < 3 && a != 0 && a != 255; c++)
      rgba[4 * i + c] = clip8 (255 * rgba[4 * i + c] / a);
  }
}

static void
resized_size (const ClipPreprocessConfig *config, guint width, guint height, guint *w, guint *h)
{
  guint s = config->size;
  *w = *h = s;
  if (config->mode == CLIP_RESIZE_SHORTEST) {
    if (width < height)
      *h = (guint) ((double) ((gint64) s * height) / width);
    else
      *w = (guint) ((double) ((gint64) s * width) / height);
  } else if (config->mode == CLIP_RESIZE_LONGEST) {
    double ratio = MAX (width, height) / (double) s;
    *w = MAX (1, (guint) rint (width / ratio));
    *h = MAX (1, (guint) rint (height / ratio));
  }
}

/* first pixel of the crop, or minus the width of the black border */
static gint
offset (guint n, guint size)
{
  return n >= size ? (gint) rint ((n - size) / 2.0) : -(gint) ((size - n) / 2);
}

void
twin_run (const ClipPreprocessConfig *config, const ClipFrame *f, guint8 *rgb)
{
  guint w, h, size = config->size;
  gsize pixels = (gsize) f->width * f->height;
  g_autofree guint8 *rgba = g_malloc (pixels * 4);
  resized_size (config, f->width, f->height, &w, &h);
  for (gsize i = 0; i < pixels; i++)
    twin_pixel (f, (guint) (i % f->width), (guint) (i / f->width), rgba + 4 * i);
  gboolean alpha = f->use_alpha && (w != f->width || h != f->height);
  if (alpha)
    multiply_alpha (rgba, pixels);
  g_autofree guint8 *out = resize (config->filter, rgba, f->width, f->height, w, h);
  if (alpha)
    divide_alpha (out, (gsize) w * h);
  gint left = offset (w, size), top = offset (h, size);
  memset (rgb, 0, (gsize) size * size * 3);
  for (gint y = 0; y < (gint) size; y++)
    for (gint x = 0; x < (gint) size; x++)
      if (x + left >= 0 && x + left < (gint) w && y + top >= 0 && y + top < (gint) h)
        memcpy (rgb + ((gsize) y * size + x) * 3, out + ((gsize) (y + top) * w + x + left) * 4, 3);
}
