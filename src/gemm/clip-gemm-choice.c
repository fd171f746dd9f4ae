/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which backend: measured once per device and shape class, remembered on disk.
 *
 * A class is M, N and K rounded up to powers of two. A CPU device has a single class, measured on a
 * matrix of middle size, and there the panels are held against the FMA peak: CLBlast compiles for
 * ten seconds and the best of its thousand parameter sets reached a sixth of a CPU's peak, so it is
 * tried only where the panels do no better than that. */
#include "clip-gemm-private.h"
#include "clip-gemm-tuning.h"

#include "config.h"

#include <string.h>

#define GROUP "backend"
#define RUNS 3 /* the fastest counts */
#define MAX_ROWS 2048
/* what stands for all shapes on a CPU device */
#define CPU_ROWS 64
#define CPU_WIDTH 768
#define CPU_RUNS 10
/* of the peak: with less than this CLBlast gets its chance */
#define CPU_GOOD_ENOUGH 0.2

static guint
round_up (guint value)
{
  guint power = 1;
  while (power < value && power < (1u << 30))
    power *= 2;
  return power;
}

char *
clip_linear_class_name (ClipDevice *device, guint m, guint n, guint k)
{
  if (clip_device_is_cpu (device))
    return g_strdup ("cpu");
  return g_strdup_printf ("m%u-n%u-k%u", round_up (m), round_up (n), round_up (k));
}

/* The version is part of the name: another version has other kernels. With other parameters of CLBlast, or without
 * those of once, the file is another: then all is measured anew. */
static char *
choice_file (ClipDevice *device)
{
  g_autofree char *key = g_strconcat (clip_device_get_key (device), clip_gemm_tuning_use (device), NULL);
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, key, -1);
  g_autofree char *name = g_strdup_printf ("%.16s-" VERSION ".ini", digest);
  return clip_cache_path ("gemm", name);
}

/* Choices of this process, for when the cache is switched off or cannot be written: a model has
 * dozens of matrices and must not measure each. */
static GMutex memory_lock;
static GHashTable *memory;

static char *
memory_key (ClipDevice *device, const char *class_name)
{
  return g_strjoin ("\x1f", clip_device_get_key (device), class_name, NULL);
}

static const ClipLinearBackend *
recall (ClipDevice *device, const char *class_name)
{
  g_autofree char *key = memory_key (device, class_name);
  g_mutex_lock (&memory_lock);
  const ClipLinearBackend *found = memory ? g_hash_table_lookup (memory, key) : NULL;
  g_mutex_unlock (&memory_lock);
  return found;
}

static void
remember (ClipDevice *device, const char *class_name, const ClipLinearBackend *backend)
{
  g_mutex_lock (&memory_lock);
  if (!memory)
    memory = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_insert (memory, memory_key (device, class_name), (gpointer) backend);
  g_mutex_unlock (&memory_lock);
}

static const ClipLinearBackend *
load_choice (ClipDevice *device, const char *class_name)
{
  g_autofree char *path = choice_file (device);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  if (!path || !g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL))
    return NULL;
  g_autofree char *name = g_key_file_get_string (file, GROUP, class_name, NULL);
  if (g_strcmp0 (name, clip_linear_panel.name) == 0)
    return &clip_linear_panel;
  return g_strcmp0 (name, clip_linear_clblast.name) == 0 ? &clip_linear_clblast : NULL;
}

static void
save_choice (ClipDevice *device, const char *class_name, const ClipLinearBackend *backend)
{
  g_autofree char *path = choice_file (device);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  if (!path)
    return;
  /* a damaged file is begun anew; the write is a rename, so another process never sees a half */
  if (!g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, &error))
    g_debug ("gemm: %s: %s", path, error->message);
  g_clear_error (&error);
  g_key_file_set_string (file, "device", "key", clip_device_get_key (device));
  g_key_file_set_string (file, GROUP, class_name, backend->name);
  if (!g_key_file_save_to_file (file, path, &error))
    g_info ("gemm: the choice is not remembered: %s", error->message);
}

/* Microseconds of the fastest run, the first (which may compile) not counted; -1 on error */
static gint64
time_linear (ClipLinear *linear, ClipQueue *queue, guint m, ClipBuffer *a, ClipBuffer *c, guint runs,
    GError **error)
{
  gint64 best = G_MAXINT64;
  for (guint i = 0; i <= runs; i++) {
    gint64 start = g_get_monotonic_time ();
    if (!clip_linear_run (linear, queue, m, a, 0, linear->k, CLIP_ACTIVATION_NONE, NULL, c, 0, linear->n, error)
        || !clip_queue_finish (queue, error))
      return -1;
    if (i > 0)
      best = MIN (best, g_get_monotonic_time () - start);
  }
  return best;
}

/* Rows of the weight serve as A: real data of the right length. */
static ClipBuffer *
sample_input (ClipQueue *queue, const float *weight, guint n, guint k, guint m, GError **error)
{
  gsize row = k * sizeof (float);
  ClipBuffer *a = clip_buffer_new (clip_queue_get_device (queue), m * row, error);
  for (guint i = 0; a && i < m; i++) {
    if (!clip_buffer_write (a, queue, i * row, weight + (gsize) (i % n) * k, row, error))
      g_clear_pointer (&a, clip_buffer_unref);
  }
  return a;
}

