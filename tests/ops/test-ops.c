/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every kernel against its naive twin, on random and extreme values and odd shapes. The device's output lies
 * between guard values that must stay. */
#include "harness.h"
#include "ops/clip-ops.h"
#include "twins.h"

#include <math.h>
#include <string.h>

static const guint widths[] = { 1, 3, 5, 15, 16, 17, 100, 768, 1024 };
static const guint row_counts[] = { 0, 1, 2, 7 };

static void
check_layernorm (guint rows, guint width, Values kind)
{
  g_autoptr (GError) error = NULL;
  gsize offset = 5, stride = width + 3, count = (gsize) rows * width;
  g_autofree float *x = new_values (offset + (rows + 1) * stride, kind);
  g_autofree float *gamma = new_values (width, VALUES_RANDOM), *beta = new_values (width, VALUES_RANDOM);
  g_autofree float *want = g_new (float, count + 1);
  g_autoptr (ClipBuffer) bx = upload (x, (offset + (rows + 1) * stride) * sizeof (float));
  g_autoptr (ClipBuffer) bg = upload (gamma, width * sizeof (float));
  g_autoptr (ClipBuffer) bb = upload (beta, width * sizeof (float));
  g_autoptr (ClipBuffer) by = new_output (count);
  clip_op_layernorm (queue, bx, offset, stride, bg, bb, 1e-5f, rows, width, by, &error);
  g_assert_no_error (error);
  twin_layernorm (x + offset, stride, gamma, beta, 1e-5f, rows, width, want);
  g_autofree float *got = download (by, count);
  assert_near (got, want, count, 2e-5);
}

static void
test_layernorm (void)
{
  for (guint w = 0; w < G_N_ELEMENTS (widths); w++)
    for (guint r = 0; r < G_N_ELEMENTS (row_counts); r++)
      for (guint kind = 0; kind < N_VALUES; kind++)
        check_layernorm (row_counts[r], widths[w], kind);
}

static void
check_attention (guint length, guint head_dim, gboolean causal, gboolean lengths, Values kind)
{
  g_autoptr (GError) error = NULL;
  guint batch = 2, heads = 3, width = heads * head_dim;
  gsize count = (gsize) batch * length * width;
  gint32 ends[] = { (gint32) length, (gint32) (length + 1) / 2 };
  g_autofree float *qkv = new_values (3 * count, kind);
  if (kind == VALUES_LARGE) { /* scores of some 1e4, values of 1 */
    for (gsize i = 0; i < 3 * count; i++)
      qkv[i] *= i / width % 3 == 2 ? 1e-4f : 1e-2f;
  }
  g_autofree float *want = g_new (float, count);
  g_autoptr (ClipBuffer) bx = upload (qkv, 3 * count * sizeof (float));
  g_autoptr (ClipBuffer) bl = lengths ? upload (ends, sizeof ends) : NULL;
  g_autoptr (ClipBuffer) by = new_output (count);
  clip_op_attention (queue, bx, bl, batch, length, width, heads, causal, by, &error);
  g_assert_no_error (error);
  twin_attention (qkv, lengths ? ends : NULL, batch, length, width, heads, causal, want);
  g_autofree float *got = download (by, count);
  /* float scores of 1e4 carry an error of 1e-3, which the exponential turns into a relative one */
  assert_near (got, want, count, kind == VALUES_LARGE ? 2e-2 : 5e-6);
}

static void
test_attention (gconstpointer data)
{
  static const guint lengths[] = { 1, 2, 15, 16, 17, 50, 77, 197 };
  guint head_dim = GPOINTER_TO_UINT (data);
  for (guint l = 0; l < G_N_ELEMENTS (lengths); l++)
    for (guint kind = 0; kind < N_VALUES; kind++)
      for (guint mode = 0; mode < 4; mode++)
        check_attention (lengths[l], head_dim, mode & 1, mode & 2, kind);
}

static void
check_pool_attention (guint length, guint head_dim, gboolean shared, Values kind)
{
  g_autoptr (GError) error = NULL;
  guint batch = 3, heads = 2, width = heads * head_dim;
  gsize keys = (gsize) batch * length * 2 * width, count = (gsize) batch * width;
  g_autofree float *q = new_values (count, kind), *kv = new_values (keys, kind), *want = g_new (float, count);
  if (kind == VALUES_LARGE) { /* scores of some 1e4, values of 1 */
    for (gsize i = 0; i < count; i++)
      q[i] *= 1e-2f;
    for (gsize i = 0; i < keys; i++)
      kv[i] *= i / width % 2 ? 1e-4f : 1e-2f;
  }
  g_autoptr (ClipBuffer) bq = upload (q, count * sizeof (float));
  g_autoptr (ClipBuffer) bk = upload (kv, keys * sizeof (float));
  g_autoptr (ClipBuffer) by = new_output (count);
  clip_op_pool_attention (queue, bq, shared, bk, batch, length, width, heads, by, &error);
  g_assert_no_error (error);
  twin_pool_attention (q, shared ? 0 : width, kv, batch, length, width, heads, want);
  g_autofree float *got = download (by, count);
  assert_near (got, want, count, kind == VALUES_LARGE ? 2e-2 : 5e-6);
}

