/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An OpenCL that fails on demand: its functions, wrapped in the test program, count their calls and refuse the nth. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  FAULT_ALLOCATE, /* clCreateBuffer */
  FAULT_BUILD,    /* clBuildProgram */
  FAULT_KERNEL,   /* clCreateKernel */
  FAULT_RUN,      /* clEnqueueNDRangeKernel */
  FAULT_READ,
  FAULT_WRITE,
  FAULT_MAP,
  FAULT_COPY,
  FAULT_FINISH,
  FAULT_QUEUE,   /* clCreateCommandQueue */
  FAULT_CONTEXT, /* clCreateContext */
  N_FAULTS
} Fault;

const char *fault_name (Fault fault);
/** fault_inject: the @nth call from now on fails, counted from 1; 0: none. @persistent: all after it, too */
void fault_inject (Fault fault, guint nth, gboolean persistent);
/** fault_count: calls since fault_inject () */
guint fault_count (Fault fault);

/** fault_count_kernel: how often the kernel of that name was started since fault_clear_kernels () */
guint fault_count_kernel (const char *name);
/** fault_clear_kernels: also begins FAULT_RUN anew */
void fault_clear_kernels (void);

/** fault_skip_kernel: the kernel of that (static) name is said to run and does nothing; NULL: none */
void fault_skip_kernel (const char *name);

/** fault_watch: ends the process with a message when it is not called again within @seconds; 0: no more */
void fault_watch (const char *what, guint nth, guint seconds);

G_END_DECLS
