/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pixel formats: what they are made of, what of a frame is copied to the device, and YUV's matrix. */
#include "clip-image-private.h"

#include <math.h>

#define MAX_SIDE 16384
#define COLOR_BITS 21
#define RGB_AT(r, g, b) "-DPIXEL_BYTES=4 -DR_AT=" #r " -DG_AT=" #g " -DB_AT=" #b
#define RGBA_AT(r, g, b, a) RGB_AT (r, g, b) " -DA_AT=" #a
#define PLANAR "-DPIXEL_BYTES=1 -DY_AT=0 -DCHROMA_BYTES=1 -DU_AT=0 -DV_AT=0"
#define SEMI(u, v) "-DPIXEL_BYTES=1 -DY_AT=0 -DCHROMA_BYTES=2 -DU_AT=" #u " -DV_AT=" #v " -DSUB_X=1"
#define PACKED(y, u, v) \
  "-DPIXEL_BYTES=2 -DY_AT=" #y " -DCHROMA_BYTES=4 -DU_AT=" #u " -DV_AT=" #v " -DSUB_X=1"

static const ClipFormatInfo formats[] = {
  [CLIP_FORMAT_RGB] = { "RGB", "-DPIXEL_BYTES=3 -DR_AT=0 -DG_AT=8 -DB_AT=16", 3 },
  [CLIP_FORMAT_BGR] = { "BGR", "-DPIXEL_BYTES=3 -DR_AT=16 -DG_AT=8 -DB_AT=0", 3 },
  [CLIP_FORMAT_RGBX] = { "RGBx", RGB_AT (0, 8, 16), 4 },
  [CLIP_FORMAT_XRGB] = { "xRGB", RGB_AT (8, 16, 24), 4 },
  [CLIP_FORMAT_BGRX] = { "BGRx", RGB_AT (16, 8, 0), 4 },
  [CLIP_FORMAT_XBGR] = { "xBGR", RGB_AT (24, 16, 8), 4 },
  [CLIP_FORMAT_RGBA] = { "RGBA", RGBA_AT (0, 8, 16, 24), 4, .alpha = TRUE },
  [CLIP_FORMAT_ARGB] = { "ARGB", RGBA_AT (8, 16, 24, 0), 4, .alpha = TRUE },
  [CLIP_FORMAT_BGRA] = { "BGRA", RGBA_AT (16, 8, 0, 24), 4, .alpha = TRUE },
  [CLIP_FORMAT_ABGR] = { "ABGR", RGBA_AT (24, 16, 8, 0), 4, .alpha = TRUE },
  [CLIP_FORMAT_GRAY8] = { "GRAY8", "-DPIXEL_BYTES=1 -DY_AT=0", 1, .gray = TRUE },
  [CLIP_FORMAT_NV12] = { "NV12", SEMI (0, 8), 1, FALSE, FALSE, 2, 1, 1, 1, 1 },
  [CLIP_FORMAT_NV21] = { "NV21", SEMI (8, 0), 1, FALSE, FALSE, 2, 1, 1, 1, 1 },
  [CLIP_FORMAT_I420] = { "I420", PLANAR " -DSUB_X=1", 1, FALSE, FALSE, 1, 1, 2, 1, 1 },
  [CLIP_FORMAT_YV12] = { "YV12", PLANAR " -DSUB_X=1", 1, FALSE, FALSE, 1, 2, 1, 1, 1 },
  [CLIP_FORMAT_YUY2] = { "YUY2", PACKED (0, 8, 24), 2, FALSE, FALSE, 4, 0, 0, 1, 0 },
  [CLIP_FORMAT_UYVY] = { "UYVY", PACKED (8, 0, 16), 2, FALSE, FALSE, 4, 0, 0, 1, 0 },
  [CLIP_FORMAT_Y42B] = { "Y42B", PLANAR " -DSUB_X=1", 1, FALSE, FALSE, 1, 1, 2, 1, 0 },
  [CLIP_FORMAT_Y444] = { "Y444", PLANAR " -DSUB_X=0", 1, FALSE, FALSE, 1, 1, 2, 0, 0 },
};

static guint
halved (guint n, guint shift)
{
  return (n + shift) >> shift;
}

/* bytes that a row of the plane needs */
static gsize
row_bytes (const ClipFormatInfo *info, guint width, guint plane)
{
  if (plane > 0)
    return (gsize) halved (width, info->sub_x) * info->chroma_bytes;
  if (info->chroma_bytes == 4) /* two pixels share a word of four bytes */
    return (gsize) halved (width, 1) * 4;
  return (gsize) width * info->pixel_bytes;
}

static guint
plane_count (const ClipFormatInfo *info)
{
  return info->chroma_bytes == 0 ? 1 : MAX (info->u_plane, info->v_plane) + 1;
}

/* A matrix with hardly any green would leave the range of 32-bit arithmetic */
static gboolean
matrix_is_sane (const ClipFrame *frame)
{
  return frame->kr >= 0 && frame->kb >= 0 && frame->kr + frame->kb <= 0.8f;
}

