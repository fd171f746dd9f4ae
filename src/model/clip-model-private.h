/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-model.h"

G_BEGIN_DECLS

/**
 * clip_model_new: as clip_model_load()
 * @weights: (transfer full)
 * @precision: not AUTO
 */
ClipModel *clip_model_new (ClipQueue *queue, ClipWeights *weights, ClipPrecision precision, GError **error);

/** clip_model_get_queue: (transfer none) */
ClipQueue *clip_model_get_queue (ClipModel *model);

/** clip_model_load_fastest: clip_model_load() with AUTO */
ClipModel *clip_model_load_fastest (ClipQueue *queue, const char *path, GError **error);

/**
 * ClipPrecisionMeasurement: of a model on a device
 * @rate: pictures/s of the image encoder, one at a time; 0 when it could not be loaded or run
 * @cosine: the smallest with fp32, of the pictures and of the texts; where a picture was below the bar, that picture's
 */
typedef struct {
  ClipPrecision precision;
  double rate, cosine;
} ClipPrecisionMeasurement;

/** clip_precision_get_bar: the cosine with fp32 that every embedding must have */
double clip_precision_get_bar (ClipPrecision precision);
/**
 * clip_precision_choose:
 * @m: (array length=n): fp32 first
 *
 * Returns: the fastest whose bar holds; of equally fast ones the first
 */
ClipPrecision clip_precision_choose (const ClipPrecisionMeasurement *m, guint n);

/**
 * clip_model_measure:
 * @path: of the weights
 * @model: (inout): in fp32; becomes the one that is chosen
 * @candidates: (array length=n): precisions, to be tried in this order
 * @m: (array): receives n + 1 measurements, fp32's first
 *
 * Holds two image encoders at a time. A candidate that fails has rate 0 and harms nobody.
 *
 * Returns: FALSE with an error when nothing can be measured; @model is as it was
 */
gboolean clip_model_measure (const char *path, ClipModel **model, const ClipPrecision *candidates, guint n,
    ClipPrecisionMeasurement *m, GError **error);

G_END_DECLS
