/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tokenizer against openai/CLIP's answers (CLIP_REFERENCE, skipped where absent), and on the
 * built-in model's vocabulary and on broken files, which need no reference.
 */
#include "text/clip-text-private.h"
#include "text/clip-tokenizer.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define FULL_VOCABULARY 49408

static char *
reference (const char *path)
{
  const char *root = g_getenv ("CLIP_REFERENCE");
  g_autofree char *full = g_build_filename (root ? root : "", path, NULL);

  if (root && g_file_test (full, G_FILE_TEST_EXISTS))
    return g_steal_pointer (&full);
  g_test_skip ("reference absent");
  return NULL;
}

/* (transfer full): a file of the project's own small vocabulary */
static char *
own (const char *name)
{
  return g_build_filename (g_getenv ("CLIP_TEST_DATA"), "vocab", name, NULL);
}

static guint
own_vocab_size (void)
{
  g_autofree char *path = own ("vocab.json");
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;

  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  return json_object_get_size (json_node_get_object (json_parser_get_root (parser)));
}

static ClipTokenizer *
open_tokenizer (const char *directory, guint vocab_size)
{
  g_autoptr (GError) error = NULL;
  ClipTokenizer *tokenizer = clip_tokenizer_new (directory, vocab_size, &error);

  g_assert_no_error (error);
  g_assert_nonnull (tokenizer);
  return tokenizer;
}

static ClipTokenizer *
open_own (guint vocab_size)
{
  g_autofree char *directory = own ("");
  return open_tokenizer (directory, vocab_size);
}

static JsonNode *
parse_json (const char *text)
{
  g_autoptr (GError) error = NULL;
  JsonNode *node = json_from_string (text, &error);

  g_assert_no_error (error);
  return node;
}

static char *
describe (GArray *ids)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < ids->len; i++)
    g_string_append_printf (out, i ? " %d" : "%d", g_array_index (ids, gint32, i));
  return g_string_free (out, FALSE);
}

/* zeros after the last id are padding of the reference */
static gboolean
equals (GArray *ids, JsonArray *expected)
{
  guint length = json_array_get_length (expected);

  while (length > ids->len && json_array_get_int_element (expected, length - 1) == 0)
    length--;
  if (ids->len != length)
    return FALSE;
  for (guint i = 0; i < length; i++)
    if (g_array_index (ids, gint32, i) != json_array_get_int_element (expected, i))
      return FALSE;
  return TRUE;
}

static gboolean
check (ClipTokenizer *tokenizer, const char *text, gssize length, JsonArray *expected,
    const char *what)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) ids = clip_tokenizer_encode (tokenizer, text, length, &error);

  g_assert_no_error (error);
  if (equals (ids, expected))
    return TRUE;
  g_autofree char *got = describe (ids);
  g_test_message ("%s: “%s” gives %s", what, text, got);
  return FALSE;
}

static gboolean
check_case (ClipTokenizer *tokenizer, JsonObject *object)
{
  const char *name
      = json_object_has_member (object, "ids_without_ftfy") ? "ids_without_ftfy" : "ids";
  JsonArray *expected = json_object_get_array_member (object, name);
  g_autofree char *what
      = g_strdup_printf ("case %d (%s)", (int)json_object_get_int_member (object, "id"),
          json_object_get_string_member (object, "group"));

  if (!json_object_has_member (object, "text_base64"))
    return check (tokenizer, json_object_get_string_member (object, "text"), -1, expected, what);
  gsize length;
  g_autofree guchar *bytes
      = g_base64_decode (json_object_get_string_member (object, "text_base64"), &length);
  return check (tokenizer, (const char *)bytes, (gssize)length, expected, what);
}

static char **
read_lines (const char *path)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return g_strsplit (text, "\n", -1);
}

static void
test_reference_strings (void)
{
  g_autofree char *path = reference ("tokenizer/strings.jsonl");
  if (!path)
    return;
  g_autofree char *directory = g_path_get_dirname (path);
  g_autoptr (ClipTokenizer) tokenizer = open_tokenizer (directory, FULL_VOCABULARY);
  g_auto (GStrv) lines = read_lines (path);
  guint total = 0, equal = 0;

  for (guint i = 0; lines[i] && *lines[i]; i++) {
    g_autoptr (JsonNode) node = parse_json (lines[i]);
    total++;
    equal += check_case (tokenizer, json_node_get_object (node)) ? 1 : 0;
  }
  g_test_message ("%u of %u strings equal openai/CLIP's ids", equal, total);
  g_assert_cmpuint (total, >=, 1000);
  g_assert_cmpuint (equal, ==, total);
}

