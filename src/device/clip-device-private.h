/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clip-device.h"

struct _ClipDevice {
  guint refs; /* under the device table's lock */
  cl_device_id id;
  cl_context context;
  char *name, *key;
  gboolean is_cpu;
  gboolean is_pretended; /* a CPU device that tests treat as a GPU */
  guint compute_units, vector_width;
  gsize allocated; /* bytes of living buffers; atomic */
  GMutex lock;     /* guards programs */
  GHashTable *programs; /* "name\x1foptions" -> cl_program */
};

/** clip_device_get_program: built on first use, from the cache or the source. (transfer none) */
cl_program clip_device_get_program (ClipDevice *device, const char *name, const char *options,
    GError **error);
