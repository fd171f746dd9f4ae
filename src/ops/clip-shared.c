/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-shared.h"

#define MOST_ITEMS 64

gsize
clip_shared_get_items (ClipQueue *queue, guint width)
{
  return clip_device_is_cpu (clip_queue_get_device (queue)) ? 1 : MIN (width, MOST_ITEMS);
}

cl_kernel
clip_shared_get_kernel (ClipQueue *queue, const char *program, const char *name, GError **error)
{
  gboolean shared = !clip_device_is_cpu (clip_queue_get_device (queue));
  return clip_queue_get_kernel (queue, program, name, shared ? "-DSHARED=1" : "-DSHARED=0", error);
}
