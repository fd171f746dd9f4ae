/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompt sets: from the one-line form of a property, and from a file. */
#include "text/clip-prompts.h"

#include "clip-text-private.h"

#include <string.h>

#define MAX_FILE (64 << 20)

struct _ClipPromptSet {
  gatomicrefcount references;
  GPtrArray *labels; /* ClipLabel, owned */
};

static void
label_free (gpointer data)
{
  ClipLabel *label = data;

  g_free (label->label);
  g_strfreev (label->phrasings);
  g_free (label);
}

static ClipPromptSet *
set_new (void)
{
  ClipPromptSet *set = g_new0 (ClipPromptSet, 1);

  g_atomic_ref_count_init (&set->references);
  set->labels = g_ptr_array_new_with_free_func (label_free);
  return set;
}

ClipPromptSet *
clip_prompt_set_ref (ClipPromptSet *set)
{
  g_return_val_if_fail (set != NULL, NULL);
  g_atomic_ref_count_inc (&set->references);
  return set;
}

void
clip_prompt_set_unref (ClipPromptSet *set)
{
  if (!set || !g_atomic_ref_count_dec (&set->references))
    return;
  g_ptr_array_unref (set->labels);
  g_free (set);
}

guint
clip_prompt_set_get_size (ClipPromptSet *set)
{
  g_return_val_if_fail (set != NULL, 0);
  return set->labels->len;
}

const ClipLabel *
clip_prompt_set_get (ClipPromptSet *set, guint index)
{
  g_return_val_if_fail (set != NULL && index < set->labels->len, NULL);
  return g_ptr_array_index (set->labels, index);
}

/* takes label and phrasings */
static gboolean
set_add (ClipPromptSet *set, char *label, char **phrasings, gboolean negative, GError **error)
{
  ClipLabel *entry = g_new (ClipLabel, 1);

  *entry = (ClipLabel){ label, phrasings, negative };
  g_ptr_array_add (set->labels, entry);
  if (set->labels->len <= CLIP_MAX_PROMPTS)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "more than %d prompts", CLIP_MAX_PROMPTS);
  return FALSE;
}

/* the end of the entry that starts at @text: an unescaped `;` or the end of the string */
static const char *
find_end (const char *text)
{
  while (*text != '\0' && *text != ';')
    text += text[0] == '\\' && text[1] != '\0' ? 2 : 1;
  return text;
}

static char *
unescape (const char *text)
{
  GString *out = g_string_new (NULL);

  for (; *text != '\0'; text++) {
    if (text[0] == '\\' && text[1] != '\0' && strchr (";\\!", text[1]))
      text++;
    g_string_append_c (out, *text);
  }
  return g_string_free (out, FALSE);
}

/* TRUE with nothing added for an empty entry */
static gboolean
add_entry (ClipPromptSet *set, const char *text, gsize length, GError **error)
{
  g_autofree char *entry = g_strstrip (g_strndup (text, length));
  const gboolean negative = entry[0] == '!';
  const char *prompt = entry + negative;

  if (*entry == '\0')
    return TRUE;
  while (g_ascii_isspace (*prompt))
    prompt++;
  if (*prompt == '\0') {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "prompt %u is only a “!”, expected the text of a negative prompt after it",
        set->labels->len + 1);
    return FALSE;
  }
  char *label = unescape (prompt);
  char **phrasings = g_new0 (char *, 2);
  phrasings[0] = g_strdup (label);
  return set_add (set, label, phrasings, negative, error);
}

ClipPromptSet *
clip_prompt_set_parse (const char *prompts, GError **error)
{
  g_autoptr (ClipPromptSet) set = set_new ();
  const char *text = prompts ? prompts : "";
  const char *bad;

  if (!g_utf8_validate (text, -1, &bad)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "prompts are not valid UTF-8: byte 0x%02x at position %" G_GSIZE_FORMAT,
        (guint)(guint8)*bad, (gsize)(bad - text));
    return NULL;
  }
  while (*text != '\0') {
    const char *end = find_end (text);
    if (!add_entry (set, text, (gsize)(end - text), error))
      return NULL;
    text = *end == ';' ? end + 1 : end;
  }
  if (set->labels->len > 0)
    return g_steal_pointer (&set);
  g_set_error_literal (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
      "no prompt given, expected something like \"a dog;a cat\"");
  return NULL;
}

static gboolean
fail_line (GError **error, const char *path, guint number, const char *message)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "%s:%u: %s", path, number, message);
  return FALSE;
}

/* label and phrasings of one line; a label alone is its own phrasing */
static gboolean
add_fields (ClipPromptSet *set, char **fields, gboolean negative, GError **error)
{
  g_autoptr (GStrvBuilder) phrasings = g_strv_builder_new ();
  gboolean any = FALSE;

  for (char **field = fields + 1; *field; field++)
    if (*g_strstrip (*field) != '\0') {
      g_strv_builder_add (phrasings, *field);
      any = TRUE;
    }
  if (!any)
    g_strv_builder_add (phrasings, fields[0]);
  return set_add (set, g_strdup (fields[0]), g_strv_builder_end (phrasings), negative, error);
}

static gboolean
add_line (ClipPromptSet *set, const char *line, const char *path, guint number, GError **error)
{
  const gboolean negative = *line == '!';

  if (negative)
    line++;
  else if (line[0] == '\\' && line[1] != '\0' && strchr ("#!\\", line[1]))
    line++;
  g_auto (GStrv) fields = g_strsplit (line, "\t", -1);
  if (!fields[0] || *g_strstrip (fields[0]) == '\0')
    return fail_line (error, path, number, "has no label before its prompts");
  g_autoptr (GError) cause = NULL;
  if (!add_fields (set, fields, negative, &cause))
    return fail_line (error, path, number, cause->message);
  return TRUE;
}

static gboolean
is_blank (const char *line)
{
  while (g_ascii_isspace (*line))
    line++;
  return *line == '\0';
}

static gboolean
add_lines (ClipPromptSet *set, char *text, gsize length, const char *path, GError **error)
{
  char *end = text + length;
  guint number = 0;

  while (text < end) {
    char *stop = memchr (text, '\n', (size_t)(end - text));
    if (!stop)
      stop = end;
    *stop = '\0';
    number++;
    if (!g_utf8_validate_len (text, (gsize)(stop - text), NULL))
      return fail_line (error, path, number, "is not valid UTF-8 text");
    if (!is_blank (text) && *text != '#' && !add_line (set, text, path, number, error))
      return FALSE;
    text = stop + 1;
  }
  return TRUE;
}

ClipPromptSet *
clip_prompt_set_load (const char *path, GError **error)
{
  g_autoptr (ClipPromptSet) set = set_new ();
  gsize length;

  g_return_val_if_fail (path != NULL, NULL);
  g_autofree char *text = clip_read_file (path, MAX_FILE, CLIP_ERROR_PROMPT, &length, error);
  if (!text)
    return NULL;
  const gsize mark = g_str_has_prefix (text, "\xef\xbb\xbf") ? 3 : 0; /* a byte order mark */
  if (!add_lines (set, text + mark, length - mark, path, error))
    return NULL;
  if (set->labels->len > 0)
    return g_steal_pointer (&set);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
      "%s: holds no prompt, expected one a line, or label<TAB>prompt<TAB>...", path);
  return NULL;
}
