/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The preprocessing against its naive twin, bit for bit; needs no reference data. */
#include "picture.h"
#include "twin.h"

#include <math.h>
#include <string.h>

static ClipQueue *queue;
static const ClipPreprocessConfig openai = { 16, CLIP_RESIZE_SHORTEST, CLIP_FILTER_BICUBIC,
  { 0.48145466f, 0.4578275f, 0.40821073f }, { 0.26862954f, 0.26130258f, 0.27577711f } };

static guint8 *
run_rgb (ClipPreprocessor *preprocessor, guint size, const ClipFrame *frame)
{
  g_autoptr (GError) error = NULL;
  guint8 *rgb = g_malloc ((gsize) size * size * 3);
  clip_preprocessor_run_rgb (preprocessor, frame, rgb, &error);
  g_assert_no_error (error);
  return rgb;
}

static guint8 *
run_config (const ClipPreprocessConfig *config, const ClipFrame *frame)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, config, &error);
  g_assert_no_error (error);
  return run_rgb (preprocessor, config->size, frame);
}

static char *
describe (const ClipPreprocessConfig *config, const ClipFrame *f)
{
  return g_strdup_printf ("%s %ux%u strides %zu %zu %zu full %d site %u alpha %d -> size %u mode %d filter %d",
      picture_format_names[f->format], f->width, f->height, f->strides[0], f->strides[1], f->strides[2],
      f->full_range, f->chroma_site, f->use_alpha, config->size, config->mode, config->filter);
}

static void
assert_same (const ClipPreprocessConfig *config, const ClipFrame *frame, const guint8 *got, const guint8 *want)
{
  guint size = config->size;
  for (guint i = 0; i < size * size * 3; i++) {
    if (got[i] == want[i])
      continue;
    g_autofree char *what = describe (config, frame);
    g_error ("%s: channel %u at x %u, y %u is %u, expected %u", what, i % 3, i / 3 % size, i / 3 / size, got[i],
        want[i]);
  }
}

static void
check (ClipPreprocessor *preprocessor, const ClipPreprocessConfig *config, const ClipFrame *frame)
{
  g_autofree guint8 *got = run_rgb (preprocessor, config->size, frame);
  g_autofree guint8 *want = g_malloc ((gsize) config->size * config->size * 3);
  twin_run (config, frame, want);
  assert_same (config, frame, got, want);
}

static void
randomise (Picture *picture, GRand *rand)
{
  static const float matrices[][2] = { { 0.299f, 0.114f }, { 0.2126f, 0.0722f }, { 0.2627f, 0.0593f },
    { 0.212f, 0.087f }, { 0.4f, 0.4f }, { 0, 0 } };
  const float *matrix = matrices[g_rand_int_range (rand, 0, G_N_ELEMENTS (matrices))];
  picture->frame.kr = matrix[0];
  picture->frame.kb = matrix[1];
  picture->frame.full_range = g_rand_boolean (rand);
  picture->frame.chroma_site = (guint) g_rand_int_range (rand, 0, 4);
  picture->frame.use_alpha = g_rand_boolean (rand);
  picture_fill (picture, rand, g_rand_int_range (rand, 0, 3) == 0);
}

/* One preprocessor sees frames of many sizes and formats in turn, so that what it keeps is tested too */
static void
test_random (gconstpointer data)
{
  static const guint sizes[] = { 16, 23, 37 };
  ClipPreprocessConfig config = openai;
  GRand *rand = g_rand_new_with_seed (GPOINTER_TO_UINT (data) + 1);
  config.mode = GPOINTER_TO_UINT (data) / 2;
  config.filter = GPOINTER_TO_UINT (data) % 2;
  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    g_autoptr (GError) error = NULL;
    config.size = sizes[s];
    g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config, &error);
    g_assert_no_error (error);
    for (guint i = 0; i < 6 * PICTURE_FORMATS; i++) {
      guint limit = i % 3 == 0 ? 8 : 150;
      g_autoptr (Picture) picture = picture_new (i % PICTURE_FORMATS, (guint) g_rand_int_range (rand, 1, limit),
          (guint) g_rand_int_range (rand, 1, limit), (guint) g_rand_int_range (rand, 0, 9));
      randomise (picture, rand);
      check (preprocessor, &config, &picture->frame);
    }
  }
  g_rand_free (rand);
}

/* The crop of a frame, converted as part of the whole: its RGBA, in a picture of its own */
static Picture *
crop_by_hand (const ClipFrame *frame, gboolean alpha)
{
  const ClipRect *c = &frame->crop;
  Picture *cut = picture_new (alpha ? CLIP_FORMAT_RGBA : CLIP_FORMAT_RGBX, c->width, c->height, 0);
  cut->frame.use_alpha = alpha;
  for (guint y = 0; y < c->height; y++) {
    for (guint x = 0; x < c->width; x++)
      twin_pixel (frame, c->x + x, c->y + y, cut->planes[0] + y * cut->frame.strides[0] + x * 4);
  }
  return cut;
}

