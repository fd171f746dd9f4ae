/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <math.h>

#define GUARD 64
#define GUARD_VALUE 12345.0f

ClipQueue *queue;

void
open_queue (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipDevice) device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
}

float *
new_values (gsize count, Values kind)
{
  static const float scale[] = { 1.0f, 1e4f, 1e-6f, 0.0f };
  float *values = g_new (float, count);
  for (gsize i = 0; i < count; i++)
    values[i] = kind == VALUES_CONSTANT ? 0.75f : scale[kind] * (float) g_test_rand_double_range (-1, 1);
  return values;
}

ClipBuffer *
upload (const void *values, gsize size)
{
  g_autoptr (GError) error = NULL;
  ClipBuffer *buffer = clip_buffer_new (clip_queue_get_device (queue), size, &error);
  g_assert_no_error (error);
  clip_buffer_write (buffer, queue, 0, values, size, &error);
  g_assert_no_error (error);
  return buffer;
}

ClipBuffer *
upload_floats (const float *values, gsize count)
{
  return upload (values, count * sizeof (float));
}

ClipBuffer *
new_output (gsize count)
{
  g_autofree float *values = g_new (float, count + GUARD);
  for (gsize i = 0; i < count + GUARD; i++)
    values[i] = GUARD_VALUE;
  return upload (values, (count + GUARD) * sizeof (float));
}

float *
download (ClipBuffer *buffer, gsize count)
{
  g_autoptr (GError) error = NULL;
  float *values = g_new (float, count + GUARD);
  clip_buffer_read (buffer, queue, 0, values, (count + GUARD) * sizeof (float), &error);
  g_assert_no_error (error);
  for (gsize i = count; i < count + GUARD; i++)
    g_assert_cmpfloat (values[i], ==, GUARD_VALUE);
  return values;
}

void
assert_near (const float *got, const float *want, gsize count, double tolerance)
{
  for (gsize i = 0; i < count; i++) {
    double allowed = tolerance * MAX (1.0, fabs (want[i]));
    if (!(fabs ((double) got[i] - want[i]) <= allowed))
      g_error ("value %" G_GSIZE_FORMAT ": %.9g instead of %.9g", i, got[i], want[i]);
  }
}
