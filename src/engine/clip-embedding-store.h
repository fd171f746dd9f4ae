/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file of embeddings by key, for processes that come later. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define CLIP_EMBEDDING_KEY 32 /* bytes: a SHA-256 */

/**
 * ClipEmbeddingStore:
 *
 * Any number of processes may read and write a file at the same time; a record that a crash, a full disk or anything
 * else has damaged is as if it were not there. The file grows up to a limit, then the older half is given up.
 */
typedef struct _ClipEmbeddingStore ClipEmbeddingStore;

/**
 * clip_embedding_store_new:
 * @path: need not exist
 * @space: (array length=CLIP_EMBEDDING_KEY): in which the embeddings are comparable; a file of another is begun anew
 * @limit: of the file, in bytes
 */
ClipEmbeddingStore *clip_embedding_store_new (const char *path, const guint8 *space, guint dim, gsize limit);
void clip_embedding_store_free (ClipEmbeddingStore *store);

/** ClipEmbedding: @note is the caller's */
typedef struct {
  guint8 key[CLIP_EMBEDDING_KEY];
  guint32 note;
  const float *values; /* [dim] */
} ClipEmbedding;

/** ClipEmbeddingFunc: @embedding is valid during the call */
typedef void (*ClipEmbeddingFunc) (const ClipEmbedding *embedding, gpointer user_data);

/**
 * clip_embedding_store_find:
 * @wanted: (element-type key any): a set of keys, see clip_embedding_key_hash()
 *
 * Calls @func for each undamaged record with a wanted key, oldest first; a key may come twice.
 */
void clip_embedding_store_find (ClipEmbeddingStore *store, GHashTable *wanted, ClipEmbeddingFunc func,
    gpointer user_data);

/** clip_embedding_store_append: does nothing when others keep the file locked, or it cannot be written */
void clip_embedding_store_append (ClipEmbeddingStore *store, const ClipEmbedding *embeddings, guint n);

guint clip_embedding_key_hash (gconstpointer key);
gboolean clip_embedding_key_equal (gconstpointer a, gconstpointer b);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipEmbeddingStore, clip_embedding_store_free)

G_END_DECLS
