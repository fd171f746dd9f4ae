/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows that several work-items share on devices that are no CPUs: kernels/shared.cl. */
#pragma once

#include "clip-ops.h"

G_BEGIN_DECLS

/** clip_shared_get_items: work-items for a row of @width floats */
gsize clip_shared_get_items (ClipQueue *queue, guint width);
/** clip_shared_get_kernel: of a @program that includes shared.cl */
cl_kernel clip_shared_get_kernel (ClipQueue *queue, const char *program, const char *name, GError **error);

G_END_DECLS
