/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A byte-pair vocabulary from its tokens alone. Training adds tokens one by one: when a token was
 * made, the merges before it had cut all texts, and one more joined two neighbours. No earlier merge
 * crosses the borders of such an occurrence, so that they cut the token's own characters the same
 * way: into the two parts of its merge.
 */
#include "clip-text-private.h"

#include <string.h>

#define END_OF_WORD "</w>"
#define LAST_SYMBOL 0x143 /* of clip_byte_symbol() */

typedef struct {
  const char *name;
  ClipVocabulary *vocabulary;
  GHashTable *known; /* ids of bytes and specials */
  gint16 bytes[LAST_SYMBOL + 1]; /* by symbol, -1: none */
  guint count;       /* merges so far */
} Recovery;

static gboolean
add_tokens (ClipVocabularySource *source, GBytes *tokens, GError **error)
{
  gsize length;
  const char *next = g_bytes_get_data (tokens, &length), *end = next + length;
  guint count = 0;

  for (; next < end; next += strlen (next) + 1)
    count++;
  next = end - length;
  for (gint64 id = 0; next < end; id++, next += strlen (next) + 1) {
    if (!g_utf8_validate (next, -1, NULL)) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
          "%s: token %" G_GINT64_FORMAT " is no valid UTF-8; the file is damaged", source->name, id);
      return FALSE;
    }
    if (!clip_vocabulary_source_add (source, next, id, count, error))
      return FALSE;
  }
  if (g_hash_table_size (source->ids) == count)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s: %u of the %u tokens are there twice; this is no vocabulary of CLIP's byte-pair tokenizer",
      source->name, count - g_hash_table_size (source->ids), count);
  return FALSE;
}

/* The token's characters as ids; empty where one stands for no byte */
static void
split_token (const Recovery *recovery, const char *token, GArray *parts)
{
  const gsize length = strlen (token), suffix = strlen (END_OF_WORD);
  const gboolean final = length > suffix && g_str_has_suffix (token, END_OF_WORD);
  const char *end = token + length - (final ? suffix : 0);

  g_array_set_size (parts, 0);
  for (const char *at = token; at < end; at = g_utf8_next_char (at)) {
    const gunichar symbol = g_utf8_get_char (at);
    const gint16 byte = symbol <= LAST_SYMBOL ? recovery->bytes[symbol] : -1;
    if (byte < 0) {
      g_array_set_size (parts, 0);
      return;
    }
    const gint32 *ids = final && g_utf8_next_char (at) == end ? recovery->vocabulary->final
                                                              : recovery->vocabulary->inner;
    g_array_append_val (parts, ids[byte]);
  }
}

static gboolean
add_merge (Recovery *recovery, const char *token, gint32 id, GError **error)
{
  g_autoptr (GArray) parts = g_array_new (FALSE, FALSE, sizeof (gint32));
  g_autoptr (GArray) pair = g_array_new (FALSE, FALSE, sizeof (gint32));

  split_token (recovery, token, parts);
  if (parts->len > 0)
    clip_bpe_merge (recovery->vocabulary, parts, pair);
  if (pair->len != 2) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: token %d “%.64s” is not made of two tokens before it; expected the order in which CLIP's "
        "byte-pair vocabulary was trained",
        recovery->name, id, token);
    return FALSE;
  }
  ClipMerge *merge = &recovery->vocabulary->merges[recovery->count];
  merge->key
      = (gint64)g_array_index (pair, gint32, 0) << 32 | g_array_index (pair, gint32, 1);
  merge->rank = (gint32)recovery->count++;
  merge->id = id;
  g_hash_table_replace (recovery->vocabulary->by_pair, &merge->key, merge);
  return TRUE;
}

static void
mark_known (Recovery *recovery)
{
  const ClipVocabulary *vocabulary = recovery->vocabulary;

  memset (recovery->bytes, -1, sizeof recovery->bytes);
  for (guint byte = 0; byte < 256; byte++) {
    recovery->bytes[clip_byte_symbol ((guint8)byte)] = (gint16)byte;
    g_hash_table_add (recovery->known, GINT_TO_POINTER (vocabulary->inner[byte]));
    g_hash_table_add (recovery->known, GINT_TO_POINTER (vocabulary->final[byte]));
  }
  g_hash_table_add (recovery->known, GINT_TO_POINTER (vocabulary->start));
  g_hash_table_add (recovery->known, GINT_TO_POINTER (vocabulary->end));
}

static gboolean
add_merges (Recovery *recovery, GBytes *tokens, GError **error)
{
  gsize length;
  const char *next = g_bytes_get_data (tokens, &length), *end = next + length;

  mark_known (recovery);
  for (gint32 id = 0; next < end; id++, next += strlen (next) + 1)
    if (!g_hash_table_contains (recovery->known, GINT_TO_POINTER (id))
        && !add_merge (recovery, next, id, error))
      return FALSE;
  return TRUE;
}

ClipVocabulary *
clip_vocabulary_new_from_tokens (const char *name, GBytes *tokens, GError **error)
{
  g_autoptr (ClipVocabularySource) source = clip_vocabulary_source_new (name, name);
  g_autoptr (GHashTable) known = g_hash_table_new (NULL, NULL);
  g_autoptr (ClipVocabulary) vocabulary = NULL;

  if (!add_tokens (source, tokens, error))
    return NULL;
  vocabulary = clip_vocabulary_new_symbols (source, g_hash_table_size (source->ids), error);
  if (!vocabulary)
    return NULL;
  Recovery recovery = { .name = name, .vocabulary = vocabulary, .known = known };
  return add_merges (&recovery, tokens, error) ? g_steal_pointer (&vocabulary) : NULL;
}
