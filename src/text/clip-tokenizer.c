/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text to ids: clean, split into words by CLIP's regular expression, byte-pair merge each word. For
 * SigLIP, see clip-pieces.c. */
#include "text/clip-tokenizer.h"

#include "clip-text-private.h"

#include <string.h>

#define MAX_TEXT (64 << 10) /* bytes: far beyond any context, and a bound on the work */
#define MAX_CACHED_WORD 64  /* bytes */
#define MAX_CACHE 16384     /* words */

struct _ClipTokenizer {
  ClipPieces *pieces; /* set: the rest is unused */
  ClipVocabulary *vocabulary;
  ClipWords *words;
  GMutex lock;
  GHashTable *cache; /* GBytes -> GArray of gint32; guarded by lock */
};

static ClipTokenizer *
tokenizer_new (void)
{
  ClipTokenizer *tokenizer = g_new0 (ClipTokenizer, 1);

  g_mutex_init (&tokenizer->lock);
  return tokenizer;
}

/* Takes @vocabulary, NULL after an error */
static ClipTokenizer *
tokenizer_new_byte_pairs (ClipVocabulary *vocabulary, GError **error)
{
  g_autoptr (ClipTokenizer) tokenizer = tokenizer_new ();

  tokenizer->vocabulary = vocabulary;
  if (!vocabulary)
    return NULL;
  tokenizer->cache = g_hash_table_new_full (
      g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, (GDestroyNotify)g_array_unref);
  tokenizer->words = clip_words_new (error);
  return tokenizer->words ? g_steal_pointer (&tokenizer) : NULL;
}

ClipTokenizer *
clip_tokenizer_new (const char *directory, guint vocab_size, GError **error)
{
  g_autoptr (ClipVocabularySource) source
      = clip_vocabulary_source_find (directory, vocab_size, error);

  return source ? tokenizer_new_byte_pairs (clip_vocabulary_new (source, error), error) : NULL;
}

ClipTokenizer *
clip_tokenizer_new_from_tokens (const char *name, GBytes *tokens, GError **error)
{
  return tokenizer_new_byte_pairs (clip_vocabulary_new_from_tokens (name, tokens, error), error);
}

ClipTokenizer *
clip_tokenizer_open (ClipTokenizerKind kind, const char *path, guint vocab_size, GError **error)
{
  g_autofree char *folder = g_file_test (path, G_FILE_TEST_IS_REGULAR) ? g_path_get_dirname (path)
                                                                       : g_strdup (path);
  g_autoptr (ClipTokenizer) tokenizer = NULL;

  if (kind == CLIP_TOKENIZER_BYTE_PAIRS)
    return clip_tokenizer_new (folder, vocab_size, error);
  tokenizer = tokenizer_new ();
  tokenizer->pieces = clip_pieces_new (folder, vocab_size, error);
  return tokenizer->pieces ? g_steal_pointer (&tokenizer) : NULL;
}

void
clip_tokenizer_free (ClipTokenizer *tokenizer)
{
  if (!tokenizer)
    return;
  g_clear_pointer (&tokenizer->pieces, clip_pieces_free);
  g_clear_pointer (&tokenizer->vocabulary, clip_vocabulary_free);
  g_clear_pointer (&tokenizer->words, clip_words_free);
  g_clear_pointer (&tokenizer->cache, g_hash_table_unref);
  g_mutex_clear (&tokenizer->lock);
  g_free (tokenizer);
}

char *
clip_tokenizer_get_digest (ClipTokenizer *tokenizer)
{
  g_return_val_if_fail (tokenizer != NULL, NULL);
  if (tokenizer->pieces)
    return g_strdup (clip_pieces_get_digest (tokenizer->pieces));
  const ClipVocabulary *v = tokenizer->vocabulary;
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  const gint32 special[] = { v->start, v->end };
  g_checksum_update (sum, (const guchar *)v->inner, sizeof v->inner);
  g_checksum_update (sum, (const guchar *)v->final, sizeof v->final);
  g_checksum_update (sum, (const guchar *)special, sizeof special);
  g_checksum_update (sum, (const guchar *)v->merges, (gssize)(v->n_merges * sizeof *v->merges));
  return g_strdup (g_checksum_get_string (sum));
}

gint32
clip_tokenizer_get_start (ClipTokenizer *tokenizer)
{
  g_return_val_if_fail (tokenizer != NULL, -1);
  return tokenizer->pieces ? -1 : tokenizer->vocabulary->start;
}

