/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The difference of pictures: what it must see and what it must not. */
#include <math.h>
#include <string.h>

#include "image/clip-change.h"
#include "picture.h"

#define THRESHOLD 3.0 /* as clip-change.h recommends */

/* Sets luma, or red, green and blue alike, of a rectangle. */
static void
paint (Picture *picture, guint x0, guint y0, guint w, guint h, guint8 value)
{
  const ClipFrame *f = &picture->frame;
  guint bytes = f->format <= CLIP_FORMAT_BGR ? 3 : f->format < CLIP_FORMAT_GRAY8 ? 4 : 1;
  gboolean packed = f->format == CLIP_FORMAT_YUY2 || f->format == CLIP_FORMAT_UYVY;
  for (guint y = y0; y < y0 + h; y++) {
    guint8 *row = picture->planes[0] + y * f->strides[0];
    for (guint x = x0; x < x0 + w; x++) {
      if (packed)
        row[2 * x + (f->format == CLIP_FORMAT_UYVY)] = value;
      else
        memset (row + (gsize) x * bytes, value, bytes);
    }
  }
}

static void
test_formats (void)
{
  for (guint format = 0; format < PICTURE_FORMATS; format++) {
    g_autoptr (ClipChange) change = clip_change_new ();
    g_autoptr (Picture) picture = picture_new (format, 100, 60, 3);
    paint (picture, 0, 0, 100, 60, 100);
    g_assert_true (isinf (clip_change_measure (change, &picture->frame)));
    clip_change_keep (change);
    g_assert_cmpfloat (clip_change_measure (change, &picture->frame), ==, 0.0);
    for (guint corner = 0; corner < 4; corner++) {
      paint (picture, corner % 2 ? 90 : 0, corner / 2 ? 50 : 0, 10, 10, 140);
      g_assert_cmpfloat (clip_change_measure (change, &picture->frame), >, 20.0);
      paint (picture, corner % 2 ? 90 : 0, corner / 2 ? 50 : 0, 10, 10, 100);
    }
    paint (picture, 0, 0, 100, 60, 107); /* the whole picture by 7 levels: the mean itself */
    g_assert_cmpfloat_with_epsilon (clip_change_measure (change, &picture->frame), 7.0, 1e-4);
    clip_change_reset (change);
    g_assert_true (isinf (clip_change_measure (change, &picture->frame)));
  }
}

static void
test_other_size (void)
{
  static const guint sizes[][2] = { { 1, 1 }, { 2, 1 }, { 1, 300 }, { 4096, 16 }, { 16, 9 }, { 17, 10 } };
  g_autoptr (ClipChange) change = clip_change_new ();
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint w = sizes[i][0], h = sizes[i][1];
    g_autoptr (Picture) picture = picture_new (CLIP_FORMAT_GRAY8, w, h, 0);
    paint (picture, 0, 0, w, h, 50);
    g_assert_true (isinf (clip_change_measure (change, &picture->frame)));
    clip_change_keep (change);
    paint (picture, w - 1, h - 1, 1, 1, 250); /* the last pixel is part of the last cell */
    double seen = clip_change_measure (change, &picture->frame);
    g_assert_cmpfloat (seen, <=, 200.0);
    if (w * h <= 170)
      g_assert_cmpfloat (seen, >, 20.0);
  }
}

/* A still scene as a sensor sees it: normal noise of SIGMA levels, by the sum of twelve uniform numbers. */
static void
see (Picture *picture, GRand *rand, double sigma, double flicker, const guint person[4])
{
  const ClipFrame *f = &picture->frame;
  for (guint y = 0; y < f->height; y++) {
    for (guint x = 0; x < f->width; x++) {
      double value = 60.0 + 100.0 * x / f->width + 40.0 * y / f->height + flicker, noise = -6.0;
      if (person && x - person[0] < person[2] && y - person[1] < person[3])
        value += 25.0;
      for (guint i = 0; i < 12; i++)
        noise += g_rand_double (rand);
      picture->planes[0][y * f->strides[0] + x] = (guint8) CLAMP (value + sigma * noise + 0.5, 0, 255);
    }
  }
}

static void
test_noise (void)
{
  GRand *rand = g_rand_new_with_seed (1);
  g_autoptr (ClipChange) change = clip_change_new ();
  g_autoptr (Picture) picture = picture_new (CLIP_FORMAT_GRAY8, 640, 480, 0);
  see (picture, rand, 8.0, 0.0, NULL);
  clip_change_measure (change, &picture->frame);
  clip_change_keep (change);
  for (guint i = 0; i < 30; i++) {
    see (picture, rand, 8.0, g_rand_double_range (rand, -1, 1), NULL);
    g_assert_cmpfloat (clip_change_measure (change, &picture->frame), <, THRESHOLD);
  }
  g_rand_free (rand);
}

/* A person of a quarter of the height, 25 levels from the wall behind, wherever he stands. */
static void
test_person (void)
{
  static const guint sizes[][2] = { { 320, 240 }, { 640, 480 } };
  GRand *rand = g_rand_new_with_seed (2);
  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    guint w = sizes[s][0], h = sizes[s][1];
    g_autoptr (ClipChange) change = clip_change_new ();
    g_autoptr (Picture) picture = picture_new (CLIP_FORMAT_GRAY8, w, h, 0);
    see (picture, rand, 5.0, 0.0, NULL);
    clip_change_measure (change, &picture->frame);
    clip_change_keep (change);
    for (guint i = 0; i < 15; i++) {
      guint person[4] = { 0, 0, h * 8 / 100, h / 4 };
      person[0] = (guint) g_rand_int_range (rand, 0, (gint) (w - person[2]));
      person[1] = (guint) g_rand_int_range (rand, 0, (gint) (h - person[3]));
      see (picture, rand, 5.0, 0.0, person);
      g_assert_cmpfloat (clip_change_measure (change, &picture->frame), >, THRESHOLD + 1.0);
    }
  }
  g_rand_free (rand);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/change/formats", test_formats);
  g_test_add_func ("/change/other-size", test_other_size);
  g_test_add_func ("/change/noise", test_noise);
  g_test_add_func ("/change/person", test_person);
  return g_test_run ();
}
