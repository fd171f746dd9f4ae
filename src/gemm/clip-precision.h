/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The arithmetic of matrix products. */
#pragma once

#include "device/clip-device.h"

G_BEGIN_DECLS

/**
 * ClipPrecision:
 * @CLIP_PRECISION_FP32: as the reference implementations compute
 * @CLIP_PRECISION_BF16: factors rounded to bfloat16, sums in fp32
 * @CLIP_PRECISION_INT8: factors rounded to 8 bits: weights with a scale for each output, activations with a scale and
 *   an offset for each row, found anew for each product; sums in 32-bit integers
 * @CLIP_PRECISION_FP16: factors rounded to 16-bit floating point, sums in fp32
 * @CLIP_PRECISION_AUTO: the fastest of which the embeddings stay near enough to fp32's, measured once per weights and
 *   device; see clip_model_load()
 *
 * Only the products with weights are reduced: normalisations, softmax, attention and residuals stay fp32.
 */
typedef enum {
  CLIP_PRECISION_FP32,
  CLIP_PRECISION_BF16,
  CLIP_PRECISION_INT8,
  CLIP_PRECISION_FP16,
  CLIP_PRECISION_AUTO,
} ClipPrecision;

/** clip_precision_get_name: "fp32", "bf16", "int8", "fp16", "auto" */
const char *clip_precision_get_name (ClipPrecision precision);
gboolean clip_precision_from_name (const char *name, ClipPrecision *precision);

/**
 * clip_precision_check:
 * @precision: not AUTO
 *
 * Returns: FALSE with an error when the queue's device cannot compute so: INT8 needs a CPU device, FP16 one that is none
 */
gboolean clip_precision_check (ClipPrecision precision, ClipQueue *queue, GError **error);

/**
 * clip_precision_get_level:
 * @precision: not AUTO
 *
 * Returns: 0 where the queue's device has no instructions for it, so that nothing is gained, or cannot compute so at
 *   all; else a number that names the instructions that are used. fp32: 0
 */
guint clip_precision_get_level (ClipPrecision precision, ClipQueue *queue);

G_END_DECLS
