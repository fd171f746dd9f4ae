/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The OpenCL device, its command queues, programs and buffers. */
#pragma once

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <glib.h>

#include "clip-error.h"

G_BEGIN_DECLS

/**
 * ClipDevice:
 *
 * An OpenCL device with its context. There is one per process and cl_device_id:
 * clip_device_open() gives the same object again while anybody holds it.
 * Thread-safe.
 */
typedef struct _ClipDevice ClipDevice;

/**
 * clip_device_open:
 * @selector: (nullable): NULL or "auto" (a GPU, else the CPU), "cpu", "gpu", "accelerator",
 *   a number (index over all platforms, in the order of clip_device_list()), or a
 *   case-insensitive part of the device's name
 *
 * Returns: (transfer full): the device, or NULL with CLIP_ERROR_NO_DEVICE
 */
ClipDevice *clip_device_open (const char *selector, GError **error);
ClipDevice *clip_device_ref (ClipDevice *device);
void clip_device_unref (ClipDevice *device);
/** clip_device_get_allocated: bytes of all buffers of this context that live now */
gsize clip_device_get_allocated (ClipDevice *device);

/**
 * clip_device_list:
 *
 * Returns: (transfer full): NULL-terminated "name (platform, type)" strings; may be empty
 */
char **clip_device_list (void);

cl_context clip_device_get_context (ClipDevice *device);
cl_device_id clip_device_get_id (ClipDevice *device);
const char *clip_device_get_name (ClipDevice *device);
/** clip_device_get_key: name, vendor and driver version: names a cache entry of this device */
const char *clip_device_get_key (ClipDevice *device);
gboolean clip_device_is_cpu (ClipDevice *device);
/** clip_device_is_pretended: a CPU device that is treated as a GPU, for tests: GST_CLIP_DEVICE_TYPE=gpu */
gboolean clip_device_is_pretended (ClipDevice *device);
guint clip_device_get_compute_units (ClipDevice *device);
/** clip_device_get_vector_width: floats in one register: 16 for AVX-512, 8 for AVX2, 4 for NEON and SSE, and for others */
guint clip_device_get_vector_width (ClipDevice *device);

/**
 * ClipQueue:
 *
 * An in-order command queue with its own kernel objects, for one thread at a time
 * (clSetKernelArg is not thread-safe). A queue keeps its device alive.
 */
typedef struct _ClipQueue ClipQueue;

ClipQueue *clip_queue_new (ClipDevice *device, GError **error);
ClipQueue *clip_queue_ref (ClipQueue *queue);
void clip_queue_unref (ClipQueue *queue);
ClipDevice *clip_queue_get_device (ClipQueue *queue);
cl_command_queue clip_queue_get_cl (ClipQueue *queue);
/** clip_queue_finish: waits until all enqueued work is done */
gboolean clip_queue_finish (ClipQueue *queue, GError **error);

/**
 * clip_queue_get_kernel:
 * @program: base name of a file in kernels/, without ".cl"
 * @kernel: the kernel function's name
 * @options: (nullable): compiler options, e.g. "-DWG=1"
 *
 * Builds the program when it is used for the first time: from the binary cache
 * ($XDG_CACHE_HOME/gst-clip/programs, switched off with GST_CLIP_CACHE=off), else from
 * the embedded source, and then fills the cache.
 *
 * Returns: (transfer none): the kernel object, which the queue keeps
 */
cl_kernel clip_queue_get_kernel (ClipQueue *queue, const char *program, const char *kernel,
    const char *options, GError **error);

/**
 * clip_queue_run:
 * @global, @local: (array length=dims): work sizes; @local may be NULL
 *
 * Enqueues a kernel whose arguments are set. Does not wait.
 */
gboolean clip_queue_run (ClipQueue *queue, cl_kernel kernel, guint dims, const gsize *global,
    const gsize *local, GError **error);

/**
 * clip_kernel_set_args:
 *
 * Sets arguments 0.. from (size, pointer) pairs, ended by size 0: as clSetKernelArg()
 * takes them. For a ClipBuffer use CLIP_ARG_BUFFER (buffer), for a scalar CLIP_ARG (variable).
 */
gboolean clip_kernel_set_args (cl_kernel kernel, GError **error, ...);
#define CLIP_ARG(v) sizeof (v), &(v)
#define CLIP_ARG_BUFFER(b) sizeof (cl_mem), clip_buffer_peek_mem (b)
#define CLIP_ARGS_END ((gsize) 0)

/**
 * ClipBuffer:
 *
 * Device memory, 64-byte aligned on CPU devices. Reference-counted.
 */
typedef struct _ClipBuffer ClipBuffer;

ClipBuffer *clip_buffer_new (ClipDevice *device, gsize size, GError **error);
ClipBuffer *clip_buffer_ref (ClipBuffer *buffer);
void clip_buffer_unref (ClipBuffer *buffer);
cl_mem clip_buffer_get_mem (ClipBuffer *buffer);
/** clip_buffer_peek_mem: (nullable): address of the handle for clSetKernelArg(); NULL gives a null buffer */
const cl_mem *clip_buffer_peek_mem (ClipBuffer *buffer);
gsize clip_buffer_get_size (ClipBuffer *buffer);
/** clip_buffer_write, clip_buffer_read: blocking copies of @size bytes at @offset */
gboolean clip_buffer_write (ClipBuffer *buffer, ClipQueue *queue, gsize offset, const void *data,
    gsize size, GError **error);
gboolean clip_buffer_read (ClipBuffer *buffer, ClipQueue *queue, gsize offset, void *data,
    gsize size, GError **error);
/** clip_buffer_copy: enqueues a copy of @to's size from @offset of @from */
gboolean clip_buffer_copy (ClipBuffer *from, ClipQueue *queue, gsize offset, ClipBuffer *to, GError **error);
/** clip_buffer_map: blocking map of the whole buffer (zero copy on CPU devices); undo with clip_buffer_unmap() */
void *clip_buffer_map (ClipBuffer *buffer, ClipQueue *queue, cl_map_flags flags, GError **error);
void clip_buffer_unmap (ClipBuffer *buffer, ClipQueue *queue, void *pointer);

/**
 * clip_queue_get_scratch:
 *
 * Memory for the commands that the caller enqueues now; whoever asks next writes over it.
 * The queue is in order, so one buffer serves all its operations and stays in the CPU's cache.
 *
 * Returns: (transfer none): at least @size bytes
 */
ClipBuffer *clip_queue_get_scratch (ClipQueue *queue, gsize size, GError **error);
/** clip_queue_get_scratch_at: as clip_queue_get_scratch(), which is @index 0: for who needs several at once */
ClipBuffer *clip_queue_get_scratch_at (ClipQueue *queue, guint index, gsize size, GError **error);
#define CLIP_QUEUE_SCRATCHES 3

/** clip_cl_error: sets CLIP_ERROR_DEVICE "WHAT failed: CL_NAME (code)" and returns FALSE */
gboolean clip_cl_error (GError **error, cl_int code, const char *what);

/** clip_cache_path: (transfer full) (nullable): path of a file in the cache folder, NULL when switched off */
char *clip_cache_path (const char *subfolder, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipDevice, clip_device_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipQueue, clip_queue_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipBuffer, clip_buffer_unref)

G_END_DECLS
