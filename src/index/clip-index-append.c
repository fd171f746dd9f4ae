/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches into the store: first the vectors, to the disk; then the rows, in one transaction, which makes both count. */
#include "clip-index-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static gboolean
take_lock (ClipIndexFiles *files, GError **error)
{
  g_autofree char *path = g_build_filename (files->directory, "lock", NULL);
  files->lock = g_open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (files->lock < 0)
    return clip_index_fail (error, "%s: cannot be opened: %s", path, g_strerror (errno));
  if (flock (files->lock, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  if (errno == EWOULDBLOCK)
    return clip_index_fail (error, "is being written by another process; give each process a store of its own");
  return clip_index_fail (error, "%s: cannot be locked: %s", path, g_strerror (errno));
}

static gboolean
prepare (ClipIndexFiles *files, GError **error)
{
  gint64 first = 0;
  files->insert_row = clip_index_database_prepare (
      files->db, "INSERT INTO frames VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", error);
  files->insert_run = files->insert_row
                          ? clip_index_database_prepare (files->db, "INSERT INTO runs VALUES (?, ?, ?)", error)
                          : NULL;
  if (!files->insert_run
      || !clip_index_database_get_int (files->db, "SELECT max(id) + 1 FROM runs", 1, &files->next_run, error)
      || !clip_index_database_get_int (files->db, "SELECT min(id) FROM frames", (gint64) files->meta.next, &first, error))
    return FALSE;
  files->first = (guint64) first;
  return TRUE;
}

gboolean
clip_index_files_open (ClipIndexFiles *files, const char *path, const ClipIndexOptions *options, GError **error)
{
  files->path = g_strdup (path);
  files->directory = clip_index_segment_directory (path);
  files->options = *options;
  files->segment = files->lock = -1;
  files->db = clip_index_database_open (path, TRUE, error);
  if (!files->db)
    return FALSE;
  if (g_mkdir_with_parents (files->directory, 0777) != 0)
    return clip_index_fail (error, "%s: cannot be made: %s", files->directory, g_strerror (errno));
  if (!take_lock (files, error) || !clip_index_database_read_meta (files->db, &files->meta, error))
    return FALSE;
  files->model_stored = files->meta.model != NULL;
  return clip_index_files_repair (files, error) && prepare (files, error) && clip_index_files_retain (files, error);
}

void
clip_index_files_close (ClipIndexFiles *files)
{
  g_clear_pointer (&files->insert_row, sqlite3_finalize);
  g_clear_pointer (&files->insert_run, sqlite3_finalize);
  g_clear_pointer (&files->db, sqlite3_close);
  if (files->segment >= 0)
    close (files->segment);
  if (files->lock >= 0)
    close (files->lock);
  g_clear_pointer (&files->meta.model, g_free);
  g_clear_pointer (&files->path, g_free);
  g_clear_pointer (&files->directory, g_free);
  g_clear_pointer (&files->repair, g_free);
}

static gboolean
close_segment (ClipIndexFiles *files, GError **error)
{
  int fd = files->segment;
  files->segment = -1;
  if (fd < 0)
    return TRUE;
  gboolean ok = fdatasync (fd) == 0;
  int code = errno;
  close (fd);
  return ok || clip_index_fail (error, "%s: cannot be written: %s", files->directory, g_strerror (code));
}

static gboolean
write_vector (ClipIndexFiles *files, guint64 id, GBytes *embedding, GError **error)
{
  const gsize size = files->meta.dim * sizeof (float);
  guint64 row = id % files->meta.segment;
  if (row == 0 && !close_segment (files, error))
    return FALSE;
  if (files->segment < 0)
    files->segment = clip_index_segment_open (files->directory, &files->meta, id, error);
  if (files->segment < 0)
    return FALSE;
  gssize written = pwrite (
      files->segment, g_bytes_get_data (embedding, NULL), size, (off_t) (CLIP_INDEX_HEADER + row * size));
  if (written == (gssize) size)
    return TRUE;
  return clip_index_fail (error, "%s: a vector cannot be written: %s", files->directory,
      written < 0 ? g_strerror (errno) : "the disk is full");
}

static void
bind_time (sqlite3_stmt *statement, int column, gint64 time)
{
  if (time == CLIP_INDEX_NO_TIME)
    sqlite3_bind_null (statement, column);
  else
    sqlite3_bind_int64 (statement, column, time);
}

static gboolean
step (ClipIndexFiles *files, sqlite3_stmt *statement, GError **error)
{
  gboolean ok = sqlite3_step (statement) == SQLITE_DONE || clip_index_database_fail (files->db, error);
  sqlite3_reset (statement);
  sqlite3_clear_bindings (statement);
  return ok;
}

static gboolean
insert_run (ClipIndexFiles *files, const ClipIndexItem *item, GError **error)
{
  sqlite3_bind_int64 (files->insert_run, 1, item->run);
  sqlite3_bind_text (files->insert_run, 2, item->source, -1, SQLITE_STATIC);
  sqlite3_bind_int64 (files->insert_run, 3, item->stored);
  return step (files, files->insert_run, error);
}

static gboolean
insert_row (ClipIndexFiles *files, guint64 id, const ClipIndexItem *item, GError **error)
{
  sqlite3_stmt *s = files->insert_row;
  const ClipIndexEntry *entry = &item->entry;
  sqlite3_bind_int64 (s, 1, (gint64) id);
  sqlite3_bind_int64 (s, 2, item->run);
  bind_time (s, 3, entry->time);
  bind_time (s, 4, entry->utc);
  sqlite3_bind_int64 (s, 5, item->stored);
  sqlite3_bind_int64 (s, 6, entry->x);
  sqlite3_bind_int64 (s, 7, entry->y);
  sqlite3_bind_int64 (s, 8, entry->w);
  sqlite3_bind_int64 (s, 9, entry->h);
  if (entry->tracking_id)
    sqlite3_bind_int64 (s, 10, (gint64) entry->tracking_id);
  sqlite3_bind_text (s, 11, item->object_class, -1, SQLITE_STATIC); /* NULL is NULL */
  sqlite3_bind_text (s, 12, item->labels, -1, SQLITE_STATIC);
  sqlite3_bind_int64 (s, 13, clip_index_checksum (g_bytes_get_data (item->embedding, NULL), files->meta.dim));
  return step (files, s, error);
}

static gboolean
write_vectors (ClipIndexFiles *files, GQueue *items, guint64 *next, GError **error)
{
  for (const GList *link = items->head; link; link = link->next) {
    const ClipIndexItem *item = link->data;
    if (!item->source && !write_vector (files, (*next)++, item->embedding, error))
      return FALSE;
  }
  if (files->segment >= 0 && fdatasync (files->segment) != 0)
    return clip_index_fail (error, "%s: cannot be written: %s", files->directory, g_strerror (errno));
  return TRUE;
}

static gboolean
insert_rows (ClipIndexFiles *files, GQueue *items, guint64 next, GError **error)
{
  guint64 id = files->meta.next;
  if (!files->model_stored && next > id && !clip_index_database_set_model (files->db, &files->meta, error))
    return FALSE;
  for (const GList *link = items->head; link; link = link->next) {
    const ClipIndexItem *item = link->data;
    if (!(item->source ? insert_run (files, item, error) : insert_row (files, id++, item, error)))
      return FALSE;
  }
  return clip_index_database_set_int (files->db, "next", (gint64) next, error);
}

gboolean
clip_index_files_append (ClipIndexFiles *files, GQueue *items, GError **error)
{
  guint64 next = files->meta.next;
  if (!write_vectors (files, items, &next, error) || !clip_index_database_run (files->db, "BEGIN IMMEDIATE", error))
    return FALSE;
  if (!insert_rows (files, items, next, error) || !clip_index_database_run (files->db, "COMMIT", error)) {
    sqlite3_exec (files->db, "ROLLBACK", NULL, NULL, NULL);
    return FALSE;
  }
  files->model_stored = files->model_stored || next > files->meta.next;
  files->meta.next = next;
  return TRUE;
}