static void
test_pool_attention (void)
{
  static const guint lengths[] = { 1, 2, 16, 50, 197 }, sizes[] = { 1, 24, 64, 72, 256 };
  for (guint l = 0; l < G_N_ELEMENTS (lengths); l++)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
      for (guint kind = 0; kind < 2 * N_VALUES; kind++)
        check_pool_attention (lengths[l], sizes[s], kind % 2, kind / 2);
}

static void
test_patches (void)
{
  static const guint shapes[][2] = { { 4, 4 }, { 6, 2 }, { 7, 3 }, { 32, 8 }, { 42, 7 }, { 5, 1 } };
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    g_autoptr (GError) error = NULL;
    guint size = shapes[i][0], patch = shapes[i][1], side = size / patch, batch = 2;
    gsize inputs = (gsize) batch * 3 * size * size, count = (gsize) batch * side * side * 3 * patch * patch;
    g_autofree float *pixels = new_values (inputs, VALUES_RANDOM), *want = g_new (float, count);
    g_autoptr (ClipBuffer) bx = upload (pixels, inputs * sizeof (float));
    g_autoptr (ClipBuffer) by = new_output (count);
    clip_op_patches (queue, bx, batch, size, patch, by, &error);
    g_assert_no_error (error);
    twin_patches (pixels, batch, size, patch, want);
    g_autofree float *got = download (by, count);
    g_assert_cmpmem (got, count * sizeof (float), want, count * sizeof (float));
  }
}

static void
check_embed_image (guint n, guint width, gboolean has_class)
{
  g_autoptr (GError) error = NULL;
  guint batch = 2, tokens = n + has_class;
  gsize count = (gsize) batch * tokens * width;
  g_autofree float *patches = new_values ((gsize) batch * n * width, VALUES_RANDOM);
  g_autofree float *class = new_values (width, VALUES_RANDOM);
  g_autofree float *positions = new_values ((gsize) tokens * width, VALUES_RANDOM);
  g_autoptr (ClipBuffer) bp = upload (patches, (gsize) batch * n * width * sizeof (float));
  g_autoptr (ClipBuffer) bc = has_class ? upload (class, width * sizeof (float)) : NULL;
  g_autoptr (ClipBuffer) bo = upload (positions, (gsize) tokens * width * sizeof (float));
  g_autoptr (ClipBuffer) by = new_output (count);
  clip_op_embed_image (queue, bp, bc, bo, batch, n, width, by, &error);
  g_assert_no_error (error);
  g_autofree float *got = download (by, count);
  for (gsize i = 0; i < count; i++) {
    gsize b = i / width / tokens, t = i / width % tokens, c = i % width;
    float from = has_class && t == 0 ? class[c] : patches[(b * n + t - has_class) * width + c];
    g_assert_cmpfloat (got[i], ==, from + positions[t * width + c]);
  }
}

static void
test_embed_image (void)
{
  static const guint shapes[][2] = { { 1, 1 }, { 4, 17 }, { 49, 100 } };
  for (guint i = 0; i < G_N_ELEMENTS (shapes); i++) {
    check_embed_image (shapes[i][0], shapes[i][1], TRUE);
    check_embed_image (shapes[i][0], shapes[i][1], FALSE);
  }
}

static void
test_embed_text (void)
{
  enum { BATCH = 3, LENGTH = 5, WIDTH = 19, VOCAB = 11 };
  g_autoptr (GError) error = NULL;
  gint32 ids[BATCH * LENGTH];
  for (guint i = 0; i < BATCH * LENGTH; i++)
    ids[i] = i == 0 ? VOCAB - 1 : g_test_rand_int_range (0, VOCAB);
  g_autofree float *table = new_values (VOCAB * WIDTH, VALUES_RANDOM);
  g_autofree float *positions = new_values (LENGTH * WIDTH, VALUES_RANDOM);
  g_autoptr (ClipBuffer) bi = upload (ids, sizeof ids);
  g_autoptr (ClipBuffer) bt = upload (table, VOCAB * WIDTH * sizeof (float));
  g_autoptr (ClipBuffer) bo = upload (positions, LENGTH * WIDTH * sizeof (float));
  g_autoptr (ClipBuffer) by = new_output (BATCH * LENGTH * WIDTH);
  clip_op_embed_text (queue, bi, bt, bo, BATCH, LENGTH, WIDTH, by, &error);
  g_assert_no_error (error);
  g_autofree float *got = download (by, BATCH * LENGTH * WIDTH);
  for (guint i = 0; i < BATCH * LENGTH * WIDTH; i++)
    g_assert_cmpfloat (
        got[i], ==, table[ids[i / WIDTH] * WIDTH + i % WIDTH] + positions[i / WIDTH % LENGTH * WIDTH + i % WIDTH]);
}

