/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loaded checkpoint as a directory that other programs read as well. */
#pragma once

#include "weights/clip-weights.h"

G_BEGIN_DECLS

/** ClipExportProgress: @done of @total tensors are written. Returns: FALSE to stop */
typedef gboolean (*ClipExportProgress) (guint done, guint total, gpointer user_data);

/**
 * clip_weights_export:
 * @directory: exists and is empty
 * @dtype: F32, F16 or BF16; values are rounded to nearest, ties to even
 *
 * Writes configuration, preprocessing and weights in transformers' layout, or in OpenCLIP's where transformers has no such
 * model (ModifiedResNet), and copies the tokenizer's files. One tensor is in memory at a time. A value that @dtype cannot
 * hold is an error that names the tensor.
 */
gboolean clip_weights_export (ClipWeights *weights, const char *directory, ClipDtype dtype,
    ClipExportProgress progress, gpointer user_data, GError **error);

/** clip_round_f16: to nearest, ties to even; beyond the range an infinity */
guint16 clip_round_f16 (float value);
/** clip_round_bf16: the same for bfloat16 */
guint16 clip_round_bf16 (float value);

G_END_DECLS
