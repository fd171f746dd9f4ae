/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The embedded OpenCL sources; the table is written by kernels/embed.py. */
#pragma once

#include <stddef.h>

typedef struct {
  const char *name; /* file name without ".cl" */
  const char *source;
} ClipKernelSource;

/** clip_kernel_sources: ended by a NULL name */
extern const ClipKernelSource clip_kernel_sources[];
