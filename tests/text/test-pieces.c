/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SigLIP's tokenizers against transformers' answers (tests/data/make_pieces.py), and on files that
 * are damaged. */
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "text/clip-sentencepiece.h"
#include "text/clip-tokenizer.h"

#define VOCABULARY 640

typedef struct {
  const char *folder, *model;
  gint32 end, pad;
} Case;

static const Case cases[] = {
  { "siglip-pieces", "spiece.model", 1, 1 },
  { "siglip2-pieces", "tokenizer.model", 1, 0 },
};

static char *
data_path (const Case *c, const char *name)
{
  return g_build_filename (g_getenv ("CLIP_TEST_DATA"), c->folder, name, NULL);
}

static void
read_file (const char *path, char **text, gsize *length)
{
  g_autoptr (GError) error = NULL;
  g_file_get_contents (path, text, length, &error);
  g_assert_no_error (error);
}

/* NULL, and the test is skipped, in a program built without the library */
static ClipTokenizer *
open_case (const Case *c)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = data_path (c, NULL);
  ClipTokenizer *tokenizer = clip_tokenizer_open (CLIP_TOKENIZER_PIECES, folder, VOCABULARY, &error);
  if (!tokenizer && strstr (error->message, "built without that library")) {
    g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER);
    g_assert_nonnull (strstr (error->message, "libsentencepiece-dev"));
    g_test_skip ("built without SentencePiece");
    return NULL;
  }
  g_assert_no_error (error);
  return tokenizer;
}

static gboolean
check_line (ClipTokenizer *tokenizer, const char *line)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) node = json_from_string (line, &error);
  g_assert_no_error (error);
  const char *text = json_object_get_string_member (json_node_get_object (node), "text");
  JsonArray *want = json_object_get_array_member (json_node_get_object (node), "ids");
  g_autoptr (GArray) ids = clip_tokenizer_encode (tokenizer, text, -1, &error);
  g_assert_no_error (error);
  gboolean same = ids->len == json_array_get_length (want);
  for (guint i = 0; same && i < ids->len; i++)
    same = g_array_index (ids, gint32, i) == json_array_get_int_element (want, i);
  if (!same)
    g_test_message ("“%s” differs", text);
  return same;
}

static void
test_ids (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (ClipTokenizer) tokenizer = open_case (c);
  g_autofree char *path = data_path (c, "tokens.jsonl"), *text = NULL;
  guint equal = 0, total = 0;
  if (!tokenizer)
    return;
  g_assert_cmpint (clip_tokenizer_get_start (tokenizer), ==, -1);
  g_assert_cmpint (clip_tokenizer_get_end (tokenizer), ==, c->end);
  g_assert_cmpint (clip_tokenizer_get_pad (tokenizer), ==, c->pad);
  read_file (path, &text, NULL);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (; lines[total] && *lines[total]; total++)
    equal += check_line (tokenizer, lines[total]);
  g_test_message ("%u of %u texts are equal", equal, total);
  g_assert_cmpuint (total, >, 250);
  g_assert_cmpuint (equal, ==, total);
}

/* what a text spells is text: no prompt ends before its end */
static void
test_spelt_end (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipTokenizer) tokenizer = open_case (&cases[1]);
  if (!tokenizer)
    return;
  g_autoptr (GArray) ids = clip_tokenizer_encode (tokenizer, "a <eos> b </s>", -1, &error);
  g_assert_no_error (error);
  for (guint i = 0; i + 1 < ids->len; i++)
    g_assert_cmpint (g_array_index (ids, gint32, i), >, 3);
  g_assert_null (clip_tokenizer_encode (tokenizer, "\xff", -1, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
}

typedef struct {
  char *folder;
  const Case *of;
} Copy;

static Copy
copy_new (const Case *c)
{
  return (Copy){ g_dir_make_tmp ("clip-pieces-XXXXXX", NULL), c };
}

static void
copy_write (const Copy *copy, const char *name, const char *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_build_filename (copy->folder, name, NULL);
  g_file_set_contents (path, data, (gssize) size, &error);
  g_assert_no_error (error);
}

static void
copy_clear (Copy *copy)
{
  g_autofree char *model = g_build_filename (copy->folder, copy->of->model, NULL);
  g_autofree char *config = g_build_filename (copy->folder, "tokenizer_config.json", NULL);
  g_unlink (model);
  g_unlink (config);
  g_rmdir (copy->folder);
  g_free (copy->folder);
}

static void
expect_refusal (const Copy *copy, guint vocab_size, const char *word)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (clip_tokenizer_open (CLIP_TOKENIZER_PIECES, copy->folder, vocab_size, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, word));
}

static void
test_missing (void)
{
  static const char config[] = "{\"tokenizer_class\":\"SiglipTokenizer\",\"eos_token\":\"<nowhere>\"}";
  Copy copy = copy_new (&cases[0]);
  g_autoptr (ClipTokenizer) tokenizer = open_case (copy.of);
  g_autofree char *path = data_path (copy.of, copy.of->model), *model = NULL;
  gsize size;
  expect_refusal (&copy, VOCABULARY, "spiece.model");
  read_file (path, &model, &size);
  copy_write (&copy, copy.of->model, model, size);
  if (tokenizer) {
    expect_refusal (&copy, 100, "model's 100 tokens");
    copy_write (&copy, "tokenizer_config.json", config, sizeof config - 1);
    expect_refusal (&copy, VOCABULARY, "<nowhere>");
    copy_write (&copy, "tokenizer_config.json", "{", 1);
    expect_refusal (&copy, VOCABULARY, "tokenizer_config.json");
  }
  copy_clear (&copy);
}

