/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cache of embeddings on disk, and the text encoder that leaves the memory and comes back. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/clip-embedding-store.h"
#include "engine/clip-engine-private.h"
#include "text/clip-prompts.h"

#define DIM 16
#define HEADER 64
#define RECORD (56 + DIM * 4)

static char *folder; /* of this run's caches */
static const guint8 space[CLIP_EMBEDDING_KEY] = { 1, 2, 3 };

/* Records are of their number: keys, notes and values. */
static ClipEmbedding
make (guint number, float *values)
{
  ClipEmbedding e = { { 0 }, number, values };
  g_autofree char *digest = g_strdup_printf ("%032u", number * 7919);
  memcpy (e.key, digest, CLIP_EMBEDDING_KEY);
  for (guint i = 0; i < DIM; i++)
    values[i] = (float) number + (float) i / DIM;
  return e;
}

static void
append (ClipEmbeddingStore *store, guint first, guint n)
{
  g_autofree float *values = g_new (float, n * DIM);
  g_autofree ClipEmbedding *all = g_new (ClipEmbedding, n);
  for (guint i = 0; i < n; i++)
    all[i] = make (first + i, values + i * DIM);
  clip_embedding_store_append (store, all, n);
}

static void
check_found (const ClipEmbedding *found, gpointer seen)
{
  float values[DIM];
  ClipEmbedding expected = make (found->note, values);
  g_assert_cmpmem (found->key, CLIP_EMBEDDING_KEY, expected.key, CLIP_EMBEDDING_KEY);
  g_assert_cmpmem (found->values, sizeof values, values, sizeof values);
  g_hash_table_add (seen, GUINT_TO_POINTER (found->note));
}

/* Which of the numbers below @n the file gives, as "0-3,7" would be a list: here a string of 0 and 1. */
static char *
look (const char *path, const guint8 *in_space, guint n, gsize limit)
{
  g_autoptr (ClipEmbeddingStore) store = clip_embedding_store_new (path, in_space, DIM, limit);
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  g_autoptr (GHashTable) wanted
      = g_hash_table_new_full (clip_embedding_key_hash, clip_embedding_key_equal, g_free, NULL);
  GString *text = g_string_new (NULL);
  for (guint i = 0; i < n; i++) {
    float values[DIM];
    ClipEmbedding e = make (i, values);
    g_hash_table_add (wanted, g_memdup2 (e.key, sizeof e.key));
  }
  clip_embedding_store_find (store, wanted, check_found, seen);
  for (guint i = 0; i < n; i++)
    g_string_append_c (text, g_hash_table_contains (seen, GUINT_TO_POINTER (i)) ? '1' : '0');
  return g_string_free (text, FALSE);
}

static void
assert_finds (const char *path, const char *expected)
{
  g_autofree char *found = look (path, space, strlen (expected), 1 << 20);
  g_assert_cmpstr (found, ==, expected);
}

static char *
new_file (ClipEmbeddingStore **store, gsize limit)
{
  static guint number;
  char *path = g_strdup_printf ("%s/%u.embeddings", folder, number++);
  *store = clip_embedding_store_new (path, space, DIM, limit);
  return path;
}

static void
overwrite (const char *path, gsize at, const char *bytes, gsize size)
{
  FILE *file = fopen (path, "r+b");
  g_assert_true (file && fseek (file, (long) at, SEEK_SET) == 0 && fwrite (bytes, 1, size, file) == size);
  fclose (file);
}

static void
test_damage (void)
{
  g_autoptr (ClipEmbeddingStore) store = NULL;
  g_autofree char *path = new_file (&store, 1 << 20);
  assert_finds (path, "000"); /* no file */
  append (store, 0, 4);
  append (store, 4, 2);
  assert_finds (path, "1111110");
  overwrite (path, HEADER + 1 * RECORD, "x", 1);           /* a key */
  overwrite (path, HEADER + 2 * RECORD + 40, "x", 1);      /* a checksum */
  overwrite (path, HEADER + 3 * RECORD + 56 + 9, "xy", 2); /* a value */
  overwrite (path, HEADER + 5 * RECORD + 48, "x", 1);      /* a note */
  assert_finds (path, "1000100");
  g_assert_cmpint (truncate (path, HEADER + 5 * RECORD + 17), ==, 0); /* a crash while it was written */
  append (store, 6, 1);
  assert_finds (path, "1000101");
  append (store, 1, 3); /* what was lost comes again */
  assert_finds (path, "1111101");
}

