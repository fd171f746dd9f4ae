/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#include "faults.h"

#include <CL/cl.h>
#include <dlfcn.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static gint counts[N_FAULTS], chosen[N_FAULTS], lasting[N_FAULTS];
static char watched[200];

const char *
fault_name (Fault fault)
{
  static const char *const names[]
      = { "allocate", "build", "kernel", "run", "read", "write", "map", "copy", "finish", "queue", "context" };
  return names[fault];
}

void
fault_inject (Fault fault, guint nth, gboolean persistent)
{
  g_atomic_int_set (&chosen[fault], (gint) nth);
  g_atomic_int_set (&lasting[fault], persistent);
  g_atomic_int_set (&counts[fault], 0);
}

guint
fault_count (Fault fault)
{
  return (guint) g_atomic_int_get (&counts[fault]);
}

static gboolean
fails (Fault fault)
{
  gint call = g_atomic_int_add (&counts[fault], 1) + 1, nth = g_atomic_int_get (&chosen[fault]);
  return nth > 0 && (call == nth || (call > nth && g_atomic_int_get (&lasting[fault])));
}

/* names of the kernels that were started, and how often */
static GMutex kernels_lock;
static GHashTable *kernels;

void
fault_clear_kernels (void)
{
  fault_inject (FAULT_RUN, 0, FALSE);
  g_mutex_lock (&kernels_lock);
  g_clear_pointer (&kernels, g_hash_table_unref);
  g_mutex_unlock (&kernels_lock);
}

guint
fault_count_kernel (const char *name)
{
  g_mutex_lock (&kernels_lock);
  guint count = kernels ? GPOINTER_TO_UINT (g_hash_table_lookup (kernels, name)) : 0;
  g_mutex_unlock (&kernels_lock);
  return count;
}

/* of a kernel that is said to run and does not */
static const char *skipped;

void
fault_skip_kernel (const char *name)
{
  g_atomic_pointer_set (&skipped, name);
}

static gboolean
is_skipped (cl_kernel kernel)
{
  const char *name = g_atomic_pointer_get (&skipped);
  char found[64] = "?";
  clGetKernelInfo (kernel, CL_KERNEL_FUNCTION_NAME, sizeof found, found, NULL);
  return name && strcmp (name, found) == 0;
}

static void
count_kernel (cl_kernel kernel)
{
  char name[64] = "?";
  clGetKernelInfo (kernel, CL_KERNEL_FUNCTION_NAME, sizeof name, name, NULL);
  g_mutex_lock (&kernels_lock);
  if (!kernels)
    kernels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (kernels, name));
  g_hash_table_insert (kernels, g_strdup (name), GUINT_TO_POINTER (count + 1));
  g_mutex_unlock (&kernels_lock);
}

static void
expired (int number)
{
  ssize_t written = write (2, watched, strlen (watched));
  (void) written;
  _exit (3);
}

void
fault_watch (const char *what, guint nth, guint seconds)
{
  g_snprintf (watched, sizeof watched, "Bail out! hangs at %s %u\n", what, nth);
  signal (SIGALRM, expired);
  alarm (seconds);
}

/* The library's function of the same name. */
#define REAL(name) ((__typeof__ (&name)) dlsym (RTLD_NEXT, #name))

static void *
refuse (cl_int *code, cl_int value)
{
  if (code)
    *code = value;
  return NULL;
}

CL_API_ENTRY cl_mem CL_API_CALL
clCreateBuffer (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code)
{
  if (fails (FAULT_ALLOCATE))
    return refuse (code, CL_MEM_OBJECT_ALLOCATION_FAILURE);
  return REAL (clCreateBuffer) (context, flags, size, host, code);
}

CL_API_ENTRY cl_int CL_API_CALL
clBuildProgram (cl_program program, cl_uint n, const cl_device_id *devices, const char *options,
    void (CL_CALLBACK *notify) (cl_program, void *), void *data)
{
  if (fails (FAULT_BUILD))
    return CL_BUILD_PROGRAM_FAILURE;
  return REAL (clBuildProgram) (program, n, devices, options, notify, data);
}

CL_API_ENTRY cl_kernel CL_API_CALL
clCreateKernel (cl_program program, const char *name, cl_int *code)
{
  if (fails (FAULT_KERNEL))
    return refuse (code, CL_OUT_OF_HOST_MEMORY);
  return REAL (clCreateKernel) (program, name, code);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueNDRangeKernel (cl_command_queue queue, cl_kernel kernel, cl_uint dims, const size_t *offset,
    const size_t *global, const size_t *local, cl_uint n, const cl_event *wait, cl_event *event)
{
  if (fails (FAULT_RUN))
    return CL_OUT_OF_RESOURCES;
  count_kernel (kernel);
  if (is_skipped (kernel))
    return REAL (clEnqueueMarkerWithWaitList) (queue, n, wait, event);
  return REAL (clEnqueueNDRangeKernel) (queue, kernel, dims, offset, global, local, n, wait, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueReadBuffer (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size, void *to,
    cl_uint n, const cl_event *wait, cl_event *event)
{
  if (fails (FAULT_READ))
    return CL_OUT_OF_RESOURCES;
  return REAL (clEnqueueReadBuffer) (queue, buffer, blocking, offset, size, to, n, wait, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueWriteBuffer (cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset, size_t size,
    const void *from, cl_uint n, const cl_event *wait, cl_event *event)
{
  if (fails (FAULT_WRITE))
    return CL_MEM_OBJECT_ALLOCATION_FAILURE;
  return REAL (clEnqueueWriteBuffer) (queue, buffer, blocking, offset, size, from, n, wait, event);
}

CL_API_ENTRY void *CL_API_CALL
clEnqueueMapBuffer (cl_command_queue queue, cl_mem buffer, cl_bool blocking, cl_map_flags flags, size_t offset,
    size_t size, cl_uint n, const cl_event *wait, cl_event *event, cl_int *code)
{
  if (fails (FAULT_MAP))
    return refuse (code, CL_MAP_FAILURE);
  return REAL (clEnqueueMapBuffer) (queue, buffer, blocking, flags, offset, size, n, wait, event, code);
}

CL_API_ENTRY cl_int CL_API_CALL
clEnqueueCopyBuffer (cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset, size_t size,
    cl_uint n, const cl_event *wait, cl_event *event)
{
  if (fails (FAULT_COPY))
    return CL_OUT_OF_RESOURCES;
  return REAL (clEnqueueCopyBuffer) (queue, from, to, from_offset, to_offset, size, n, wait, event);
}

CL_API_ENTRY cl_int CL_API_CALL
clFinish (cl_command_queue queue)
{
  if (fails (FAULT_FINISH))
    return CL_OUT_OF_RESOURCES;
  return REAL (clFinish) (queue);
}

CL_API_ENTRY cl_command_queue CL_API_CALL
clCreateCommandQueue (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *code)
{
  if (fails (FAULT_QUEUE))
    return refuse (code, CL_OUT_OF_HOST_MEMORY);
  return REAL (clCreateCommandQueue) (context, device, properties, code);
}

CL_API_ENTRY cl_context CL_API_CALL
clCreateContext (const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
    void (CL_CALLBACK *notify) (const char *, const void *, size_t, void *), void *data, cl_int *code)
{
  if (fails (FAULT_CONTEXT))
    return refuse (code, CL_DEVICE_NOT_AVAILABLE);
  return REAL (clCreateContext) (properties, n, devices, notify, data, code);
}
