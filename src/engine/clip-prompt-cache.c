/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-prompt-cache.h"

#include "config.h"
#include "device/clip-kernels.h"

#include <glib/gstdio.h>
#include <string.h>

#define FOLDER "texts"
#define SUFFIX ".embeddings"
#define FILE_LIMIT (64 * 1024 * 1024)    /* 32,000 labels of 512 floats */
#define FOLDER_LIMIT (256 * 1024 * 1024) /* the files longest not used go first */

struct _ClipPromptCache {
  ClipEmbeddingStore *store;
  char *path;
};

static void
add_string (GChecksum *sum, const char *text)
{
  g_checksum_update (sum, (const guchar *) text, strlen (text) + 1);
}

/* Another version, or other kernels, may give other embeddings. */
static gboolean
describe_space (GChecksum *sum, ClipModel *model, ClipTokenizer *tokenizer)
{
  g_autofree char *digest = clip_model_get_digest (model);
  g_autofree char *tokens = clip_tokenizer_get_digest (tokenizer);
  if (!digest)
    return FALSE;
  add_string (sum, VERSION);
  for (const ClipKernelSource *s = clip_kernel_sources; s->name; s++)
    add_string (sum, s->source);
  add_string (sum, digest);
  add_string (sum, tokens);
  return TRUE;
}

ClipPromptCache *
clip_prompt_cache_new (ClipModel *model, ClipTokenizer *tokenizer)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 space[CLIP_EMBEDDING_KEY];
  gsize length = sizeof space;
  g_autofree char *folder = clip_cache_path (FOLDER, "");
  gboolean is_off = g_strcmp0 (g_getenv ("GST_CLIP_CACHE"), "no-texts") == 0;
  if (!folder || is_off || !describe_space (sum, model, tokenizer))
    return NULL;
  g_autofree char *name = g_strconcat (g_checksum_get_string (sum), SUFFIX, NULL);
  g_checksum_get_digest (sum, space, &length);
  ClipPromptCache *cache = g_new0 (ClipPromptCache, 1);
  cache->path = clip_cache_path (FOLDER, name);
  cache->store
      = clip_embedding_store_new (cache->path, space, clip_model_get_config (model)->embed_dim, FILE_LIMIT);
  return cache;
}

void
clip_prompt_cache_free (ClipPromptCache *cache)
{
  clip_embedding_store_free (cache->store);
  g_free (cache->path);
  g_free (cache);
}

void
clip_prompt_rows_init (ClipPromptRows *rows, ClipPromptSet *set, char **templates, float *matrix, guint dim)
{
  guint n = clip_prompt_set_get_size (set);
  g_autoptr (GChecksum) shared = g_checksum_new (G_CHECKSUM_SHA256);
  *rows = (ClipPromptRows){ n, dim, g_malloc0_n (n, CLIP_EMBEDDING_KEY), matrix, g_new0 (guint, n),
    g_new0 (gboolean, n) };
  for (guint i = 0; templates[i]; i++)
    add_string (shared, templates[i]);
  for (guint i = 0; i < n; i++) {
    gsize length = CLIP_EMBEDDING_KEY;
    g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
    add_string (sum, g_checksum_get_string (shared));
    for (char **phrasing = clip_prompt_set_get (set, i)->phrasings; *phrasing; phrasing++)
      add_string (sum, *phrasing);
    g_checksum_get_digest (sum, rows->keys[i], &length);
  }
}

void
clip_prompt_rows_clear (ClipPromptRows *rows)
{
  g_free (rows->keys);
  g_free (rows->truncated);
  g_free (rows->known);
}

typedef struct {
  ClipPromptRows *rows;
  GHashTable *wanted; /* key -> index of the first label that has it */
  gboolean truncate;
} Lookup;

static void
take (const ClipEmbedding *found, gpointer user_data)
{
  Lookup *lookup = user_data;
  ClipPromptRows *rows = lookup->rows;
  guint i = GPOINTER_TO_UINT (g_hash_table_lookup (lookup->wanted, found->key));
  if (found->note > 0 && !lookup->truncate)
    return;
  memcpy (rows->matrix + (gsize) i * rows->dim, found->values, rows->dim * sizeof (float));
  rows->truncated[i] = found->note;
  rows->known[i] = TRUE;
}

void
clip_prompt_cache_load (ClipPromptCache *cache, ClipPromptRows *rows, gboolean truncate)
{
  g_autoptr (GHashTable) wanted = g_hash_table_new (clip_embedding_key_hash, clip_embedding_key_equal);
  Lookup lookup = { rows, wanted, truncate };
  for (guint i = rows->n; i-- > 0;)
    g_hash_table_insert (wanted, rows->keys[i], GUINT_TO_POINTER (i));
  clip_embedding_store_find (cache->store, wanted, take, &lookup);
  for (guint i = 0; i < rows->n; i++) {
    guint first = GPOINTER_TO_UINT (g_hash_table_lookup (wanted, rows->keys[i]));
    if (first == i || !rows->known[first])
      continue;
    memcpy (rows->matrix + (gsize) i * rows->dim, rows->matrix + (gsize) first * rows->dim, rows->dim * sizeof (float));
    rows->truncated[i] = rows->truncated[first];
    rows->known[i] = TRUE;
  }
}

typedef struct {
  char *path;
  GStatBuf info;
} Entry;

static void
entry_clear (gpointer data)
{
  g_free (((Entry *) data)->path);
}

static int
newest_first (gconstpointer a, gconstpointer b)
{
  const Entry *x = a, *y = b;
  return x->info.st_mtime < y->info.st_mtime ? 1 : x->info.st_mtime > y->info.st_mtime ? -1 : 0;
}

/* Files of other models, devices and versions that nobody has used for long are deleted. */
static void
trim_folder (const ClipPromptCache *cache)
{
  g_autofree char *folder = g_path_get_dirname (cache->path);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  const char *name;
  guint64 total = FILE_LIMIT; /* room for this one */
  g_array_set_clear_func (entries, entry_clear);
  while (dir && (name = g_dir_read_name (dir))) {
    Entry entry = { g_build_filename (folder, name, NULL) };
    if (g_str_has_suffix (name, SUFFIX) && strcmp (entry.path, cache->path) != 0
        && g_stat (entry.path, &entry.info) == 0)
      g_array_append_val (entries, entry);
    else
      g_free (entry.path);
  }
  g_array_sort (entries, newest_first);
  for (guint i = 0; i < entries->len; i++) {
    const Entry *entry = &g_array_index (entries, Entry, i);
    total += (guint64) entry->info.st_size;
    if (total > FOLDER_LIMIT)
      g_unlink (entry->path);
  }
}

void
clip_prompt_cache_store (ClipPromptCache *cache, const ClipPromptRows *rows)
{
  g_autofree ClipEmbedding *fresh = g_new (ClipEmbedding, rows->n);
  guint n = 0;
  for (guint i = 0; i < rows->n; i++) {
    if (rows->known[i])
      continue;
    fresh[n].note = rows->truncated[i];
    fresh[n].values = rows->matrix + (gsize) i * rows->dim;
    memcpy (fresh[n++].key, rows->keys[i], CLIP_EMBEDDING_KEY);
  }
  if (n == 0)
    return;
  if (!g_file_test (cache->path, G_FILE_TEST_EXISTS))
    trim_folder (cache);
  clip_embedding_store_append (cache->store, fresh, n);
}