static void
test_reference_invalid (void)
{
  g_autofree char *path = reference ("tokenizer/invalid-utf8.jsonl");
  if (!path)
    return;
  g_autofree char *directory = g_path_get_dirname (path);
  g_autoptr (ClipTokenizer) tokenizer = open_tokenizer (directory, FULL_VOCABULARY);
  g_auto (GStrv) lines = read_lines (path);

  for (guint i = 0; lines[i] && *lines[i]; i++) {
    g_autoptr (JsonNode) node = parse_json (lines[i]);
    g_autoptr (GError) error = NULL;
    gsize length;
    g_autofree guchar *bytes = g_base64_decode (
        json_object_get_string_member (json_node_get_object (node), "bytes_base64"), &length);
    g_assert_null (clip_tokenizer_encode (tokenizer, (const char *)bytes, (gssize)length, &error));
    g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  }
}

static guint
check_all (ClipTokenizer *tokenizer, JsonArray *cases, const char *what)
{
  const guint count = json_array_get_length (cases);

  for (guint i = 0; i < count; i++) {
    JsonObject *entry = json_array_get_object_element (cases, i);
    g_assert_true (check (tokenizer, json_object_get_string_member (entry, "text"), -1,
        json_object_get_array_member (entry, "ids"), what));
  }
  return count;
}

static JsonNode *
load_json (const char *path)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return parse_json (text);
}

static void
test_reference_truncated (void)
{
  g_autofree char *path = reference ("tokenizer/truncated-vocabularies.json");
  if (!path)
    return;
  g_autofree char *directory = g_path_get_dirname (path);
  g_autoptr (JsonNode) node = load_json (path);
  JsonObjectIter iter;
  const char *size;
  JsonNode *cases;
  guint count = 0;

  json_object_iter_init (&iter, json_node_get_object (node));
  while (json_object_iter_next (&iter, &size, &cases)) {
    g_autoptr (ClipTokenizer) tokenizer = open_tokenizer (directory, (guint)atoi (size));
    count += check_all (tokenizer, json_node_get_array (cases), size);
  }
  g_test_message ("%u cases on small vocabularies", count);
  g_assert_cmpuint (count, >, 0);
}

static void
test_reference_small_files (void)
{
  g_autofree char *path = reference ("tokenizer/truncated-vocabularies.json");
  if (!path)
    return;
  g_autofree char *directory = reference ("models/vit-quickgelu/hf-fp16");
  g_autoptr (ClipTokenizer) tokenizer = open_tokenizer (directory, 1024);
  g_autoptr (JsonNode) node = load_json (path);

  check_all (tokenizer, json_object_get_array_member (json_node_get_object (node), "1024"), "1024");
}

static void
test_reference_tokenizer_json (void)
{
  g_autofree char *path = reference ("tokenizer/strings.jsonl");
  if (!path)
    return;
  g_autofree char *directory = reference ("models/vit-full-vocab/hf-fp16");
  g_autoptr (ClipTokenizer) tokenizer = open_tokenizer (directory, FULL_VOCABULARY);
  g_auto (GStrv) lines = read_lines (path);

  for (guint i = 0; lines[i] && *lines[i]; i++) {
    g_autoptr (JsonNode) node = parse_json (lines[i]);
    g_assert_true (check_case (tokenizer, json_node_get_object (node)));
  }
}