gint32
clip_tokenizer_get_end (ClipTokenizer *tokenizer)
{
  g_return_val_if_fail (tokenizer != NULL, -1);
  return tokenizer->pieces ? clip_pieces_get_end (tokenizer->pieces) : tokenizer->vocabulary->end;
}

gint32
clip_tokenizer_get_pad (ClipTokenizer *tokenizer)
{
  g_return_val_if_fail (tokenizer != NULL, -1);
  return tokenizer->pieces ? clip_pieces_get_pad (tokenizer->pieces) : -1;
}

void
clip_tokenizer_pad (ClipTokenizer *tokenizer, GArray *ids, guint length)
{
  const gint32 pad = clip_tokenizer_get_pad (tokenizer);

  while (pad >= 0 && ids->len < length)
    g_array_append_val (ids, pad);
}

static gboolean
append_cached (ClipTokenizer *tokenizer, GBytes *word, GArray *ids)
{
  g_mutex_lock (&tokenizer->lock);
  const GArray *known = g_hash_table_lookup (tokenizer->cache, word);
  if (known)
    g_array_append_vals (ids, known->data, known->len);
  g_mutex_unlock (&tokenizer->lock);
  return known != NULL;
}

static void
remember (ClipTokenizer *tokenizer, GBytes *word, const GArray *ids, guint from)
{
  GArray *copy = g_array_sized_new (FALSE, FALSE, sizeof (gint32), ids->len - from);

  g_array_append_vals (copy, &g_array_index (ids, gint32, from), ids->len - from);
  g_mutex_lock (&tokenizer->lock);
  if (g_hash_table_size (tokenizer->cache) >= MAX_CACHE)
    g_hash_table_remove_all (tokenizer->cache);
  g_hash_table_replace (tokenizer->cache, g_bytes_ref (word), copy);
  g_mutex_unlock (&tokenizer->lock);
}

static gboolean
is_text (const char *word, gsize length, const char *text)
{
  return length == strlen (text) && memcmp (word, text, length) == 0;
}

typedef struct {
  ClipTokenizer *tokenizer;
  GArray *ids;
} Output;

static void
append_word (const char *word, gsize length, gpointer data)
{
  ClipTokenizer *tokenizer = ((Output *)data)->tokenizer;
  const ClipVocabulary *vocabulary = tokenizer->vocabulary;
  GArray *ids = ((Output *)data)->ids;
  const guint from = ids->len;

  if (is_text (word, length, "<|startoftext|>")) {
    g_array_append_val (ids, vocabulary->start);
  } else if (is_text (word, length, "<|endoftext|>")) {
    g_array_append_val (ids, vocabulary->end);
  } else if (length > MAX_CACHED_WORD) {
    clip_bpe_encode (vocabulary, (const guint8 *)word, length, ids);
  } else {
    g_autoptr (GBytes) key = g_bytes_new (word, length);
    if (append_cached (tokenizer, key, ids))
      return;
    clip_bpe_encode (vocabulary, (const guint8 *)word, length, ids);
    remember (tokenizer, key, ids, from);
  }
}

static gboolean
check_text (const char *text, gsize length, GError **error)
{
  gsize offset;

  if (length > MAX_TEXT) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "the prompt has %" G_GSIZE_FORMAT " bytes, at most %d are allowed", length, MAX_TEXT);
    return FALSE;
  }
  if (!clip_text_validate (text, length, &offset)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "the prompt is not valid UTF-8: byte 0x%02x at position %" G_GSIZE_FORMAT
        "; convert it to UTF-8 first",
        (guint)(guint8)text[offset], offset);
    return FALSE;
  }
  return TRUE;
}

GArray *
clip_tokenizer_encode (ClipTokenizer *tokenizer, const char *text, gssize length, GError **error)
{
  g_return_val_if_fail (tokenizer != NULL && (text != NULL || length == 0), NULL);

  const char *prompt = text ? text : "";
  const gsize size = length < 0 ? strlen (prompt) : (gsize)length;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (gint32));

  if (!check_text (prompt, size, error))
    return NULL;
  if (tokenizer->pieces)
    return clip_pieces_encode (tokenizer->pieces, prompt, size, ids, error) ? g_steal_pointer (&ids)
                                                                            : NULL;
  GString *clean = clip_text_clean (prompt, size);
  Output output = { tokenizer, ids };
  g_array_append_val (ids, tokenizer->vocabulary->start);
  const gboolean ok = clip_words_split (tokenizer->words, clean, append_word, &output, error);
  g_string_free (clean, TRUE);
  if (!ok)
    return NULL;
  g_array_append_val (ids, tokenizer->vocabulary->end);
  return g_steal_pointer (&ids);
}
