/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small models against the reference: embeddings, logits and every step. */
#include "parity.h"

#include <math.h>
#include <string.h>

typedef struct {
  const char *directory, *golden;
} Case;

static const Case cases[] = {
  { "models/vit-quickgelu/hf-fp32", "models/vit-quickgelu/expected-fp32.safetensors" },
  { "models/vit-quickgelu/hf-fp16", "models/vit-quickgelu/expected-fp16.safetensors" },
  { "models/vit-quickgelu/hf-bf16", "models/vit-quickgelu/expected-bf16.safetensors" },
  { "models/vit-full-vocab/hf-fp16", "models/vit-full-vocab/expected-fp16.safetensors" },
  { "models/vit-quickgelu/openclip", "models/vit-quickgelu/expected-fp32.safetensors" },
  { "models/openclip-gelu/openclip", "models/openclip-gelu/expected.safetensors" },
  { "models/openclip-widths/openclip", "models/openclip-widths/expected.safetensors" },
  { "models/openclip-custom-text/openclip", "models/openclip-custom-text/expected.safetensors" },
  { "models/vit-quickgelu/openai/ViT-tiny.pt", "models/vit-quickgelu/expected-openai.safetensors" },
  { "models/vit-quickgelu/openai/ViT-tiny-state-dict.pt", "models/vit-quickgelu/expected-openai.safetensors" },
  /* of the project's own data, so always there */
  { "data:vit-tiny", "data:vit-tiny/expected.safetensors" },
  { "data:vit-gelu-fp16", "data:vit-gelu-fp16/expected.safetensors" },
};
static const Case *const own = &cases[10];

static ClipQueue *queue;

static ClipModel *
load (const char *relative, ClipPrecision precision)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = ref_path (relative);
  ClipModel *model = clip_model_load (queue, path, precision, &error);
  g_assert_no_error (error);
  return model;
}

static ClipBuffer *
upload (const float *values, gsize count)
{
  g_autoptr (GError) error = NULL;
  ClipBuffer *buffer = clip_buffer_new (clip_queue_get_device (queue), count * sizeof (float), &error);
  g_assert_no_error (error);
  clip_buffer_write (buffer, queue, 0, values, count * sizeof (float), &error);
  g_assert_no_error (error);
  return buffer;
}

/* (transfer full): [n,embed_dim] of the golden's pixel_values */
static float *
encode_images (ClipModel *model, RefFile *golden, gsize n)
{
  g_autoptr (GError) error = NULL;
  gsize rows, cols;
  const float *pixels = ref_f32 (golden, "pixel_values", &rows, &cols);
  g_assert_nonnull (pixels);
  g_autoptr (ClipBuffer) buffer = upload (pixels, rows * cols);
  float *out = g_new (float, n * clip_model_get_config (model)->embed_dim);
  gboolean ok = clip_model_encode_pixels (model, buffer, n, out, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
  return out;
}

static void
test_outputs (gconstpointer data)
{
  const Case *c = data;
  RefFile *golden = ref_open (c->golden);
  if (!golden) {
    g_test_skip ("reference absent");
    return;
  }
  gsize n, d;
  ref_f32 (golden, "image_embeds", &n, &d);
  g_autoptr (ClipModel) model = load (c->directory, CLIP_PRECISION_FP32);
  g_autofree float *images = encode_images (model, golden, n);
  g_autofree float *texts = parity_encode_golden_texts (model, golden);
  parity_check_outputs (model, golden, images, texts);
  ref_close (golden);
}

/* On a device that is no CPU: the whole way in 16 bits, by OpenCL C and by the tensor cores' kernel */
static void
test_half (gconstpointer data)
{
  static const char *const levels[] = { "portable", "matrix" };
  static const ClipPrecision precisions[] = { CLIP_PRECISION_FP16, CLIP_PRECISION_BF16 };
  const Case *c = data;
  RefFile *golden = ref_open (c->golden);
  if (!golden) {
    g_test_skip ("reference absent");
    return;
  }
  gsize n, d, p;
  const float *want_images = ref_f32 (golden, "image_embeds", &n, &d);
  const float *want_texts = ref_f32 (golden, "text_embeds", &p, &d);
  for (guint i = 0; i < 4; i++) {
    g_setenv ("GST_CLIP_DOT", levels[i / 2], TRUE);
    g_autoptr (ClipModel) model = load (c->directory, precisions[i % 2]);
    g_autofree float *images = encode_images (model, golden, n);
    g_autofree float *texts = parity_encode_golden_texts (model, golden);
    ParityResult image = parity_compare (images, want_images, n, d), text = parity_compare (texts, want_texts, p, d);
    g_test_message ("%s: smallest cosines %.6f and %.6f", clip_model_get_gemm_backend (model), image.cosine, text.cosine);
    g_assert_cmpfloat (MIN (image.cosine, text.cosine), >=, 0.9995);
    g_assert_false (parity_holds (image) && parity_holds (text)); /* it is reduced indeed */
  }
  g_unsetenv ("GST_CLIP_DOT");
  ref_close (golden);
}

/* The comparison itself must see a swapped pair of rows, though every row is a right answer. */
static void
test_swapped_rows_fail (void)
{
  RefFile *golden = ref_open (own->golden);
  if (!golden) {
    g_test_skip ("reference absent");
    return;
  }
  gsize n, d;
  const float *want = ref_f32 (golden, "image_embeds", &n, &d);
  g_autofree float *swapped = g_memdup2 (want, n * d * sizeof (float));
  memcpy (swapped, want + d, d * sizeof (float));
  memcpy (swapped + d, want, d * sizeof (float));
  g_assert_true (parity_holds (parity_compare (want, want, n, d)));
  ParityResult result = parity_compare (swapped, want, n, d);
  g_test_message ("swapped rows: difference %.3f, cosine %.6f", result.embedding, result.cosine);
  g_assert_false (parity_holds (result));
  ref_close (golden);
}

typedef struct {
  RefFile *golden;
  guint seen;
  double worst;
} StepCheck;

static void
check_step (const char *name, const float *values, guint rows, guint width, gpointer user_data)
{
  StepCheck *check = user_data;
  gsize want_rows, want_width;
  const float *want = ref_f32 (check->golden, name, &want_rows, &want_width);
  if (!want)
    return;
  g_assert_cmpuint (want_width, ==, width);
  gsize count = MIN (rows, want_rows) * width;
  double largest = 0.0, worst = 0.0;
  for (gsize i = 0; i < count; i++) {
    largest = fmax (largest, fabs (want[i]));
    worst = fmax (worst, fabs ((double) values[i] - want[i]));
  }
  g_test_message ("%s: %.2e of its largest value", name, worst / largest);
  g_assert_cmpfloat (worst, <=, STEP_TOLERANCE * largest);
  check->seen++;
}

static void
test_steps (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GError) error = NULL;
  RefFile *golden = ref_open (c->golden);
  if (!golden) {
    g_test_skip ("reference absent");
    return;
  }
  StepCheck check = { golden, 0, 0 };
  g_autoptr (ClipModel) model = load (c->directory, CLIP_PRECISION_FP32);
  clip_model_set_trace (model, check_step, &check);
  g_autofree float *images = encode_images (model, golden, 1);
  const ClipModelConfig *config = clip_model_get_config (model);
  GArray *tokens = parity_golden_tokens (golden, 0, config->eos_id);
  g_autofree float *text = g_new (float, config->embed_dim);
  clip_model_encode_tokens (model, &tokens, 1, text, NULL, &error);
  g_assert_no_error (error);
  g_array_unref (tokens);
  /* patch_embed, embeddings, ln_pre, pooled; embeddings, ln_final, pooled; four inside the first block
   * of each tower, and each block */
  g_assert_cmpuint (check.seen, ==, 7 + 8 + config->vision.layers + config->text.layers);
  ref_close (golden);
}