/* millions of empty fields, of which the library would make objects */
static void
test_flood (void)
{
  static const struct {
    char tag;
    const char *word;
  } floods[] = { { 0x0a, "more pieces" }, { 0x12, "no SentencePiece" }, { 0x22, "more than a megabyte" } };
  const gsize size = 24 << 20;
  Copy copy = copy_new (&cases[0]);
  g_autofree char *data = g_malloc0 (size);
  for (guint i = 0; i < G_N_ELEMENTS (floods); i++) {
    for (gsize at = 0; at < size; at += 2)
      data[at] = floods[i].tag;
    if (floods[i].tag == 0x22) { /* one field of two million samples */
      memcpy (data, "\x22\xfa\xff\xff\x0b", 5);
      data[5] = 0;
    }
    copy_write (&copy, copy.of->model, data, size);
    expect_refusal (&copy, VOCABULARY, floods[i].word);
  }
  copy_clear (&copy);
}

/* a damaged file is refused, or is read and encodes something */
static gboolean
survives (const Copy *copy, const char *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  copy_write (copy, copy->of->model, data, size);
  g_autoptr (ClipTokenizer) tokenizer
      = clip_tokenizer_open (CLIP_TOKENIZER_PIECES, copy->folder, VOCABULARY, &error);
  if (!tokenizer) {
    g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER);
    return FALSE;
  }
  g_autoptr (GArray) ids
      = clip_tokenizer_encode (tokenizer, "a PHOTO of two ﬁne cafés, ½ 猫 🙂\n\n<mask>", -1, NULL);
  return ids != NULL;
}

static void
test_cut (gconstpointer data)
{
  Copy copy = copy_new (data);
  g_autofree char *path = data_path (copy.of, copy.of->model), *model = NULL;
  gsize size;
  guint read = 0;
  read_file (path, &model, &size);
  g_assert_false (survives (&copy, model, 0));
  for (gsize cut = 1; cut < size; cut += 1 + size / 100)
    read += survives (&copy, model, cut);
  g_test_message ("%u of the cut files were read", read);
  copy_clear (&copy);
}

static void
test_flipped (gconstpointer data)
{
  Copy copy = copy_new (data);
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);
  g_autofree char *path = data_path (copy.of, copy.of->model), *model = NULL;
  gsize size;
  guint read = 0;
  read_file (path, &model, &size);
  for (guint round = 0; round < 300; round++) {
    g_autofree char *damaged = g_memdup2 (model, size);
    for (guint i = 0; i <= round % 8; i++)
      damaged[g_rand_int_range (rand, 0, (gint32) size)] ^= (char) (1 << g_rand_int_range (rand, 0, 8));
    read += survives (&copy, damaged, size);
  }
  g_test_message ("%u of 300 damaged files were read", read);
  copy_clear (&copy);
}

/* A table of one block whose root has child 'a' and points at @children with it; a leaf of 'a' at 0 */
static gboolean
check_table (guint32 root, guint32 a, guint32 leaf)
{
  guint32 units[256];
  GByteArray *file = g_byte_array_new ();
  const guint32 bytes = GUINT32_TO_LE (sizeof units);
  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    units[i] = GUINT32_TO_LE (1u << 31); /* fits no byte */
  units[0] = GUINT32_TO_LE (root);
  units[1 ^ 'a'] = GUINT32_TO_LE (a);
  units[2] = GUINT32_TO_LE (leaf);
  /* pieces { "a" }, normalizer_spec { precompiled_charsmap: 4 + 1024 + 2 bytes } */
  g_byte_array_append (file, (const guint8 *) "\x0a\x03\x0a\x01" "a" "\x1a\x89\x08\x12\x86\x08", 11);
  g_byte_array_append (file, (const guint8 *) &bytes, 4);
  g_byte_array_append (file, (const guint8 *) units, sizeof units);
  g_byte_array_append (file, (const guint8 *) "b", 2);
  const gboolean ok = clip_sentencepiece_check (file->data, file->len, VOCABULARY, NULL);
  g_byte_array_unref (file);
  return ok;
}

/* offset << 10 | has a leaf << 8 | label */
static void
test_table (void)
{
  const guint32 at_a = 1 ^ 'a', to_2 = (at_a ^ 2) << 10;
  g_assert_true (check_table (1 << 10, to_2 | 1 << 8 | 'a', 1u << 31 | 0));
  g_assert_false (check_table (1 << 10, to_2 | 1 << 8 | 'a', 1u << 31 | 2)); /* behind the strings */
  g_assert_false (check_table (1 << 10, to_2 | 1 << 8 | 'a', 5));            /* not a leaf, and behind */
  g_assert_false (check_table (1 << 10, 256 << 10 | 'a', 0));                /* out of the table */
  g_assert_false (check_table (1 << 10, at_a << 10 | 'a', 0));               /* back to the root */
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    static const struct {
      const char *name;
      GTestDataFunc function;
    } tests[] = { { "ids", test_ids }, { "cut", test_cut }, { "flipped", test_flipped } };
    for (guint t = 0; t < G_N_ELEMENTS (tests); t++) {
      g_autofree char *name = g_strdup_printf ("/pieces/%s/%s", tests[t].name, cases[i].folder);
      g_test_add_data_func (name, &cases[i], tests[t].function);
    }
  }
  g_test_add_func ("/pieces/spelt-end", test_spelt_end);
  g_test_add_func ("/pieces/missing", test_missing);
  g_test_add_func ("/pieces/flood", test_flood);
  g_test_add_func ("/pieces/table", test_table);
  return g_test_run ();
}
