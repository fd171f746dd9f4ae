/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of operations share: values, buffers with guards, comparison. */
#pragma once

#include "device/clip-device.h"

extern ClipQueue *queue;
/** open_queue: sets queue; the caller unrefs it at the end */
void open_queue (void);

typedef enum { VALUES_RANDOM, VALUES_LARGE, VALUES_TINY, VALUES_CONSTANT, N_VALUES } Values;

float *new_values (gsize count, Values kind);
ClipBuffer *upload (const void *values, gsize size);
ClipBuffer *upload_floats (const float *values, gsize count);
/** new_output: an output of @count floats with a guard behind it, which download() checks */
ClipBuffer *new_output (gsize count);
float *download (ClipBuffer *buffer, gsize count);
/** assert_near: @tolerance is relative above 1, absolute below */
void assert_near (const float *got, const float *want, gsize count, double tolerance);
