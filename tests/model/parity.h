/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparison of a model's outputs with the reference's. */
#pragma once

#include "model/clip-model.h"
#include "reference.h"

/* Tolerances of the reference's README, for float32 arithmetic. */
#define EMBEDDING_TOLERANCE 2e-5
#define COSINE_BOUND 0.999999
#define LOGIT_TOLERANCE 2e-3
#define STEP_TOLERANCE 1e-4

typedef struct {
  double embedding; /* largest absolute difference */
  double cosine;    /* smallest cosine */
} ParityResult;

/** parity_compare: rows of @got against rows of @want, both [rows,width] */
ParityResult parity_compare (const float *got, const float *want, gsize rows, gsize width);
gboolean parity_holds (ParityResult result);

/** parity_golden_texts: rows of the golden's input_ids */
gsize parity_golden_texts (RefFile *golden);
/** parity_golden_tokens: (transfer full): row @index of input_ids up to and with its first end token */
GArray *parity_golden_tokens (RefFile *golden, gsize index, gint32 end);

/**
 * parity_check_outputs: embeddings of both towers and the logits against the golden's
 * image_embeds, text_embeds and logits_per_image; asserts the tolerances
 */
void parity_check_outputs (ClipModel *model, RefFile *golden, const float *images, const float *texts);

/** parity_encode_golden_texts: (transfer full): [n,embed_dim] of the golden's input_ids */
float *parity_encode_golden_texts (ClipModel *model, RefFile *golden);
