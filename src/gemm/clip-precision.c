/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-gemm-private.h"

#include <string.h>

static const char *const names[] = { "fp32", "bf16", "int8", "fp16", "auto" };

const char *
clip_precision_get_name (ClipPrecision precision)
{
  return names[precision];
}

gboolean
clip_precision_from_name (const char *name, ClipPrecision *precision)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    if (strcmp (name, names[i]) == 0) {
      *precision = (ClipPrecision) i;
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
clip_precision_check (ClipPrecision precision, ClipQueue *queue, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  gboolean cpu = clip_device_is_cpu (device);
  if (precision != (cpu ? CLIP_PRECISION_FP16 : CLIP_PRECISION_INT8))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
      "precision %s needs a %s device, and %s is %s; take precision %s, bf16, fp32 or auto, or another device",
      clip_precision_get_name (precision), cpu ? "GPU" : "CPU", clip_device_get_name (device),
      cpu ? "a CPU" : "none", cpu ? "int8" : "fp16");
  return FALSE;
}

guint
clip_precision_get_level (ClipPrecision precision, ClipQueue *queue)
{
  if (precision == CLIP_PRECISION_FP32 || !clip_precision_check (precision, queue, NULL))
    return 0;
  return (guint) clip_dot_get_level (clip_queue_get_device (queue), precision);
}
