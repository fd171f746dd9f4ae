/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-gemm-tune.h"

G_BEGIN_DECLS

/** ClipTrial: a product with random factors and what its result must be */
typedef struct _ClipTrial ClipTrial;

ClipTrial *clip_trial_new (ClipQueue *queue, const ClipGemmShape *shape, GError **error);
void clip_trial_free (ClipTrial *trial);

/**
 * clip_trial_time: of a call with the parameters that CLBlast has now
 * @enough: a product that took longer is not timed again
 *
 * Returns: seconds; -1 on error, which is CLIP_ERROR_TUNING for a wrong result
 */
double clip_trial_time (ClipTrial *trial, double enough, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipTrial, clip_trial_free)

G_END_DECLS