static ClipLinear *
measure (ClipQueue *queue, const float *weight, const float *bias, guint n, guint k, guint m, GError **error)
{
  const ClipLinearBackend *backends[] = { &clip_linear_panel, &clip_linear_clblast };
  gint64 times[G_N_ELEMENTS (backends)] = { -1, -1 }, best = -1;
  g_autoptr (ClipBuffer) a = sample_input (queue, weight, n, k, m, error);
  g_autoptr (ClipBuffer) c
      = a ? clip_buffer_new (clip_queue_get_device (queue), (gsize) m * n * sizeof (float), error) : NULL;
  ClipLinear *winner = NULL;
  if (!c)
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS (backends); i++) {
    g_autoptr (GError) failure = NULL;
    g_autoptr (ClipLinear) linear
        = clip_linear_new_with_backend (backends[i], queue, weight, bias, n, k, &failure);
    times[i] = linear ? time_linear (linear, queue, m, a, c, RUNS, &failure) : -1;
    if (failure) {
      g_info ("gemm: %s is out: %s", backends[i]->name, failure->message);
      if (!winner && i + 1 == G_N_ELEMENTS (backends))
        g_propagate_error (error, g_steal_pointer (&failure));
    } else if (!winner || times[i] < best) {
      g_clear_pointer (&winner, clip_linear_free);
      winner = g_steal_pointer (&linear);
      best = times[i];
    }
  }
  g_info ("gemm: m=%u n=%u k=%u: panel %" G_GINT64_FORMAT " us, clblast %" G_GINT64_FORMAT " us", m, n, k,
      times[0], times[1]);
  return winner;
}

/* The panels' share of the peak, -1 where they fail */
static double
measure_panel_share (ClipQueue *queue, const float *weight)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipBuffer) a = sample_input (queue, weight, CPU_WIDTH, CPU_WIDTH, CPU_ROWS, &error);
  g_autoptr (ClipBuffer) c
      = a ? clip_buffer_new (clip_queue_get_device (queue), CPU_ROWS * CPU_WIDTH * sizeof (float), &error) : NULL;
  g_autoptr (ClipLinear) linear = c ? clip_linear_new_with_backend (&clip_linear_panel, queue, weight, NULL,
                                          CPU_WIDTH, CPU_WIDTH, &error)
                                    : NULL;
  gint64 time = linear ? time_linear (linear, queue, CPU_ROWS, a, c, CPU_RUNS, &error) : -1;
  double peak = time > 0 ? clip_linear_measure_peak (queue, &error) : -1;
  if (peak <= 0) {
    g_info ("gemm: the panels are out: %s", error ? error->message : "no time was measured");
    return -1;
  }
  double rate = 2e-3 * CPU_ROWS * CPU_WIDTH * CPU_WIDTH / time;
  g_info ("gemm: panel %.0f GFLOP/s of a peak of %.0f", rate, peak);
  return rate / peak;
}

static const ClipLinearBackend *
measure_cpu (ClipQueue *queue, GError **error)
{
  const guint count = CPU_WIDTH * CPU_WIDTH;
  g_autofree float *weight = g_new (float, count);
  for (guint i = 0; i < count; i++)
    weight[i] = (float) (i % 251) / 251 - 0.5f;
  if (measure_panel_share (queue, weight) >= CPU_GOOD_ENOUGH)
    return &clip_linear_panel;
  g_autoptr (ClipLinear) winner
      = measure (queue, weight, NULL, CPU_WIDTH, CPU_WIDTH, CPU_ROWS, error);
  return winner ? winner->backend : NULL;
}

static void
settle (ClipDevice *device, const char *class_name, const ClipLinearBackend *backend)
{
  remember (device, class_name, backend);
  save_choice (device, class_name, backend);
}

/* Measured before, by this process or another one; or NULL */
static const ClipLinearBackend *
find_choice (ClipDevice *device, const char *class_name)
{
  const ClipLinearBackend *backend = recall (device, class_name);
  if (!backend && (backend = load_choice (device, class_name)))
    remember (device, class_name, backend);
  return backend;
}

const ClipLinearBackend *
clip_linear_choose_cpu (ClipQueue *queue, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  g_autofree char *class_name = clip_linear_class_name (device, 1, 1, 1);
  const ClipLinearBackend *backend = find_choice (device, class_name);
  if (!backend && (backend = measure_cpu (queue, error)))
    settle (device, class_name, backend);
  return backend;
}

ClipLinear *
clip_linear_choose (ClipQueue *queue, const float *weight, const float *bias, guint n, guint k,
    guint typical_m, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  gboolean is_cpu = clip_device_is_cpu (device);
  g_autofree char *class_name = clip_linear_class_name (device, typical_m, n, k);
  const ClipLinearBackend *backend
      = is_cpu ? clip_linear_choose_cpu (queue, error) : find_choice (device, class_name);
  if (backend || is_cpu)
    return backend ? clip_linear_new_with_backend (backend, queue, weight, bias, n, k, error) : NULL;
  ClipLinear *winner = measure (queue, weight, bias, n, k, MIN (typical_m, MAX_ROWS), error);
  if (winner)
    settle (device, class_name, winner->backend);
  return winner;
}

static const ClipLinearBackend *
find_reduced (ClipQueue *queue, ClipPrecision precision, GError **error)
{
  return clip_device_is_cpu (clip_queue_get_device (queue)) ? clip_dot_find (queue, precision, error)
                                                            : clip_half_find (queue, precision, error);
}

/* The class has GST_CLIP_DOT's level in it, which tests change. */
const ClipLinearBackend *
clip_linear_choose_dot (ClipQueue *queue, ClipPrecision precision, GError **error)
{
  ClipDevice *device = clip_queue_get_device (queue);
  g_autofree char *class_name = g_strdup_printf (
      "%s-%d", clip_precision_get_name (precision), (int) clip_dot_get_level (device, precision));
  const ClipLinearBackend *backend = recall (device, class_name);
  if (!backend && (backend = find_reduced (queue, precision, error)))
    remember (device, class_name, backend);
  return backend;
}