static ClipRect
random_crop (GRand *rand, guint width, guint height)
{
  ClipRect c = { .x = (guint) g_rand_int_range (rand, 0, (gint) width), .y = (guint) g_rand_int_range (rand, 0, (gint) height) };
  c.width = (guint) g_rand_int_range (rand, 1, (gint) (width - c.x) + 1);
  c.height = (guint) g_rand_int_range (rand, 1, (gint) (height - c.y) + 1);
  if (g_rand_boolean (rand)) /* as far as the border */
    c.width = width - c.x;
  return c;
}

/* A crop gives what its RGB gives: colours are converted with the neighbours outside of it. */
static void
test_crop (void)
{
  GRand *rand = g_rand_new_with_seed (11);
  ClipPreprocessConfig config = openai;
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config, &error);
  for (guint i = 0; i < 20 * PICTURE_FORMATS; i++) {
    ClipFormat format = i % PICTURE_FORMATS;
    guint width = (guint) g_rand_int_range (rand, 1, 120), height = (guint) g_rand_int_range (rand, 1, 120);
    g_autoptr (Picture) picture = picture_new (format, width, height, i % 5);
    randomise (picture, rand);
    picture->frame.crop = random_crop (rand, width, height);
    gboolean has_alpha = format >= CLIP_FORMAT_RGBA && format <= CLIP_FORMAT_ABGR;
    g_autoptr (Picture) cut = crop_by_hand (&picture->frame, has_alpha && picture->frame.use_alpha);
    g_autofree guint8 *got = run_rgb (preprocessor, config.size, &picture->frame);
    g_autofree guint8 *want = g_malloc ((gsize) config.size * config.size * 3);
    twin_run (&config, &cut->frame, want);
    assert_same (&config, &picture->frame, got, want);
  }
  g_rand_free (rand);
}

static void
test_crop_outside (void)
{
  static const ClipRect crops[] = { { 0, 0, 5, 0 }, { 4, 0, 1, 1 }, { 0, 4, 1, 1 }, { 1, 0, 4, 1 }, { 0, 3, 1, 2 },
    { 0, 0, G_MAXUINT, 1 }, { G_MAXUINT, 0, 2, 1 } };
  g_autoptr (Picture) picture = picture_new (CLIP_FORMAT_NV12, 4, 4, 0);
  g_autofree guint8 *rgb = g_malloc (16 * 16 * 3);
  picture->frame.kr = 0.299f;
  picture->frame.kb = 0.114f;
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &openai, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (crops); i++) {
    g_autoptr (GError) error = NULL;
    picture->frame.crop = crops[i];
    g_assert_false (clip_preprocessor_run_rgb (preprocessor, &picture->frame, rgb, &error));
    g_assert_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE);
    g_assert_nonnull (strstr (error->message, "crop"));
  }
}

/* sizes where a side is not resampled, long and thin ones, and rows that local memory cannot hold */
static void
test_shapes (void)
{
  static const guint shapes[][2] = { { 16, 16 }, { 16, 40 }, { 41, 16 }, { 1, 1 }, { 2, 2 }, { 500, 3 },
    { 3, 500 }, { 1, 900 }, { 900, 1 }, { 16384, 2 }, { 2, 16384 } };
  static const ClipFormat formats[] = { CLIP_FORMAT_RGBA, CLIP_FORMAT_NV12, CLIP_FORMAT_UYVY, CLIP_FORMAT_Y444 };
  GRand *rand = g_rand_new_with_seed (7);
  for (guint mode = 0; mode < 3; mode++) {
    ClipPreprocessConfig config = openai;
    config.mode = mode;
    for (guint i = 0; i < G_N_ELEMENTS (shapes) * G_N_ELEMENTS (formats); i++) {
      const guint *shape = shapes[i % G_N_ELEMENTS (shapes)];
      ClipFormat format = formats[i / G_N_ELEMENTS (shapes)];
      g_autoptr (GError) error = NULL;
      g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config, &error);
      g_autoptr (Picture) picture = picture_new (format, shape[0], shape[1], 0);
      randomise (picture, rand);
      check (preprocessor, &config, &picture->frame);
    }
  }
  g_rand_free (rand);
}

/* the conversion alone: a square frame of the output's size is not resampled; within rounding of the formula */
static void
test_conversion (void)
{
  GRand *rand = g_rand_new_with_seed (3);
  for (guint i = 0; i < 8 * (PICTURE_FORMATS - CLIP_FORMAT_GRAY8); i++) {
    ClipPreprocessConfig config = openai;
    config.size = 33;
    g_autoptr (Picture) picture
        = picture_new (CLIP_FORMAT_GRAY8 + i % (PICTURE_FORMATS - CLIP_FORMAT_GRAY8), 33, 33, i % 5);
    randomise (picture, rand);
    g_autofree guint8 *rgb = run_config (&config, &picture->frame);
    for (guint k = 0; k < 33 * 33; k++) {
      double exact[3];
      twin_exact (&picture->frame, k % 33, k / 33, exact);
      for (guint c = 0; c < 3; c++)
        g_assert_cmpfloat (fabs (rgb[3 * k + c] - CLAMP (exact[c], 0, 255)), <=, 0.5 + 1e-3);
    }
  }
  g_rand_free (rand);
}

