/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The search for CLBlast's parameters on a device. */
#pragma once

#include "clip-gemm-tuning.h"

G_BEGIN_DECLS

/** ClipGemmShape: a product C[m,n] = A[m,k] W[n,k]^T; @weight: how often, in any unit */
typedef struct {
  guint m, n, k;
  double weight;
} ClipGemmShape;

/** clip_gemm_shape_from_label: the shape in a label of a profile, see clip_queue_take_profile() */
gboolean clip_gemm_shape_from_label (const char *label, ClipGemmShape *shape);

/** ClipTuneRow: seconds of a call of @shape with CLBlast's own parameters and with those that were found; INFINITY where
 * a call fails or its result is wrong */
typedef struct {
  ClipGemmShape shape;
  double before, after;
} ClipTuneRow;

/**
 * ClipTune: what a search has done so far
 * @rows: of ClipTuneRow; @rows_done: how many of them have @before
 * @tried: sets of parameters; @wrong of them gave a wrong result, @failed were refused or did not build
 * @family: in which the search is
 * @fraction: of the budget, 0 to 1
 * @gain: all products' time before, by that of now
 */
typedef struct {
  GArray *rows;
  guint rows_done, tried, wrong, failed;
  ClipGemmFamily family;
  double fraction, gain;
  gboolean is_stopped, is_stored;
  ClipGemmTuning tuning;
} ClipTune;

/** ClipTuneFunc: called before each product that is timed. Returns: FALSE to stop; what was found is kept */
typedef gboolean (*ClipTuneFunc) (const ClipTune *tune, gpointer user_data);

/**
 * clip_tune_run:
 * @shapes: of ClipGemmShape; those that are rarely computed or small are left out
 * @seconds: that the search may take, about; a set of parameters that is being compiled is waited for
 * @tries: sets for each of both kernels; 0: as many as there is time for
 *
 * Random sets of parameters, then changes of the best of them, each on all shapes, by the way that the backend takes
 * always; for CLBlast's kernel of large products and for that of small ones; then the size that parts them. A set counts
 * where the weighted sum of times is lower. The results are checked, by Freivalds' method (1977): C s = A (W^T s) for a
 * vector s of random signs, computed in double.
 *
 * What is found is stored at once (see clip_gemm_tuning_save()), and what was stored is tried first. Times are from the
 * start of a call until the device is idle: an event would leave out what comes before CLBlast's last kernel. The process
 * that has tuned has parameters of the last trial: end it.
 *
 * Returns: (transfer full): NULL on error, also where it cannot be stored. Stopping is none, once @before is known of all
 *   shapes
 */
ClipTune *clip_tune_run (ClipQueue *queue, const GArray *shapes, double seconds, guint tries, ClipTuneFunc func,
    gpointer user_data, GError **error);
void clip_tune_free (ClipTune *tune);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipTune, clip_tune_free)

G_END_DECLS
