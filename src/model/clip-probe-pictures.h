/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures by which two ways to compute the same model are compared. */
#pragma once

#include "weights/clip-weights.h"

G_BEGIN_DECLS

#define CLIP_PROBE_PICTURES 8

/**
 * clip_probe_draw:
 * @index: below CLIP_PROBE_PICTURES: a smooth field, a gradient, shapes, stripes, noise, clouds, shapes in a scene's light,
 *   and a dark picture with a lamp
 * @pixels: (array): receives [3,size,size], normalised as @config says: what clip_preprocessor_run() would give for a
 *   picture of that size
 *
 * The same for everybody: nothing is random.
 */
void clip_probe_draw (guint index, const ClipPreprocessConfig *config, float *pixels);

G_END_DECLS
