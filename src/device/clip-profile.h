/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long the commands of a queue take on the device. */
#pragma once

#include "clip-device.h"

G_BEGIN_DECLS

/**
 * ClipProfileRow: the commands of one kernel and one label
 * @kernel: the kernel function's name, or "upload"
 * @label: what clip_queue_set_label() said of them, or ""
 * @count: of calls; the commands of one clip_queue_set_label() are one, and counted where the first of them is
 * @operations: floating-point operations of all of them, 0 where nobody counts; as @count
 */
typedef struct {
  char *kernel, *label;
  guint count;
  guint64 nanoseconds;
  double operations;
} ClipProfileRow;

void clip_profile_row_free (ClipProfileRow *row);

/** clip_queue_new_profiled: as clip_queue_new(), for a queue that keeps the times of its commands */
ClipQueue *clip_queue_new_profiled (ClipDevice *device, GError **error);

/**
 * clip_queue_set_label:
 * @operations: floating-point operations of the next kernels
 * @format: (nullable): what the next kernels are for; NULL: nothing in particular
 *
 * Costs nothing on a queue that is not profiled.
 */
void clip_queue_set_label (ClipQueue *queue, double operations, const char *format, ...) G_GNUC_PRINTF (3, 4);

gboolean clip_queue_is_profiled (ClipQueue *queue);
/** clip_queue_add_event: @event: (transfer full): of a @command that the caller enqueued on a profiled queue by itself */
void clip_queue_add_event (ClipQueue *queue, const char *command, cl_event event);

/**
 * clip_queue_take_profile:
 *
 * Waits for the queue. The times are those of OpenCL's profiling events, from start to end.
 *
 * Returns: (transfer full) (element-type ClipProfileRow): since the last call, in the order of the first of each; NULL on
 *   error
 */
GPtrArray *clip_queue_take_profile (ClipQueue *queue, GError **error);

G_END_DECLS
