/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a vocabulary is looked for, and OpenAI's own file format. All files are untrusted. */
#include "clip-text-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <zlib.h>

#define OPENAI_FILE "bpe_simple_vocab_16e6.txt" /* and .gz, as it is published */
#define OPENAI_EXTRA 514 /* 256 bytes, 256 bytes at the end of a word, start and end */
#define MAX_UNPACKED (64 << 20)

static gboolean
check_file (const char *path, gsize limit, int code, GError **error)
{
  GStatBuf info;

  if (g_stat (path, &info) != 0) {
    g_set_error (error, CLIP_ERROR, code, "%s: %s", path, g_strerror (errno));
    return FALSE;
  }
  if (!S_ISREG (info.st_mode)) {
    g_set_error (error, CLIP_ERROR, code, "%s: is no regular file", path);
    return FALSE;
  }
  if ((guint64)info.st_size > limit) {
    g_set_error (error, CLIP_ERROR, code,
        "%s: has %" G_GUINT64_FORMAT " bytes, expected at most %" G_GSIZE_FORMAT, path,
        (guint64)info.st_size, limit);
    return FALSE;
  }
  return TRUE;
}

char *
clip_read_file (const char *path, gsize limit, int code, gsize *length, GError **error)
{
  g_autoptr (GError) cause = NULL;
  char *contents;

  if (!check_file (path, limit, code, error))
    return NULL;
  if (g_file_get_contents (path, &contents, length, &cause))
    return contents;
  g_set_error (error, CLIP_ERROR, code, "%s: %s", path, cause->message);
  return NULL;
}

static gboolean
unpack (gzFile file, const char *path, gsize limit, GByteArray *out, GError **error)
{
  guint8 block[16384];
  int got;

  while ((got = gzread (file, block, sizeof block)) > 0) {
    if (out->len + (gsize)got > limit) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
          "%s: unpacks to more than %" G_GSIZE_FORMAT " bytes; this is no merges file", path,
          limit);
      return FALSE;
    }
    g_byte_array_append (out, block, (guint)got);
  }
  int status;
  const char *message = gzerror (file, &status);
  if (got == 0 && status == Z_OK)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s: is damaged (%s); run pipelines/fetch-model --vocabulary --force", path, message);
  return FALSE;
}

char *
clip_read_gzip (const char *path, gsize limit, gsize *length, GError **error)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();

  if (!check_file (path, limit, CLIP_ERROR_TOKENIZER, error))
    return NULL;
  gzFile file = gzopen (path, "rb");
  if (!file) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER, "%s: %s", path, g_strerror (errno));
    return NULL;
  }
  const gboolean ok = unpack (file, path, limit, out, error);
  gzclose (file);
  if (!ok)
    return NULL;
  *length = out->len;
  g_byte_array_append (out, (const guint8 *)"", 1);
  return (char *)g_byte_array_free (g_steal_pointer (&out), FALSE);
}

/* The file lists merges only; ids follow from their order. */
static gboolean
add_symbols (ClipVocabularySource *source, guint vocab_size, GError **error)
{
  gint64 id = 0;

  for (guint pass = 0; pass < 2; pass++)
    for (guint byte = 0; byte < 256; byte++) {
      const gunichar symbol = clip_byte_symbol ((guint8)byte);
      char token[16] = "";
      if ((symbol >= 0x100) != (pass == 1))
        continue;
      g_unichar_to_utf8 (symbol, token);
      if (!clip_vocabulary_source_add (source, token, id, vocab_size, error))
        return FALSE;
      g_strlcat (token, "</w>", sizeof token);
      if (!clip_vocabulary_source_add (source, token, 256 + id, vocab_size, error))
        return FALSE;
      id++;
    }
  return clip_vocabulary_source_add (source, "<|startoftext|>", vocab_size - 2, vocab_size, error)
         && clip_vocabulary_source_add (source, "<|endoftext|>", vocab_size - 1, vocab_size, error);
}

static gboolean
add_merge (
    ClipVocabularySource *source, const char *line, gint64 id, guint vocab_size, GError **error)
{
  const char *space = strchr (line, ' ');

  if (!space) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: line %u is “%.64s”, expected two tokens with one space between", source->name,
        source->merges->len + 2, line);
    return FALSE;
  }
  g_autofree char *whole = g_strdup_printf ("%.*s%s", (int)(space - line), line, space + 1);
  g_ptr_array_add (source->merges, g_strdup (line));
  return clip_vocabulary_source_add (source, whole, id, vocab_size, error);
}