static void
test_gather_rows (void)
{
  enum { ROWS = 9, COUNT = 4, WIDTH = 33 };
  g_autoptr (GError) error = NULL;
  const gint32 rows[COUNT] = { 8, 0, 3, 3 };
  g_autofree float *x = new_values (ROWS * WIDTH, VALUES_RANDOM);
  g_autoptr (ClipBuffer) bx = upload (x, ROWS * WIDTH * sizeof (float));
  g_autoptr (ClipBuffer) br = upload (rows, sizeof rows);
  g_autoptr (ClipBuffer) by = new_output (COUNT * WIDTH);
  clip_op_gather_rows (queue, bx, br, COUNT, WIDTH, by, &error);
  g_assert_no_error (error);
  g_autofree float *got = download (by, COUNT * WIDTH);
  for (guint i = 0; i < COUNT; i++)
    g_assert_cmpmem (
        got + i * WIDTH, WIDTH * sizeof (float), x + rows[i] * WIDTH, WIDTH * sizeof (float));
}

/* @x with a guard behind it, as an in-place operation's argument */
static ClipBuffer *
upload_guarded (const float *x, gsize count)
{
  g_autoptr (GError) error = NULL;
  ClipBuffer *buffer = new_output (count);
  clip_buffer_write (buffer, queue, 0, x, count * sizeof (float), &error);
  g_assert_no_error (error);
  return buffer;
}

static void
check_l2_norm (guint rows, guint width, Values kind)
{
  g_autoptr (GError) error = NULL;
  gsize count = (gsize) rows * width;
  g_autofree float *x = new_values (count + 1, kind), *norms = g_new (float, rows + 1);
  if (rows > 1) /* a row of norm 0 becomes zeros, not NaN */
    memset (x + width, 0, width * sizeof (float));
  g_autoptr (ClipBuffer) bx = upload_guarded (x, count);
  g_autoptr (ClipBuffer) bn = new_output (rows);
  clip_op_l2_norm (queue, bx, rows, width, bn, &error);
  g_assert_no_error (error);
  twin_l2_norm (x, rows, width, norms);
  g_autofree float *got = download (bx, count), *got_norms = download (bn, rows);
  assert_near (got, x, count, 1e-6);
  assert_near (got_norms, norms, rows, 1e-6);
}

static void
check_softmax (guint rows, guint width, Values kind)
{
  g_autoptr (GError) error = NULL;
  gsize count = (gsize) rows * width;
  g_autofree float *x = new_values (count + 1, kind);
  g_autoptr (ClipBuffer) bx = upload_guarded (x, count);
  clip_op_softmax (queue, bx, rows, width, &error);
  g_assert_no_error (error);
  twin_softmax (x, rows, width);
  g_autofree float *got = download (bx, count);
  assert_near (got, x, count, 1e-6);
}

static void
test_row_operations (void)
{
  for (guint w = 0; w < G_N_ELEMENTS (widths); w++)
    for (guint r = 0; r < G_N_ELEMENTS (row_counts); r++)
      for (guint kind = 0; kind < N_VALUES; kind++) {
        check_l2_norm (row_counts[r], widths[w], kind);
        check_softmax (row_counts[r], widths[w], kind);
      }
}

int
main (int argc, char **argv)
{
  static const guint head_dims[] = { 1, 3, 8, 32, 64, 80, 120, 128 };
  g_test_init (&argc, &argv, NULL);
  open_queue ();
  g_test_add_func ("/layernorm", test_layernorm);
  for (guint i = 0; i < G_N_ELEMENTS (head_dims); i++) {
    g_autofree char *name = g_strdup_printf ("/attention/head-dim-%u", head_dims[i]);
    g_test_add_data_func (name, GUINT_TO_POINTER (head_dims[i]), test_attention);
  }
  g_test_add_func ("/pool-attention", test_pool_attention);
  g_test_add_func ("/patches", test_patches);
  g_test_add_func ("/embed-image", test_embed_image);
  g_test_add_func ("/embed-text", test_embed_text);
  g_test_add_func ("/gather-rows", test_gather_rows);
  g_test_add_func ("/l2-norm-and-softmax", test_row_operations);
  int result = g_test_run ();
  clip_queue_unref (queue);
  return result;
}
