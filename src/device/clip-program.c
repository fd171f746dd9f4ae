/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Program build, and the cache of program binaries.
 *
 * A cache entry is the file programs/SHA256(device, driver, source, options).bin: the SHA-256 of the
 * binary in hexadecimal (64 bytes), then the binary. An entry that does not fit its own digest, or
 * that the driver refuses, is built anew and replaced. Files are written to a temporary name and renamed. */
#include "clip-device-private.h"
#include "clip-kernels.h"

#include <string.h>

#define DIGEST_LENGTH 64

char *
clip_cache_path (const char *subfolder, const char *name)
{
  const char *mode = g_getenv ("GST_CLIP_CACHE");
  if (mode && (g_ascii_strcasecmp (mode, "off") == 0 || strcmp (mode, "0") == 0))
    return NULL;
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "gst-clip", subfolder, NULL);
  if (g_mkdir_with_parents (folder, 0700) != 0)
    return NULL;
  return g_build_filename (folder, name, NULL);
}

static const char *
find_source (const char *name)
{
  for (const ClipKernelSource *s = clip_kernel_sources; s->name; s++) {
    if (strcmp (s->name, name) == 0)
      return s->source;
  }
  return NULL;
}

static char *
cache_file (ClipDevice *device, const char *source, const char *options)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  const char *parts[] = { device->key, options, source };
  for (guint i = 0; i < G_N_ELEMENTS (parts); i++)
    g_checksum_update (sum, (const guchar *) parts[i], strlen (parts[i]) + 1);
  g_autofree char *name = g_strconcat (g_checksum_get_string (sum), ".bin", NULL);
  return clip_cache_path ("programs", name);
}

static cl_program
load_binary (ClipDevice *device, const char *path, const char *options)
{
  g_autofree char *data = NULL;
  gsize size = 0;
  if (!path || !g_file_get_contents (path, &data, &size, NULL) || size <= DIGEST_LENGTH)
    return NULL;
  const unsigned char *binary = (const unsigned char *) data + DIGEST_LENGTH;
  gsize length = size - DIGEST_LENGTH;
  g_autofree char *digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, binary, length);
  if (memcmp (digest, data, DIGEST_LENGTH) != 0) {
    g_info ("program cache: %s is damaged, building it anew", path);
    return NULL;
  }
  cl_int status = CL_SUCCESS, code = CL_SUCCESS;
  cl_program program
      = clCreateProgramWithBinary (device->context, 1, &device->id, &length, &binary, &status, &code);
  if (!program || status != CL_SUCCESS
      || clBuildProgram (program, 1, &device->id, options, NULL, NULL) != CL_SUCCESS) {
    g_clear_pointer (&program, clReleaseProgram);
    g_info ("program cache: the driver refuses %s, building it anew", path);
  }
  return program;
}

static void
store_binary (cl_program program, const char *path)
{
  gsize size = 0;
  if (!path
      || clGetProgramInfo (program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) != CL_SUCCESS
      || size == 0)
    return;
  g_autofree char *data = g_malloc (DIGEST_LENGTH + size);
  unsigned char *binary = (unsigned char *) data + DIGEST_LENGTH;
  if (clGetProgramInfo (program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) != CL_SUCCESS)
    return;
  g_autofree char *digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, binary, size);
  memcpy (data, digest, DIGEST_LENGTH);
  g_autoptr (GError) failed = NULL;
  if (!g_file_set_contents (path, data, DIGEST_LENGTH + size, &failed))
    g_info ("program cache: cannot write %s: %s", path, failed->message);
}

static char *
build_log (ClipDevice *device, cl_program program)
{
  gsize size = 0;
  clGetProgramBuildInfo (program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
  char *log = g_malloc0 (size + 1);
  clGetProgramBuildInfo (program, device->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
  return g_strstrip (log);
}

static cl_program
build_source (ClipDevice *device, const char *name, const char *source, const char *options, GError **error)
{
  cl_int code;
  cl_program program = clCreateProgramWithSource (device->context, 1, &source, NULL, &code);
  if (!program) {
    clip_cl_error (error, code, "creating an OpenCL program");
    return NULL;
  }
  code = clBuildProgram (program, 1, &device->id, options, NULL, NULL);
  if (code != CL_SUCCESS) {
    g_autofree char *log = build_log (device, program);
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_DEVICE,
        "%s cannot build %s.cl (options \"%s\", error %d): %s", device->name, name, options, code, log);
    g_clear_pointer (&program, clReleaseProgram);
  }
  return program;
}

cl_program
clip_device_get_program (ClipDevice *device, const char *name, const char *options, GError **error)
{
  g_autofree char *key = g_strjoin ("\x1f", name, options, NULL);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&device->lock);
  (void) locker;
  cl_program program = g_hash_table_lookup (device->programs, key);
  if (program)
    return program;
  const char *source = find_source (name);
  g_return_val_if_fail (source != NULL, NULL);
  g_autofree char *path = cache_file (device, source, options);
  program = load_binary (device, path, options);
  if (!program) {
    program = build_source (device, name, source, options, error);
    if (!program)
      return NULL;
    store_binary (program, path);
  }
  g_hash_table_insert (device->programs, g_steal_pointer (&key), program);
  return program;
}
