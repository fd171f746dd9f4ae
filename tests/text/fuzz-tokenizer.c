/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libFuzzer entry: any bytes as one of the files of a tokenizer; the first byte chooses which.
 * Run: CLIP_TEST_DATA=tests/data fuzz-tokenizer -max_total_time=60 CORPUS-DIRECTORY tests/text/seeds */
#include <glib/gstdio.h>

#include "text/clip-tokenizer.h"

#define VOCABULARY 640

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* @other: a sound file that must lie beside, of tests/data */
static const struct {
  const char *name, *other;
  ClipTokenizerKind kind;
} files[] = {
  { "spiece.model", NULL, CLIP_TOKENIZER_PIECES },
  { "tokenizer.model", NULL, CLIP_TOKENIZER_PIECES },
  { "tokenizer_config.json", "siglip-pieces/spiece.model", CLIP_TOKENIZER_PIECES },
  { "tokenizer.json", NULL, CLIP_TOKENIZER_BYTE_PAIRS },
  { "vocab.json", "vocab/merges.txt", CLIP_TOKENIZER_BYTE_PAIRS },
  { "merges.txt", "vocab/vocab.json", CLIP_TOKENIZER_BYTE_PAIRS },
  { "bpe_simple_vocab_16e6.txt.gz", NULL, CLIP_TOKENIZER_BYTE_PAIRS },
  { "bpe_simple_vocab_16e6.txt", NULL, CLIP_TOKENIZER_BYTE_PAIRS },
};

static void
copy_other (const char *from, const char *folder)
{
  g_autofree char *source = g_build_filename (g_getenv ("CLIP_TEST_DATA"), from, NULL);
  g_autofree char *base = g_path_get_basename (from);
  g_autofree char *target = g_build_filename (folder, base, NULL);
  g_autofree char *text = NULL;
  gsize length;
  if (!g_file_get_contents (source, &text, &length, NULL)
      || !g_file_set_contents (target, text, (gssize) length, NULL))
    g_error ("%s cannot be copied; set CLIP_TEST_DATA to tests/data", source);
}

/* (transfer none): a folder for each kind of file, made at the first call */
static const char *
get_folder (guint which)
{
  static char *folders[G_N_ELEMENTS (files)];
  if (!folders[which]) {
    folders[which] = g_dir_make_tmp ("fuzz-tokenizer-XXXXXX", NULL);
    if (files[which].other)
      copy_other (files[which].other, folders[which]);
  }
  return folders[which];
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  if (size == 0)
    return 0;
  const guint which = data[0] % G_N_ELEMENTS (files);
  const char *folder = get_folder (which);
  g_autofree char *path = g_build_filename (folder, files[which].name, NULL);
  FILE *file = g_fopen (path, "wb");
  g_assert_nonnull (file);
  fwrite (data + 1, 1, size - 1, file);
  fclose (file);
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipTokenizer) tokenizer
      = clip_tokenizer_open (files[which].kind, folder, VOCABULARY, &error);
  g_assert_true ((tokenizer == NULL) == (error != NULL));
  if (!tokenizer)
    return 0;
  g_autoptr (GArray) ids = clip_tokenizer_encode (
      tokenizer, "a PHOTO of two ﬁne cafés, ½ 猫 🙂\n\n aaaaaaaa<mask>", -1, &error);
  g_assert_true ((ids == NULL) == (error != NULL));
  return 0;
}