static void
test_foreign (void)
{
  static const guint8 other[CLIP_EMBEDDING_KEY] = { 1, 2, 4 };
  g_autoptr (ClipEmbeddingStore) store = NULL;
  g_autofree char *path = new_file (&store, 1 << 20);
  append (store, 0, 3);
  g_autofree char *found = look (path, other, 3, 1 << 20);
  g_assert_cmpstr (found, ==, "000");
  for (guint length = 0; length < 200; length += 9) { /* rubbish, shorter and longer than a header */
    g_autofree char *rubbish = g_strnfill (length, 'r');
    g_assert_true (g_file_set_contents (path, rubbish, (gssize) length, NULL));
    assert_finds (path, "000");
    append (store, 1, 1);
    assert_finds (path, "010");
  }
}

static void
test_limit (void)
{
  const gsize limit = HEADER + 20 * RECORD + 7;
  g_autoptr (ClipEmbeddingStore) store = NULL;
  g_autofree char *path = new_file (&store, limit);
  GStatBuf info;
  for (guint i = 0; i < 300; i += 3) {
    append (store, i, 3);
    g_assert_cmpint (g_stat (path, &info), ==, 0);
    g_assert_cmpuint ((gsize) info.st_size, <=, limit);
  }
  g_autofree char *found = look (path, space, 300, limit);
  g_assert_true (g_str_has_suffix (found, "11111111111")); /* the newest, half of them at least */
  g_assert_true (g_str_has_prefix (found, "000"));
  append (store, 0, 100); /* more than there is room for */
  g_assert_cmpint (g_stat (path, &info), ==, 0);
  g_assert_cmpuint ((gsize) info.st_size, <=, limit);
}

/* Many processes at once: what is in the file in the end is whole, and what each of them reads meanwhile too. */
static void
test_processes (void)
{
  g_autoptr (ClipEmbeddingStore) store = NULL;
  g_autofree char *path = new_file (&store, HEADER + 150 * RECORD);
  GStatBuf info;
  for (guint p = 0; p < 6; p++) {
    if (fork () == 0) {
      for (guint i = 0; i < 60; i++) {
        append (store, p * 60 + i, 1);
        g_free (look (path, space, 400, 1 << 20)); /* checks what it finds */
      }
      _exit (0);
    }
  }
  for (guint p = 0; p < 6; p++) {
    int status = -1;
    g_assert_cmpint (wait (&status), >, 0);
    g_assert_cmpint (status, ==, 0);
  }
  g_assert_cmpint (g_stat (path, &info), ==, 0);
  g_assert_cmpuint (((gsize) info.st_size - HEADER) % RECORD, ==, 0);
  g_autofree char *found = look (path, space, 360, 1 << 20);
  guint count = 0;
  for (const char *c = found; *c; c++)
    count += *c == '1';
  g_assert_cmpuint (count, ==, ((gsize) info.st_size - HEADER) / RECORD); /* none is damaged, none comes twice */
  g_assert_cmpuint (count, >, 30);
}

/* An engine of its own, as another process would have; gives what it spent on texts. */
static ClipEncodedPrompts *
encode (const char *model, const char *prompts, const char *templates_name, gboolean truncate, double *flops)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipEngine) engine = clip_engine_new (model, NULL, CLIP_PRECISION_FP32, &error);
  g_assert_no_error (error);
  g_autoptr (ClipPromptSet) set = clip_prompt_set_parse (prompts, &error);
  g_auto (GStrv) templates = clip_templates_load (templates_name, &error);
  ClipEncodedPrompts *result = clip_engine_encode_prompts (engine, set, templates, truncate, &error);
  g_assert_no_error (error);
  *flops = clip_model_get_text_flops (engine->model);
  return result;
}

static void
assert_row (const ClipEncodedPrompts *a, guint i, const ClipEncodedPrompts *b, guint j)
{
  gsize size = a->embed_dim * sizeof (float);
  g_assert_cmpmem (a->matrix + i * a->embed_dim, size, b->matrix + j * b->embed_dim, size);
}

static void
test_second_start (void)
{
  double first, second, more, templates, turned;
  g_autoptr (ClipEncodedPrompts) a = encode ("demo", "a dog;a cat;a ball", "none", FALSE, &first);
  g_autoptr (ClipEncodedPrompts) b = encode ("demo", "a dog;a cat;a ball", "none", FALSE, &second);
  g_autoptr (ClipEncodedPrompts) c = encode ("demo", "a ball;a dog;a hat;a dog", "none", FALSE, &more);
  g_autoptr (ClipEncodedPrompts) d = encode ("demo", "a dog;a cat;a ball", "simple", FALSE, &templates);
  g_autoptr (ClipEncodedPrompts) e = encode ("demo", "a ball;!a cat", "none", FALSE, &turned);
  g_assert_cmpfloat (first, >, 0);
  g_assert_cmpfloat (second, ==, 0);
  g_assert_cmpfloat (turned, ==, 0);
  g_assert_cmpfloat (templates, >, 0);
  g_assert_cmpfloat (more, >, 0);
  g_assert_cmpfloat (more, <, first * 0.5); /* one text of three */
  for (guint i = 0; i < 3; i++)
    assert_row (a, i, b, i);
  assert_row (c, 0, a, 2);
  assert_row (c, 1, a, 0);
  assert_row (c, 3, a, 0);
  assert_row (e, 0, a, 2);
  assert_row (e, 1, a, 1);
  g_assert_cmpint (memcmp (d->matrix, a->matrix, a->embed_dim * sizeof (float)), !=, 0);
}

