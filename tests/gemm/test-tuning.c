/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stored parameters of CLBlast: written, read, refused, used. */
#include "gemm/clip-gemm-draw.h"
#include "gemm/clip-gemm-private.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static ClipDevice *device;
static ClipQueue *queue;
static char *path;

/* in the order GEMMK KREG KWG KWI MDIMA MDIMC MWG NDIMB NDIMC NWG SA SB STRM STRN VWM VWN, and
 * KWID MDIMAD MDIMCD NDIMBD NDIMCD PADA PADB VWMD VWND WGD */
static const ClipGemmTuning example = { .has = { TRUE, TRUE, TRUE },
  .sets = { { { 0, 1, 16, 2, 8, 8, 16, 8, 8, 32, 0, 0, 0, 0, 2, 4 } }, { { 2, 8, 8, 8, 8, 1, 1, 1, 1, 8 } }, { { 7 } } } };

static void
save (const ClipGemmTuning *tuning)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (clip_gemm_tuning_save (device, tuning, &error));
  g_assert_no_error (error);
}

static void
test_round_trip (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *digest = NULL, *none = NULL;
  ClipGemmTuning tuning;
  save (&example);
  g_assert_true (clip_gemm_tuning_load (device, &tuning, &digest, &error));
  g_assert_cmpmem (&tuning, sizeof tuning, &example, sizeof example);
  g_assert_cmpuint (strlen (digest), ==, 64);
  ClipGemmTuning part = example;
  part.has[CLIP_GEMM_DIRECT] = FALSE;
  save (&part);
  g_assert_true (clip_gemm_tuning_load (device, &tuning, NULL, &error));
  g_assert_true (tuning.has[CLIP_GEMM_XGEMM] && !tuning.has[CLIP_GEMM_DIRECT] && tuning.has[CLIP_GEMM_ROUTINE]);
  save (&(ClipGemmTuning){ { 0 } }); /* nothing: no file */
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  save (&(ClipGemmTuning){ { 0 } });
  g_assert_true (clip_gemm_tuning_load (device, &tuning, &none, &error));
  g_assert_true (!tuning.has[CLIP_GEMM_XGEMM] && none[0] == '\0');
}

/* The example's file with a part of it changed */
static char *
changed (const char *from, const char *to)
{
  g_autofree char *text = NULL;
  save (&example);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_auto (GStrv) parts = g_strsplit (text, from, 2);
  g_assert_nonnull (parts[1]);
  return g_strjoinv (to, parts);
}

