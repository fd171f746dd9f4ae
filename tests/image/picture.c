/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "picture.h"

#include <string.h>

const char *const picture_format_names[] = { "RGB", "BGR", "RGBx", "xRGB", "BGRx", "xBGR", "RGBA", "ARGB",
  "BGRA", "ABGR", "GRAY8", "NV12", "NV21", "I420", "YV12", "YUY2", "UYVY", "Y42B", "Y444" };

static gsize
row_bytes (ClipFormat format, guint width, guint plane)
{
  guint half = (width + 1) / 2;
  switch (format) {
  case CLIP_FORMAT_RGB:
  case CLIP_FORMAT_BGR:
    return plane ? 0 : (gsize) width * 3;
  case CLIP_FORMAT_GRAY8:
    return plane ? 0 : width;
  case CLIP_FORMAT_NV12:
  case CLIP_FORMAT_NV21:
    return plane == 0 ? width : plane == 1 ? half * 2 : 0;
  case CLIP_FORMAT_I420:
  case CLIP_FORMAT_YV12:
  case CLIP_FORMAT_Y42B:
    return plane == 0 ? width : half;
  case CLIP_FORMAT_YUY2:
  case CLIP_FORMAT_UYVY:
    return plane ? 0 : (gsize) half * 4;
  case CLIP_FORMAT_Y444:
    return width;
  default:
    return plane ? 0 : (gsize) width * 4;
  }
}

static guint
plane_rows (ClipFormat format, guint height, guint plane)
{
  return plane > 0 && format >= CLIP_FORMAT_NV12 && format <= CLIP_FORMAT_YV12 ? (height + 1) / 2 : height;
}

/* the last row ends with its pixels: padding behind it need not be there */
static gsize
plane_size (const ClipFrame *frame, guint plane)
{
  gsize bytes = row_bytes (frame->format, frame->width, plane);
  return bytes ? (plane_rows (frame->format, frame->height, plane) - 1) * frame->strides[plane] + bytes : 0;
}

Picture *
picture_new (ClipFormat format, guint width, guint height, guint padding)
{
  Picture *picture = g_new0 (Picture, 1);
  ClipFrame *frame = &picture->frame;
  *frame = (ClipFrame){ .format = format, .width = width, .height = height, .kr = 0.299f, .kb = 0.114f };
  for (guint i = 0; i < 3 && row_bytes (format, width, i) > 0; i++) {
    frame->strides[i] = row_bytes (format, width, i) + padding;
    picture->planes[i] = g_malloc0 (plane_size (frame, i));
    frame->planes[i] = picture->planes[i];
  }
  return picture;
}

void
picture_free (Picture *picture)
{
  for (guint i = 0; i < 3; i++)
    g_free (picture->planes[i]);
  g_free (picture);
}

void
picture_fill (Picture *picture, GRand *rand, gboolean extreme)
{
  for (guint i = 0; i < 3; i++) {
    for (gsize k = 0; k < plane_size (&picture->frame, i); k++) {
      guint8 value = (guint8) g_rand_int (rand);
      picture->planes[i][k] = extreme ? (value & 1 ? 255 : 0) : value;
    }
  }
}
