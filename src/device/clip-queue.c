/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command queue, kernel objects, buffers. */
#include "clip-device-private.h"
#include "clip-profile-private.h"

#include <stdarg.h>

struct _ClipQueue {
  gatomicrefcount refs;
  ClipDevice *device;
  cl_command_queue queue;
  GHashTable *kernels; /* "program\x1fkernel\x1foptions" -> cl_kernel */
  ClipBuffer *scratch[CLIP_QUEUE_SCRATCHES];
  ClipProfile *profile; /* NULL: not profiled */
};

struct _ClipBuffer {
  gatomicrefcount refs;
  ClipDevice *device;
  cl_mem mem;
  gsize size;
};

static const struct {
  cl_int code;
  const char *name;
} code_names[] = {
  { CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE" },
  { CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE" },
  { CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE, out of device memory" },
  { CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES" },
  { CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY" },
  { CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE" },
  { CL_INVALID_VALUE, "CL_INVALID_VALUE" },
  { CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE, larger than the device allows" },
  { CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME" },
  { CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS" },
  { CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE" },
};

gboolean
clip_cl_error (GError **error, cl_int code, const char *what)
{
  const char *name = "see CL/cl.h";
  for (guint i = 0; i < G_N_ELEMENTS (code_names); i++) {
    if (code_names[i].code == code)
      name = code_names[i].name;
  }
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE, "%s failed: OpenCL error %d (%s)", what, code, name);
  return FALSE;
}

static void
release_kernel (gpointer kernel)
{
  clReleaseKernel (kernel);
}

static ClipQueue *
new_queue (ClipDevice *device, cl_command_queue_properties properties, GError **error)
{
  cl_int code;
  cl_command_queue cl = clCreateCommandQueue (device->context, device->id, properties, &code);
  if (!cl) {
    clip_cl_error (error, code, "creating an OpenCL command queue");
    return NULL;
  }
  ClipQueue *queue = g_new0 (ClipQueue, 1);
  g_atomic_ref_count_init (&queue->refs);
  queue->device = clip_device_ref (device);
  queue->queue = cl;
  queue->kernels
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, release_kernel);
  return queue;
}

ClipQueue *
clip_queue_new (ClipDevice *device, GError **error)
{
  return new_queue (device, 0, error);
}

ClipQueue *
clip_queue_new_profiled (ClipDevice *device, GError **error)
{
  ClipQueue *queue = new_queue (device, CL_QUEUE_PROFILING_ENABLE, error);
  if (queue)
    queue->profile = clip_profile_new ();
  return queue;
}

void
clip_queue_set_label (ClipQueue *queue, double operations, const char *format, ...)
{
  va_list args;
  if (!queue->profile)
    return;
  va_start (args, format);
  clip_profile_set_label (queue->profile, operations, format ? g_strdup_vprintf (format, args) : g_strdup (""));
  va_end (args);
}

gboolean
clip_queue_is_profiled (ClipQueue *queue)
{
  return queue->profile != NULL;
}

void
clip_queue_add_event (ClipQueue *queue, const char *command, cl_event event)
{
  g_return_if_fail (queue->profile != NULL);
  clip_profile_add (queue->profile, command, event);
}

GPtrArray *
clip_queue_take_profile (ClipQueue *queue, GError **error)
{
  g_return_val_if_fail (queue->profile != NULL, NULL);
  return clip_queue_finish (queue, error) ? clip_profile_take (queue->profile, error) : NULL;
}

ClipQueue *
clip_queue_ref (ClipQueue *queue)
{
  g_atomic_ref_count_inc (&queue->refs);
  return queue;
}

void
clip_queue_unref (ClipQueue *queue)
{
  if (!g_atomic_ref_count_dec (&queue->refs))
    return;
  clFinish (queue->queue);
  g_hash_table_unref (queue->kernels);
  for (guint i = 0; i < CLIP_QUEUE_SCRATCHES; i++)
    g_clear_pointer (&queue->scratch[i], clip_buffer_unref);
  g_clear_pointer (&queue->profile, clip_profile_free);
  clReleaseCommandQueue (queue->queue);
  clip_device_unref (queue->device);
  g_free (queue);
}

ClipDevice *
clip_queue_get_device (ClipQueue *queue)
{
  return queue->device;
}

cl_command_queue
clip_queue_get_cl (ClipQueue *queue)
{
  return queue->queue;
}

gboolean
clip_queue_finish (ClipQueue *queue, GError **error)
{
  cl_int code = clFinish (queue->queue);
  return code == CL_SUCCESS || clip_cl_error (error, code, "waiting for the device");
}

cl_kernel
clip_queue_get_kernel (
    ClipQueue *queue, const char *program, const char *kernel, const char *options, GError **error)
{
  const char *opts = options ? options : "";
  g_autofree char *key = g_strjoin ("\x1f", program, kernel, opts, NULL);
  cl_kernel found = g_hash_table_lookup (queue->kernels, key);
  if (found)
    return found;
  cl_program built = clip_device_get_program (queue->device, program, opts, error);
  if (!built)
    return NULL;
  cl_int code;
  found = clCreateKernel (built, kernel, &code);
  if (!found) {
    clip_cl_error (error, code, kernel);
    return NULL;
  }
  g_hash_table_insert (queue->kernels, g_steal_pointer (&key), found);
  return found;
}

gboolean
clip_queue_run (ClipQueue *queue, cl_kernel kernel, guint dims, const gsize *global, const gsize *local,
    GError **error)
{
  cl_event event = NULL;
  cl_int code = clEnqueueNDRangeKernel (
      queue->queue, kernel, dims, NULL, global, local, 0, NULL, queue->profile ? &event : NULL);
  if (event)
    clip_profile_add_kernel (queue->profile, kernel, event);
  return code == CL_SUCCESS || clip_cl_error (error, code, "starting a kernel");
}

gboolean
clip_kernel_set_args (cl_kernel kernel, GError **error, ...)
{
  va_list args;
  cl_int code = CL_SUCCESS;
  va_start (args, error);
  for (cl_uint index = 0; code == CL_SUCCESS; index++) {
    gsize size = va_arg (args, gsize);
    if (size == 0)
      break;
    code = clSetKernelArg (kernel, index, size, va_arg (args, const void *));
  }
  va_end (args);
  return code == CL_SUCCESS || clip_cl_error (error, code, "setting a kernel argument");
}

ClipBuffer *
clip_buffer_new (ClipDevice *device, gsize size, GError **error)
{
  cl_int code;
  cl_mem mem = clCreateBuffer (device->context, CL_MEM_READ_WRITE, MAX (size, 4), NULL, &code);
  if (!mem) {
    g_autofree char *what = g_strdup_printf (
        "allocating %" G_GSIZE_FORMAT " bytes on %s", size, device->name);
    clip_cl_error (error, code, what);
    return NULL;
  }
  ClipBuffer *buffer = g_new0 (ClipBuffer, 1);
  g_atomic_ref_count_init (&buffer->refs);
  buffer->device = clip_device_ref (device);
  buffer->mem = mem;
  buffer->size = size;
  __atomic_add_fetch (&device->allocated, size, __ATOMIC_RELAXED);
  return buffer;
}

ClipBuffer *
clip_buffer_ref (ClipBuffer *buffer)
{
  g_atomic_ref_count_inc (&buffer->refs);
  return buffer;
}

void
clip_buffer_unref (ClipBuffer *buffer)
{
  if (!g_atomic_ref_count_dec (&buffer->refs))
    return;
  clReleaseMemObject (buffer->mem);
  __atomic_sub_fetch (&buffer->device->allocated, buffer->size, __ATOMIC_RELAXED);
  clip_device_unref (buffer->device);
  g_free (buffer);
}

cl_mem
clip_buffer_get_mem (ClipBuffer *buffer)
{
  return buffer->mem;
}

const cl_mem *
clip_buffer_peek_mem (ClipBuffer *buffer)
{
  static const cl_mem none = NULL;
  return buffer ? &buffer->mem : &none;
}

gsize
clip_buffer_get_size (ClipBuffer *buffer)
{
  return buffer->size;
}

ClipBuffer *
clip_queue_get_scratch_at (ClipQueue *queue, guint index, gsize size, GError **error)
{
  g_return_val_if_fail (index < CLIP_QUEUE_SCRATCHES, NULL);
  ClipBuffer **scratch = &queue->scratch[index];
  if (*scratch && (*scratch)->size >= size)
    return *scratch;
  ClipBuffer *larger = clip_buffer_new (queue->device, size, error);
  if (!larger)
    return NULL;
  /* commands that are on their way keep the old memory until they are done */
  g_clear_pointer (scratch, clip_buffer_unref);
  return *scratch = larger;
}

ClipBuffer *
clip_queue_get_scratch (ClipQueue *queue, gsize size, GError **error)
{
  return clip_queue_get_scratch_at (queue, 0, size, error);
}

static gboolean
in_bounds (ClipBuffer *buffer, gsize offset, gsize size)
{
  return offset <= buffer->size && size <= buffer->size - offset;
}

gboolean
clip_buffer_write (
    ClipBuffer *buffer, ClipQueue *queue, gsize offset, const void *data, gsize size, GError **error)
{
  g_return_val_if_fail (in_bounds (buffer, offset, size), FALSE);
  if (size == 0)
    return TRUE;
  cl_event event = NULL;
  cl_int code = clEnqueueWriteBuffer (
      queue->queue, buffer->mem, CL_TRUE, offset, size, data, 0, NULL, queue->profile ? &event : NULL);
  if (event)
    clip_profile_add (queue->profile, "upload", event);
  return code == CL_SUCCESS || clip_cl_error (error, code, "copying to the device");
}

gboolean
clip_buffer_read (ClipBuffer *buffer, ClipQueue *queue, gsize offset, void *data, gsize size, GError **error)
{
  g_return_val_if_fail (in_bounds (buffer, offset, size), FALSE);
  if (size == 0)
    return TRUE;
  cl_int code
      = clEnqueueReadBuffer (queue->queue, buffer->mem, CL_TRUE, offset, size, data, 0, NULL, NULL);
  return code == CL_SUCCESS || clip_cl_error (error, code, "copying from the device");
}

gboolean
clip_buffer_copy (ClipBuffer *from, ClipQueue *queue, gsize offset, ClipBuffer *to, GError **error)
{
  g_return_val_if_fail (offset <= from->size && to->size <= from->size - offset, FALSE);
  cl_int code
      = clEnqueueCopyBuffer (queue->queue, from->mem, to->mem, offset, 0, to->size, 0, NULL, NULL);
  return code == CL_SUCCESS || clip_cl_error (error, code, "copying on the device");
}

void *
clip_buffer_map (ClipBuffer *buffer, ClipQueue *queue, cl_map_flags flags, GError **error)
{
  cl_int code;
  void *pointer = clEnqueueMapBuffer (
      queue->queue, buffer->mem, CL_TRUE, flags, 0, buffer->size, 0, NULL, NULL, &code);
  if (!pointer)
    clip_cl_error (error, code, "mapping a buffer");
  return pointer;
}

void
clip_buffer_unmap (ClipBuffer *buffer, ClipQueue *queue, void *pointer)
{
  clEnqueueUnmapMemObject (queue->queue, buffer->mem, pointer, 0, NULL, NULL);
}
