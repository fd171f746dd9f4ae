/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "values.h"

float *
values_uniform (gsize count, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  float *values = g_new (float, count);
  for (gsize i = 0; i < count; i++)
    values[i] = (float) g_rand_double_range (rand, -1, 1);
  return values;
}

ClipBuffer *
values_upload (ClipQueue *queue, const float *values, gsize count)
{
  g_autoptr (GError) error = NULL;
  ClipBuffer *buffer = clip_buffer_new (clip_queue_get_device (queue), count * sizeof (float), &error);
  g_assert_no_error (error);
  clip_buffer_write (buffer, queue, 0, values, count * sizeof (float), &error);
  g_assert_no_error (error);
  return buffer;
}
