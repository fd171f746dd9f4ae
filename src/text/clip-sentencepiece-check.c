/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A SentencePiece model file is a protocol buffer (sentencepiece_model.proto):
 *   ModelProto       1: pieces (SentencePiece)  3: normalizer_spec  5: denormalizer_spec
 *   SentencePiece    1: piece (text)  2: score (float)  3: type (4: user-defined)
 *   NormalizerSpec   2: precompiled_charsmap: u32 size, a double array of that many bytes, and
 *                       strings that end with NUL, at whose offsets its leaves point
 * The library checks the message, but follows the double array (Yata et al. 2007, as Darts-clone
 * stores it) wherever it leads, and keeps matches in arrays of fixed size.
 */
#include "clip-sentencepiece.h"

#include <math.h>
#include <string.h>

#define MAX_SETTINGS (1 << 20) /* bytes of all that is neither a piece nor a normaliser */
#define MAX_MAPS 2             /* of the normaliser and the denormaliser */
#define MAX_PIECE 1024      /* bytes; real vocabularies stay below 128 */
#define MAX_SYMBOLS 64      /* user-defined ones that begin alike: the library's array */
#define MAX_UNITS (1 << 18) /* of the double array; the usual one has 50,000 */
#define MAX_DEPTH 128       /* bytes of a key */
#define MAX_MATCHES 32      /* keys that are beginnings of one another: the library's array */

typedef struct {
  const guint8 *p, *end;
} Span;

typedef struct {
  guint64 tag; /* number << 3 | wire type */
  Span bytes;  /* of types 1, 2 and 5 */
} Field;

static gboolean
read_varint (Span *in, guint64 *value)
{
  *value = 0;
  for (guint shift = 0; shift < 64 && in->p < in->end; shift += 7) {
    const guint8 byte = *in->p++;
    *value |= (guint64) (byte & 0x7f) << shift;
    if (byte < 0x80)
      return TRUE;
  }
  return FALSE;
}

/* FALSE at what is cut or is no field; groups, which the format does not use, included */
static gboolean
read_field (Span *in, Field *field)
{
  guint64 length = 0;
  field->bytes = (Span){ NULL, NULL };
  if (!read_varint (in, &field->tag))
    return FALSE;
  switch (field->tag & 7) {
  case 0:
    return read_varint (in, &length);
  case 1:
    length = 8;
    break;
  case 2:
    if (!read_varint (in, &length))
      return FALSE;
    break;
  case 5:
    length = 4;
    break;
  default:
    return FALSE;
  }
  if (length > (gsize) (in->end - in->p))
    return FALSE;
  field->bytes = (Span){ in->p, in->p + length };
  in->p += length;
  return TRUE;
}

static gboolean
fail (GError **error, const char *message)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER, "%s; download it again", message);
  return FALSE;
}

typedef struct {
  const guint32 *units;
  gsize size;
  guint8 *matches; /* of each unit: 0 not seen, UNFINISHED, else 1 + the most matches from here on */
} Trie;

#define UNFINISHED 255

static guint32
get_unit (const Trie *trie, gsize index)
{
  return GUINT32_FROM_LE (trie->units[index]);
}

static gsize
get_children (const Trie *trie, gsize index)
{
  const guint32 unit = get_unit (trie, index);
  return index ^ ((unit >> 10) << ((unit & (1u << 9)) >> 6));
}

/* Fails at a circle, at keys that are too long, and at too many matches of one text */
static gboolean
count_matches (Trie *trie, gsize index, guint depth)
{
  const gsize children = get_children (trie, index);
  guint most = 0;
  if (trie->matches[index])
    return trie->matches[index] != UNFINISHED;
  if (depth > MAX_DEPTH)
    return FALSE;
  trie->matches[index] = UNFINISHED;
  for (gsize byte = 0; byte < 256; byte++) {
    const gsize child = children ^ byte;
    if ((get_unit (trie, child) & (1u << 31 | 0xff)) != byte)
      continue;
    if (!count_matches (trie, child, depth + 1))
      return FALSE;
    most = MAX (most, trie->matches[child] - 1u);
  }
  most += get_unit (trie, index) >> 8 & 1;
  trie->matches[index] = (guint8) (1 + most);
  return most <= MAX_MATCHES;
}

/* @targets: bytes that leaves may point at */
static gboolean
check_trie (Trie *trie, gsize targets)
{
  for (gsize i = 0; i < trie->size; i++) {
    const guint32 unit = get_unit (trie, i);
    if (unit >> 31) /* a leaf */
      continue;
    const gsize children = get_children (trie, i);
    if (children >= trie->size)
      return FALSE;
    if ((unit >> 8 & 1) && (get_unit (trie, children) & G_MAXINT32) >= targets)
      return FALSE;
  }
  return count_matches (trie, 0, 0);
}

