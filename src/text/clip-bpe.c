/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Byte-pair merging of one word. openai/CLIP's loop looks over the whole word for the best pair,
 * merges all its occurrences from left to right, and starts again: quadratic. Here the pairs wait
 * in a heap by (rank, position) and the symbols are a linked list; the order of merges is the same,
 * because all occurrences of a pair are merged before the pairs that they make are considered.
 */
#include "clip-text-private.h"

#include <string.h>

typedef struct {
  gint32 id; /* -1: merged into the symbol before it */
  gint32 previous;
  gint32 next; /* -1: the last */
} Symbol;

typedef struct {
  const ClipMerge *merge;
  gint32 position; /* of the left symbol */
} Candidate;

static gboolean
is_before (const Candidate *a, const Candidate *b)
{
  return a->merge->rank != b->merge->rank ? a->merge->rank < b->merge->rank
                                          : a->position < b->position;
}

static void
heap_push (GArray *heap, Candidate candidate)
{
  g_array_append_val (heap, candidate);
  Candidate *items = (Candidate *)heap->data;
  guint i = heap->len - 1;

  while (i > 0 && is_before (&candidate, &items[(i - 1) / 2])) {
    items[i] = items[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  items[i] = candidate;
}

static Candidate
heap_pop (GArray *heap)
{
  Candidate *items = (Candidate *)heap->data;
  const Candidate best = items[0];
  const Candidate last = items[heap->len - 1];
  const guint size = heap->len - 1;
  guint i = 0;

  for (guint child = 1; child < size; child = 2 * i + 1) {
    if (child + 1 < size && is_before (&items[child + 1], &items[child]))
      child++;
    if (!is_before (&items[child], &last))
      break;
    items[i] = items[child];
    i = child;
  }
  items[i] = last;
  g_array_set_size (heap, size);
  return best;
}

static void
consider (const ClipVocabulary *vocabulary, const Symbol *symbols, gint32 position, GArray *heap)
{
  if (position < 0 || symbols[position].id < 0 || symbols[position].next < 0)
    return;
  const ClipMerge *merge = clip_vocabulary_lookup (
      vocabulary, symbols[position].id, symbols[symbols[position].next].id);
  if (merge)
    heap_push (heap, (Candidate){ merge, position });
}

/* A candidate is stale when one of its symbols was merged with another neighbour meanwhile. */
static gboolean
merge_at (Symbol *symbols, Candidate candidate)
{
  Symbol *left = &symbols[candidate.position];

  if (left->id != (gint32)(candidate.merge->key >> 32) || left->next < 0)
    return FALSE;
  Symbol *right = &symbols[left->next];
  if (right->id != (gint32)(candidate.merge->key & G_MAXINT32))
    return FALSE;
  left->id = candidate.merge->id;
  left->next = right->next;
  if (right->next >= 0)
    symbols[right->next].previous = candidate.position;
  right->id = -1;
  return TRUE;
}

/* all occurrences of the best pair, then the pairs that they made */
static void
merge_best (const ClipVocabulary *vocabulary, Symbol *symbols, GArray *heap, GArray *merged)
{
  const gint32 rank = g_array_index (heap, Candidate, 0).merge->rank;

  g_array_set_size (merged, 0);
  while (heap->len > 0 && g_array_index (heap, Candidate, 0).merge->rank == rank) {
    const Candidate candidate = heap_pop (heap);
    if (merge_at (symbols, candidate))
      g_array_append_val (merged, candidate.position);
  }
  for (guint i = 0; i < merged->len; i++) {
    const gint32 position = g_array_index (merged, gint32, i);
    consider (vocabulary, symbols, symbols[position].previous, heap);
    consider (vocabulary, symbols, position, heap);
  }
}

/* @symbols: ids of a word's parts in a list that is not linked yet */
static void
merge_all (const ClipVocabulary *vocabulary, Symbol *symbols, gint32 length, GArray *ids)
{
  g_autoptr (GArray) heap = g_array_new (FALSE, FALSE, sizeof (Candidate));
  g_autoptr (GArray) merged = g_array_new (FALSE, FALSE, sizeof (gint32));

  for (gint32 i = 0; i < length; i++) {
    symbols[i].previous = i - 1;
    symbols[i].next = i + 1 < length ? i + 1 : -1;
  }
  for (gint32 i = 0; i + 1 < length; i++)
    consider (vocabulary, symbols, i, heap);
  while (heap->len > 0)
    merge_best (vocabulary, symbols, heap, merged);
  for (gint32 i = 0; i >= 0; i = symbols[i].next)
    g_array_append_val (ids, symbols[i].id);
}

void
clip_bpe_encode (const ClipVocabulary *vocabulary, const guint8 *word, gsize length, GArray *ids)
{
  g_return_if_fail (length > 0 && length < G_MAXINT32);

  const gint32 last = (gint32)length - 1;
  g_autofree Symbol *symbols = g_new (Symbol, length);

  for (gint32 i = 0; i <= last; i++)
    symbols[i].id = i < last ? vocabulary->inner[word[i]] : vocabulary->final[word[i]];
  merge_all (vocabulary, symbols, last + 1, ids);
}

void
clip_bpe_merge (const ClipVocabulary *vocabulary, const GArray *parts, GArray *ids)
{
  g_return_if_fail (parts->len > 0 && parts->len < G_MAXINT32);

  g_autofree Symbol *symbols = g_new (Symbol, parts->len);

  for (guint i = 0; i < parts->len; i++)
    symbols[i].id = g_array_index (parts, gint32, i);
  merge_all (vocabulary, symbols, (gint32)parts->len, ids);
}
