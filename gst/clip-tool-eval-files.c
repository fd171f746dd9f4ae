/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: the files below the class folders, in an order that depends on their names alone. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "clip-tool-eval.h"

#define MAX_DEPTH 64
#define MAX_CLASSES 30000 /* the confusion table grows with the square */

static void
file_clear (gpointer data)
{
  g_free (((EvalFile *) data)->path);
}

static void
problem_clear (gpointer data)
{
  EvalProblem *problem = data;
  g_free (problem->path);
  g_free (problem->message);
}

void
eval_data_free (EvalData *data)
{
  g_free (data->directory);
  g_clear_pointer (&data->set, clip_prompt_set_unref);
  g_clear_pointer (&data->folders, g_ptr_array_unref);
  g_array_unref (data->files);
  g_array_unref (data->problems);
  g_free (data);
}

const char *
eval_data_name (const EvalData *data, guint index)
{
  return clip_prompt_set_get (data->set, index)->phrasings[0];
}

void
eval_data_fail (EvalData *data, const char *path, GError *error)
{
  /* the reader's errors begin with the file's name, which the list shows anyway */
  g_autofree char *whole = g_build_filename (data->directory, path, NULL);
  g_autofree char *prefix = g_filename_display_name (whole);
  const char *message = error->message;
  if (g_str_has_prefix (message, prefix) && g_str_has_prefix (message + strlen (prefix), ": "))
    message += strlen (prefix) + 2;
  EvalProblem problem = { g_strdup (path), g_strdup (message) };
  g_array_append_val (data->problems, problem);
  g_error_free (error);
}

static void
note (EvalData *data, const char *path, const char *message)
{
  eval_data_fail (data, path, g_error_new_literal (CLIP_ERROR, CLIP_ERROR_IMAGE, message));
}

static int
by_bytes (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* Names in @directory without those that begin with a dot, sorted. (transfer full) */
static GPtrArray *
list_names (const char *directory, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, error);
  if (!dir)
    return NULL;
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  const char *name;
  while ((name = g_dir_read_name (dir))) {
    if (*name != '.')
      g_ptr_array_add (names, g_strdup (name));
  }
  g_ptr_array_sort (names, by_bytes);
  return names;
}

/* Folders seen below one class, by device and inode: each counts once, so links cannot make a loop. */
static gboolean
visit (GHashTable *seen, const struct stat *status)
{
  return g_hash_table_add (seen, g_strdup_printf ("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
                                     (guint64) status->st_dev, (guint64) status->st_ino));
}

static void walk (EvalData *data, const char *path, guint label, guint depth, GHashTable *seen);

static void
take (EvalData *data, const char *path, guint label, guint depth, GHashTable *seen)
{
  g_autofree char *whole = g_build_filename (data->directory, path, NULL);
  struct stat status;
  if (stat (whole, &status) != 0) {
    note (data, path, g_strerror (errno));
  } else if (S_ISDIR (status.st_mode)) {
    if (!visit (seen, &status))
      note (data, path, "is a link to a folder that was visited already");
    else if (depth == MAX_DEPTH)
      note (data, path, "is more than " G_STRINGIFY (MAX_DEPTH) " folders deep");
    else
      walk (data, path, label, depth + 1, seen);
  } else if (S_ISREG (status.st_mode)) {
    EvalFile file = { g_strdup (path), label, EVAL_NO_CLASS, 0, FALSE };
    g_array_append_val (data->files, file);
  } else {
    data->skipped++;
  }
}

static void
walk (EvalData *data, const char *path, guint label, guint depth, GHashTable *seen)
{
  g_autofree char *whole = g_build_filename (data->directory, path, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) names = list_names (whole, &error);
  if (!names) {
    eval_data_fail (data, path, g_steal_pointer (&error));
    return;
  }
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *below = g_build_filename (path, g_ptr_array_index (names, i), NULL);
    take (data, below, label, depth, seen);
  }
}

static int
by_class_and_path (gconstpointer a, gconstpointer b)
{
  const EvalFile *x = a, *y = b;
  return x->label != y->label ? (x->label < y->label ? -1 : 1) : strcmp (x->path, y->path);
}

static void
list_class (EvalData *data, guint label)
{
  const char *folder = g_ptr_array_index (data->folders, label);
  const guint before = data->files->len, problems = data->problems->len;
  struct stat root;
  if (!folder)
    return;
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (stat (data->directory, &root) == 0)
    visit (seen, &root);
  take (data, folder, label, 0, seen);
  if (data->files->len == before && data->problems->len == problems)
    note (data, folder, "holds no file");
}

/* (transfer full): names of the folders in the directory */
static GPtrArray *
list_folders (EvalData *data, GError **error)
{
  g_autoptr (GPtrArray) names = list_names (data->directory, error);
  if (!names)
    return NULL;
  g_autoptr (GPtrArray) folders = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *path = g_build_filename (data->directory, name, NULL);
    if (g_file_test (path, G_FILE_TEST_IS_DIR))
      g_ptr_array_add (folders, g_strdup (name));
    else
      data->skipped++;
  }
  if (folders->len > 0)
    return g_steal_pointer (&folders);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
      "%s: holds no folder, expected one for each class, with its pictures or videos", data->directory);
  return NULL;
}

EvalData *
eval_data_open (const char *directory, const char *classes_file, GError **error)
{
  g_autoptr (EvalData) data = g_new0 (EvalData, 1);
  data->directory = g_strdup (directory);
  data->files = g_array_new (FALSE, FALSE, sizeof (EvalFile));
  g_array_set_clear_func (data->files, file_clear);
  data->problems = g_array_new (FALSE, FALSE, sizeof (EvalProblem));
  g_array_set_clear_func (data->problems, problem_clear);
  g_autoptr (GPtrArray) folders = list_folders (data, error);
  if (!folders || !eval_classes_open (data, folders, classes_file, error))
    return NULL;
  if (data->folders->len > MAX_CLASSES) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "%u classes, expected at most %d", data->folders->len,
        MAX_CLASSES);
    return NULL;
  }
  for (guint i = 0; i < data->folders->len; i++)
    list_class (data, i);
  g_array_sort (data->files, by_class_and_path);
  return g_steal_pointer (&data);
}
