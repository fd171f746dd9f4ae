/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the image room: where the pixels of the output come from, and how a frame is stored. */
#pragma once

#include "clip-image.h"

G_BEGIN_DECLS

/** ClipGeometry: the frame is resized to width x height; of that, out_width x out_height pixels
 * from crop_x, crop_y on land at left, top of the output; the rest is black */
typedef struct {
  guint width, height;
  guint crop_x, crop_y;
  guint left, top, out_width, out_height;
} ClipGeometry;

void clip_geometry_init (ClipGeometry *geometry, const ClipPreprocessConfig *config, guint width, guint height);

/** ClipAxis: the filter of one axis for the outputs that the crop needs; output i is the sum of
 * weights[i * taps + t] * input[first[i] + t], in units of 2^-22 */
typedef struct {
  guint count, taps; /* taps of every output; short ones are filled up with zeros */
  guint from, to; /* the inputs that are read: from .. to - 1 */
  gint *first, *weights;
} ClipAxis;

/**
 * clip_axis_init:
 * @in_size, @out_size: before and after the resampling of the whole picture
 * @begin, @count: the outputs that are wanted
 * @group: the number of outputs becomes a multiple of this; those added have the last one's inputs and no weight
 * @align: the number of taps becomes a multiple of this
 */
void clip_axis_init (ClipAxis *axis, ClipFilter filter, guint in_size, guint out_size, guint begin,
    guint count, guint group, guint align);
void clip_axis_clear (ClipAxis *axis);

/** ClipFormatInfo: packed RGB, gray and YUV, as words (see kernels/preprocess.cl) */
typedef struct {
  const char *name, *options;
  guint pixel_bytes; /* of plane 0 */
  gboolean alpha, gray;
  guint chroma_bytes; /* from one chroma sample to the next; 0: not YUV */
  guint u_plane, v_plane, sub_x, sub_y;
} ClipFormatInfo;

/** clip_frame_check: the format's description, or NULL with CLIP_ERROR_IMAGE */
const ClipFormatInfo *clip_frame_check (const ClipFrame *frame, GError **error);

/** ClipPart: a rectangle of a frame's plane, and where it lies on the device */
typedef struct {
  guint plane;
  guint x, y, rows; /* samples */
  gsize x_bytes, bytes; /* of a row */
  gsize offset, pitch;
} ClipPart;

/**
 * clip_frame_parts:
 * @parts: (array length=3) (out): what must be copied of columns x0 .. x1 - 1, rows y0 .. y1 - 1,
 *   with the neighbours that chroma needs
 * @size: (out): bytes of all parts
 *
 * Returns: the number of parts: 1, 2 (chroma interleaved) or 3
 */
guint clip_frame_parts (const ClipFrame *frame, const ClipFormatInfo *info, guint x0, guint x1, guint y0,
    guint y1, ClipPart *parts, gsize *size);

/** ClipColor: YUV to RGB in units of 2^-21, chroma in sixteenths; half a unit is in y_bias */
typedef struct {
  gint y_scale, y_bias, r_v, g_u, g_v, b_u;
} ClipColor;

void clip_color_init (ClipColor *color, const ClipFrame *frame);

G_END_DECLS