static void
refuse (const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *digest = NULL;
  ClipGemmTuning tuning;
  memset (&tuning, 1, sizeof tuning);
  g_assert_false (clip_gemm_tuning_load (device, &tuning, &digest, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TUNING);
  if (!strstr (error->message, path) || !strstr (error->message, expected))
    g_error ("'%s' does not name %s and say '%s'", error->message, path, expected);
  g_assert_true (!tuning.has[0] && !tuning.has[1] && !tuning.has[2] && digest[0] == '\0');
}

static void
test_damaged (void)
{
  static const struct {
    const char *from, *to, *message;
  } cases[] = {
    { "KWG=16", "KWG=1e9", "KWG" },
    { "KWG=16", "KWG=-16", "negative" },
    { "KWG=16", "KWG=15", "KWG is 15" },
    { "KWG=16", "KWG=99999999999999999999", "KWG" },
    { "KWG=16\n", "", "KWG" },
    { "KWG=16", "KWH=16", "KWG" },
    { "KWG=16", "KWG=16\nKWH=1", "17 parameters" },
    { "MWG=16", "MWG=8", "do not go together" },
    { "GEMMK=0", "GEMMK=1", "do not go together" },
    { "WGD=8", "WGD=0", "WGD is 0" },
    { "INDIRECT_SIZE=7", "INDIRECT_SIZE=0", "INDIRECT_SIZE is 0" },
    { "INDIRECT_SIZE=7", "INDIRECT_SIZE=16385", "INDIRECT_SIZE is 16385" },
    { "key=", "key=another ", "it is of another" },
    { "clblast=", "clblast=0.", "it is of" },
    { "[device]", "[machine]", "it is of no device" },
    { "[fp32 Xgemm]", "[fp32 Xgemm", "cannot be used" },
    { "[device]", "\x01\xff\n[device]", "cannot be used" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = changed (cases[i].from, cases[i].to);
    g_assert_true (g_file_set_contents (path, text, -1, NULL));
    refuse (cases[i].message);
  }
  for (gsize length = 0; length < 200; length += 13) { /* half a file */
    g_autofree char *text = changed ("[device]", "[device]");
    g_assert_true (g_file_set_contents (path, text, (gssize) length, NULL));
    refuse ("");
  }
}

/* What is no file is not waited for. */
static void
test_no_file (void)
{
  g_autoptr (GError) error = NULL;
  g_unlink (path);
  g_assert_cmpint (mkfifo (path, 0600), ==, 0);
  refuse ("no regular file");
  g_unlink (path);
  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  refuse ("no regular file");
  g_assert_false (clip_gemm_tuning_save (device, &example, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_TUNING);
  g_assert_nonnull (strstr (error->message, path));
  g_assert_cmpint (g_rmdir (path), ==, 0);
}

/* Each set that is drawn is valid and another one; near a set it has most of its values. */
static void
test_draws (void)
{
  ClipGemmDraw *draw = clip_gemm_draw_new (device);
  for (ClipGemmFamily family = CLIP_GEMM_XGEMM; family <= CLIP_GEMM_DIRECT; family++) {
    g_autoptr (GHashTable) seen
        = g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
    clip_gemm_draw_begin (draw, family);
    for (guint i = 0; i < 60; i++) {
      const ClipGemmSet *near = i % 2 ? &example.sets[family] : NULL;
      ClipGemmSet set = { { 0 } };
      guint differ = 0;
      g_assert_true (clip_gemm_draw_next (draw, near, &set));
      g_assert_true (clip_gemm_set_check (family, &set, NULL));
      g_assert_true (g_hash_table_add (seen, g_bytes_new (&set, sizeof set)));
      for (guint j = 0; near && j < clip_gemm_family_get_size (family); j++)
        differ += near->values[j] != set.values[j];
      g_assert_cmpuint (differ, <=, 3);
    }
  }
  clip_gemm_draw_free (draw);
}

/* The work decides which shapes are tried; of many rows a part stands for all. */
static void
test_shapes (void)
{
  const ClipGemmShape all[] = { { 10, 10, 10, 1 }, { 100, 100, 100, 1 }, { 50, 100, 100, 8 }, { 8192, 10, 100, 2 } };
  g_autoptr (GArray) shapes = g_array_new (FALSE, FALSE, sizeof (ClipGemmShape));
  ClipGemmShape shape;
  g_array_append_vals (shapes, all, G_N_ELEMENTS (all));
  g_autoptr (GArray) rows = clip_gemm_select_shapes (shapes);
  g_assert_cmpuint (rows->len, ==, 3);
  const ClipTuneRow *row = &g_array_index (rows, ClipTuneRow, 0);
  g_assert_cmpuint (row->shape.m, ==, 4096);
  g_assert_cmpfloat (row->shape.weight, ==, 4);
  g_assert_cmpuint (g_array_index (rows, ClipTuneRow, 1).shape.m, ==, 50);
  g_assert_cmpuint (g_array_index (rows, ClipTuneRow, 2).shape.m, ==, 100);
  g_assert_true (clip_gemm_shape_from_label ("product 50x768x3072", &shape));
  g_assert_true (shape.m == 50 && shape.n == 768 && shape.k == 3072);
  g_assert_true (clip_gemm_shape_from_label ("3x3 convolution 9x8x7", &shape));
  g_assert_false (clip_gemm_shape_from_label ("attention", &shape));
}

/* Parameters are given once for a process: each of the following is one of its own. */
static void
use_in_subprocess (void)
{
  g_autoptr (GError) error = NULL;
  save (&example);
  g_autoptr (ClipLinear) linear
      = clip_linear_new_with_backend (&clip_linear_clblast, queue, (float[]){ 1 }, NULL, 1, 1, &error);
  g_assert_no_error (error);
  g_assert_true (linear->layout.swapped);
  g_assert_cmpuint (linear->layout.tile_m, ==, 32);
  g_assert_cmpuint (linear->layout.tile_n, ==, 16);
  g_assert_cmpuint (linear->layout.tile_k, ==, 16);
  const char *digest = clip_gemm_tuning_use (device);
  g_assert_cmpuint (strlen (digest), ==, 64);
  save (&(ClipGemmTuning){ { 0 } });
  g_assert_cmpstr (clip_gemm_tuning_use (device), ==, digest);
}

static void
ignore_in_subprocess (void)
{
  g_autofree char *text = changed ("NWG=32", "NWG=33");
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_test_expect_message ("clip", G_LOG_LEVEL_WARNING, "*clblast*NWG is 33*gst-clip-1.0 tune*");
  g_assert_cmpstr (clip_gemm_tuning_use (device), ==, "");
  g_test_assert_expected_messages ();
  g_assert_cmpstr (clip_gemm_tuning_use (device), ==, ""); /* a warning is enough */
}

static void
test_used (void)
{
  if (g_test_subprocess ()) {
    use_in_subprocess ();
    return;
  }
  g_test_trap_subprocess (NULL, 120 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
}

static void
test_ignored (void)
{
  if (g_test_subprocess ()) {
    ignore_in_subprocess ();
    return;
  }
  g_test_trap_subprocess (NULL, 120 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
}

static guint
count_files (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint count = 0;
  while (dir && g_dir_read_name (dir))
    count++;
  return count;
}

/* A choice that was measured with other parameters does not count. */
static void
test_choice (void)
{
  if (g_test_subprocess ()) {
    g_autoptr (GError) error = NULL;
    g_autoptr (ClipLinear) linear = clip_linear_new (queue, CLIP_PRECISION_FP32, (float[]){ 1 }, NULL, 1, 1, 1, &error);
    g_assert_no_error (error);
    return;
  }
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "gst-clip", "gemm", NULL);
  const guint counts[] = { 1, 2, 2, 2 };
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++) { /* without, with, without again, with again */
    save (i % 2 ? &example : &(ClipGemmTuning){ { 0 } });
    g_test_trap_subprocess (NULL, 120 * G_USEC_PER_SEC, 0);
    g_test_trap_assert_passed ();
    g_assert_cmpuint (count_files (folder), ==, counts[i]);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  const gboolean is_child = g_getenv ("TEST_TUNING") != NULL;
  g_test_init (&argc, &argv, NULL);
  g_autofree char *folder = is_child ? g_strdup (g_getenv ("TEST_TUNING")) : g_dir_make_tmp ("clip-tuning-XXXXXX", &error);
  g_setenv ("TEST_TUNING", folder, TRUE);
  g_setenv ("XDG_DATA_HOME", folder, TRUE);
  g_setenv ("XDG_CACHE_HOME", folder, TRUE);
  g_unsetenv ("GST_CLIP_CACHE");
  device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  path = clip_gemm_tuning_get_path (device);
  g_assert_true (clip_gemm_tuning_prepare (device, &error));
  g_test_add_func ("/tuning/round-trip", test_round_trip);
  g_test_add_func ("/tuning/damaged", test_damaged);
  g_test_add_func ("/tuning/no-file", test_no_file);
  g_test_add_func ("/tuning/draws", test_draws);
  g_test_add_func ("/tuning/shapes", test_shapes);
  g_test_add_func ("/tuning/used", test_used);
  g_test_add_func ("/tuning/ignored", test_ignored);
  g_test_add_func ("/tuning/choice", test_choice);
  int status = g_test_run ();
  g_free (path);
  clip_queue_unref (queue);
  clip_device_unref (device);
  g_autofree char *command = g_strdup_printf ("rm -r '%s'", folder);
  g_assert_true (is_child || g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  return status;
}
