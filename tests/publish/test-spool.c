/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The spool under crashes, damage and want of room; names in topics. */
#include <glib/gstdio.h>
#include <string.h>

#include "clip-error.h"
#include "publish/clip-spool.h"

#define MEGABYTE (1 << 20)

static char *directory;

static ClipSpool *
open_spool (guint64 size)
{
  g_autoptr (GError) error = NULL;
  ClipSpool *spool = clip_spool_open (directory, size, &error);
  g_assert_no_error (error);
  return spool;
}

static guint64
append (ClipSpool *spool, guint from, guint to)
{
  guint64 lost = 0;
  for (guint i = from; i < to; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (ClipMessage) message = clip_message_new ("cam0", "a/b", g_strdup_printf ("{\"n\":%u}\n", i));
    g_assert_true (clip_spool_append (spool, message, &lost, &error));
    g_assert_no_error (error);
  }
  return lost;
}

static guint
number_of (const ClipMessage *message)
{
  g_assert_cmpstr (message->source, ==, "cam0");
  g_assert_cmpstr (message->topic, ==, "a/b");
  return (guint) g_ascii_strtoull (message->line + strlen ("{\"n\":"), NULL, 10);
}

/* Reads @from to @to - 1, in order. Returns: the id of the last */
static guint64
expect (ClipSpool *spool, guint from, guint to)
{
  guint64 id = 0, lost = 0;
  for (guint i = from; i < to; i++) {
    g_autoptr (ClipMessage) message = clip_spool_next (spool, &id, &lost);
    g_assert_nonnull (message);
    g_assert_cmpuint (number_of (message), ==, i);
  }
  g_assert_cmpuint (lost, ==, 0);
  return id;
}

static void
expect_end (ClipSpool *spool)
{
  guint64 id, lost = 0;
  g_assert_null (clip_spool_next (spool, &id, &lost));
  g_assert_false (clip_spool_has_next (spool));
}

static guint
count_files (const char *suffix)
{
  guint n = 0;
  const char *name;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  while ((name = g_dir_read_name (dir)))
    n += g_str_has_suffix (name, suffix);
  return n;
}

static char *
newest_file (void)
{
  const char *name;
  g_autofree char *newest = NULL;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  while ((name = g_dir_read_name (dir))) {
    if (g_str_has_suffix (name, ".spool") && g_strcmp0 (name, newest) > 0) {
      g_free (newest);
      newest = g_strdup (name);
    }
  }
  return g_build_filename (directory, newest, NULL);
}

static void
test_order_and_rewind (void)
{
  ClipSpool *spool = open_spool (MEGABYTE);
  append (spool, 0, 10);
  clip_spool_acknowledge (spool, expect (spool, 0, 4));
  expect (spool, 4, 8);
  clip_spool_rewind (spool);
  expect (spool, 4, 10);
  expect_end (spool);
  append (spool, 10, 12);
  clip_spool_acknowledge (spool, expect (spool, 10, 12));
  g_assert_cmpuint (clip_spool_count (spool), ==, 0);
  clip_spool_close (spool);
  g_assert_cmpuint (count_files (".spool"), ==, 0);
}

/* Another process goes on behind what was acknowledged, over several files. */
static void
test_restart (void)
{
  guint seen = 0;
  for (guint round = 0; round < 5; round++) {
    ClipSpool *spool = open_spool (MEGABYTE);
    append (spool, round * 6000, (round + 1) * 6000);
    clip_spool_acknowledge (spool, expect (spool, seen, seen + 5000));
    seen += 5000;
    g_assert_cmpuint (clip_spool_count (spool), ==, (round + 1) * 6000 - seen);
    clip_spool_close (spool);
  }
  ClipSpool *spool = open_spool (MEGABYTE);
  clip_spool_acknowledge (spool, expect (spool, seen, 30000));
  expect_end (spool);
  clip_spool_close (spool);
}

/* A crash has cut the last record: it never was; the next one takes its place. */
static void
test_torn (void)
{
  for (guint cut = 1; cut < 30; cut += 4) {
    gsize size;
    g_autofree char *content = NULL;
    ClipSpool *spool = open_spool (MEGABYTE);
    append (spool, 0, 3);
    clip_spool_close (spool);
    g_autofree char *path = newest_file ();
    g_assert_true (g_file_get_contents (path, &content, &size, NULL));
    g_assert_true (g_file_set_contents (path, content, (gssize) (size - cut), NULL));
    spool = open_spool (MEGABYTE);
    guint whole = cut <= 25 ? 2 : 1; /* a record has 25 bytes */
    g_assert_cmpuint (clip_spool_count (spool), ==, whole);
    append (spool, whole, 4);
    clip_spool_acknowledge (spool, expect (spool, 0, 4));
    expect_end (spool);
    clip_spool_close (spool);
  }
}

