/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* make-store STORE DIM SEGMENT SOURCES FILE: stores the rows of FILE (float32 [n,DIM]), row I as seen by camera I % SOURCES
 *   at 0.1 s * I since the start and since 2026-01-01.
 * make-store STORE DIM SEGMENT SOURCES --random N: the same of N random unit vectors
 * make-store STORE DIM SEGMENT SOURCES --forever: random ones without end; prints how many are in the store after each
 *   flush, and is made to be killed */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/clip-index.h"

#define START G_GINT64_CONSTANT (1767225600000000000)
#define STEP G_GINT64_CONSTANT (100000000)

static ClipIndexWriter *writer;
static guint dim, sources;
static gint64 runs[64];

static void
die (const GError *error)
{
  fprintf (stderr, "make-store: %s\n", error->message);
  exit (1);
}

static void
push (guint64 i, const float *vector)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new (vector, dim * sizeof (float));
  g_autofree char *text = g_strdup_printf ("thing %u", (guint) (i % 7));
  const ClipIndexLabel labels[] = { { text, 0.25, 0.75 }, { "a \"quoted\"\nlabel \xf0\x9f\x98\x80 \xff", 0.125, 0.25 } };
  const ClipIndexEntry entry = { (gint64) i * STEP, START + (gint64) i * STEP, 1, 2, 3, 4, i % 5,
    i % 2 ? "person" : NULL, labels, G_N_ELEMENTS (labels) };
  if (!clip_index_writer_push (writer, runs[i % sources], &entry, bytes, TRUE, &error))
    die (error);
}

static void
flush (void)
{
  g_autoptr (GError) error = NULL;
  if (!clip_index_writer_flush (writer, &error))
    die (error);
}

/* The sum of four uniform values is near enough to normal for directions that are near enough to even. */
static void
random_vector (GRand *rand, float *vector)
{
  double square = 0;
  for (guint k = 0; k < dim; k++) {
    guint32 a = g_rand_int (rand), b = g_rand_int (rand);
    double value = (a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16) - 2 * 65535.0;
    vector[k] = (float) value;
    square += value * value;
  }
  for (guint k = 0; k < dim; k++)
    vector[k] = (float) (vector[k] / sqrt (square));
}

static void
store_random (guint64 n)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  g_autofree float *vector = g_new (float, dim);
  for (guint64 i = 0; i < n; i++) {
    random_vector (rand, vector);
    push (i, vector);
  }
}

static void
store_forever (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (2);
  g_autofree float *vector = g_new (float, dim);
  for (guint64 i = 0;; i++) {
    random_vector (rand, vector);
    push (i, vector);
    if (i % 97 != 96)
      continue;
    flush ();
    printf ("%" G_GUINT64_FORMAT "\n", i + 1);
    fflush (stdout);
  }
}

static void
store_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *data = NULL;
  gsize size;
  if (!g_file_get_contents (path, &data, &size, &error))
    die (error);
  for (guint64 i = 0; i < size / (dim * sizeof (float)); i++)
    push (i, (const float *) (gpointer) data + i * dim);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  if (argc < 6)
    return 2;
  dim = (guint) atoi (argv[2]);
  sources = (guint) CLAMP (atoi (argv[4]), 1, 64);
  const ClipIndexOptions options = { .queue_size = 4096, .segment = (guint) atoi (argv[3]) };
  writer = clip_index_writer_open (argv[1], &options, &error);
  if (!writer || !clip_index_writer_set_model (writer, "test", dim, &error))
    die (error);
  if (clip_index_writer_get_repair (writer))
    printf ("%s\n", clip_index_writer_get_repair (writer));
  for (guint i = 0; i < sources; i++) {
    g_autofree char *name = g_strdup_printf ("cam%u", i);
    runs[i] = clip_index_writer_add_run (writer, name);
  }
  if (g_str_equal (argv[5], "--forever"))
    store_forever ();
  else if (g_str_equal (argv[5], "--random"))
    store_random (argc > 6 ? g_ascii_strtoull (argv[6], NULL, 10) : 0);
  else
    store_file (argv[5]);
  flush ();
  clip_index_writer_unref (writer);
  return 0;
}