/* the tensor is the picture normalised in single precision; its neighbours in the batch stay as they are */
static void
test_tensor (void)
{
  g_autoptr (GError) error = NULL;
  GRand *rand = g_rand_new_with_seed (5);
  ClipPreprocessConfig config = openai;
  config.size = 23;
  gsize n = 3 * 23 * 23;
  g_autofree float *batch = g_new0 (float, 3 * n);
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config, &error);
  g_autoptr (ClipBuffer) dst = clip_buffer_new (clip_queue_get_device (queue), 3 * n * sizeof (float), &error);
  g_autoptr (Picture) picture = picture_new (CLIP_FORMAT_NV12, 61, 47, 3);
  randomise (picture, rand);
  clip_buffer_write (dst, queue, 0, batch, 3 * n * sizeof (float), &error);
  clip_preprocessor_run (preprocessor, &picture->frame, dst, 1, &error);
  clip_buffer_read (dst, queue, 0, batch, 3 * n * sizeof (float), &error);
  g_assert_no_error (error);
  g_autofree guint8 *rgb = run_rgb (preprocessor, 23, &picture->frame);
  for (gsize i = 0; i < n; i++) {
    gsize c = i / (23 * 23), pixel = i % (23 * 23);
    volatile float x = rgb[3 * pixel + c] / 255.0f;
    volatile float centred = x - config.mean[c];
    float want = centred / config.std[c];
    g_assert_true (batch[i] == 0 && batch[2 * n + i] == 0);
    g_assert_true (batch[n + i] == want);
  }
  g_rand_free (rand);
}

static void
expect_error (const ClipFrame *frame, const char *word)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &openai, &error);
  guint8 rgb[16 * 16 * 3];
  g_assert_false (clip_preprocessor_run_rgb (preprocessor, frame, rgb, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE);
  g_assert_nonnull (strstr (error->message, word));
}

static void
test_errors (void)
{
  g_autoptr (Picture) picture = picture_new (CLIP_FORMAT_I420, 20, 20, 0);
  ClipFrame bad = picture->frame;
  bad.width = 0;
  expect_error (&bad, "0 x 20");
  bad.width = 16385;
  expect_error (&bad, "16385 x 20");
  bad = picture->frame;
  bad.strides[2] = 9;
  expect_error (&bad, "plane 2 of I420");
  bad = picture->frame;
  bad.planes[1] = NULL;
  expect_error (&bad, "no data");
  bad = picture->frame;
  bad.kr = 0.9f;
  expect_error (&bad, "Kr 0.9");
  bad.kr = NAN;
  expect_error (&bad, "Kr nan");
  bad = picture->frame;
  bad.format = 99;
  expect_error (&bad, "unknown pixel format 99");
}

static void
test_bad_config (void)
{
  g_autoptr (GError) error = NULL;
  ClipPreprocessConfig config = openai;
  config.std[1] = 0;
  g_assert_null (clip_preprocessor_new (queue, &config, &error));
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_MODEL);
}

/* the largest frame, of which a thin middle is needed and a wide one is squashed */
static void
test_largest (void)
{
  g_autoptr (Picture) picture = picture_new (CLIP_FORMAT_GRAY8, 16384, 16384, 0);
  memset (picture->planes[0], 200, (gsize) 16384 * 16384);
  picture->frame.full_range = TRUE;
  ClipPreprocessConfig config = openai;
  config.size = 224;
  g_autofree guint8 *rgb = run_config (&config, &picture->frame);
  for (guint i = 0; i < 224 * 224 * 3; i++)
    g_assert_cmpuint (rgb[i], ==, 200);
}

int
main (int argc, char **argv)
{
  static const char *const names[] = { "shortest-bicubic", "shortest-bilinear", "squash-bicubic",
    "squash-bilinear", "longest-bicubic", "longest-bilinear" };
  g_autoptr (GError) error = NULL;
  g_test_init (&argc, &argv, NULL);
  g_autoptr (ClipDevice) device = clip_device_open (g_getenv ("GST_CLIP_DEVICE"), &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_strconcat ("/preprocess/twin/", names[i], NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_random);
  }
  g_test_add_func ("/preprocess/crop", test_crop);
  g_test_add_func ("/preprocess/crop-outside", test_crop_outside);
  g_test_add_func ("/preprocess/shapes", test_shapes);
  g_test_add_func ("/preprocess/conversion", test_conversion);
  g_test_add_func ("/preprocess/tensor", test_tensor);
  g_test_add_func ("/preprocess/errors", test_errors);
  g_test_add_func ("/preprocess/bad-config", test_bad_config);
  g_test_add_func ("/preprocess/largest", test_largest);
  int status = g_test_run ();
  clip_queue_unref (queue);
  return status;
}
