/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the median time of a 1080p frame, per format, from the call to the finished tensor. */
#include "image/clip-image.h"

#include <stdlib.h>

#define WIDTH 1920
#define HEIGHT 1080

static int
compare (const void *a, const void *b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;
  return (x > y) - (x < y);
}

static gboolean
bench (ClipQueue *queue, const ClipPreprocessConfig *config, const char *name, const ClipFrame *frame, GError **error)
{
  gint64 times[100];
  gsize size = (gsize) 3 * config->size * config->size * sizeof (float);
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, config, error);
  g_autoptr (ClipBuffer) dst = clip_buffer_new (clip_queue_get_device (queue), size, error);
  if (!preprocessor || !dst)
    return FALSE;
  for (gint i = -5; i < (gint) G_N_ELEMENTS (times); i++) { /* the first ones build the kernels */
    gint64 start = g_get_monotonic_time ();
    if (!clip_preprocessor_run (preprocessor, frame, dst, 0, error) || !clip_queue_finish (queue, error))
      return FALSE;
    times[MAX (i, 0)] = g_get_monotonic_time () - start;
  }
  qsort (times, G_N_ELEMENTS (times), sizeof *times, compare);
  g_print ("%-5s %dx%d to %u: median %.2f ms, fastest %.2f ms\n", name, WIDTH, HEIGHT, config->size,
      times[G_N_ELEMENTS (times) / 2] / 1e3, times[0] / 1e3);
  return TRUE;
}

static gboolean
bench_all (GError **error)
{
  g_autoptr (ClipDevice) device = clip_device_open (g_getenv ("GST_CLIP_DEVICE"), error);
  g_autoptr (ClipQueue) queue = device ? clip_queue_new (device, error) : NULL;
  g_autofree guint8 *data = g_malloc (WIDTH * HEIGHT * 4);
  if (!queue)
    return FALSE;
  for (gsize i = 0; i < WIDTH * HEIGHT * 4; i++)
    data[i] = (guint8) (i * 2654435761u >> 24);
  const guint8 *u = data + WIDTH * HEIGHT, *v = u + WIDTH * HEIGHT / 4;
  ClipFrame frame = { CLIP_FORMAT_NV12, WIDTH, HEIGHT, { data, u, NULL }, { WIDTH, WIDTH, 0 }, 0.2126f,
    0.0722f, FALSE, CLIP_CHROMA_LEFT_X };
  ClipPreprocessConfig config = { 224, CLIP_RESIZE_SHORTEST, CLIP_FILTER_BICUBIC,
    { 0.48145466f, 0.4578275f, 0.40821073f }, { 0.26862954f, 0.26130258f, 0.27577711f } };
  g_print ("%s\n", clip_device_get_name (device));
  if (!bench (queue, &config, "NV12", &frame, error))
    return FALSE;
  frame.format = CLIP_FORMAT_I420;
  frame.planes[2] = v;
  frame.strides[1] = frame.strides[2] = WIDTH / 2;
  if (!bench (queue, &config, "I420", &frame, error))
    return FALSE;
  frame.format = CLIP_FORMAT_BGRX;
  frame.strides[0] = WIDTH * 4;
  return bench (queue, &config, "BGRx", &frame, error);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  if (bench_all (&error))
    return 0;
  g_printerr ("%s\n", error->message);
  return 1;
}
