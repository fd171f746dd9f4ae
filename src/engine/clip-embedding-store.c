/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file: a header, then records of one size: the key, the first bytes of the SHA-256 of what else is in the record
 * and its key, a note, and the embedding. Writers lock the file and append; readers take no lock, and see by the
 * checksum when a record is half written or was just moved. Nothing is synchronised to the disk: it is a cache. */
#include "clip-embedding-store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECKSUM 16
#define CHUNK (1024 * 1024) /* bytes read at a time */
#define LOCK_TRIES 20
#define LOCK_PAUSE 1000 /* us */

typedef struct {
  char magic[16];
  guint32 byte_order, version, dim, reserved;
  guint8 space[CLIP_EMBEDDING_KEY];
} Header;

typedef struct {
  guint8 key[CLIP_EMBEDDING_KEY];
  guint8 checksum[CHECKSUM];
  guint32 note, reserved;
  float values[]; /* [dim] */
} Record;

struct _ClipEmbeddingStore {
  char *path;
  Header header;
  gsize record, limit; /* bytes */
};

guint
clip_embedding_key_hash (gconstpointer key)
{
  guint value; /* a digest is as good as its first bytes */
  memcpy (&value, key, sizeof value);
  return value;
}

gboolean
clip_embedding_key_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, CLIP_EMBEDDING_KEY) == 0;
}

ClipEmbeddingStore *
clip_embedding_store_new (const char *path, const guint8 *space, guint dim, gsize limit)
{
  ClipEmbeddingStore *store = g_new0 (ClipEmbeddingStore, 1);
  store->path = g_strdup (path);
  store->header = (Header){ "gst-clip texts", 0x01020304, 1, dim, 0, { 0 } };
  memcpy (store->header.space, space, CLIP_EMBEDDING_KEY);
  store->record = sizeof (Record) + dim * sizeof (float);
  store->limit = limit;
  return store;
}

void
clip_embedding_store_free (ClipEmbeddingStore *store)
{
  g_free (store->path);
  g_free (store);
}

static void
compute_checksum (const ClipEmbeddingStore *store, const Record *record, guint8 *checksum)
{
  guint8 digest[32];
  gsize length = sizeof digest;
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_checksum_update (sum, record->key, sizeof record->key);
  g_checksum_update (sum, (const guchar *) &record->note, store->record - G_STRUCT_OFFSET (Record, note));
  g_checksum_get_digest (sum, digest, &length);
  memcpy (checksum, digest, CHECKSUM);
}

static gboolean
is_whole (const ClipEmbeddingStore *store, const Record *record)
{
  guint8 checksum[CHECKSUM];
  compute_checksum (store, record, checksum);
  return memcmp (checksum, record->checksum, CHECKSUM) == 0;
}

/* Returns: bytes read, fewer than @size only at the end of the file or after an error */
static gsize
read_at (int fd, void *to, gsize size, gsize offset)
{
  gsize done = 0;
  while (done < size) {
    gssize n = pread (fd, (guint8 *) to + done, size - done, (off_t) (offset + done));
    if (n == 0 || (n < 0 && errno != EINTR))
      break;
    done += (gsize) MAX (n, 0);
  }
  return done;
}

static gboolean
write_at (int fd, const void *from, gsize size, gsize offset)
{
  gsize done = 0;
  while (done < size) {
    gssize n = pwrite (fd, (const guint8 *) from + done, size - done, (off_t) (offset + done));
    if (n == 0 || (n < 0 && errno != EINTR))
      return FALSE;
    done += (gsize) MAX (n, 0);
  }
  return TRUE;
}

static gboolean
check_header (const ClipEmbeddingStore *store, int fd)
{
  Header header;
  return read_at (fd, &header, sizeof header, 0) == sizeof header
         && memcmp (&header, &store->header, sizeof header) == 0;
}

static void
find_in_chunk (const ClipEmbeddingStore *store, const guint8 *chunk, gsize records, GHashTable *wanted,
    ClipEmbeddingFunc func, gpointer user_data)
{
  for (gsize i = 0; i < records; i++) {
    const Record *record = (const Record *) (gconstpointer) (chunk + i * store->record);
    if (!g_hash_table_contains (wanted, record->key) || !is_whole (store, record))
      continue;
    ClipEmbedding found = { { 0 }, record->note, record->values };
    memcpy (found.key, record->key, sizeof found.key);
    func (&found, user_data);
  }
}

