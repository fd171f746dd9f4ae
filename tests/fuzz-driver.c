/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz-driver SECONDS SEED-FOLDER...: runs a libFuzzer target without libFuzzer: each seed as it is, then seeds with bytes
 * changed, cut and doubled, always the same ones, until the time is over. Prints TAP. */
#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* An exact copy, so that a tool that watches memory sees a byte too far */
static void
run_exact (const guint8 *data, gsize size)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  LLVMFuzzerTestOneInput (copy, size);
}

static void
run_changed (GRand *random, const GByteArray *seed)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_byte_array_append (bytes, seed->data, seed->len);
  for (gint changes = g_rand_int_range (random, 1, 8); changes > 0 && bytes->len > 0; changes--) {
    const guint at = g_rand_int_range (random, 0, bytes->len);
    switch (g_rand_int_range (random, 0, 5)) {
    case 0:
      bytes->data[at] = g_rand_int (random);
      break;
    case 1:
      bytes->data[at] ^= 1u << g_rand_int_range (random, 0, 8);
      break;
    case 2:
      memset (bytes->data + at, g_rand_boolean (random) ? 0xff : 0, MIN (8, bytes->len - at));
      break;
    case 3:
      g_byte_array_remove_range (bytes, at, g_rand_int_range (random, 0, MIN (32, bytes->len - at) + 1));
      break;
    default:
      g_byte_array_append (bytes, seed->data + at % seed->len, MIN (32, seed->len - at % seed->len));
    }
  }
  run_exact (bytes->data, bytes->len);
}

static void
load_folder (const char *path, GPtrArray *seeds)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    char *data = NULL;
    gsize length = 0;
    if (g_file_get_contents (file, &data, &length, NULL) && length > 0)
      g_ptr_array_add (seeds, g_byte_array_new_take ((guint8 *)data, length));
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) seeds = g_ptr_array_new_with_free_func ((GDestroyNotify)g_byte_array_unref);
  g_autoptr (GRand) random = g_rand_new_with_seed (1);
  for (int i = 2; i < argc; i++)
    load_folder (argv[i], seeds);
  printf ("1..1\n");
  if (argc < 3 || seeds->len == 0) {
    printf ("not ok 1 there are no seeds\n");
    return 1;
  }
  for (guint i = 0; i < seeds->len; i++) {
    const GByteArray *seed = seeds->pdata[i];
    run_exact (seed->data, seed->len);
  }
  guint64 runs = seeds->len;
  const gint64 end = g_get_monotonic_time () + (gint64)(g_ascii_strtod (argv[1], NULL) * G_USEC_PER_SEC);
  for (; g_get_monotonic_time () < end; runs++)
    run_changed (random, seeds->pdata[runs % seeds->len]);
  printf ("ok 1 %" G_GUINT64_FORMAT " inputs from %u seeds\n", runs, seeds->len);
  return 0;
}
