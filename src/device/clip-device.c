/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Platform and device choice; one context per process and device. */
#include "clip-device-private.h"

#include <string.h>

#define NO_PLATFORM_HINT                                                                           \
  "install one, for example the package pocl-opencl-icd (runs on the CPU) or the OpenCL driver "   \
  "of your GPU, and check with the command clinfo"

/* The devices that somebody holds, by cl_device_id; they are weak references. */
static GMutex table_lock;
static GHashTable *table;

static char *
device_string (cl_device_id id, cl_device_info what)
{
  gsize size = 0;
  if (clGetDeviceInfo (id, what, 0, NULL, &size) != CL_SUCCESS || size == 0)
    return g_strdup ("");
  char *text = g_malloc0 (size + 1);
  clGetDeviceInfo (id, what, size, text, NULL);
  return g_strstrip (text);
}

static cl_device_type
device_type (cl_device_id id)
{
  cl_device_type type = 0;
  clGetDeviceInfo (id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
  return type;
}

static gboolean
device_available (cl_device_id id)
{
  cl_bool available = CL_FALSE, compiler = CL_FALSE;
  clGetDeviceInfo (id, CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
  clGetDeviceInfo (id, CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
  return available && compiler;
}

/* (element-type cl_device_id): the usable devices of all platforms */
static GPtrArray *
find_devices (guint *n_platforms)
{
  GPtrArray *found = g_ptr_array_new ();
  cl_uint platforms = 0;
  *n_platforms = 0;
  if (clGetPlatformIDs (0, NULL, &platforms) != CL_SUCCESS || platforms == 0)
    return found;
  *n_platforms = platforms;
  g_autofree cl_platform_id *ids = g_new0 (cl_platform_id, platforms);
  clGetPlatformIDs (platforms, ids, NULL);
  for (cl_uint p = 0; p < platforms; p++) {
    cl_uint count = 0;
    if (clGetDeviceIDs (ids[p], CL_DEVICE_TYPE_ALL, 0, NULL, &count) != CL_SUCCESS || count == 0)
      continue;
    g_autofree cl_device_id *devices = g_new0 (cl_device_id, count);
    clGetDeviceIDs (ids[p], CL_DEVICE_TYPE_ALL, count, devices, NULL);
    for (cl_uint d = 0; d < count; d++) {
      if (device_available (devices[d]))
        g_ptr_array_add (found, devices[d]);
    }
  }
  return found;
}

static cl_device_id
first_of_type (GPtrArray *devices, cl_device_type type)
{
  for (guint i = 0; i < devices->len; i++) {
    if (device_type (g_ptr_array_index (devices, i)) & type)
      return g_ptr_array_index (devices, i);
  }
  return NULL;
}

static cl_device_id
first_of_name (GPtrArray *devices, const char *part)
{
  g_autofree char *wanted = g_utf8_strdown (part, -1);
  for (guint i = 0; i < devices->len; i++) {
    g_autofree char *name = device_string (g_ptr_array_index (devices, i), CL_DEVICE_NAME);
    g_autofree char *lower = g_utf8_strdown (name, -1);
    if (strstr (lower, wanted))
      return g_ptr_array_index (devices, i);
  }
  return NULL;
}

static cl_device_id
default_device (GPtrArray *devices)
{
  cl_device_id id = first_of_type (devices, CL_DEVICE_TYPE_GPU);
  if (!id)
    id = first_of_type (devices, CL_DEVICE_TYPE_CPU);
  return id ? id : g_ptr_array_index (devices, 0);
}

static cl_device_id
select_device (GPtrArray *devices, const char *selector)
{
  guint64 index;
  if (!selector || !*selector || g_ascii_strcasecmp (selector, "auto") == 0)
    return default_device (devices);
  if (g_ascii_strcasecmp (selector, "cpu") == 0)
    return first_of_type (devices, CL_DEVICE_TYPE_CPU);
  if (g_ascii_strcasecmp (selector, "gpu") == 0)
    return first_of_type (devices, CL_DEVICE_TYPE_GPU);
  if (g_ascii_strcasecmp (selector, "accelerator") == 0)
    return first_of_type (devices, CL_DEVICE_TYPE_ACCELERATOR);
  if (g_ascii_string_to_unsigned (selector, 10, 0, G_MAXUINT, &index, NULL))
    return index < devices->len ? g_ptr_array_index (devices, index) : NULL;
  return g_utf8_validate (selector, -1, NULL) ? first_of_name (devices, selector) : NULL;
}

static char *
describe_device (cl_device_id id)
{
  cl_platform_id platform = NULL;
  char vendor[256] = "?";
  clGetDeviceInfo (id, CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL);
  if (platform)
    clGetPlatformInfo (platform, CL_PLATFORM_NAME, sizeof vendor - 1, vendor, NULL);
  cl_device_type type = device_type (id);
  g_autofree char *name = device_string (id, CL_DEVICE_NAME);
  return g_strdup_printf ("%s (%s, %s)", name, vendor,
      type & CL_DEVICE_TYPE_GPU ? "gpu" : type & CL_DEVICE_TYPE_CPU ? "cpu" : "accelerator");
}

static char **
describe_devices (GPtrArray *devices)
{
  GPtrArray *names = g_ptr_array_new ();
  for (guint i = 0; i < devices->len; i++)
    g_ptr_array_add (names, describe_device (g_ptr_array_index (devices, i)));
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}

char **
clip_device_list (void)
{
  guint platforms;
  g_autoptr (GPtrArray) devices = find_devices (&platforms);
  return describe_devices (devices);
}

/* What was chosen and measured while the device was treated as a GPU does not hold when it is not. */
static char *
device_key (cl_device_id id, gboolean is_pretended)
{
  g_autofree char *name = device_string (id, CL_DEVICE_NAME);
  g_autofree char *vendor = device_string (id, CL_DEVICE_VENDOR);
  g_autofree char *version = device_string (id, CL_DEVICE_VERSION);
  g_autofree char *driver = device_string (id, CL_DRIVER_VERSION);
  return g_strjoin ("|", name, vendor, version, driver, is_pretended ? "as a GPU" : NULL, NULL);
}

/* For tests where there is no GPU: GST_CLIP_DEVICE_TYPE=gpu has a CPU device treated as one. */
static gboolean
treated_as_gpu (void)
{
  return g_strcmp0 (g_getenv ("GST_CLIP_DEVICE_TYPE"), "gpu") == 0;
}

static guint
device_uint (cl_device_id id, cl_device_info what)
{
  cl_uint value = 0;
  clGetDeviceInfo (id, what, sizeof value, &value, NULL);
  return value;
}

/* GST_CLIP_VECTOR_WIDTH: for tests of what other processors get */
static guint
vector_width (cl_device_id id)
{
  const char *forced = g_getenv ("GST_CLIP_VECTOR_WIDTH");
  guint64 width = forced ? g_ascii_strtoull (forced, NULL, 10) : device_uint (id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
  return width >= 16 ? 16 : width >= 8 ? 8 : 4;
}

static void
release_program (gpointer program)
{
  clReleaseProgram (program);
}

static ClipDevice *
device_new (cl_device_id id, GError **error)
{
  cl_int code;
  cl_context context = clCreateContext (NULL, 1, &id, NULL, NULL, &code);
  if (!context) {
    clip_cl_error (error, code, "creating an OpenCL context");
    return NULL;
  }
  ClipDevice *device = g_new0 (ClipDevice, 1);
  device->refs = 1;
  device->id = id;
  device->context = context;
  device->name = device_string (id, CL_DEVICE_NAME);
  gboolean is_processor = (device_type (id) & CL_DEVICE_TYPE_CPU) != 0;
  device->is_pretended = is_processor && treated_as_gpu ();
  device->is_cpu = is_processor && !device->is_pretended;
  device->key = device_key (id, device->is_pretended);
  device->compute_units = MAX (1, device_uint (id, CL_DEVICE_MAX_COMPUTE_UNITS));
  device->vector_width = vector_width (id);
  g_mutex_init (&device->lock);
  device->programs
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, release_program);
  return device;
}

/* Call with table_lock held. */
static ClipDevice *
lookup_or_create (cl_device_id id, GError **error)
{
  if (!table)
    table = g_hash_table_new (NULL, NULL);
  ClipDevice *device = g_hash_table_lookup (table, id);
  if (device) {
    device->refs++;
    return device;
  }
  device = device_new (id, error);
  if (device)
    g_hash_table_insert (table, id, device);
  return device;
}

ClipDevice *
clip_device_open (const char *selector, GError **error)
{
  guint platforms;
  g_autoptr (GPtrArray) devices = find_devices (&platforms);
  if (devices->len == 0) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_NO_DEVICE, "found %u OpenCL platforms and no usable device; %s",
        platforms, NO_PLATFORM_HINT);
    return NULL;
  }
  cl_device_id id = select_device (devices, selector);
  if (!id) {
    g_auto (GStrv) names = describe_devices (devices);
    g_autofree char *list = g_strjoinv ("; ", names);
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_NO_DEVICE,
        "no OpenCL device fits \"%s\"; there are, from index 0: %s; give an index, a part of a name, "
        "cpu, gpu or auto",
        selector, list);
    return NULL;
  }
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table_lock);
  (void) locker;
  return lookup_or_create (id, error);
}

