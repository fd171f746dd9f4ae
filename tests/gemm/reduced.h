/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an arithmetic of reduced precision sees of its factors, and which backends this processor can run. */
#pragma once

#include "gemm/clip-gemm-private.h"

/** reduced_fit: in place, into the arithmetic's range */
void reduced_fit (const ClipLinearBackend *backend, float *values, gsize count);
/** reduced_row: in place, a row of A */
void reduced_row (const ClipLinearBackend *backend, float *row, guint k);
/** reduced_weights: in place, [n,k] */
void reduced_weights (const ClipLinearBackend *backend, float *weight, guint n, guint k);
/** reduced_slack: how far cancellation of low and step may lead a sum over @row (as reduced_row() left it) with @w */
double reduced_slack (const ClipLinearBackend *backend, const float *row, const float *w, guint k);
/** reduced_add_levels: PREFIX/backend/NAME for the levels of a reduced precision that work here */
void reduced_add_levels (ClipDevice *device, ClipPrecision precision, const char *prefix, const char *name,
    GTestDataFunc test);
/** reduced_add_half: the same for fp16 and bf16 on a device that is no CPU */
void reduced_add_half (ClipDevice *device, const char *prefix, const char *name, GTestDataFunc test);
/** reduced_add_tests: PREFIX/backend/NAME for fp32's and all backends that work here */
void reduced_add_tests (ClipDevice *device, const char *prefix, const char *name, GTestDataFunc test);
