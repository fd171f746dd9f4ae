/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which products a model computes. */
#pragma once

#include "clip-model.h"

G_BEGIN_DECLS

/**
 * clip_model_list_products:
 * @path: of a model, as clip_model_load() takes it
 * @batches: (array length=n): pictures that are encoded at once
 *
 * Encodes blank pictures in each of the batches and a few short texts, in fp32, and notes what is multiplied.
 *
 * Returns: (transfer full) (element-type ClipGemmShape): with calls for a picture or a text as weights, the mean of all
 *   batches and the texts; NULL on error
 */
GArray *clip_model_list_products (ClipDevice *device, const char *path, const guint *batches, guint n, GError **error);

G_END_DECLS
