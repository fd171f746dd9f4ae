/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The precision for whoever asks for none: how much it changes depends on the weights, how fast it
 * is on the device, so both are measured once for each pair of them and remembered.
 *
 * An entry of the cache is precision/DIGEST.ini with what was measured, from which the choice
 * follows anew each time: an entry that does not say so of each candidate is damaged, and measured
 * anew. */
#include "clip-model-private.h"

#include "config.h"
#include "device/clip-kernels.h"

#include <math.h>
#include <string.h>

/* What the project promises of its reduced precisions (README, "Precision"), on the user's own
 * weights here */
#define BAR_16_BITS 0.9995
#define BAR_8_BITS 0.995

#define MEASUREMENTS (CLIP_PRECISION_AUTO + 1)

double
clip_precision_get_bar (ClipPrecision precision)
{
  return precision == CLIP_PRECISION_INT8 ? BAR_8_BITS : BAR_16_BITS;
}

ClipPrecision
clip_precision_choose (const ClipPrecisionMeasurement *m, guint n)
{
  const ClipPrecisionMeasurement *best = &m[0];
  g_return_val_if_fail (n > 0 && best->precision == CLIP_PRECISION_FP32, CLIP_PRECISION_FP32);
  for (guint i = 1; i < n; i++) {
    if (m[i].cosine >= clip_precision_get_bar (m[i].precision) && m[i].rate > best->rate)
      best = &m[i];
  }
  return best->precision;
}

/* Guards the table, and makes that two do not measure at the same time: each would slow the other.
 */
static GMutex lock;
static GHashTable
    *memory; /* key -> text of the entry, where it could not be written to the cache */

/* (transfer full) (nullable): NULL where the weights' identity is not known */
static char *
make_key (ClipQueue *queue, ClipWeights *weights, const ClipPrecision *candidates, guint n)
{
  g_autofree char *digest = clip_weights_get_digest (weights);
  if (!digest)
    return NULL;
  g_autoptr (GString) text = g_string_new (VERSION "\n");
  g_string_append_printf (
      text, "%s\n%s\n", digest, clip_device_get_key (clip_queue_get_device (queue)));
  for (guint i = 0; i < n; i++)
    g_string_append_printf (text, "%s %u\n", clip_precision_get_name (candidates[i]),
        clip_precision_get_level (candidates[i], queue));
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_checksum_update (sum, (const guchar *)text->str, (gssize)text->len);
  for (const ClipKernelSource *s = clip_kernel_sources; s->name;
       s++) /* others are as fast and exact as they are */
    g_checksum_update (sum, (const guchar *)s->source, (gssize)strlen (s->source));
  return g_strdup (g_checksum_get_string (sum));
}

static char *
entry_path (const char *key)
{
  g_autofree char *name = g_strconcat (key, ".ini", NULL);
  return clip_cache_path ("precision", name);
}

static gboolean
read_number (GKeyFile *file, ClipPrecision precision, const char *name, double low, double high,
    double *number)
{
  g_autoptr (GError) error = NULL;
  *number = g_key_file_get_double (file, clip_precision_get_name (precision), name, &error);
  return !error && *number >= low && *number <= high;
}

static gboolean
parse (GKeyFile *file, const ClipPrecision *candidates, guint n, ClipPrecisionMeasurement *m)
{
  for (guint i = 0; i <= n; i++) {
    m[i].precision = i > 0 ? candidates[i - 1] : CLIP_PRECISION_FP32;
    if (!read_number (file, m[i].precision, "rate", 0.0, 1e9, &m[i].rate)
        || !read_number (file, m[i].precision, "cosine", -1.001, 1.001, &m[i].cosine))
      return FALSE;
  }
  return TRUE;
}

static gboolean
recall (const char *key, const ClipPrecision *candidates, guint n, ClipPrecisionMeasurement *m)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *path = entry_path (key);
  const char *text = memory ? g_hash_table_lookup (memory, key) : NULL;
  if (text)
    return g_key_file_load_from_data (file, text, (gsize)-1, G_KEY_FILE_NONE, NULL)
           && parse (file, candidates, n, m);
  if (!path || !g_file_test (path, G_FILE_TEST_EXISTS))
    return FALSE;
  if (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL)
      && parse (file, candidates, n, m))
    return TRUE;
  g_info ("precision: %s is damaged, measuring anew", path);
  return FALSE;
}

static void
remember (const char *key, const ClipPrecisionMeasurement *m, guint n, gboolean is_final)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *path = entry_path (key);
  for (guint i = 0; i <= n; i++) {
    g_key_file_set_double (file, clip_precision_get_name (m[i].precision), "rate", m[i].rate);
    g_key_file_set_double (file, clip_precision_get_name (m[i].precision), "cosine", m[i].cosine);
  }
  if (is_final && path && g_key_file_save_to_file (file, path, &error))
    return;
  if (error)
    g_info ("precision: the choice is not remembered: %s", error->message);
  if (!memory)
    memory = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert (memory, g_strdup (key), g_key_file_to_data (file, NULL, NULL));
}

/* A candidate that failed, for want of memory say, may do better another day: that is not written
 * down for then. */
static gboolean
all_ran (const ClipPrecisionMeasurement *m, guint n)
{
  for (guint i = 1; i <= n; i++) {
    if (!(m[i].rate > 0.0))
      return FALSE;
  }
  return TRUE;
}

/* @model: (inout): in fp32 */
static void
measure (
    const char *path, const char *key, const ClipPrecision *candidates, guint n, ClipModel **model)
{
  ClipPrecisionMeasurement m[MEASUREMENTS];
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  if (!clip_model_measure (path, model, candidates, n, m, &error)) {
    g_info ("precision: fp32, for nothing can be measured: %s", error->message);
    return;
  }
  if (key)
    remember (key, m, n, all_ran (m, n));
  g_info ("precision: %s was chosen, in %.2f s",
      clip_precision_get_name (clip_model_get_precision (*model)),
      (double)(g_get_monotonic_time () - start) / G_USEC_PER_SEC);
}

/* What the device has instructions for */
static guint
list_candidates (ClipQueue *queue, ClipPrecision *candidates)
{
  guint n = 0;
  for (ClipPrecision p = CLIP_PRECISION_FP32; p < CLIP_PRECISION_AUTO; p++) {
    if (clip_precision_get_level (p, queue) > 0)
      candidates[n++] = p;
  }
  return n;
}

ClipModel *
clip_model_load_fastest (ClipQueue *queue, const char *path, GError **error)
{
  ClipPrecision candidates[MEASUREMENTS];
  ClipPrecisionMeasurement m[MEASUREMENTS];
  g_autoptr (ClipWeights) weights = clip_weights_open (path, error);
  guint n = list_candidates (queue, candidates);
  if (!weights || n == 0)
    return weights ? clip_model_new (queue, g_steal_pointer (&weights), CLIP_PRECISION_FP32, error)
                   : NULL;
  g_autofree char *key = make_key (queue, weights, candidates, n);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lock);
  if (key && recall (key, candidates, n, m)) {
    const ClipPrecision choice = clip_precision_choose (m, n + 1);
    g_clear_pointer (&locker, g_mutex_locker_free);
    g_info ("precision: %s, as measured before", clip_precision_get_name (choice));
    return clip_model_new (queue, g_steal_pointer (&weights), choice, error);
  }
  ClipModel *model = clip_model_new (queue, g_steal_pointer (&weights), CLIP_PRECISION_FP32, error);
  if (model)
    measure (path, key, candidates, n, &model);
  return model;
}
