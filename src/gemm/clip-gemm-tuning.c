/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key file: [device] with the device's key and CLBlast's version, and for each tuned family a group "fp32 NAME" with
 * all its parameters. */
#include "config.h"

#include "clip-gemm-tuning.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <unistd.h>

#define FOLDER "tuned"
#define DEVICE_GROUP "device"

/* what was used in this process: cl_device_id -> digest. CLBlast, too, keeps parameters for the process */
static GMutex used_lock;
static GHashTable *used;

char *
clip_gemm_tuning_get_path (ClipDevice *device)
{
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, clip_device_get_key (device), -1);
  g_autofree char *name = g_strdup_printf ("%.16s-clblast-%s.ini", digest, CLBLAST_VERSION);
  return g_build_filename (g_get_user_data_dir (), "gst-clip", FOLDER, name, NULL);
}

static char *
group_name (ClipGemmFamily family)
{
  return g_strconcat ("fp32 ", clip_gemm_family_get_name (family), NULL);
}

static gboolean
check_device (GKeyFile *file, ClipDevice *device, GError **error)
{
  g_autofree char *key = g_key_file_get_string (file, DEVICE_GROUP, "key", NULL);
  g_autofree char *version = g_key_file_get_string (file, DEVICE_GROUP, "clblast", NULL);
  if (g_strcmp0 (key, clip_device_get_key (device)) == 0 && g_strcmp0 (version, CLBLAST_VERSION) == 0)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "it is of %s with CLBlast %s, expected %s with " CLBLAST_VERSION,
      key ? key : "no device", version ? version : "?", clip_device_get_key (device));
  return FALSE;
}

static gboolean
read_set (GKeyFile *file, const char *group, ClipGemmFamily family, ClipGemmSet *set, GError **error)
{
  gsize count = 0;
  g_auto (GStrv) keys = g_key_file_get_keys (file, group, &count, error);
  if (!keys)
    return FALSE;
  for (guint i = 0; i < clip_gemm_family_get_size (family); i++) {
    g_autoptr (GError) problem = NULL;
    const int value = g_key_file_get_integer (file, group, clip_gemm_family_get_parameter (family, i), &problem);
    if (problem || value < 0) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "%s: %s", group,
          problem ? problem->message : "a value is negative");
      return FALSE;
    }
    set->values[i] = (guint) value;
  }
  if (count == clip_gemm_family_get_size (family))
    return clip_gemm_set_check (family, set, error);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "%s has %" G_GSIZE_FORMAT " parameters, expected %u", group, count,
      clip_gemm_family_get_size (family));
  return FALSE;
}

static gboolean
parse (const char *text, gsize size, ClipDevice *device, ClipGemmTuning *tuning, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  if (!g_key_file_load_from_data (file, text, size, G_KEY_FILE_NONE, error) || !check_device (file, device, error))
    return FALSE;
  for (ClipGemmFamily family = 0; family < CLIP_GEMM_FAMILIES; family++) {
    g_autofree char *group = group_name (family);
    tuning->has[family] = g_key_file_has_group (file, group);
    if (tuning->has[family] && !read_set (file, group, family, &tuning->sets[family], error))
      return FALSE;
  }
  return TRUE;
}

/* (transfer full) (nullable): no more than a file of parameters has; a device file or a pipe is not waited for */
static char *
read_file (const char *path, gsize *size, GError **error)
{
  char *text = NULL;
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "it is no regular file");
    return NULL;
  }
  return g_file_get_contents (path, &text, size, error) ? text : NULL;
}

gboolean
clip_gemm_tuning_load (ClipDevice *device, ClipGemmTuning *tuning, char **digest, GError **error)
{
  g_autofree char *path = clip_gemm_tuning_get_path (device), *text = NULL;
  g_autoptr (GError) problem = NULL;
  gsize size = 0;
  *tuning = (ClipGemmTuning){ 0 };
  if (digest)
    *digest = g_strdup ("");
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  text = read_file (path, &size, &problem);
  if (!text || !parse (text, size, device, tuning, &problem)) {
    *tuning = (ClipGemmTuning){ 0 };
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING,
        "%s cannot be used: %s; CLBlast's own parameters are used; remove it, or run gst-clip-1.0 tune", path,
        problem->message);
    return FALSE;
  }
  if (digest) {
    g_free (*digest);
    *digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) text, size);
  }
  return TRUE;
}

