/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From tokens and merges as text to tables of ids; everything that they refer to must exist. */
#include "clip-text-private.h"

#include <string.h>

#define END_OF_WORD "</w>"

gunichar
clip_byte_symbol (guint8 byte)
{
  guint others = 0;

  if ((byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae)
    return byte;
  /* the 68 bytes that are no printable Latin-1 characters become U+0100 and up, in order */
  for (guint b = 0; b < byte; b++)
    others += !((b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae);
  return 0x100 + others;
}

ClipVocabularySource *
clip_vocabulary_source_new (const char *name, const char *merges_name)
{
  ClipVocabularySource *source = g_new0 (ClipVocabularySource, 1);

  source->name = g_strdup (name);
  source->merges_name = g_strdup (merges_name);
  source->ids = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  source->merges = g_ptr_array_new_with_free_func (g_free);
  return source;
}

void
clip_vocabulary_source_free (ClipVocabularySource *source)
{
  if (!source)
    return;
  g_free (source->name);
  g_free (source->merges_name);
  g_hash_table_unref (source->ids);
  g_ptr_array_unref (source->merges);
  g_free (source);
}

gboolean
clip_vocabulary_source_add (
    ClipVocabularySource *source, const char *token, gint64 id, guint vocab_size, GError **error)
{
  if (id < 0 || id >= (gint64)vocab_size) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: token “%.64s” has id %" G_GINT64_FORMAT ", but the model has only %u tokens; "
        "is this another model's vocabulary?",
        source->name, token, id, vocab_size);
    return FALSE;
  }
  g_hash_table_insert (source->ids, g_strdup (token), GINT_TO_POINTER ((gint32)id));
  return TRUE;
}

static gboolean
find_id (const ClipVocabularySource *source, const char *token, gint32 *id)
{
  gpointer value;

  if (!g_hash_table_lookup_extended (source->ids, token, NULL, &value))
    return FALSE;
  *id = GPOINTER_TO_INT (value);
  return TRUE;
}

static gboolean
find_byte (
    const ClipVocabularySource *source, guint byte, const char *suffix, gint32 *id, GError **error)
{
  char token[16] = "";

  g_unichar_to_utf8 (clip_byte_symbol ((guint8)byte), token);
  g_strlcat (token, suffix, sizeof token);
  if (find_id (source, token, id))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s: token “%s” for byte 0x%02x is missing; this is no vocabulary of CLIP's byte-pair "
      "tokenizer",
      source->name, token, byte);
  return FALSE;
}

/* OpenCLIP's files spell the two without bars. */
static gboolean
find_special (const ClipVocabularySource *source, const char *token, const char *alternative,
    gint32 *id, GError **error)
{
  if (find_id (source, token, id) || find_id (source, alternative, id))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s: the special token “%s” is missing; is the file complete?", source->name, token);
  return FALSE;
}

static gboolean
find_symbols (ClipVocabulary *vocabulary, const ClipVocabularySource *source, GError **error)
{
  for (guint byte = 0; byte < 256; byte++)
    if (!find_byte (source, byte, "", &vocabulary->inner[byte], error)
        || !find_byte (source, byte, END_OF_WORD, &vocabulary->final[byte], error))
      return FALSE;
  return find_special (source, "<|startoftext|>", "<start_of_text>", &vocabulary->start, error)
         && find_special (source, "<|endoftext|>", "<end_of_text>", &vocabulary->end, error);
}

static gboolean
read_merge (const ClipVocabularySource *source, guint rank, ClipMerge *merge, GError **error)
{
  const char *text = g_ptr_array_index (source->merges, rank);
  g_auto (GStrv) parts = g_strsplit (text, " ", 3);
  gint32 left = 0, right = 0;

  if (g_strv_length (parts) != 2 || *parts[0] == '\0' || *parts[1] == '\0') {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: merge %u is “%.64s”, expected two tokens with one space between", source->merges_name,
        rank + 1, text);
    return FALSE;
  }
  g_autofree char *whole = g_strconcat (parts[0], parts[1], NULL);
  const char *missing = NULL;
  if (!find_id (source, parts[0], &left))
    missing = parts[0];
  else if (!find_id (source, parts[1], &right))
    missing = parts[1];
  else if (!find_id (source, whole, &merge->id))
    missing = whole;
  if (missing) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: merge %u “%.64s” needs token “%.64s”, which the vocabulary lacks; do the files "
        "belong together?",
        source->merges_name, rank + 1, text, missing);
    return FALSE;
  }
  merge->key = (gint64)left << 32 | right;
  merge->rank = (gint32)rank;
  return TRUE;
}

static guint
hash_pair (gconstpointer key)
{
  return (guint)(*(const guint64 *)key * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) >> 32);
}

static gboolean
index_merges (ClipVocabulary *vocabulary, const ClipVocabularySource *source, GError **error)
{
  for (guint i = 0; i < source->merges->len; i++) {
    ClipMerge *merge = &vocabulary->merges[i];
    if (!read_merge (source, i, merge, error))
      return FALSE;
    g_hash_table_replace (vocabulary->by_pair, &merge->key, merge);
  }
  return TRUE;
}

ClipVocabulary *
clip_vocabulary_new_symbols (const ClipVocabularySource *source, guint count, GError **error)
{
  g_autoptr (ClipVocabulary) vocabulary = g_new0 (ClipVocabulary, 1);

  vocabulary->merges = g_new0 (ClipMerge, count);
  vocabulary->n_merges = count;
  vocabulary->by_pair = g_hash_table_new (hash_pair, g_int64_equal);
  return find_symbols (vocabulary, source, error) ? g_steal_pointer (&vocabulary) : NULL;
}

ClipVocabulary *
clip_vocabulary_new (ClipVocabularySource *source, GError **error)
{
  g_autoptr (ClipVocabulary) vocabulary
      = clip_vocabulary_new_symbols (source, source->merges->len, error);

  return vocabulary && index_merges (vocabulary, source, error) ? g_steal_pointer (&vocabulary) : NULL;
}

void
clip_vocabulary_free (ClipVocabulary *vocabulary)
{
  if (!vocabulary)
    return;
  g_clear_pointer (&vocabulary->by_pair, g_hash_table_unref);
  g_free (vocabulary->merges);
  g_free (vocabulary);
}

const ClipMerge *
clip_vocabulary_lookup (const ClipVocabulary *vocabulary, gint32 left, gint32 right)
{
  const gint64 key = (gint64)left << 32 | right;

  return g_hash_table_lookup (vocabulary->by_pair, &key);
}