/* Texts whose cleaned form is known: both must give the same ids. */
static const struct {
  const char *text;
  const char *same_as;
} pairs[] = {
  { "  A  Photo\tof\na\xc2\xa0"
    "DOG ",
      "a photo of a dog" },
  { "\x1c a dog \x1f", "a dog" },
  { "a&nbsp;dog", "a dog" },
  { "a &amp;amp; b", "a & b" },
  { "&lt;a&gt;", "<a>" },
  { "&#65;&#x42;&#X43", "abc" },
  { "&notit;", "\xc2\xacit;" },
  { "&notin;", "\xe2\x88\x89" },
  { "&#128;", "\xe2\x82\xac" },
  { "&#1;&#xFFFF;dog", "dog" },
  { "a\xcd\x85 b", "a b" },
  { "&#xD800;&#x110000;&#99999999999999999999;", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
  { "\xce\x9f\xce\x94\xce\x9f\xce\xa3", "\xce\xbf\xce\xb4\xce\xbf\xcf\x82" },
  { "\xce\x9f\xce\xa3\xce\x9f", "\xce\xbf\xcf\x83\xce\xbf" },
  { "\xc4\xb0", "i\xcc\x87" },
};

static void
assert_same (ClipTokenizer *tokenizer, const char *text, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GArray) got = clip_tokenizer_encode (tokenizer, text, -1, &error);
  g_assert_no_error (error);
  g_autoptr (GArray) want = clip_tokenizer_encode (tokenizer, expected, -1, &error);
  g_assert_no_error (error);
  g_autofree char *got_text = describe (got);
  g_autofree char *want_text = describe (want);

  g_assert_cmpstr (got_text, ==, want_text);
}

static void
test_cleaning (void)
{
  g_autoptr (ClipTokenizer) tokenizer
      = open_own (own_vocab_size ());

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++)
    assert_same (tokenizer, pairs[i].text, pairs[i].same_as);
}

static void
test_special_tokens (void)
{
  g_autoptr (ClipTokenizer) tokenizer
      = open_own (own_vocab_size ());
  g_autoptr (GError) error = NULL;
  const gint32 start = clip_tokenizer_get_start (tokenizer);
  const gint32 end = clip_tokenizer_get_end (tokenizer);
  g_autoptr (GArray) ids
      = clip_tokenizer_encode (tokenizer, "<|StartOfText|><|endoftext|>", -1, &error);
  g_autoptr (GArray) empty = clip_tokenizer_encode (tokenizer, "", -1, &error);
  g_autofree char *got = describe (ids);
  g_autofree char *got_empty = describe (empty);
  g_autofree char *want = g_strdup_printf ("%d %d %d %d", start, start, end, end);
  g_autofree char *want_empty = g_strdup_printf ("%d %d", start, end);

  g_assert_no_error (error);
  g_assert_cmpstr (got, ==, want);
  g_assert_cmpstr (got_empty, ==, want_empty);
}

/* a directory of its own for each test, removed with what is in it */
static char *
make_directory (void)
{
  g_autoptr (GError) error = NULL;
  char *directory = g_dir_make_tmp ("clip-text-XXXXXX", &error);

  g_assert_no_error (error);
  return directory;
}

static void
remove_directory (const char *directory)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (directory, name, NULL);
    g_unlink (path);
  }
  g_rmdir (directory);
}

static void
write_file (const char *directory, const char *name, const char *text, gssize length)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, text, length, &error);
  g_assert_no_error (error);
}

static void
copy_own (const char *directory, const char *name)
{
  g_autofree char *path = own (name);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  gsize length;

  g_file_get_contents (path, &text, &length, &error);
  g_assert_no_error (error);
  write_file (directory, name, text, (gssize)length);
}

static void
assert_fails (const char *directory, guint vocab_size, const char *words)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (clip_tokenizer_new (directory, vocab_size, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER);
  if (!strstr (error->message, words))
    g_error ("“%s” does not say “%s”", error->message, words);
}

static const char *const samples[] = { "a photo of a dog", "it's 2025!", "the caf\xc3\xa9 at noon",
  "\xe7\x8a\xac \xf0\x9f\x90\xb6", "supercalifragilisticexpialidocious", "we'll they've I'm 'twas",
  "x<|endoftext|>y" };

static void
assert_equal_tokenizers (const char *directory, guint vocab_size)
{
  g_autoptr (ClipTokenizer) a = open_own (vocab_size);
  g_autoptr (ClipTokenizer) b = open_tokenizer (directory, vocab_size);

  for (guint i = 0; i < G_N_ELEMENTS (samples); i++) {
    g_autoptr (GArray) from_a = clip_tokenizer_encode (a, samples[i], -1, NULL);
    g_autoptr (GArray) from_b = clip_tokenizer_encode (b, samples[i], -1, NULL);
    g_autofree char *text_a = describe (from_a);
    g_autofree char *text_b = describe (from_b);
    g_assert_cmpstr (text_a, ==, text_b);
  }
}

