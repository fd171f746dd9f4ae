/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store's writer: who shares it, what it drops, keeps and deletes, and that nobody waits for the disk. What comes out
 * again is compared with NumPy and damaged in tests/tool/test_index.py. */
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>

#include "index/clip-index.h"

#define DIM 24
#define SEGMENT 16

typedef struct {
  char *folder, *path;
} Store;

static void
set_up (Store *store, gconstpointer data)
{
  store->folder = g_dir_make_tmp ("test-index-XXXXXX", NULL);
  store->path = g_build_filename (store->folder, "seen.db", NULL);
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    remove_tree (child);
  }
  g_remove (path);
}

static void
tear_down (Store *store, gconstpointer data)
{
  remove_tree (store->folder);
  g_free (store->folder);
  g_free (store->path);
}

static ClipIndexWriter *
open_writer (const Store *store, ClipIndexOptions options)
{
  g_autoptr (GError) error = NULL;
  options.segment = SEGMENT;
  if (!options.queue_size)
    options.queue_size = 100000;
  ClipIndexWriter *writer = clip_index_writer_open (store->path, &options, &error);
  g_assert_no_error (error);
  g_assert_true (clip_index_writer_set_model (writer, "m", DIM, &error));
  return writer;
}

/* An embedding along one axis */
static gboolean
push (ClipIndexWriter *writer, gint64 run, guint i, gboolean wait)
{
  g_autoptr (GError) error = NULL;
  float vector[DIM] = { 0 };
  vector[i % DIM] = 1;
  g_autoptr (GBytes) bytes = g_bytes_new (vector, sizeof vector);
  const ClipIndexEntry entry = { .time = i, .utc = CLIP_INDEX_NO_TIME };
  gboolean ok = clip_index_writer_push (writer, run, &entry, bytes, wait, &error);
  g_assert_no_error (error);
  return ok;
}

static void
push_many (ClipIndexWriter *writer, gint64 run, guint from, guint to)
{
  g_autoptr (GError) error = NULL;
  for (guint i = from; i < to; i++)
    push (writer, run, i, TRUE);
  g_assert_true (clip_index_writer_flush (writer, &error));
  g_assert_no_error (error);
}

static void
assert_bounds (const Store *store, guint64 first, guint64 end)
{
  g_autoptr (GError) error = NULL;
  guint64 found_first, found_end;
  g_autoptr (ClipIndex) index = clip_index_open (store->path, &error);
  g_assert_no_error (error);
  clip_index_get_bounds (index, &found_first, &found_end);
  g_assert_cmpuint (found_first, ==, first);
  g_assert_cmpuint (found_end, ==, end);
  for (guint64 id = first; id < end; id++) {
    g_auto (ClipIndexRow) row = { 0 };
    g_assert_true (clip_index_read_row (index, id, &row, &error));
    g_assert_cmpint (row.time, ==, (gint64) id); /* the tests push entry I at time I */
    g_assert_cmpfloat (clip_index_get_vector (index, id)[id % DIM], ==, 1);
  }
}

static guint
count_segments (const Store *store)
{
  g_autofree char *path = g_strconcat (store->path, ".vectors", NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  guint n = 0;
  while ((name = g_dir_read_name (dir)))
    n += g_str_has_suffix (name, ".vec");
  return n;
}

static void
test_goes_on (Store *store, gconstpointer data)
{
  const guint ends[] = { 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 100 };
  guint begin = 0;
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++) {
    g_autoptr (ClipIndexWriter) writer = open_writer (store, (ClipIndexOptions){ 0 });
    g_assert_null (clip_index_writer_get_repair (writer));
    push_many (writer, clip_index_writer_add_run (writer, "a"), begin, ends[i]);
    assert_bounds (store, 0, ends[i]);
    begin = ends[i];
  }
  g_assert_cmpuint (count_segments (store), ==, (100 + SEGMENT - 1) / SEGMENT);
}

static void
test_shared (Store *store, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipIndexWriter) a = open_writer (store, (ClipIndexOptions){ 0 });
  g_autoptr (ClipIndexWriter) b = open_writer (store, (ClipIndexOptions){ 0 });
  g_assert_true (a == b);
  const ClipIndexOptions other = { .max_age = 5, .queue_size = 100000 };
  g_assert_null (clip_index_writer_open (store->path, &other, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_INDEX);
  g_clear_error (&error);
  g_assert_false (clip_index_writer_set_model (a, "n", DIM, &error));
  g_assert_nonnull (strstr (error->message, "model m (24 values)"));
  g_assert_nonnull (strstr (error->message, "of n (24 values)"));
}

