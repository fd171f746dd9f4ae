/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompt sets, prompts files and templates. */
#include "text/clip-prompts.h"

#include <glib/gstdio.h>
#include <string.h>

/* "label|negative|phrasing|phrasing" for each label, joined by newlines */
static char *
describe (ClipPromptSet *set)
{
  g_autoptr (GString) out = g_string_new (NULL);

  for (guint i = 0; i < clip_prompt_set_get_size (set); i++) {
    const ClipLabel *label = clip_prompt_set_get (set, i);
    g_autofree char *phrasings = g_strjoinv ("|", label->phrasings);
    g_string_append_printf (
        out, "%s%s|%d|%s", i ? "\n" : "", label->label, label->negative, phrasings);
  }
  return g_strdup (out->str);
}

static void
test_parse (void)
{
  static const struct {
    const char *prompts;
    const char *expected;
  } cases[] = {
    { "a dog;a cat", "a dog|0|a dog\na cat|0|a cat" },
    { "  a dog ;\n a cat\t; ;", "a dog|0|a dog\na cat|0|a cat" },
    { "one\\;two;a\\\\b;c\\d\\", "one;two|0|one;two\na\\b|0|a\\b\nc\\d\\|0|c\\d\\" },
    { "a\\\\;b", "a\\|0|a\\\nb|0|b" },
    { "! nothing;a dog", "nothing|1|nothing\na dog|0|a dog" },
    { "\\!wow", "!wow|0|!wow" },
    { "a dog;a dog", "a dog|0|a dog\na dog|0|a dog" },
    { "\xe7\x8a\xac", "\xe7\x8a\xac|0|\xe7\x8a\xac" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (ClipPromptSet) set = clip_prompt_set_parse (cases[i].prompts, &error);
    g_assert_no_error (error);
    g_autofree char *got = describe (set);
    g_assert_cmpstr (got, ==, cases[i].expected);
  }
}

static void
assert_parse_fails (const char *prompts, const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (clip_prompt_set_parse (prompts, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  g_assert_nonnull (strstr (error->message, words));
}

static void
test_parse_errors (void)
{
  g_autoptr (GString) many = g_string_new (NULL);

  assert_parse_fails (NULL, "no prompt");
  assert_parse_fails ("", "no prompt");
  assert_parse_fails (" ; ;", "no prompt");
  assert_parse_fails ("a;!;b", "prompt 2 is only");
  assert_parse_fails ("a dog;caf\xe9", "0xe9 at position 9");
  for (guint i = 0; i < CLIP_MAX_PROMPTS; i++)
    g_string_append (many, "p;");
  g_autoptr (ClipPromptSet) set = clip_prompt_set_parse (many->str, NULL);
  g_assert_cmpuint (clip_prompt_set_get_size (set), ==, CLIP_MAX_PROMPTS);
  g_string_append (many, "p");
  assert_parse_fails (many->str, "more than 100000");
}

static char *
write_file (const char *text, gssize length)
{
  g_autoptr (GError) error = NULL;
  char *path;
  const int file = g_file_open_tmp ("clip-prompts-XXXXXX", &path, &error);

  g_assert_no_error (error);
  g_close (file, NULL);
  g_file_set_contents (path, text, length, &error);
  g_assert_no_error (error);
  return path;
}

static void
test_file (void)
{
  g_autofree char *path
      = write_file ("\xef\xbb\xbf# pets\r\n\r\ndog\ta dog\t a puppy \t\r\n"
                    "a cat\n!nothing\tan empty room\n\\#1 fan\n\\!wow;no\n  \nlast",
          -1);
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipPromptSet) set = clip_prompt_set_load (path, &error);

  g_assert_no_error (error);
  g_autofree char *got = describe (set);
  g_assert_cmpstr (got, ==,
      "dog|0|a dog|a puppy\na cat|0|a cat\nnothing|1|an empty room\n#1 fan|0|#1 fan\n"
      "!wow;no|0|!wow;no\nlast|0|last");
  g_unlink (path);
}

static void
assert_load_fails (const char *text, gssize length, const char *words)
{
  g_autofree char *path = write_file (text, length);
  g_autoptr (GError) error = NULL;

  g_assert_null (clip_prompt_set_load (path, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  if (!strstr (error->message, words))
    g_error ("“%s” does not say “%s”", error->message, words);
  g_unlink (path);
}

static void
test_file_errors (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GString) many = g_string_new (NULL);

  assert_load_fails ("", -1, "holds no prompt");
  assert_load_fails ("# only a comment\n", -1, "holds no prompt");
  assert_load_fails ("a dog\ncaf\xe9\n", -1, ":2: is not valid UTF-8");
  assert_load_fails ("a dog\n\na\0b\n", 11, ":3: is not valid UTF-8");
  assert_load_fails ("\ta dog\n", -1, ":1: has no label");
  assert_load_fails ("a\n!\n", -1, ":2: has no label");
  for (guint i = 0; i <= CLIP_MAX_PROMPTS; i++)
    g_string_append (many, "p\n");
  assert_load_fails (many->str, -1, ":100001: more than 100000");
  g_assert_null (clip_prompt_set_load ("/nonexistent/prompts.txt", &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  g_assert_nonnull (strstr (error->message, "/nonexistent/prompts.txt"));
  g_clear_error (&error);
  g_assert_null (clip_prompt_set_load (g_get_tmp_dir (), &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
}

static void
test_references (void)
{
  ClipPromptSet *set = clip_prompt_set_parse ("a", NULL);
  ClipPromptSet *other = clip_prompt_set_ref (set);

  clip_prompt_set_unref (set);
  g_assert_cmpstr (clip_prompt_set_get (other, 0)->label, ==, "a");
  clip_prompt_set_unref (other);
}

static void
test_templates (void)
{
  static const struct {
    const char *name;
    guint count;
    const char *first;
    const char *last;
  } cases[] = {
    { NULL, 1, "x", "x" },
    { "none", 1, "x", "x" },
    { "simple", 7, "itap of a x.", "a photo of the small x." },
    { "imagenet", 80, "a bad photo of a x.", "a tattoo of the x." },
    { "ucf101", 48, "a photo of a person x.", "a demonstration of the person practicing x." },
    { "kinetics700", 28, "a photo of x.", "a demonstration of a person practicing x." },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (GStrv) templates = clip_templates_load (cases[i].name, NULL);
    g_assert_cmpuint (g_strv_length (templates), ==, cases[i].count);
    g_autofree char *first = clip_template_apply (templates[0], "x");
    g_autofree char *last = clip_template_apply (templates[cases[i].count - 1], "x");
    g_assert_cmpstr (first, ==, cases[i].first);
    g_assert_cmpstr (last, ==, cases[i].last);
    for (char **entry = templates; *entry; entry++)
      g_assert_cmpint (strstr (*entry, "{}") == g_strrstr (*entry, "{}"), ==, TRUE);
  }
}

/* SHA-256 of the templates in openai/CLIP's data/prompts.md (commit e184f608c5d5), one a line. */
static void
test_templates_of_videos (void)
{
  static const char *const cases[][2] = {
    { "ucf101", "cdd756b5bc958390db58a768950b0cfd3b41be740d0d9623fd78e08744378167" },
    { "kinetics700", "024b59ce55beb3e8de4ff1ea271fc7a6a0c4e808a6898e248c319ca941de8959" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (GStrv) templates = clip_templates_load (cases[i][0], NULL);
    g_autofree char *lines = g_strjoinv ("\n", templates);
    g_autofree char *text = g_strconcat (lines, "\n", NULL);
    g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
    g_assert_cmpstr (sum, ==, cases[i][1]);
  }
}

static void
assert_templates_fail (const char *text, gssize length, const char *words)
{
  g_autofree char *path = write_file (text, length);
  g_autoptr (GError) error = NULL;

  g_assert_null (clip_templates_load (path, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  g_assert_nonnull (strstr (error->message, words));
  g_unlink (path);
}

static void
test_template_files (void)
{
  g_autofree char *path = write_file ("# mine\r\na {} at night\r\n\n{}", -1);
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) templates = clip_templates_load (path, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (g_strv_length (templates), ==, 2);
  g_autofree char *applied = clip_template_apply (templates[0], "100 % {} \\1 dog");
  g_assert_cmpstr (applied, ==, "a 100 % {} \\1 dog at night");
  g_unlink (path);
  assert_templates_fail ("", -1, "holds no template");
  assert_templates_fail ("{}\nno place\n", -1, ":2: expected exactly one");
  assert_templates_fail ("{} and {}\n", -1, ":1: expected exactly one");
  assert_templates_fail ("{}\ncaf\xe9 {}\n", -1, ":2: is not valid UTF-8");
  assert_templates_fail ("{}\0\n", 4, "is no text file");
  g_assert_null (clip_templates_load ("imagnet", &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  g_assert_nonnull (strstr (error->message, "expected none, simple, imagenet"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/prompts/parse", test_parse);
  g_test_add_func ("/prompts/parse-errors", test_parse_errors);
  g_test_add_func ("/prompts/file", test_file);
  g_test_add_func ("/prompts/file-errors", test_file_errors);
  g_test_add_func ("/prompts/references", test_references);
  g_test_add_func ("/templates/lists", test_templates);
  g_test_add_func ("/templates/of-videos", test_templates_of_videos);
  g_test_add_func ("/templates/files", test_template_files);
  return g_test_run ();
}