/* OpenAI's file format, made from the own vocabulary's merges */
static void
write_gzip (const char *directory)
{
  g_autofree char *merges = own ("merges.txt");
  g_autofree char *path = g_build_filename (directory, "bpe_simple_vocab_16e6.txt.gz", NULL);
  g_auto (GStrv) lines = read_lines (merges);
  gzFile file = gzopen (path, "wb");

  gzputs (file, "\"bpe_simple_vocab_16e6.txt#version: 0.2\n");
  for (guint i = 1; lines[i] && *lines[i]; i++) {
    gzputs (file, lines[i]);
    gzputs (file, "\n");
  }
  gzclose (file);
}

static void
test_formats (void)
{
  g_autofree char *directory = make_directory ();
  const guint vocab_size = own_vocab_size ();

  copy_own (directory, "tokenizer.json");
  assert_equal_tokenizers (directory, vocab_size);
  assert_fails (directory, vocab_size - 1, "another model's vocabulary");
  remove_directory (directory);
  g_mkdir (directory, 0700);
  write_gzip (directory);
  assert_equal_tokenizers (directory, vocab_size);
  assert_fails (directory, vocab_size + 1, "is the file complete?");
  assert_fails (directory, 513, "at least 514");
  remove_directory (directory);
}

static void
test_missing (void)
{
  g_autofree char *directory = make_directory ();

  assert_fails (directory, 1024, "pipelines/fetch-model --vocabulary");
  assert_fails (NULL, 1024, "pipelines/fetch-model --vocabulary");
  write_file (directory, "vocab.json", "{}", -1);
  assert_fails (directory, 1024, "without merges.txt");
  remove_directory (directory);
}

static void
test_user_directory (void)
{
  g_autofree char *empty = make_directory ();
  g_autofree char *user = g_build_filename (g_get_user_data_dir (), "gst-clip", NULL);

  g_mkdir_with_parents (user, 0700);
  write_gzip (user);
  assert_equal_tokenizers (empty, own_vocab_size ());
  remove_directory (user);
  remove_directory (empty);
}

/* OpenAI's real file in the user's data serves a model's single file, packed or not, whole or cut */
static void
test_user_openai (void)
{
  g_autofree char *path = reference ("tokenizer/bpe_simple_vocab_16e6.txt.gz");
  if (!path)
    return;
  g_autofree char *near = g_path_get_dirname (path);
  g_autofree char *folder = make_directory ();
  g_autofree char *weights = g_build_filename (folder, "ViT-B-32.pt", NULL);
  g_autofree char *user = g_build_filename (g_get_user_data_dir (), "gst-clip", NULL);
  g_autoptr (ClipTokenizer) wanted = open_tokenizer (near, FULL_VOCABULARY);
  gsize length;
  g_autofree char *text = clip_read_gzip (path, 16 << 20, &length, NULL);
  g_assert_nonnull (text);

  write_file (folder, "ViT-B-32.pt", "weights", -1);
  g_mkdir_with_parents (user, 0700);
  write_file (user, "bpe_simple_vocab_16e6.txt", text, (gssize)length);
  for (guint i = 0; i < G_N_ELEMENTS (samples); i++) {
    g_autoptr (ClipTokenizer) tokenizer
        = clip_tokenizer_open (CLIP_TOKENIZER_BYTE_PAIRS, weights, FULL_VOCABULARY, NULL);
    g_assert_nonnull (tokenizer);
    g_autoptr (GArray) a = clip_tokenizer_encode (wanted, samples[i], -1, NULL);
    g_autoptr (GArray) b = clip_tokenizer_encode (tokenizer, samples[i], -1, NULL);
    g_autofree char *text_a = describe (a), *text_b = describe (b);
    g_assert_cmpstr (text_a, ==, text_b);
  }
  g_autoptr (ClipTokenizer) cut = open_tokenizer (folder, 640);
  g_assert_cmpint (clip_tokenizer_get_end (cut), ==, 639);
  assert_fails (folder, FULL_VOCABULARY + 1000000, "is the file complete?");
  remove_directory (user);
  remove_directory (folder);
}

