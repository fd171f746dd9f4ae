/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small ModifiedResNet against the reference: embeddings, logits, every step, and parts of a batch. */
#include "parity.h"

#include <math.h>
#include <string.h>

typedef struct {
  const char *directory, *golden;
  guint steps;
} Case;

static const Case cases[] = {
  { "models/resnet/openclip", "models/resnet/expected-bf16.safetensors", 0 },
  /* three convolutions, the stem, five blocks, the pool */
  { "models/resnet/openai/RN-tiny.pt", "models/resnet/expected-openai.safetensors", 10 },
};

static ClipQueue *queue;

/* NULL, and the test is skipped, without the reference */
static RefFile *
open_golden (const Case *c)
{
  RefFile *golden = ref_open (c->golden);
  if (!golden)
    g_test_skip ("reference absent");
  return golden;
}

static ClipModel *
load (const Case *c)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = ref_path (c->directory);
  ClipModel *model = clip_model_load (queue, path, CLIP_PRECISION_FP32, &error);
  g_assert_no_error (error);
  g_assert_cmpint (clip_model_get_config (model)->vision_kind, ==, CLIP_VISION_RESNET);
  return model;
}

/* (transfer full): [n,embed_dim] of the first @of pictures of the golden, again and again */
static float *
encode_images (ClipModel *model, RefFile *golden, gsize n, gsize of)
{
  g_autoptr (GError) error = NULL;
  guint dims;
  const gsize *shape = ref_shape (golden, "pixel_values", &dims);
  gsize item = shape[1] * shape[2] * shape[3] * sizeof (float);
  const float *pixels = ref_f32 (golden, "pixel_values", NULL, NULL);
  g_autoptr (ClipBuffer) buffer = clip_buffer_new (clip_queue_get_device (queue), n * item, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < n; i++)
    clip_buffer_write (buffer, queue, i * item, (const char *) pixels + i % of * item, item, &error);
  g_assert_no_error (error);
  float *out = g_new (float, n * clip_model_get_config (model)->embed_dim);
  clip_model_encode_pixels (model, buffer, n, out, NULL, &error);
  g_assert_no_error (error);
  return out;
}

static void
test_outputs (gconstpointer data)
{
  g_autoptr (RefFile) golden = open_golden (data);
  gsize n, d;
  if (!golden)
    return;
  ref_f32 (golden, "image_embeds", &n, &d);
  g_autoptr (ClipModel) model = load (data);
  g_autofree float *images = encode_images (model, golden, n, n);
  g_autofree float *texts = parity_encode_golden_texts (model, golden);
  parity_check_outputs (model, golden, images, texts);
}

typedef struct {
  RefFile *golden;
  guint seen;
} StepCheck;

/* The golden is [1,channels,height,width] and @values is [height*width,channels]; one item */
static void
check_step (const char *name, const float *values, guint rows, guint width, gpointer user_data)
{
  StepCheck *check = user_data;
  guint dims;
  const gsize *shape = ref_shape (check->golden, name, &dims);
  double largest = 0.0, worst = 0.0;
  if (!shape || !g_str_has_prefix (name, "vision."))
    return;
  const float *want = ref_f32 (check->golden, name, NULL, NULL);
  g_assert_cmpuint (shape[1], ==, width);
  g_assert_cmpuint (rows, ==, dims == 4 ? shape[2] * shape[3] : 1);
  for (gsize r = 0; r < rows; r++) {
    for (gsize c = 0; c < width; c++) {
      double expected = want[c * rows + r], difference = fabs (values[r * width + c] - expected);
      largest = fmax (largest, fabs (expected));
      worst = difference <= worst ? worst : isnan (difference) ? INFINITY : difference;
    }
  }
  g_test_message ("%s: %.2e of its largest value", name, worst / largest);
  g_assert_cmpfloat (worst, <=, STEP_TOLERANCE * largest);
  check->seen++;
}

static void
test_steps (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (RefFile) golden = open_golden (c);
  if (!golden)
    return;
  StepCheck check = { golden, 0 };
  g_autoptr (ClipModel) model = load (c);
  clip_model_set_trace (model, check_step, &check);
  g_autofree float *image = encode_images (model, golden, 1, 1);
  g_assert_cmpuint (check.seen, ==, c->steps);
}

/* So many pictures that they are computed in parts: each as if it were alone */
static void
test_parts (gconstpointer data)
{
  const gsize n = 401, of = 3;
  g_autoptr (RefFile) golden = open_golden (data);
  if (!golden)
    return;
  g_autoptr (ClipModel) model = load (data);
  guint d = clip_model_get_config (model)->embed_dim;
  g_autofree float *few = encode_images (model, golden, of, of);
  g_autofree float *many = encode_images (model, golden, n, of);
  for (gsize i = 0; i < n; i++)
    g_assert_true (parity_holds (parity_compare (many + i * d, few + i % of * d, 1, d)));
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
  g_test_add_data_func ("/resnet/outputs/openclip", &cases[0], test_outputs);
  g_test_add_data_func ("/resnet/parts", &cases[0], test_parts);
  g_test_add_data_func ("/resnet/outputs/openai", &cases[1], test_outputs);
  g_test_add_data_func ("/resnet/steps/openai", &cases[1], test_steps);
  int result = g_test_run ();
  clip_queue_unref (queue);
  return result;
}
