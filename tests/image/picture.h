/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames for the tests: random ones of any format, and one picture in two packings. */
#pragma once

#include "image/clip-image.h"

G_BEGIN_DECLS

extern const char *const picture_format_names[];
#define PICTURE_FORMATS (CLIP_FORMAT_Y444 + 1)

/** Picture: a frame with its memory; each plane is an allocation of exactly the bytes that it needs,
 * so that AddressSanitizer sees a read behind it */
typedef struct {
  ClipFrame frame;
  guint8 *planes[3];
} Picture;

/** picture_new: @padding more bytes a row than needed; content is left to the caller */
Picture *picture_new (ClipFormat format, guint width, guint height, guint padding);
void picture_free (Picture *picture);
/** picture_fill: noise, or black and white noise when @extreme */
void picture_fill (Picture *picture, GRand *rand, gboolean extreme);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Picture, picture_free)

G_END_DECLS