static void
test_off (void)
{
  double flops;
  g_autoptr (ClipEncodedPrompts) a = encode ("demo", "a tree", "none", FALSE, &flops);
  g_setenv ("GST_CLIP_CACHE", "no-texts", TRUE);
  g_autoptr (ClipEncodedPrompts) b = encode ("demo", "a tree", "none", FALSE, &flops);
  g_unsetenv ("GST_CLIP_CACHE");
  g_assert_cmpfloat (flops, >, 0);
  for (guint i = 0; i < a->embed_dim; i++)
    g_assert_cmpfloat_with_epsilon (a->matrix[i], b->matrix[i], 1e-6);
}

/* What was cut stays told, and is no answer for those who want no cut. */
static void
test_truncated (void)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  double flops;
  for (guint i = 0; i < 200; i++)
    g_string_append (text, "ball ");
  g_autoptr (ClipEncodedPrompts) a = encode ("demo", text->str, "none", TRUE, &flops);
  g_assert_cmpuint (a->truncated, ==, 1);
  g_autoptr (ClipEncodedPrompts) b = encode ("demo", text->str, "none", TRUE, &flops);
  g_assert_cmpuint (b->truncated, ==, 1);
  g_assert_cmpfloat (flops, ==, 0);
  g_autoptr (ClipEngine) engine = clip_engine_new ("demo", NULL, CLIP_PRECISION_FP32, &error);
  g_autoptr (ClipPromptSet) set = clip_prompt_set_parse (text->str, NULL);
  g_auto (GStrv) templates = clip_templates_load ("none", NULL);
  g_assert_null (clip_engine_encode_prompts (engine, set, templates, FALSE, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
}

static char *
copy_model (void)
{
  g_autofree char *from = clip_model_find ("demo", NULL, NULL);
  char *to = g_build_filename (folder, "model", NULL);
  g_autofree char *command = g_strdup_printf ("cp -rL '%s' '%s'", from, to);
  g_assert_cmpint (system (command), ==, 0);
  g_usleep (3 * G_USEC_PER_SEC); /* files that were just written are not trusted */
  return to;
}

/* One weight, the times put back: nothing but the inode tells. */
static void
test_changed_weights (void)
{
  g_autofree char *model = copy_model (), *file = g_build_filename (model, "model.safetensors", NULL);
  double first, second, changed;
  GStatBuf info;
  g_autoptr (ClipEncodedPrompts) a = encode (model, "a wheel", "none", FALSE, &first);
  g_autoptr (ClipEncodedPrompts) b = encode (model, "a wheel", "none", FALSE, &second);
  g_assert_cmpfloat (first, >, 0);
  g_assert_cmpfloat (second, ==, 0);
  g_assert_cmpint (g_stat (file, &info), ==, 0);
  overwrite (file, (gsize) info.st_size - 100001, "\0", 1);
  g_autofree char *restore = g_strdup_printf ("touch -d @%" G_GINT64_FORMAT " '%s'", (gint64) info.st_mtime, file);
  g_assert_cmpint (system (restore), ==, 0);
  g_usleep (3 * G_USEC_PER_SEC);
  g_autoptr (ClipEncodedPrompts) c = encode (model, "a wheel", "none", FALSE, &changed);
  g_assert_cmpfloat (changed, ==, first);
}

/* The same weights with another activation are another model. */
static void
test_changed_config (void)
{
  g_autofree char *model = g_build_filename (folder, "model", NULL), *text = NULL;
  g_autofree char *file = g_build_filename (model, "config.json", NULL);
  double first, other;
  g_autoptr (ClipEncodedPrompts) a = encode (model, "a chair", "none", FALSE, &first);
  g_assert_true (g_file_get_contents (file, &text, NULL, NULL));
  g_auto (GStrv) parts = g_strsplit (text, "\"gelu\"", -1);
  g_assert_cmpuint (g_strv_length (parts), >, 1);
  g_autofree char *changed = g_strjoinv ("\"quick_gelu\"", parts);
  g_assert_true (g_file_set_contents (file, changed, -1, NULL));
  g_autoptr (ClipEncodedPrompts) b = encode (model, "a chair", "none", FALSE, &other);
  g_assert_cmpfloat (other, ==, first);
  g_assert_cmpint (memcmp (a->matrix, b->matrix, a->embed_dim * sizeof (float)), !=, 0);
}

static ClipEncodedPrompts *
encode_in (ClipEngine *engine, const char *prompts)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipPromptSet) set = clip_prompt_set_parse (prompts, &error);
  g_auto (GStrv) templates = clip_templates_load ("none", &error);
  ClipEncodedPrompts *result = clip_engine_encode_prompts (engine, set, templates, FALSE, &error);
  g_assert_no_error (error);
  return result;
}