/* Any text would do as merges; the first line tells */
static gboolean
check_merges (const char *path, const char *text, gsize length, GError **error)
{
  const char *stop = memchr (text, '\n', length);

  if (!g_utf8_validate (text, (gssize)length, NULL)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: is neither a gzip file nor valid UTF-8; run pipelines/fetch-model --vocabulary --force",
        path);
    return FALSE;
  }
  if (stop && g_strstr_len (text, stop - text, "#version"))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s: its first line has no “#version”; this is no merges file; run "
      "pipelines/fetch-model --vocabulary --force",
      path);
  return FALSE;
}

static ClipVocabularySource *
read_openai (const char *path, guint vocab_size, GError **error)
{
  gsize length;

  if (vocab_size < OPENAI_EXTRA) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: the model has %u tokens, but CLIP's tokenizer needs at least %d", path, vocab_size,
        OPENAI_EXTRA);
    return NULL;
  }
  g_autofree char *text = clip_read_gzip (path, MAX_UNPACKED, &length, error);
  if (!text)
    return NULL;
  if (!check_merges (path, text, length, error))
    return NULL;
  g_autoptr (ClipVocabularySource) source = clip_vocabulary_source_new (path, path);
  if (!add_symbols (source, vocab_size, error))
    return NULL;
  const guint wanted = vocab_size - OPENAI_EXTRA;
  char *line = strchr (text, '\n'); /* the first line is a version */
  for (guint i = 0; i < wanted; i++) {
    if (!line || line[1] == '\0') {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
          "%s: has %u merges, but the model's %u tokens need %u; is the file complete?", path, i,
          vocab_size, wanted);
      return NULL;
    }
    char *merge = line + 1;
    line = strchr (merge, '\n');
    if (line)
      *line = '\0';
    if (!add_merge (source, merge, 512 + i, vocab_size, error))
      return NULL;
  }
  return g_steal_pointer (&source);
}

static gboolean
exists (const char *path)
{
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

/* (transfer full) (nullable): OpenAI's file in @folder, as published or unpacked */
static char *
find_openai (const char *folder)
{
  static const char *const names[] = { OPENAI_FILE ".gz", OPENAI_FILE };

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_build_filename (folder, names[i], NULL);
    if (exists (path))
      return g_steal_pointer (&path);
  }
  return NULL;
}

static ClipVocabularySource *
report_nothing (const char *directory, gboolean half, GError **error)
{
  g_autofree char *user
      = g_build_filename (g_get_user_data_dir (), "gst-clip", OPENAI_FILE ".gz", NULL);

  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s: no tokenizer found%s; expected vocab.json with merges.txt, tokenizer.json "
      "or " OPENAI_FILE ".gz there, or %s; run pipelines/fetch-model --vocabulary to download "
      "OpenAI's",
      directory ? directory : "(no model directory)",
      half ? " (vocab.json without merges.txt, or merges.txt without vocab.json)" : "", user);
  return NULL;
}

ClipVocabularySource *
clip_vocabulary_source_find (const char *directory, guint vocab_size, GError **error)
{
  const char *folder = directory ? directory : "";
  g_autofree char *vocab = g_build_filename (folder, "vocab.json", NULL);
  g_autofree char *merges = g_build_filename (folder, "merges.txt", NULL);
  g_autofree char *tokenizer = g_build_filename (folder, "tokenizer.json", NULL);
  g_autofree char *openai = directory ? find_openai (folder) : NULL;
  g_autofree char *data = g_build_filename (g_get_user_data_dir (), "gst-clip", NULL);
  g_autofree char *user = find_openai (data);

  if (directory && exists (vocab) && exists (merges))
    return clip_vocabulary_source_read_json (vocab, merges, vocab_size, error);
  if (directory && exists (tokenizer))
    return clip_vocabulary_source_read_json (tokenizer, NULL, vocab_size, error);
  if (openai || user)
    return read_openai (openai ? openai : user, vocab_size, error);
  return report_nothing (directory, directory && (exists (vocab) || exists (merges)), error);
}
