/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of parameters by chance, and the shapes on which they are tried. */
#pragma once

#include "clip-gemm-tune.h"

G_BEGIN_DECLS

/** ClipGemmDraw: gives sets of a family's parameters that are valid, fit the device, and were not given before */
typedef struct _ClipGemmDraw ClipGemmDraw;

ClipGemmDraw *clip_gemm_draw_new (ClipDevice *device);
void clip_gemm_draw_free (ClipGemmDraw *draw);
/** clip_gemm_draw_begin: with @family, of which none was given yet */
void clip_gemm_draw_begin (ClipGemmDraw *draw, ClipGemmFamily family);
/** clip_gemm_draw_add: FALSE: @set is not valid, does not fit, or was given before */
gboolean clip_gemm_draw_add (ClipGemmDraw *draw, const ClipGemmSet *set);
/**
 * clip_gemm_draw_next:
 * @near: (nullable): the set that is given differs from it in a few values
 *
 * Returns: FALSE: there is none, as far as chance can tell
 */
gboolean clip_gemm_draw_next (ClipGemmDraw *draw, const ClipGemmSet *near, ClipGemmSet *set);

/** clip_gemm_shape_work: M N K */
double clip_gemm_shape_work (const ClipGemmShape *shape);

/** clip_gemm_select_shapes: (transfer full) (element-type ClipTuneRow): those in which the work is, the most first */
GArray *clip_gemm_select_shapes (const GArray *shapes);

G_END_DECLS