static gboolean
check_crop (const ClipFrame *frame, GError **error)
{
  const ClipRect *c = &frame->crop;
  gboolean inside = c->width == 0
                    || (c->height > 0 && c->x < frame->width && c->y < frame->height
                        && c->width <= frame->width - c->x && c->height <= frame->height - c->y);
  if (!inside)
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
        "frame: a crop of %u x %u pixels at %u, %u does not lie in %u x %u pixels", c->width, c->height, c->x, c->y,
        frame->width, frame->height);
  return inside;
}

const ClipFormatInfo *
clip_frame_check (const ClipFrame *frame, GError **error)
{
  if ((guint) frame->format >= G_N_ELEMENTS (formats)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "frame: unknown pixel format %d", frame->format);
    return NULL;
  }
  const ClipFormatInfo *info = &formats[frame->format];
  if (frame->width < 1 || frame->height < 1 || frame->width > MAX_SIDE || frame->height > MAX_SIDE) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
        "frame: %u x %u pixels, expected 1 to %d on each side; scale it before", frame->width, frame->height,
        MAX_SIDE);
    return NULL;
  }
  for (guint i = 0; i < plane_count (info); i++) {
    gsize need = row_bytes (info, frame->width, i);
    if (frame->planes[i] && frame->strides[i] >= need)
      continue;
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
        "frame: plane %u of %s with %u pixels a row has %s stride of %" G_GSIZE_FORMAT
        " bytes, expected at least %" G_GSIZE_FORMAT,
        i, info->name, frame->width, frame->planes[i] ? "a" : "no data and a", frame->strides[i], need);
    return NULL;
  }
  if (info->chroma_bytes > 0 && !matrix_is_sane (frame)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
        "frame: luma coefficients Kr %g, Kb %g, expected both positive and at most 0.8 together", frame->kr,
        frame->kb);
    return NULL;
  }
  return check_crop (frame, error) ? info : NULL;
}

static void
place (ClipPart *part, guint samples, guint sample_bytes, gsize *size)
{
  part->x_bytes = (gsize) part->x * sample_bytes;
  part->bytes = (gsize) samples * sample_bytes;
  part->pitch = (part->bytes + 63) & ~(gsize) 63;
  part->offset = *size;
  *size += part->pitch * part->rows;
}

static void
place_chroma (const ClipFrame *frame, const ClipFormatInfo *info, const ClipPart *luma, guint x1, guint y1,
    ClipPart *part, gsize *size)
{
  guint before_x = info->sub_x, before_y = info->sub_y;
  guint last_x = (x1 - 1) >> info->sub_x, last_y = (y1 - 1) >> info->sub_y;
  part->x = luma->x >> info->sub_x;
  part->y = luma->y >> info->sub_y;
  part->x -= MIN (part->x, before_x);
  part->y -= MIN (part->y, before_y);
  guint end_x = MIN (last_x + 1 + before_x, halved (frame->width, info->sub_x));
  guint end_y = MIN (last_y + 1 + before_y, halved (frame->height, info->sub_y));
  part->rows = end_y - part->y;
  place (part, end_x - part->x, info->chroma_bytes, size);
}

guint
clip_frame_parts (const ClipFrame *frame, const ClipFormatInfo *info, guint x0, guint x1, guint y0, guint y1,
    ClipPart *parts, gsize *size)
{
  *size = 0;
  x0 &= ~1u; /* chroma's pairs begin at even columns */
  parts[0] = (ClipPart){ .x = x0, .y = y0, .rows = y1 - y0 };
  if (info->chroma_bytes == 4) { /* neighbouring chroma lies in the same row */
    parts[0].x -= MIN (x0, 2);
    x1 = MIN (((x1 + 1) & ~1u) + 2, (frame->width + 1) & ~1u);
  }
  place (&parts[0], x1 - parts[0].x, info->pixel_bytes, size);
  guint count = plane_count (info);
  for (guint i = 1; i < count; i++) {
    parts[i] = (ClipPart){ .plane = i };
    place_chroma (frame, info, &parts[0], x1, y1, &parts[i], size);
  }
  return count;
}

/* R = Y' + 2 (1 - Kr) Cr, B = Y' + 2 (1 - Kb) Cb, Y' = Kr R + Kg G + Kb B (ITU-R BT.601, BT.709) */
void
clip_color_init (ClipColor *color, const ClipFrame *frame)
{
  double unit = 1 << COLOR_BITS, kr = frame->kr, kb = frame->kb, kg = 1 - kr - kb;
  double chroma = unit / 16 * (frame->full_range ? 1.0 : 255.0 / 224.0);
  color->y_scale = (gint) lrint (unit * (frame->full_range ? 1.0 : 255.0 / 219.0));
  color->y_bias = (1 << (COLOR_BITS - 1)) - (frame->full_range ? 0 : 16 * color->y_scale);
  color->r_v = (gint) lrint (chroma * 2 * (1 - kr));
  color->b_u = (gint) lrint (chroma * 2 * (1 - kb));
  color->g_u = (gint) lrint (-chroma * 2 * kb * (1 - kb) / kg);
  color->g_v = (gint) lrint (-chroma * 2 * kr * (1 - kr) / kg);
}