void
clip_embedding_store_find (ClipEmbeddingStore *store, GHashTable *wanted, ClipEmbeddingFunc func, gpointer user_data)
{
  int fd = open (store->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  gsize per_chunk = MAX (1, CHUNK / store->record), records, at = sizeof (Header);
  if (fd < 0)
    return;
  if (check_header (store, fd)) {
    g_autofree guint8 *chunk = g_malloc (per_chunk * store->record);
    futimens (fd, NULL); /* in use: the folder gives up the oldest */
    while ((records = read_at (fd, chunk, per_chunk * store->record, at) / store->record) > 0) {
      find_in_chunk (store, chunk, records, wanted, func, user_data);
      at += records * store->record;
    }
  }
  close (fd);
}

static gboolean
lock (int fd)
{
  for (guint i = 0; i < LOCK_TRIES; i++) {
    if (flock (fd, LOCK_EX | LOCK_NB) == 0)
      return TRUE;
    g_usleep (LOCK_PAUSE);
  }
  return FALSE;
}

/* The newest records come to the beginning of the file. Returns: where the last of them ends, 0 after an error */
static gsize
give_up_old (ClipEmbeddingStore *store, int fd, gsize records, gsize keep)
{
  g_autofree guint8 *record = g_malloc (store->record);
  for (gsize i = 0; i < keep; i++) {
    gsize from = sizeof (Header) + (records - keep + i) * store->record;
    if (read_at (fd, record, store->record, from) != store->record
        || !write_at (fd, record, store->record, sizeof (Header) + i * store->record))
      return 0;
  }
  return sizeof (Header) + keep * store->record;
}

/* Makes the file one of this store, ended by a whole record, with room for @n. Returns: where they go, 0 after an error */
static gsize
prepare (ClipEmbeddingStore *store, int fd, guint n)
{
  struct stat info;
  gsize capacity = (store->limit - sizeof (Header)) / store->record;
  if (fstat (fd, &info) != 0 || !S_ISREG (info.st_mode))
    return 0;
  if (!check_header (store, fd)
      && (ftruncate (fd, 0) != 0 || !write_at (fd, &store->header, sizeof (Header), 0)))
    return 0;
  if (fstat (fd, &info) != 0)
    return 0;
  gsize records = ((gsize) info.st_size - sizeof (Header)) / store->record;
  gsize end = sizeof (Header) + records * store->record;
  if (records + n > capacity)
    end = give_up_old (store, fd, records, MIN (records, (capacity - n) / 2));
  return end > 0 && ftruncate (fd, (off_t) end) == 0 ? end : 0;
}

static guint8 *
make_records (const ClipEmbeddingStore *store, const ClipEmbedding *embeddings, guint n)
{
  guint8 *records = g_malloc0 (n * store->record);
  for (guint i = 0; i < n; i++) {
    Record *record = (Record *) (gpointer) (records + i * store->record);
    memcpy (record->key, embeddings[i].key, sizeof record->key);
    record->note = embeddings[i].note;
    memcpy (record->values, embeddings[i].values, store->header.dim * sizeof (float));
    compute_checksum (store, record, record->checksum);
  }
  return records;
}

void
clip_embedding_store_append (ClipEmbeddingStore *store, const ClipEmbedding *embeddings, guint n)
{
  g_return_if_fail (store->limit > sizeof (Header) + store->record);
  n = (guint) MIN (n, (store->limit - sizeof (Header)) / store->record);
  int fd = n > 0 ? open (store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600) : -1;
  if (fd < 0)
    return;
  g_autofree guint8 *records = make_records (store, embeddings, n);
  if (lock (fd)) {
    gsize end = prepare (store, fd, n);
    if (end == 0 || !write_at (fd, records, n * store->record, end))
      g_info ("texts cache: cannot write %s: %s", store->path, g_strerror (errno));
  }
  close (fd);
}