/* Damage in the middle costs the rest of its file and no more, and is counted. */
static void
test_damage (void)
{
  guint64 id, lost = 0;
  guint seen = 0;
  gsize size;
  g_autofree char *content = NULL;
  ClipSpool *spool = open_spool (MEGABYTE);
  append (spool, 0, 100);
  g_autofree char *path = newest_file ();
  clip_spool_close (spool);
  spool = open_spool (MEGABYTE);
  append (spool, 100, 200);
  clip_spool_close (spool);
  g_assert_true (g_file_get_contents (path, &content, &size, NULL));
  content[size / 2] ^= 1;
  g_assert_true (g_file_set_contents (path, content, (gssize) size, NULL));
  spool = open_spool (MEGABYTE);
  g_assert_cmpuint (clip_spool_count (spool), ==, 200);
  g_test_expect_message ("clip", G_LOG_LEVEL_WARNING, "*is damaged*");
  for (ClipMessage *message; (message = clip_spool_next (spool, &id, &lost)); clip_message_free (message), seen++)
    clip_spool_acknowledge (spool, id);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (seen + lost, ==, 200);
  g_assert_cmpuint (lost, >, 40);
  g_assert_cmpuint (lost, <, 60);
  g_assert_cmpuint (clip_spool_count (spool), ==, 0);
  clip_spool_close (spool);
}

static void
test_bounded (void)
{
  guint64 id = 0, more = 0;
  ClipSpool *spool = open_spool (65536);
  guint64 lost = append (spool, 0, 10000);
  g_assert_cmpuint (lost, >, 0);
  g_assert_cmpuint (clip_spool_size (spool), <=, 65536);
  g_assert_cmpuint (clip_spool_count (spool) + lost, ==, 10000);
  g_autoptr (ClipMessage) first = clip_spool_next (spool, &id, &more);
  g_assert_cmpuint (number_of (first), ==, lost);
  expect (spool, (guint) lost + 1, 10000);
  expect_end (spool);
  clip_spool_close (spool);
}

static void
test_one_owner (void)
{
  g_autoptr (GError) error = NULL;
  ClipSpool *spool = open_spool (MEGABYTE);
  g_assert_null (clip_spool_open (directory, MEGABYTE, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED);
  g_assert_nonnull (strstr (error->message, "another publisher"));
  clip_spool_close (spool);
}

/* Whatever the position says, nothing is lost that can be read. */
static void
test_bad_position (void)
{
  const char *const positions[] = { "", "x\n", "-1\n", "99999999999999999999999\n", "1e3\n" };
  g_autofree char *path = g_build_filename (directory, "position", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (positions); i++) {
    ClipSpool *spool = open_spool (MEGABYTE);
    append (spool, 0, 5);
    clip_spool_close (spool);
    g_assert_true (g_file_set_contents (path, positions[i], -1, NULL));
    spool = open_spool (MEGABYTE);
    clip_spool_acknowledge (spool, expect (spool, 0, 5));
    clip_spool_close (spool);
  }
}

static void
test_topics (void)
{
  const struct {
    const char *pattern, *source, *label, *allowed, *topic;
  } cases[] = {
    { "clip/{source}", "cam0", NULL, NULL, "clip/cam0" },
    { "{source}/{label}", NULL, "a dog", NULL, "none/a dog" },
    { "{label}", NULL, "a/b+c#d\n\xf0\x9f\x90\xb6", NULL, "a_b_c_d_\xf0\x9f\x90\xb6" },
    { "x{source}y{label", "{label}", "z", NULL, "x{label}y{label" },
    { "{label}", NULL, "a dog/\xc3\xa9-1", "._-", "a_dog__-1" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *topic
        = clip_topic_expand (cases[i].pattern, cases[i].source, cases[i].label, cases[i].allowed);
    g_assert_cmpstr (topic, ==, cases[i].topic);
  }
  g_autofree char *huge = g_strnfill (100000, 'a'), *cut = clip_topic_expand ("{label}", NULL, huge, NULL);
  g_assert_cmpuint (strlen (cut), ==, 200);
}

static void
in_directory (gconstpointer test)
{
  const char *name;
  g_autoptr (GError) error = NULL;
  directory = g_dir_make_tmp ("clip-spool-XXXXXX", &error);
  g_assert_no_error (error);
  ((void (*) (void)) test) ();
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (directory, name, NULL);
    g_unlink (path);
  }
  g_assert_cmpint (g_rmdir (directory), ==, 0);
  g_clear_pointer (&directory, g_free);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/spool/order-and-rewind", test_order_and_rewind, in_directory);
  g_test_add_data_func ("/spool/restart", test_restart, in_directory);
  g_test_add_data_func ("/spool/torn", test_torn, in_directory);
  g_test_add_data_func ("/spool/damage", test_damage, in_directory);
  g_test_add_data_func ("/spool/bounded", test_bounded, in_directory);
  g_test_add_data_func ("/spool/one-owner", test_one_owner, in_directory);
  g_test_add_data_func ("/spool/bad-position", test_bad_position, in_directory);
  g_test_add_func ("/topics", test_topics);
  return g_test_run ();
}