/* The order and the company of texts must not change an embedding. */
static void
test_batching (void)
{
  RefFile *golden = ref_open (own->golden);
  if (!golden) {
    g_test_skip ("reference absent");
    return;
  }
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipModel) model = load (own->directory, CLIP_PRECISION_FP32);
  const ClipModelConfig *config = clip_model_get_config (model);
  gsize n = parity_golden_texts (golden);
  g_autofree float *together = parity_encode_golden_texts (model, golden);
  g_autofree float *alone = g_new (float, config->embed_dim);
  for (gsize i = 0; i < n; i++) {
    GArray *tokens = parity_golden_tokens (golden, i, config->eos_id);
    clip_model_encode_tokens (model, &tokens, 1, alone, NULL, &error);
    g_assert_no_error (error);
    g_assert_true (parity_holds (
        parity_compare (alone, together + i * config->embed_dim, 1, config->embed_dim)));
    g_array_unref (tokens);
  }
  ref_close (golden);
}

static void
test_bad_tokens (void)
{
  RefFile *golden = ref_open (own->golden);
  if (!golden) {
    g_test_skip ("reference absent");
    return;
  }
  ref_close (golden);
  g_autoptr (ClipModel) model = load (own->directory, CLIP_PRECISION_FP32);
  const ClipModelConfig *config = clip_model_get_config (model);
  g_autofree float *out = g_new (float, config->embed_dim);
  const gint32 bad[][3] = { { 638, -1, 639 }, { 638, 640, 639 } };
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    GArray *tokens = g_array_new (FALSE, FALSE, sizeof (gint32));
    g_array_append_vals (tokens, bad[i], 3);
    g_assert_false (clip_model_encode_tokens (model, &tokens, 1, out, NULL, &error));
    g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
    g_array_unref (tokens);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipDevice) device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *name = g_strdup_printf ("/outputs/%s", cases[i].directory);
    g_test_add_data_func (name, &cases[i], test_outputs);
  }
  g_test_add_data_func ("/steps/vit-quickgelu", &cases[0], test_steps);
  g_test_add_data_func ("/steps/vit-full-vocab", &cases[3], test_steps);
  g_test_add_data_func ("/steps/openclip-gelu", &cases[5], test_steps);
  g_test_add_data_func ("/steps/openclip-widths", &cases[6], test_steps);
  g_test_add_data_func ("/steps/openclip-custom-text", &cases[7], test_steps);
  g_test_add_data_func ("/steps/vit-tiny", &own[0], test_steps);
  g_test_add_data_func ("/steps/vit-gelu-fp16", &own[1], test_steps);
  if (!clip_device_is_cpu (device)) {
    g_test_add_data_func ("/half/vit-tiny", &own[0], test_half);
    g_test_add_data_func ("/half/vit-gelu-fp16", &own[1], test_half);
  }
  g_test_add_func ("/swapped-rows-fail", test_swapped_rows_fail);
  g_test_add_func ("/batching", test_batching);
  g_test_add_func ("/bad-tokens", test_bad_tokens);
  int result = g_test_run ();
  clip_queue_unref (queue);
  return result;
}
