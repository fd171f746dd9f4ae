/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The measured rate of fused multiply-adds, against which products are held. */
#include "clip-gemm-private.h"

#define STEPS 20000
#define RUNS 8
/* the kernel reads 32 floats and writes one a work-item */
#define INPUTS 32

double
clip_linear_measure_peak (ClipQueue *queue, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  guint width = clip_device_get_vector_width (device);
  guint chains = width == 16 ? 24 : 12; /* all but a few of the registers */
  gsize items = 4 * clip_device_get_compute_units (device), local = 1;
  gint64 best = G_MAXINT64;
  float values[INPUTS];
  for (guint i = 0; i < INPUTS; i++)
    values[i] = 0.3f + 0.01f * i;
  g_autofree char *options = g_strdup_printf ("-DVW=%u -DCHAINS=%u -DSTEPS=%d", width, chains, STEPS);
  g_autoptr (ClipBuffer) x = clip_buffer_new (device, (INPUTS + items) * sizeof (float), error);
  if (!x || !clip_buffer_write (x, queue, 0, values, sizeof (values), error))
    return -1;
  cl_kernel kernel = clip_queue_get_kernel (queue, "gemm-peak", "gemm_peak", options, error);
  if (!kernel || !clip_kernel_set_args (kernel, error, CLIP_ARG_BUFFER (x), CLIP_ARGS_END))
    return -1;
  for (guint i = 0; i < RUNS; i++) {
    gint64 start = g_get_monotonic_time ();
    if (!clip_queue_run (queue, kernel, 1, &items, &local, error) || !clip_queue_finish (queue, error))
      return -1;
    best = MIN (best, MAX (g_get_monotonic_time () - start, 1));
  }
  return 2e-3 * chains * STEPS * width * items / best;
}