ClipDevice *
clip_device_ref (ClipDevice *device)
{
  g_mutex_lock (&table_lock);
  device->refs++;
  g_mutex_unlock (&table_lock);
  return device;
}

void
clip_device_unref (ClipDevice *device)
{
  g_mutex_lock (&table_lock);
  gboolean last = --device->refs == 0;
  if (last)
    g_hash_table_remove (table, device->id);
  g_mutex_unlock (&table_lock);
  if (!last)
    return;
  g_hash_table_unref (device->programs);
  clReleaseContext (device->context);
  g_mutex_clear (&device->lock);
  g_free (device->name);
  g_free (device->key);
  g_free (device);
}

cl_context
clip_device_get_context (ClipDevice *device)
{
  return device->context;
}

cl_device_id
clip_device_get_id (ClipDevice *device)
{
  return device->id;
}

const char *
clip_device_get_name (ClipDevice *device)
{
  return device->name;
}

const char *
clip_device_get_key (ClipDevice *device)
{
  return device->key;
}

gboolean
clip_device_is_cpu (ClipDevice *device)
{
  return device->is_cpu;
}

gboolean
clip_device_is_pretended (ClipDevice *device)
{
  return device->is_pretended;
}

guint
clip_device_get_compute_units (ClipDevice *device)
{
  return device->compute_units;
}

guint
clip_device_get_vector_width (ClipDevice *device)
{
  return device->vector_width;
}

gsize
clip_device_get_allocated (ClipDevice *device)
{
  return __atomic_load_n (&device->allocated, __ATOMIC_RELAXED);
}
