/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-gemm-private.h"

#include <string.h>

static const char *const names[] = { "fp32", "bf16", "int8", "auto" };

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
  if (precision == CLIP_PRECISION_FP32 || clip_device_is_cpu (device))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
      "precision %s needs a CPU device, and this is %s; take precision fp32 or auto, or device cpu",
      clip_precision_get_name (precision), clip_device_get_name (device));
  return FALSE;
}

guint
clip_precision_get_level (ClipPrecision precision, ClipQueue *queue)
{
  if (precision == CLIP_PRECISION_FP32 || !clip_precision_check (precision, queue, NULL))
    return 0;
  return (guint) clip_dot_get_level (clip_queue_get_device (queue), precision);
}
