/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: what the classes are called, from a file or from their folders' names. */
#include <string.h>

#include "clip-tool-eval.h"

/* A folder's name as a text: underscores are spaces, and nothing else is guessed. (transfer full) */
static char *
folder_text (const char *folder)
{
  char *text = g_filename_display_name (folder);
  g_strdelimit (text, "_", ' ');
  return g_strstrip (text);
}

/* What the one-line form of prompts would read as signs is escaped. */
static void
append_escaped (GString *line, const char *text)
{
  for (const char *c = text; *c; c++)
    g_string_append_printf (line, *c == ';' || *c == '\\' || (*c == '!' && c == text) ? "\\%c" : "%c", *c);
}

static gboolean
from_folders (EvalData *data, GPtrArray *folders, GError **error)
{
  g_autoptr (GString) line = g_string_new (NULL);
  for (guint i = 0; i < folders->len; i++) {
    const char *folder = g_ptr_array_index (folders, i);
    g_autofree char *text = folder_text (folder);
    if (!*text) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
          "the folder \"%s\" has no name that could be a class; give names with --classes", folder);
      return FALSE;
    }
    g_string_append_c (line, i == 0 ? ' ' : ';');
    append_escaped (line, text);
    g_ptr_array_add (data->folders, g_strdup (folder));
  }
  data->set = clip_prompt_set_parse (line->str, error);
  return data->set != NULL;
}

/* Line by line: @index of the folder that the line names, or folders->len. */
static guint
find_folder (GHashTable *positions, const char *label, guint none)
{
  gpointer position;
  return g_hash_table_lookup_extended (positions, label, NULL, &position) ? GPOINTER_TO_UINT (position) : none;
}

static gboolean
fail (GError **error, const char *file, const char *message, const char *name)
{
  g_autofree char *shown = g_filename_display_name (name);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "%s: %s: \"%s\"", file, message, shown);
  return FALSE;
}

/* The lines name folders; a line whose folder is absent is a class without pictures, which can be mistaken
 * for another. */
static gboolean
by_name (EvalData *data, GPtrArray *folders, GHashTable *positions, const char *file, GError **error)
{
  g_autofree gboolean *used = g_new0 (gboolean, folders->len);
  for (guint i = 0; i < clip_prompt_set_get_size (data->set); i++) {
    const char *label = clip_prompt_set_get (data->set, i)->label;
    const guint at = find_folder (positions, label, folders->len);
    if (at < folders->len && used[at])
      return fail (error, file, "two lines for the folder", label);
    if (at < folders->len)
      used[at] = TRUE;
    g_ptr_array_add (data->folders, at < folders->len ? g_strdup (label) : NULL);
  }
  for (guint i = 0; i < folders->len; i++) {
    if (!used[i])
      return fail (error, file, "no line for the folder", g_ptr_array_index (folders, i));
  }
  return TRUE;
}

/* No line names a folder: they are the names alone, in the order of the sorted folders. */
static gboolean
by_order (EvalData *data, GPtrArray *folders, const char *file, GError **error)
{
  const guint n = clip_prompt_set_get_size (data->set);
  if (n != folders->len) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "%s: has %u names for %u folders, and none is a folder's; expected a line for each folder: "
        "folder<TAB>name", file, n, folders->len);
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    const ClipLabel *label = clip_prompt_set_get (data->set, i);
    if (label->phrasings[1] || !g_str_equal (label->phrasings[0], label->label))
      return fail (error, file, "there is no such folder", label->label);
    g_ptr_array_add (data->folders, g_strdup (g_ptr_array_index (folders, i)));
  }
  return TRUE;
}

static gboolean
from_file (EvalData *data, GPtrArray *folders, const char *file, GError **error)
{
  guint matches = 0;
  data->set = clip_prompt_set_load (file, error);
  if (!data->set)
    return FALSE;
  g_autoptr (GHashTable) positions = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < folders->len; i++)
    g_hash_table_insert (positions, g_ptr_array_index (folders, i), GUINT_TO_POINTER (i));
  for (guint i = 0; i < clip_prompt_set_get_size (data->set); i++) {
    const ClipLabel *label = clip_prompt_set_get (data->set, i);
    if (label->negative)
      return fail (error, file, "a negative has no meaning here, write \"\\!\" for the character", label->label);
    matches += find_folder (positions, label->label, folders->len) < folders->len;
  }
  return matches > 0 ? by_name (data, folders, positions, file, error) : by_order (data, folders, file, error);
}

gboolean
eval_classes_open (EvalData *data, GPtrArray *folders, const char *file, GError **error)
{
  data->folders = g_ptr_array_new_with_free_func (g_free);
  return file ? from_file (data, folders, file, error) : from_folders (data, folders, error);
}
