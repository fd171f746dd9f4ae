/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SigLIP against the reference: embeddings, logits, sigmoid, and every step. */
#include "classify/clip-classify.h"
#include "parity.h"

#include <math.h>
#include <string.h>

#define MODEL "models/siglip/hf"
#define GOLDEN "models/siglip/expected.safetensors"

static ClipQueue *queue;

/* NULL, and the test is skipped, without the reference */
static RefFile *
open_golden (void)
{
  RefFile *golden = ref_open (GOLDEN);
  if (!golden)
    g_test_skip ("reference absent");
  return golden;
}

static ClipModel *
load (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = ref_path (MODEL);
  ClipModel *model = clip_model_load (queue, path, CLIP_PRECISION_FP32, &error);
  g_assert_no_error (error);
  return model;
}

/* (transfer full): [n,embed_dim] of the golden's pixel_values */
static float *
encode_images (ClipModel *model, RefFile *golden, gsize n)
{
  g_autoptr (GError) error = NULL;
  gsize rows, cols;
  const float *pixels = ref_f32 (golden, "pixel_values", &rows, &cols);
  gsize size = rows * cols * sizeof (float);
  g_autoptr (ClipBuffer) buffer = clip_buffer_new (clip_queue_get_device (queue), size, &error);
  g_assert_no_error (error);
  clip_buffer_write (buffer, queue, 0, pixels, size, &error);
  g_assert_no_error (error);
  float *out = g_new (float, n * clip_model_get_config (model)->embed_dim);
  clip_model_encode_pixels (model, buffer, n, out, NULL, &error);
  g_assert_no_error (error);
  return out;
}

static void
check_sigmoid (const ClipModelConfig *config, RefFile *golden, const float *images, gsize n,
    const float *texts)
{
  gsize rows, p, d = config->embed_dim;
  const float *want = ref_f32 (golden, "probs_sigmoid", &rows, &p);
  ClipScoring scoring = clip_scoring_resolve (CLIP_SCORING_AUTO, config->family == CLIP_FAMILY_SIGLIP);
  g_autofree ClipScore *scores = g_new (ClipScore, p);
  g_assert_true (want && rows == n);
  g_assert_cmpint (scoring, ==, CLIP_SCORING_SIGMOID);
  for (gsize i = 0; i < n; i++) {
    clip_score (images + i * d, texts, p, d, config->logit_scale, config->logit_bias, scoring, scores);
    for (gsize j = 0; j < p; j++)
      g_assert_cmpfloat_with_epsilon (scores[j].confidence, want[i * p + j], 1e-4);
  }
}

static void
test_outputs (void)
{
  g_autoptr (RefFile) golden = open_golden ();
  gsize n, d;
  if (!golden)
    return;
  g_autoptr (ClipModel) model = load ();
  const ClipModelConfig *config = clip_model_get_config (model);
  g_assert_cmpint (config->family, ==, CLIP_FAMILY_SIGLIP);
  g_assert_cmpfloat (config->logit_bias, ==, *ref_f32 (golden, "logit_bias", NULL, NULL));
  ref_f32 (golden, "image_embeds", &n, &d);
  g_autofree float *images = encode_images (model, golden, n);
  g_autofree float *texts = parity_encode_golden_texts (model, golden);
  parity_check_outputs (model, golden, images, texts);
  check_sigmoid (config, golden, images, n, texts);
}

typedef struct {
  RefFile *golden;
  guint seen;
} StepCheck;

static void
check_step (const char *name, const float *values, guint rows, guint width, gpointer user_data)
{
  StepCheck *check = user_data;
  gsize want_rows, want_width;
  const float *want = ref_f32 (check->golden, name, &want_rows, &want_width);
  double largest = 0.0, worst = 0.0;
  if (!want)
    return;
  g_assert_cmpuint (want_width, ==, width);
  g_assert_cmpuint (want_rows, ==, rows);
  for (gsize i = 0; i < (gsize) rows * width; i++) {
    double difference = fabs ((double) values[i] - want[i]);
    largest = fmax (largest, fabs (want[i]));
    worst = difference <= worst ? worst : isnan (difference) ? INFINITY : difference;
  }
  g_test_message ("%s: %.2e of its largest value", name, worst / largest);
  g_assert_cmpfloat (worst, <=, STEP_TOLERANCE * largest);
  check->seen++;
}

static void
test_steps (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RefFile) golden = open_golden ();
  if (!golden)
    return;
  StepCheck check = { golden, 0 };
  g_autoptr (ClipModel) model = load ();
  clip_model_set_trace (model, check_step, &check);
  g_autofree float *image = encode_images (model, golden, 1);
  g_autoptr (GArray) tokens = parity_golden_tokens (golden, 0, -1);
  g_autofree float *text = g_new (float, clip_model_get_config (model)->embed_dim);
  clip_model_encode_tokens (model, &tokens, 1, text, NULL, &error);
  g_assert_no_error (error);
  /* patch_embed, embeddings, post_layernorm, pooled; embeddings, ln_final; two blocks of each tower */
  g_assert_cmpuint (check.seen, ==, 6 + 4);
}

/* A text that is not padded would give another embedding, silently */
static void
test_unpadded (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RefFile) golden = open_golden ();
  if (!golden)
    return;
  g_autoptr (ClipModel) model = load ();
  g_autoptr (GArray) tokens = parity_golden_tokens (golden, 0, -1);
  g_autofree float *text = g_new (float, clip_model_get_config (model)->embed_dim);
  g_array_set_size (tokens, 5);
  g_assert_false (clip_model_encode_tokens (model, &tokens, 1, text, NULL, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT);
  g_assert_nonnull (strstr (error->message, "exactly 16"));
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
  g_test_add_func ("/siglip/outputs", test_outputs);
  g_test_add_func ("/siglip/steps", test_steps);
  g_test_add_func ("/siglip/unpadded", test_unpadded);
  int result = g_test_run ();
  clip_queue_unref (queue);
  return result;
}
