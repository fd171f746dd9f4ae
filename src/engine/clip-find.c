/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a model is looked for. */
#include "config.h"

#include "clip-engine.h"
#include "weights/clip-weights.h"

/* fetch-model writes config.json last, and an archive's name when it is complete: half a download is none */
static gboolean
is_model (const char *directory)
{
  g_autofree char *config = g_build_filename (directory, "config.json", NULL);
  return g_file_test (config, G_FILE_TEST_IS_REGULAR) || clip_weights_is_archive_directory (directory);
}

static char *
user_models (void)
{
  return g_build_filename (g_get_user_data_dir (), "gst-clip", "models", NULL);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(char *const *) a, *(char *const *) b);
}

/* (transfer full) (nullable): the first model, by name, that fetch-model has put into the user's data */
static char *
find_downloaded (void)
{
  g_autofree char *folder = user_models ();
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    if (is_model (path))
      g_ptr_array_add (found, g_steal_pointer (&path));
  }
  g_ptr_array_sort (found, compare_names);
  return found->len > 0 ? g_strdup (g_ptr_array_index (found, 0)) : NULL;
}

static char *
find_demo (GError **error)
{
  const char *places[] = { g_getenv ("GST_CLIP_DEMO_MODEL"), CLIP_INSTALLED_MODEL_DIR "/demo",
    CLIP_SOURCE_MODEL_DIR "/demo" };
  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    if (places[i] && is_model (places[i]))
      return g_strdup (places[i]);
  }
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "the demo model is not in %s; install the plugin with meson install, or set GST_CLIP_DEMO_MODEL to "
      "its directory",
      CLIP_INSTALLED_MODEL_DIR);
  return NULL;
}

/* A path, or the name of a downloaded model ("ViT-B/32" is stored as ViT-B-32). */
static char *
find_named (const char *model)
{
  if (g_file_test (model, G_FILE_TEST_EXISTS))
    return g_strdup (model);
  g_autofree char *folder = user_models ();
  g_autofree char *name = g_strdelimit (g_strdup (model), "/@", '-');
  g_autofree char *path = g_build_filename (folder, name, NULL);
  /* a name that is nowhere stays as it is: opening it says what is wrong */
  return is_model (path) ? g_steal_pointer (&path) : g_strdup (model);
}

char *
clip_model_find (const char *model, gboolean *is_fallback, GError **error)
{
  const char *preferred = g_getenv ("GST_CLIP_MODEL");
  if (is_fallback)
    *is_fallback = FALSE;
  if (!model || !*model)
    model = preferred && *preferred ? preferred : NULL;
  if (model)
    return g_str_equal (model, "demo") ? find_demo (error) : find_named (model);
  char *downloaded = find_downloaded ();
  if (downloaded)
    return downloaded;
  if (is_fallback)
    *is_fallback = TRUE;
  return find_demo (error);
}