static gsize
wait_for_drop (ClipDevice *device, gsize above)
{
  for (guint i = 0; i < 1000 && clip_device_get_allocated (device) > above; i++)
    g_usleep (10000);
  return clip_device_get_allocated (device);
}

/* The text encoder comes with the first prompts, goes when they are encoded, and comes back the same. */
static void
test_drop (void)
{
  g_autoptr (GError) error = NULL;
  g_setenv ("GST_CLIP_CACHE", "no-texts", TRUE); /* with it the texts would be known */
  g_autoptr (ClipEngine) engine = clip_engine_new ("demo", NULL, CLIP_PRECISION_FP32, &error);
  g_assert_no_error (error);
  ClipDevice *device = clip_queue_get_device (engine->queue);
  const ClipModelConfig *config = clip_engine_get_config (engine);
  const ClipTransformerConfig *t = &config->text;
  gsize weights = (gsize) t->layers * t->width * (4 * t->width + 2 * t->mlp_width) + config->vocab_size * t->width;
  gsize without = clip_device_get_allocated (device), scratch;
  g_autoptr (ClipEncodedPrompts) first = encode_in (engine, "a dog;a cat");
  gsize with = clip_device_get_allocated (device);
  g_assert_cmpuint (with - without, >=, weights * sizeof (float));
  g_mutex_lock (&engine->lock);
  engine->text_idle = 50 * G_TIME_SPAN_MILLISECOND;
  g_mutex_unlock (&engine->lock);
  g_autoptr (ClipEncodedPrompts) second = encode_in (engine, "a dog"); /* wakes the worker, which sees the new time */
  scratch = wait_for_drop (device, with - weights * sizeof (float)) - without;
  g_assert_cmpuint (scratch, <=, with - without - weights * sizeof (float));
  g_autoptr (ClipEncodedPrompts) third = encode_in (engine, "a dog;a cat");
  assert_row (first, 0, third, 0);
  assert_row (first, 1, third, 1);
  g_assert_cmpuint (wait_for_drop (device, without + scratch), ==, without + scratch);
  g_unsetenv ("GST_CLIP_CACHE");
}

/* Kernels are taken from the caches that there are: only texts are this test's own. */
static void
use_own_cache (void)
{
  const char *set = g_getenv ("XDG_CACHE_HOME"); /* GLib's answer would be kept for later */
  g_autofree char *cache = set && *set ? g_strdup (set) : g_build_filename (g_get_home_dir (), ".cache", NULL);
  g_autofree char *mine = g_build_filename (folder, "gst-clip", NULL), *pocl = g_build_filename (cache, "pocl", NULL);
  static const char *const shared[] = { "programs", "gemm" };
  g_mkdir_with_parents (mine, 0700);
  for (guint i = 0; i < G_N_ELEMENTS (shared); i++) {
    g_autofree char *to = g_build_filename (cache, "gst-clip", shared[i], NULL);
    g_autofree char *link = g_build_filename (mine, shared[i], NULL);
    g_mkdir_with_parents (to, 0700);
    g_assert_cmpint (symlink (to, link), ==, 0);
  }
  if (!g_getenv ("POCL_CACHE_DIR") && g_mkdir_with_parents (pocl, 0700) == 0)
    g_setenv ("POCL_CACHE_DIR", pocl, TRUE);
  g_setenv ("XDG_CACHE_HOME", folder, TRUE);
  g_unsetenv ("GST_CLIP_CACHE");
}

int
main (int argc, char **argv)
{
  folder = g_dir_make_tmp ("clip-texts-XXXXXX", NULL);
  use_own_cache ();
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/texts/store/damage", test_damage);
  g_test_add_func ("/texts/store/foreign", test_foreign);
  g_test_add_func ("/texts/store/limit", test_limit);
  g_test_add_func ("/texts/store/processes", test_processes);
  g_test_add_func ("/texts/second-start", test_second_start);
  g_test_add_func ("/texts/off", test_off);
  g_test_add_func ("/texts/truncated", test_truncated);
  g_test_add_func ("/texts/changed-weights", test_changed_weights);
  g_test_add_func ("/texts/changed-config", test_changed_config);
  g_test_add_func ("/texts/drop", test_drop);
  int status = g_test_run ();
  g_autofree char *remove = g_strdup_printf ("rm -rf '%s'", folder);
  return system (remove) == 0 ? status : 1;
}
