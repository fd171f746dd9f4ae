/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much a picture differs from one that was kept: cheap, and deaf to the noise of a sensor. */
#pragma once

#include "clip-image.h"

G_BEGIN_DECLS

/**
 * ClipChange:
 *
 * Means of luma over a grid of at most 16 x 9 cells. A cell of a 640x480 picture has a thousand samples, so that
 * noise of 8 levels a pixel moves its mean by a quarter of a level; a person in it moves it by many. A threshold of 3
 * passes over noise and a flicker of one level.
 */
typedef struct _ClipChange ClipChange;

ClipChange *clip_change_new (void);
void clip_change_free (ClipChange *change);
/** clip_change_reset: nothing is kept */
void clip_change_reset (ClipChange *change);

/**
 * clip_change_measure:
 * @frame: its crop is not looked at
 *
 * Returns: the largest difference of a cell's mean from the kept picture's, in levels of 0..255; INFINITY when nothing
 *   is kept, or a picture of another size or format
 */
double clip_change_measure (ClipChange *change, const ClipFrame *frame);

/** clip_change_keep: keeps the picture that was measured last */
void clip_change_keep (ClipChange *change);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipChange, clip_change_free)

G_END_DECLS
