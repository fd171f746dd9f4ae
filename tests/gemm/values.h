/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random factors of the products' tests. */
#pragma once

#include "device/clip-device.h"

/** values_uniform: (transfer full) (array length=count): of -1 to 1 */
float *values_uniform (gsize count, guint32 seed);
/** values_upload: (transfer full): a buffer of the queue's device with @values */
ClipBuffer *values_upload (ClipQueue *queue, const float *values, gsize count);
