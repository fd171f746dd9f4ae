/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which instructions for products of reduced precision the device has: a kernel with instructions that it lacks would end the process.
 * Whether the system keeps the registers is known from the OpenCL device for vectors (it would not use them
 * otherwise), and is asked of the system for AMX. */
#include "clip-gemm-private.h"

#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

typedef struct {
  gboolean avx512_vl, avx512_vnni, avx512_bf16, avx_vnni, amx_bf16, amx_int8;
} Features;

static Features
get_features (void)
{
  guint a, b, c, d, a1 = 0, b1, c1, d1;
  Features f = { 0 };
  if (!__get_cpuid_count (7, 0, &a, &b, &c, &d))
    return f;
  if (a >= 1)
    __get_cpuid_count (7, 1, &a1, &b1, &c1, &d1);
  f.avx512_vl = b >> 31 & 1;
  f.avx512_vnni = c >> 11 & 1;
  f.avx_vnni = a1 >> 4 & 1;
  f.avx512_bf16 = a1 >> 5 & 1;
  f.amx_bf16 = (d >> 22 & 1) && (d >> 24 & 1);
  f.amx_int8 = (d >> 25 & 1) && (d >> 24 & 1);
  return f;
}

/* For all threads of the process; AMX's registers take 8 KB of each, so the system wants to be asked. */
static gboolean
allow_tiles (void)
{
  return syscall (SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static ClipDotLevel
find_level (ClipDevice *device, ClipPrecision precision, gboolean *vex)
{
  Features f = get_features ();
  guint width = clip_device_get_vector_width (device);
  gboolean bytes = precision == CLIP_PRECISION_INT8;
  if (width >= 16 && (bytes ? f.amx_int8 : f.amx_bf16) && allow_tiles ())
    return CLIP_DOT_MATRIX;
  if (width >= 16 && (bytes ? f.avx512_vnni : f.avx512_bf16))
    return CLIP_DOT_VECTOR;
  *vex = width == 8 && bytes && f.avx_vnni;
  if (*vex || (width == 8 && f.avx512_vl && (bytes ? f.avx512_vnni : f.avx512_bf16)))
    return CLIP_DOT_VECTOR;
  return CLIP_DOT_PORTABLE;
}
#else
static ClipDotLevel
find_level (ClipDevice *device, ClipPrecision precision, gboolean *vex)
{
  return CLIP_DOT_PORTABLE;
}
#endif

static const char *const level_names[] = { "portable", "vector", "matrix" };

/* GST_CLIP_DOT: at most this level */
static ClipDotLevel
get_limit (void)
{
  const char *name = g_getenv ("GST_CLIP_DOT");
  for (guint i = 0; name && i < G_N_ELEMENTS (level_names); i++) {
    if (strcmp (name, level_names[i]) == 0)
      return (ClipDotLevel) i;
  }
  return CLIP_DOT_MATRIX;
}

/* cl_nv_device_attribute_query */
#define NVIDIA 0x10de
#define DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000

/* Compute capability 8.0 and up: the kernel's instruction is of there. A device that only is treated as a GPU emulates it. */
static gboolean
has_tensor_cores (ClipDevice *device)
{
  cl_device_id id = clip_device_get_id (device);
  cl_uint vendor = 0, major = 0;
  if (clip_device_is_pretended (device))
    return TRUE;
  return clGetDeviceInfo (id, CL_DEVICE_VENDOR_ID, sizeof vendor, &vendor, NULL) == CL_SUCCESS && vendor == NVIDIA
         && clGetDeviceInfo (id, DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL) == CL_SUCCESS
         && major >= 8;
}

ClipDotLevel
clip_dot_get_level (ClipDevice *device, ClipPrecision precision)
{
  gboolean vex = FALSE;
  if (clip_device_is_cpu (device))
    return MIN (find_level (device, precision, &vex), get_limit ());
  return get_limit () == CLIP_DOT_MATRIX && has_tensor_cores (device) ? CLIP_DOT_MATRIX : CLIP_DOT_PORTABLE;
}

gboolean
clip_dot_is_vex (ClipDevice *device)
{
  gboolean vex = FALSE;
  find_level (device, CLIP_PRECISION_INT8, &vex);
  return vex;
}
