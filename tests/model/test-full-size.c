/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test-full-size MODEL_DIR GOLDEN [reduced|half]: a full-size model with known pseudo-random weights, in fp32, or in bf16
 * and int8 with every kind of instructions that the processor has, or on a GPU some pictures in fp16. The pictures are
 * the reference's resized pixels, so that only normalisation and the towers are under test. */
#include "parity.h"

#include <string.h>

static const char *model_path, *golden_path;

/* The least cosine with the golden's fp32 embeddings, by ClipPrecision */
static const double reduced_bars[] = { 1.0, 0.9995, 0.995, 0.9995 };
#define HALF_PICTURES 2 /* a GPU that is none takes seconds for each */

/* FALSE when the reference has no such picture of this size */
static gboolean
prepare_picture (ClipPreprocessor *preprocessor, const char *name, guint size, ClipBuffer *pixels, guint index)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_strdup_printf ("preprocess/shortest-bicubic-%u.safetensors", size);
  g_autoptr (RefFile) pictures = ref_open (path);
  gsize count;
  g_assert_nonnull (pictures);
  if (!ref_has (pictures, name))
    return FALSE;
  const guint8 *rgb = ref_u8 (pictures, name, &count);
  g_assert_true (rgb && count == (gsize) 3 * size * size);
  ClipFrame frame = { .format = CLIP_FORMAT_RGB, .width = size, .height = size, .planes = { rgb },
    .strides = { 3 * size }, .full_range = TRUE };
  clip_preprocessor_run (preprocessor, &frame, pixels, index, &error);
  g_assert_no_error (error);
  return TRUE;
}

/* [n,embed_dim]; the golden's own row for a picture that there is not */
static float *
encode_pictures (ClipModel *model, ClipQueue *queue, RefFile *golden, char **names, guint n)
{
  g_autoptr (GError) error = NULL;
  const ClipModelConfig *config = clip_model_get_config (model);
  guint size = config->image_size, d = config->embed_dim, present = 0;
  gsize item = (gsize) 3 * size * size * sizeof (float);
  const float *want = ref_f32 (golden, "image_embeds", NULL, NULL);
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config->preprocess, &error);
  g_autoptr (ClipBuffer) pixels = clip_buffer_new (clip_queue_get_device (queue), n * item, &error);
  g_autofree float *encoded = g_new (float, n * d);
  g_autofree guint *rows = g_new (guint, n);
  float *images = g_memdup2 (want, n * d * sizeof (float));
  g_assert_no_error (error);
  for (guint i = 0; i < n; i++) {
    if (prepare_picture (preprocessor, names[i], size, pixels, present))
      rows[present++] = i;
    else
      g_test_message ("%s: no picture of %u pixels, left out", names[i], size);
  }
  g_assert_cmpuint (present, >, 1);
  clip_model_encode_pixels (model, pixels, present, encoded, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < present; i++)
    memcpy (images + rows[i] * d, encoded + i * d, d * sizeof (float));
  return images;
}

static void
test_full_size (void)
{
  g_autoptr (GError) error = NULL;
  RefFile *golden = ref_open (golden_path);
  g_assert_nonnull (golden);
  g_autoptr (ClipDevice) device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  g_autoptr (ClipQueue) queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  g_autoptr (ClipModel) model = clip_model_load (queue, model_path, CLIP_PRECISION_FP32, &error);
  g_assert_no_error (error);
  g_auto (GStrv) names = g_strsplit (ref_meta (golden, "images"), ",", -1);
  g_autofree float *images = encode_pictures (model, queue, golden, names, g_strv_length (names));
  g_autofree float *texts = parity_encode_golden_texts (model, golden);
  parity_check_outputs (model, golden, images, texts);
  ref_close (golden);
}

static void
check_reduced (const char *what, const float *got, gsize count, RefFile *golden, const char *tensor, ClipPrecision precision)
{
  gsize n, d;
  const float *want = ref_f32 (golden, tensor, &n, &d);
  g_assert_true (want && count > 0 && n >= count);
  n = count;
  ParityResult result = parity_compare (got, want, n, d);
  g_test_message ("%s %s: smallest cosine %.6f, largest difference %.1e", clip_precision_get_name (precision), what,
      result.cosine, result.embedding);
  g_assert_cmpfloat (result.cosine, >=, reduced_bars[precision]);
  g_assert_false (parity_holds (result)); /* it is reduced indeed */
}

static void
test_reduced (gconstpointer data)
{
  ClipPrecision precision = GPOINTER_TO_UINT (data);
  static const char *const levels[] = { "portable", "vector", "matrix" };
  g_autoptr (GError) error = NULL;
  RefFile *golden = ref_open (golden_path);
  g_assert_nonnull (golden);
  g_autoptr (ClipDevice) device = clip_device_open ("cpu", &error);
  g_assert_no_error (error);
  g_autoptr (ClipQueue) queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  g_auto (GStrv) names = g_strsplit (ref_meta (golden, "images"), ",", -1);
  g_autofree char *before = NULL;
  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    g_setenv ("GST_CLIP_DOT", levels[i], TRUE);
    g_autoptr (ClipModel) model = clip_model_load (queue, model_path, precision, &error);
    g_assert_no_error (error);
    g_assert_true (clip_model_get_precision (model) == precision);
    if (g_strcmp0 (before, clip_model_get_gemm_backend (model)) == 0)
      break; /* the processor has no more */
    g_free (before);
    before = g_strdup (clip_model_get_gemm_backend (model));
    g_test_message ("matrix products by %s", before);
    g_autofree float *images = encode_pictures (model, queue, golden, names, g_strv_length (names));
    g_autofree float *texts = parity_encode_golden_texts (model, golden);
    check_reduced ("images", images, g_strv_length (names), golden, "image_embeds", precision);
    check_reduced ("texts", texts, parity_golden_texts (golden), golden, "text_embeds", precision);
  }
  g_unsetenv ("GST_CLIP_DOT");
  ref_close (golden);
}

static void
test_half (void)
{
  g_autoptr (GError) error = NULL;
  RefFile *golden = ref_open (golden_path);
  g_assert_nonnull (golden);
  g_autoptr (ClipDevice) device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  g_autoptr (ClipQueue) queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  g_auto (GStrv) names = g_strsplit (ref_meta (golden, "images"), ",", -1);
  g_autoptr (ClipModel) model = clip_model_load (queue, model_path, CLIP_PRECISION_FP16, &error);
  g_assert_no_error (error);
  g_test_message ("matrix products by %s", clip_model_get_gemm_backend (model));
  g_autofree float *images = encode_pictures (model, queue, golden, names, HALF_PICTURES);
  check_reduced ("images", images, HALF_PICTURES, golden, "image_embeds", CLIP_PRECISION_FP16);
  ref_close (golden);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gboolean reduced = argc == 4 && g_str_equal (argv[3], "reduced"), half = argc == 4 && g_str_equal (argv[3], "half");
  g_assert_true (argc == 3 || reduced || half);
  model_path = argv[1];
  golden_path = argv[2];
  g_autofree char *name = g_strdup_printf ("/full-size/%s", golden_path);
  for (ClipPrecision p = CLIP_PRECISION_BF16; reduced && p <= CLIP_PRECISION_INT8; p++) {
    g_autofree char *path = g_strdup_printf ("%s/%s", name, clip_precision_get_name (p));
    g_test_add_data_func (path, GUINT_TO_POINTER (p), test_reduced);
  }
  if (!reduced)
    g_test_add_func (name, half ? test_half : test_full_size);
  return g_test_run ();
}