static gboolean
is_empty (const ClipGemmTuning *tuning)
{
  for (ClipGemmFamily family = 0; family < CLIP_GEMM_FAMILIES; family++) {
    if (tuning->has[family])
      return FALSE;
  }
  return TRUE;
}

static gboolean
cannot_store (const char *path, const char *reason, GError **error)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING,
      "cannot store %s: %s; XDG_DATA_HOME names another place for a user's data", path, reason);
  return FALSE;
}

gboolean
clip_gemm_tuning_prepare (ClipDevice *device, GError **error)
{
  g_autofree char *path = clip_gemm_tuning_get_path (device), *folder = g_path_get_dirname (path);
  return (g_mkdir_with_parents (folder, 0700) == 0 && g_access (folder, W_OK) == 0)
         || cannot_store (path, g_strerror (errno), error);
}

gboolean
clip_gemm_tuning_save (ClipDevice *device, const ClipGemmTuning *tuning, GError **error)
{
  g_autofree char *path = clip_gemm_tuning_get_path (device);
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autoptr (GError) problem = NULL;
  if (is_empty (tuning))
    return g_unlink (path) == 0 || errno == ENOENT || errno == ENOTDIR || cannot_store (path, g_strerror (errno), error);
  g_key_file_set_string (file, DEVICE_GROUP, "key", clip_device_get_key (device));
  g_key_file_set_string (file, DEVICE_GROUP, "clblast", CLBLAST_VERSION);
  for (ClipGemmFamily family = 0; family < CLIP_GEMM_FAMILIES; family++) {
    g_autofree char *group = group_name (family);
    for (guint i = 0; tuning->has[family] && i < clip_gemm_family_get_size (family); i++)
      g_key_file_set_integer (
          file, group, clip_gemm_family_get_parameter (family, i), (int) tuning->sets[family].values[i]);
  }
  if (!clip_gemm_tuning_prepare (device, error))
    return FALSE;
  return g_key_file_save_to_file (file, path, &problem) || cannot_store (path, problem->message, error);
}

/* The families that went before stay as they are: each is right on its own */
static gboolean
apply (ClipDevice *device, const ClipGemmTuning *tuning, GError **error)
{
  for (ClipGemmFamily family = 0; family < CLIP_GEMM_FAMILIES; family++) {
    if (tuning->has[family] && !clip_gemm_set_apply (family, &tuning->sets[family], device, error))
      return FALSE;
  }
  return TRUE;
}

/* (transfer full): call with used_lock held */
static char *
use_stored (ClipDevice *device)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *digest = NULL;
  ClipGemmTuning tuning;
  if (clip_gemm_tuning_load (device, &tuning, &digest, &error) && apply (device, &tuning, &error))
    return g_steal_pointer (&digest);
  g_warning ("%s", error->message);
  return g_strdup ("");
}

static const char *
find_or_add (ClipDevice *device, char *(*find) (ClipDevice *) )
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&used_lock);
  (void) locker;
  if (!used)
    used = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  char *digest = g_hash_table_lookup (used, clip_device_get_id (device));
  if (!digest) {
    digest = find (device);
    g_hash_table_insert (used, clip_device_get_id (device), digest);
  }
  return digest;
}

const char *
clip_gemm_tuning_use (ClipDevice *device)
{
  return find_or_add (device, use_stored);
}

static char *
use_nothing (ClipDevice *device)
{
  return g_strdup ("");
}

void
clip_gemm_tuning_skip (ClipDevice *device)
{
  find_or_add (device, use_nothing);
}