static void
test_broken_vocab (void)
{
  static const struct {
    const char *vocab;
    const char *words;
  } cases[] = {
    { "", "not a JSON object" },
    { "[]", "not a JSON object" },
    { "{", "vocab.json" },
    { "{}", "is missing" },
    { "{\"!\": \"0\"}", "no whole number" },
    { "{\"!\": 0.5}", "no whole number" },
    { "{\"!\": null}", "no whole number" },
    { "{\"!\": -1}", "has id -1" },
    { "{\"!\": 4294967296}", "has id 4294967296" },
    { "{\"!\": \xff}", "not valid UTF-8" },
  };
  g_autofree char *directory = make_directory ();

  copy_own (directory, "merges.txt");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    write_file (directory, "vocab.json", cases[i].vocab, -1);
    assert_fails (directory, 1024, cases[i].words);
  }
  remove_directory (directory);
}

static void
test_broken_merges (void)
{
  g_autofree char *directory = make_directory ();
  const guint vocab_size = own_vocab_size ();

  copy_own (directory, "vocab.json");
  write_file (directory, "merges.txt", "#version: 0.2\na", -1);
  assert_fails (directory, vocab_size, "merges.txt: merge 1 is “a”");
  write_file (directory, "merges.txt", "a b c\n", -1);
  assert_fails (directory, vocab_size, "one space between");
  write_file (directory, "merges.txt", "\xe2\x98\x83 b\n", -1);
  assert_fails (directory, vocab_size, "which the vocabulary lacks");
  write_file (directory, "merges.txt", "", -1);
  g_autoptr (ClipTokenizer) tokenizer = open_tokenizer (directory, vocab_size);
  g_autoptr (GArray) ids = clip_tokenizer_encode (tokenizer, "dog", -1, NULL);
  g_assert_cmpuint (ids->len, ==, 5);
  remove_directory (directory);
}

static void
test_broken_tokenizer_json (void)
{
  static const struct {
    const char *text;
    const char *words;
  } cases[] = {
    { "{\"model\": []}", "no model.vocab" },
    { "{\"model\": {\"type\": \"Unigram\", \"vocab\": {}, \"merges\": []}}", "not of type BPE" },
    { "{\"model\": {\"vocab\": {}, \"merges\": [1]}}", "neither a string" },
    { "{\"model\": {\"vocab\": {}, \"merges\": [[\"a\"]]}}", "neither a string" },
    { "{\"model\": {\"vocab\": {}, \"merges\": []}, \"added_tokens\": [{}]}", "no content" },
    { "{\"model\": {\"vocab\": {}, \"merges\": []}, \"added_tokens\": [{\"content\": \"x\"}]}",
        "no whole number" },
  };
  g_autofree char *directory = make_directory ();

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    write_file (directory, "tokenizer.json", cases[i].text, -1);
    assert_fails (directory, 1024, cases[i].words);
  }
  g_autofree char *deep = g_strnfill (1000000, '[');
  write_file (directory, "tokenizer.json", deep, -1);
  assert_fails (directory, 1024, "nested too deeply");
  remove_directory (directory);
}

static void
test_broken_gzip (void)
{
  g_autofree char *directory = make_directory ();
  g_autofree char *path = g_build_filename (directory, "bpe_simple_vocab_16e6.txt.gz", NULL);
  g_autofree char *block = g_strnfill (1 << 20, 'a');
  g_autofree char *packed = NULL;
  gsize length;

  write_file (directory, "bpe_simple_vocab_16e6.txt.gz", "no gzip", -1);
  assert_fails (directory, 1024, "no merges file");
  write_file (directory, "bpe_simple_vocab_16e6.txt.gz", "#version\xff\n", -1);
  assert_fails (directory, 1024, "neither a gzip file");
  write_gzip (directory);
  g_file_get_contents (path, &packed, &length, NULL);
  write_file (directory, "bpe_simple_vocab_16e6.txt.gz", packed, (gssize)length / 2);
  assert_fails (directory, 1024, "is damaged");
  gzFile file = gzopen (path, "wb1");
  for (guint i = 0; i < 65; i++)
    gzwrite (file, block, 1 << 20);
  gzclose (file);
  assert_fails (directory, 1024, "unpacks to more than");
  remove_directory (directory);
}