static void
test_drops (Store *store, gconstpointer data)
{
  guint64 stored, dropped;
  const guint n = 20000;
  g_autoptr (ClipIndexWriter) writer = open_writer (store, (ClipIndexOptions){ .queue_size = 1 });
  gint64 run = clip_index_writer_add_run (writer, "a");
  for (guint i = 0; i < n; i++)
    g_assert_true (push (writer, run, i, FALSE));
  g_assert_true (clip_index_writer_flush (writer, NULL));
  clip_index_writer_get_counts (writer, &stored, &dropped);
  g_assert_cmpuint (stored + dropped, ==, n);
  g_assert_cmpuint (dropped, >, 0);
}

/* A disk that does not answer: another connection holds the database's lock. */
static void
test_never_waits (Store *store, gconstpointer data)
{
  const guint n = 2000;
  sqlite3 *other = NULL;
  guint64 stored, dropped;
  g_autoptr (ClipIndexWriter) writer = open_writer (store, (ClipIndexOptions){ 0 });
  gint64 run = clip_index_writer_add_run (writer, "a");
  push_many (writer, run, 0, 10);
  g_assert_cmpint (sqlite3_open (store->path, &other), ==, SQLITE_OK);
  g_assert_cmpint (sqlite3_exec (other, "BEGIN IMMEDIATE", NULL, NULL, NULL), ==, SQLITE_OK);
  for (guint i = 10; i < n; i++)
    push (writer, run, i, FALSE);
  g_usleep (G_USEC_PER_SEC); /* longer than a batch waits to become full */
  clip_index_writer_get_counts (writer, &stored, &dropped);
  g_assert_cmpuint (stored, ==, 10);
  g_assert_cmpuint (dropped, ==, 0);
  assert_bounds (store, 0, 10); /* who reads does not wait either */
  g_assert_cmpint (sqlite3_exec (other, "ROLLBACK", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close (other);
  g_assert_true (clip_index_writer_flush (writer, NULL));
  assert_bounds (store, 0, n);
}

static void
test_max_size (Store *store, gconstpointer data)
{
  /* the database alone is larger: all files go but the one that is written */
  g_autoptr (ClipIndexWriter) writer = open_writer (store, (ClipIndexOptions){ .max_size = 1 });
  gint64 run = clip_index_writer_add_run (writer, "a");
  push_many (writer, run, 0, 10 * SEGMENT + 3);
  g_usleep (1100000); /* it is looked at once a second */
  push_many (writer, run, 10 * SEGMENT + 3, 10 * SEGMENT + 5);
  assert_bounds (store, 10 * SEGMENT, 10 * SEGMENT + 5);
  g_assert_cmpuint (count_segments (store), ==, 1);
}

static void
test_max_age (Store *store, gconstpointer data)
{
  ClipIndexWriter *writer = open_writer (store, (ClipIndexOptions){ .max_age = 2 });
  gint64 run = clip_index_writer_add_run (writer, "a");
  push_many (writer, run, 0, 2 * SEGMENT + 3);
  assert_bounds (store, 0, 2 * SEGMENT + 3);
  g_usleep (4500000); /* nothing comes, and the old ones go all the same */
  assert_bounds (store, 2 * SEGMENT + 3, 2 * SEGMENT + 3);
  push_many (writer, run, 2 * SEGMENT + 3, 2 * SEGMENT + 5);
  assert_bounds (store, 2 * SEGMENT + 3, 2 * SEGMENT + 5);
  clip_index_writer_unref (writer);
  /* a store that has become empty keeps counting */
  g_usleep (2500000);
  writer = open_writer (store, (ClipIndexOptions){ .max_age = 2 });
  assert_bounds (store, 2 * SEGMENT + 5, 2 * SEGMENT + 5);
  push_many (writer, clip_index_writer_add_run (writer, "a"), 2 * SEGMENT + 5, 4 * SEGMENT);
  assert_bounds (store, 2 * SEGMENT + 5, 4 * SEGMENT);
  clip_index_writer_unref (writer);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) g_test_add ("/index/" name, Store, NULL, set_up, function, tear_down)
  ADD ("goes-on", test_goes_on);
  ADD ("shared", test_shared);
  ADD ("drops", test_drops);
  ADD ("never-waits", test_never_waits);
  ADD ("max-size", test_max_size);
  ADD ("max-age", test_max_age);
  return g_test_run ();
}