static gboolean
check_charsmap (Span map, GError **error)
{
  guint32 bytes = 0;
  if (map.p == map.end)
    return TRUE;
  if (map.end - map.p > 4)
    memcpy (&bytes, map.p, 4);
  bytes = GUINT32_FROM_LE (bytes);
  /* blocks of 256 units, so that no byte leads out of a block that begins inside */
  if (bytes == 0 || bytes % 1024 || bytes / 4 > MAX_UNITS || bytes >= (gsize) (map.end - map.p - 4)
      || map.end[-1] != '\0')
    return fail (error, "the normaliser's table is damaged");
  g_autofree guint32 *units = g_memdup2 (map.p + 4, bytes);
  g_autofree guint8 *matches = g_malloc0 (bytes / 4);
  Trie trie = { units, bytes / 4, matches };
  return check_trie (&trie, (gsize) (map.end - map.p - 4) - bytes)
         || fail (error, "the normaliser's table leads out of itself");
}

static gboolean
check_normalizer (Span spec, guint *maps, GError **error)
{
  Field field;
  while (spec.p < spec.end) {
    if (!read_field (&spec, &field))
      return fail (error, "the normaliser's settings are cut or damaged");
    if (field.tag != (2 << 3 | 2))
      continue;
    if (++*maps > MAX_MAPS)
      return fail (error, "there are more than two normalisers");
    if (!check_charsmap (field.bytes, error))
      return FALSE;
  }
  return TRUE;
}

/* @symbols: (element-type GBytes): receives the piece when it is a user-defined one */
static gboolean
check_piece (Span piece, GHashTable *symbols, GError **error)
{
  Span text = { NULL, NULL };
  guint64 type = 0;
  Field field;
  while (piece.p < piece.end) {
    const Span before = piece;
    if (!read_field (&piece, &field))
      return fail (error, "a piece is cut or damaged");
    if (field.tag == (1 << 3 | 2)) {
      text = field.bytes;
    } else if (field.tag == (2 << 3 | 5)) {
      guint32 bits;
      memcpy (&bits, field.bytes.p, 4);
      bits = GUINT32_FROM_LE (bits);
      if ((bits & 0x7f800000) == 0x7f800000)
        return fail (error, "a piece's score is no number");
    } else if (field.tag == (3 << 3 | 0)) {
      Span value = before;
      read_varint (&value, &type);
      read_varint (&value, &type);
    }
  }
  if (text.end - text.p > MAX_PIECE)
    return fail (error, "a piece is longer than 1024 bytes");
  if (type == 4)
    g_hash_table_add (symbols, g_bytes_new (text.p, (gsize) (text.end - text.p)));
  return TRUE;
}

static gboolean
check_symbols (GHashTable *symbols, GError **error)
{
  GHashTableIter iter;
  gpointer key;
  g_hash_table_iter_init (&iter, symbols);
  while (g_hash_table_size (symbols) > MAX_SYMBOLS && g_hash_table_iter_next (&iter, &key, NULL)) {
    guint found = 0;
    for (gsize length = 1; length <= g_bytes_get_size (key); length++) {
      g_autoptr (GBytes) start = g_bytes_new_from_bytes (key, 0, length);
      found += g_hash_table_contains (symbols, start);
    }
    if (found > MAX_SYMBOLS)
      return fail (error, "too many user-defined symbols begin alike");
  }
  return TRUE;
}

typedef struct {
  GHashTable *symbols; /* (element-type GBytes): user-defined pieces */
  guint pieces, max_pieces, maps;
  gsize settings;
} Model;

static gboolean
check_field (Model *model, const Field *field, GError **error)
{
  switch (field->tag) {
  case 1 << 3 | 2:
    if (++model->pieces <= model->max_pieces)
      return check_piece (field->bytes, model->symbols, error);
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "has more pieces than the model's %u tokens; is this another model's tokenizer?",
        model->max_pieces);
    return FALSE;
  case 3 << 3 | 2:
  case 5 << 3 | 2:
    return check_normalizer (field->bytes, &model->maps, error);
  default: /* small things, of which the library makes larger ones */
    model->settings += (gsize) (field->bytes.end - field->bytes.p);
    return model->settings <= MAX_SETTINGS || fail (error, "its settings have more than a megabyte");
  }
}

gboolean
clip_sentencepiece_check (const guint8 *data, gsize size, guint max_pieces, GError **error)
{
  g_autoptr (GHashTable) symbols
      = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
  Model model = { symbols, 0, max_pieces, 0, 0 };
  Span in = { data, data + size };
  Field field;
  while (in.p < in.end) {
    if (!read_field (&in, &field))
      return fail (error, "is cut, damaged or no SentencePiece model");
    if (!check_field (&model, &field, error))
      return FALSE;
  }
  if (model.pieces == 0)
    return fail (error, "is empty or no SentencePiece model");
  return check_symbols (symbols, error);
}