static void
test_bad_text (void)
{
  g_autoptr (ClipTokenizer) tokenizer
      = open_own (own_vocab_size ());
  g_autofree char *long_text = g_strnfill (1 << 20, 'a');
  g_autoptr (GError) error = NULL;

  g_assert_null (clip_tokenizer_encode (tokenizer, long_text, -1, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  g_clear_error (&error);
  g_assert_null (clip_tokenizer_encode (tokenizer, "caf\xe9", -1, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  g_assert_nonnull (strstr (error->message, "0xe9 at position 3"));
  g_clear_error (&error);
  g_autoptr (GArray) nul = clip_tokenizer_encode (tokenizer, "a\0dog", 5, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (nul->len, >=, 5);
}

/* one word as long as a text may be, and as many references */
static void
test_longest_text (void)
{
  g_autoptr (ClipTokenizer) tokenizer
      = open_own (own_vocab_size ());
  static const char *const units[] = { "a", "&", "&#65", "\xce\xa3", "e'", "in", "&not" };
  const gint64 start = g_get_monotonic_time ();

  for (guint i = 0; i < G_N_ELEMENTS (units); i++) {
    g_autoptr (GString) text = g_string_new (NULL);
    while (text->len + strlen (units[i]) <= 64 << 10)
      g_string_append (text, units[i]);
    g_autoptr (GArray) ids = clip_tokenizer_encode (tokenizer, text->str, -1, NULL);
    g_assert_nonnull (ids);
  }
  g_test_message ("%.3f s", (double)(g_get_monotonic_time () - start) / G_USEC_PER_SEC);
  g_assert_cmpint (g_get_monotonic_time () - start, <, 20 * G_USEC_PER_SEC);
}

static gpointer
encode_many (gpointer data)
{
  for (guint i = 0; i < 20000; i++) {
    g_autofree char *text = g_strdup_printf (
        "word%x of %s", g_random_int_range (0, 30000), samples[i % G_N_ELEMENTS (samples)]);
    g_autoptr (GArray) ids = clip_tokenizer_encode (data, text, -1, NULL);
    g_assert_nonnull (ids);
  }
  return NULL;
}

static void
test_threads (void)
{
  g_autoptr (ClipTokenizer) tokenizer
      = open_own (own_vocab_size ());
  GThread *threads[3];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("encode", encode_many, tokenizer);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  g_autofree char *data = make_directory ();

  g_setenv ("XDG_DATA_HOME", data, TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tokenizer/reference/strings", test_reference_strings);
  g_test_add_func ("/tokenizer/reference/invalid-utf8", test_reference_invalid);
  g_test_add_func ("/tokenizer/reference/truncated-vocabularies", test_reference_truncated);
  g_test_add_func ("/tokenizer/reference/small-files", test_reference_small_files);
  g_test_add_func ("/tokenizer/reference/tokenizer-json", test_reference_tokenizer_json);
  g_test_add_func ("/tokenizer/cleaning", test_cleaning);
  g_test_add_func ("/tokenizer/special-tokens", test_special_tokens);
  g_test_add_func ("/tokenizer/formats", test_formats);
  g_test_add_func ("/tokenizer/missing", test_missing);
  g_test_add_func ("/tokenizer/user-directory", test_user_directory);
  g_test_add_func ("/tokenizer/broken/vocab", test_broken_vocab);
  g_test_add_func ("/tokenizer/broken/merges", test_broken_merges);
  g_test_add_func ("/tokenizer/broken/tokenizer-json", test_broken_tokenizer_json);
  g_test_add_func ("/tokenizer/user-openai", test_user_openai);
  g_test_add_func ("/tokenizer/broken/gzip", test_broken_gzip);
  g_test_add_func ("/tokenizer/bad-text", test_bad_text);
  g_test_add_func ("/tokenizer/longest-text", test_longest_text);
  g_test_add_func ("/tokenizer/threads", test_threads);
  const int status = g_test_run ();
  remove_directory (data);
  return status;
}
