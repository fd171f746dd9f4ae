/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The naive twin of the preprocessing: a pixel at a time, whole pictures, nothing clever. */
#pragma once

#include "image/clip-image.h"

G_BEGIN_DECLS

/** twin_pixel: RGBA of one pixel, as the device must convert it */
void twin_pixel (const ClipFrame *frame, guint x, guint y, guint8 rgba[4]);
/** twin_exact: the same by the formula in double precision, not clipped, scale 0..255 */
void twin_exact (const ClipFrame *frame, guint x, guint y, double rgb[3]);
/** twin_run: the size x size x 3 picture before normalisation */
void twin_run (const ClipPreprocessConfig *config, const ClipFrame *frame, guint8 *rgb);

G_END_DECLS
