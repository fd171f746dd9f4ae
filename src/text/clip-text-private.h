/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this room share: cleaning of text, the vocabulary, byte-pair merging. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

/* Written by generate-tables.py; sorted, for binary search. */
typedef struct {
  const char *name; /* with its `;` where it has one */
  const char *text;
} ClipEntity;

typedef struct {
  gunichar code;
  gunichar lower;
} ClipLower;

typedef struct {
  gunichar first;
  gunichar last;
} ClipRange;

extern const ClipEntity clip_entities[];
extern const guint clip_entities_size;
extern const ClipLower clip_lower[];
extern const guint clip_lower_size;
extern const ClipRange clip_cased[];
extern const guint clip_cased_size;
extern const ClipRange clip_case_ignorable[];
extern const guint clip_case_ignorable_size;

/**
 * clip_html_unescape: `&amp;`, `&#38;`, `&#x26;`, and names without `;` by their longest prefix, as
 * HTML5 and Python's html.unescape() do
 * @text: valid UTF-8, may hold NUL
 */
GString *clip_html_unescape (const GString *text);
/** clip_text_clean: unescaped twice, stripped, each run of white space one space, lower case */
GString *clip_text_clean (const char *text, gsize length);
/** clip_text_lower: as Python's str.lower(); without @final_sigma each character for itself */
GString *clip_text_lower (const GString *text, gboolean final_sigma);
/** clip_text_is_space: as Python's str.isspace() */
gboolean clip_text_is_space (gunichar c);
/** clip_text_validate: as g_utf8_validate(), but NUL is a character; @offset is of the first bad
 * byte */
gboolean clip_text_validate (const char *text, gsize length, gsize *offset);

typedef struct _ClipWords ClipWords;
/** clip_words_new: the compiled regular expression that splits a text; immutable, thread-safe */
ClipWords *clip_words_new (GError **error);
void clip_words_free (ClipWords *words);
typedef void (*ClipWordFunc) (const char *word, gsize length, gpointer data);
/** clip_words_split: calls @each for every word of @text (valid UTF-8), in order */
gboolean clip_words_split (
    const ClipWords *words, const GString *text, ClipWordFunc each, gpointer data, GError **error);

/** clip_read_file: a regular file of at most @limit bytes, NUL-terminated */
char *clip_read_file (const char *path, gsize limit, int code, gsize *length, GError **error);
/** clip_read_gzip: likewise, packed or not, @limit is for what it unpacks to */
char *clip_read_gzip (const char *path, gsize limit, gsize *length, GError **error);

typedef struct {
  gint64 key; /* left id << 32 | right id */
  gint32 rank;
  gint32 id; /* of the merged token */
} ClipMerge;

/* ClipVocabulary: ids of the 256 bytes inside and at the end of a word, and the merges by pair. */
typedef struct {
  gint32 inner[256];
  gint32 final[256];
  gint32 start;
  gint32 end;
  ClipMerge *merges;
  guint n_merges;
  GHashTable *by_pair;
} ClipVocabulary;

/* ClipVocabularySource: what a vocabulary file says, before it is checked. */
typedef struct {
  char *name;        /* path of the tokens, for messages */
  char *merges_name; /* path of the merges */
  GHashTable *ids;   /* token (owned) -> id */
  GPtrArray *merges; /* "left right" (owned), best first */
} ClipVocabularySource;

ClipVocabularySource *clip_vocabulary_source_new (const char *name, const char *merges_name);
void clip_vocabulary_source_free (ClipVocabularySource *source);
gboolean clip_vocabulary_source_add (
    ClipVocabularySource *source, const char *token, gint64 id, guint vocab_size, GError **error);
/** clip_vocabulary_source_find: the first of the places that clip_tokenizer_new() documents */
ClipVocabularySource *clip_vocabulary_source_find (
    const char *directory, guint vocab_size, GError **error);
/** clip_vocabulary_source_read_json: vocab.json with merges.txt, or (@merges NULL) tokenizer.json
 */
ClipVocabularySource *clip_vocabulary_source_read_json (
    const char *path, const char *merges, guint vocab_size, GError **error);

/** clip_byte_symbol: the printable character that stands for @byte in vocabulary files */
gunichar clip_byte_symbol (guint8 byte);
ClipVocabulary *clip_vocabulary_new (ClipVocabularySource *source, GError **error);
/** clip_vocabulary_new_symbols: without merges, but room for @count of them */
ClipVocabulary *clip_vocabulary_new_symbols (
    const ClipVocabularySource *source, guint count, GError **error);
/**
 * clip_vocabulary_new_from_tokens:
 * @name: of the list, for messages
 * @tokens: in the order of their ids, each ended by a NUL
 *
 * For files that hold no merges. Each token that is neither a byte nor special was made by one merge,
 * in the order of the ids; which one, the merges before it tell.
 */
ClipVocabulary *clip_vocabulary_new_from_tokens (const char *name, GBytes *tokens, GError **error);
void clip_vocabulary_free (ClipVocabulary *vocabulary);
const ClipMerge *clip_vocabulary_lookup (
    const ClipVocabulary *vocabulary, gint32 left, gint32 right);

/** clip_bpe_encode: appends to @ids (gint32) the tokens of one word, in O(n log n) */
void clip_bpe_encode (
    const ClipVocabulary *vocabulary, const guint8 *word, gsize length, GArray *ids);
/** clip_bpe_merge: likewise of @parts, ids (gint32) of the vocabulary */
void clip_bpe_merge (const ClipVocabulary *vocabulary, const GArray *parts, GArray *ids);

/* ClipPieces: the tokenizer of SigLIP. Immutable, thread-safe. */
typedef struct _ClipPieces ClipPieces;
/** clip_pieces_new: spiece.model or tokenizer.model of @directory, with tokenizer_config.json */
ClipPieces *clip_pieces_new (const char *directory, guint vocab_size, GError **error);
void clip_pieces_free (ClipPieces *pieces);
/** clip_pieces_encode: appends to @ids (gint32) the pieces of @text (valid UTF-8) and the end */
gboolean clip_pieces_encode (
    const ClipPieces *pieces, const char *text, gsize length, GArray *ids, GError **error);
/** clip_pieces_get_digest: (transfer none): of the model file and how texts are cleaned for it */
const char *clip_pieces_get_digest (const ClipPieces *pieces);
gint32 clip_pieces_get_end (const ClipPieces *pieces);
gint32 clip_pieces_get_pad (const ClipPieces *pieces);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipPieces, clip_pieces_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipVocabulary, clip_vocabulary_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipVocabularySource, clip_vocabulary_source_free)

G_END_DECLS
