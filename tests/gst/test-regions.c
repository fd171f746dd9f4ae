/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clipclassify on regions that a detector has attached: crops, tracking ids, intervals. */
#include <gst/video/video.h>

#include "frames.h"

#define CLASSIFY "clipclassify model=demo inference-region=roi-list prompts=\"a black picture;a white picture;snow\" "
#define WIDTH 192
#define HEIGHT 96
#define FRAME (GST_SECOND / 30)

static char *caps;

/* (transfer full): black on the left, white on the right */
static GstBuffer *
new_picture (guint n)
{
  GstMapInfo map;
  GstBuffer *buffer = new_frame (caps, 0, n * FRAME);
  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint y = 0; y < HEIGHT; y++)
    memset (map.data + (y * WIDTH + WIDTH / 2) * 3, 255, WIDTH / 2 * 3);
  gst_buffer_unmap (buffer, &map);
  return buffer;
}

/* @id: of a tracker; 0: none */
static void
add_region (GstBuffer *buffer, const char *type, guint x, guint y, guint w, guint h, gint id)
{
  GstVideoRegionOfInterestMeta *roi = gst_buffer_add_video_region_of_interest_meta (buffer, type, x, y, w, h);
  if (id)
    gst_video_region_of_interest_meta_add_param (roi, gst_structure_new ("object_id", "id", G_TYPE_INT, id, NULL));
}

static void
assert_rect (const GstStructure *object, guint x, guint y, guint w, guint h)
{
  guint ox, oy, ow, oh;
  g_assert_true (gst_structure_get (
      object, "x", G_TYPE_UINT, &ox, "y", G_TYPE_UINT, &oy, "w", G_TYPE_UINT, &ow, "h", G_TYPE_UINT, &oh, NULL));
  g_assert_cmpuint (ox, ==, x);
  g_assert_cmpuint (oy, ==, y);
  g_assert_cmpuint (ow, ==, w);
  g_assert_cmpuint (oh, ==, h);
}

/* 0: black, 1: white */
static guint
best_of (const GstStructure *object)
{
  const GValue *top = gst_structure_get_value (object, "top");
  return g_value_get_uint (gst_value_array_get_value (top, 0));
}

/* A region's scores are those of its crop alone. */
static void
test_crops (void)
{
  g_autofree char *crop_caps = g_strdup_printf ("video/x-raw,format=RGB,width=%u,height=40,framerate=30/1", WIDTH / 2 + 8);
  GstHarness *h = new_harness (CLASSIFY, caps);
  GstHarness *alone = new_harness ("clipclassify model=demo prompts=\"a black picture;a white picture;snow\"", crop_caps);
  GstBuffer *in = new_picture (0);
  add_region (in, "left", 0, 0, WIDTH / 2, HEIGHT, 0);
  add_region (in, "right", WIDTH / 2, 0, WIDTH / 2, HEIGHT, 0);
  add_region (in, "both", 0, 7, WIDTH / 2 + 8, 40, 0);
  GstBuffer *out = gst_harness_push_and_pull (h, in);
  g_assert_cmpuint (count_objects (out), ==, 3);
  g_assert_cmpuint (best_of (nth_object (out, 0)), ==, 0);
  g_assert_cmpuint (best_of (nth_object (out, 1)), ==, 1);
  g_assert_cmpstr (gst_structure_get_string (nth_object (out, 1), "object-class"), ==, "right");
  assert_rect (nth_object (out, 2), 0, 7, WIDTH / 2 + 8, 40);
  GstMapInfo map;
  GstBuffer *crop = new_frame (crop_caps, 0, 0);
  gst_buffer_map (crop, &map, GST_MAP_WRITE);
  for (guint y = 0; y < 40; y++)
    memset (map.data + ((y + 1) * (WIDTH / 2 + 8) - 8) * 3, 255, 8 * 3);
  gst_buffer_unmap (crop, &map);
  GstBuffer *expected = gst_harness_push_and_pull (alone, crop);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpfloat_with_epsilon (label_double (nth_object (out, 2), i, "cosine"),
        label_double (object_of (expected), i, "cosine"), 1e-5);
  gst_buffer_unref (out);
  gst_buffer_unref (expected);
  gst_harness_teardown (h);
  gst_harness_teardown (alone);
}

/* Only the class that was asked for; what sticks out is cut, what is outside is none. */
static void
test_choice (void)
{
  GstHarness *h = new_harness (CLASSIFY "object-class=person", caps);
  GstBuffer *in = new_picture (0);
  add_region (in, "car", 0, 0, 50, 50, 0);
  add_region (in, "person", WIDTH - 20, HEIGHT - 30, 100, 100, 0);
  add_region (in, "person", WIDTH, 0, 10, 10, 0);
  add_region (in, "person", 10, 10, 0, 10, 0);
  add_region (in, "person", (guint) -5, (guint) -6, 25, 26, 0);
  add_region (in, "person", 0, 0, G_MAXUINT, G_MAXUINT, 0);
  GstBuffer *out = gst_harness_push_and_pull (h, in);
  g_assert_cmpuint (count_objects (out), ==, 3);
  assert_rect (nth_object (out, 0), WIDTH - 20, HEIGHT - 30, 20, 30);
  assert_rect (nth_object (out, 1), 0, 0, 20, 20);
  assert_rect (nth_object (out, 2), 0, 0, WIDTH, HEIGHT);
  gst_buffer_unref (out);
  out = gst_harness_push_and_pull (h, new_picture (1)); /* no region at all */
  g_assert_cmpuint (count_objects (out), ==, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static guint64
inferred_of (GstHarness *h)
{
  g_autoptr (GstElement) classifier = classifier_of (h);
  guint64 inferred;
  g_object_get (classifier, "frames-inferred", &inferred, NULL);
  return inferred;
}

/* A tracked object is asked for again after its interval only; its result follows it meanwhile. */
static void
test_tracked (void)
{
  const guint intervals[] = { 1, 5, 0 };
  for (guint k = 0; k < G_N_ELEMENTS (intervals); k++) {
    guint interval = intervals[k], inferred = 0;
    GstHarness *h = new_harness (CLASSIFY, caps);
    g_autoptr (GstElement) classifier = classifier_of (h);
    g_object_set (classifier, "reclassify-interval", interval, NULL);
    for (guint i = 0; i < 12; i++) {
      gboolean due = interval ? i % interval == 0 : i == 0;
      GstBuffer *in = new_picture (i);
      add_region (in, "thing", 7 * i, 0, 90, 90, 4); /* it moves from the black into the white */
      GstBuffer *out = gst_harness_push_and_pull (h, in);
      const GstStructure *object = object_of (out);
      guint64 id = 0;
      g_assert_true (gst_structure_get_uint64 (object, "tracking-id", &id));
      g_assert_cmpuint (id, ==, 4);
      assert_rect (object, 7 * i, 0, 90, 90);
      g_assert_cmpint (is_inferred (object), ==, due);
      g_assert_cmpuint (age_of (object), ==, due ? 0 : (interval ? i % interval : i) * FRAME);
      inferred += due;
      if (interval == 0)
        g_assert_cmpuint (best_of (object), ==, 0); /* as it was seen first */
      gst_buffer_unref (out);
    }
    g_assert_cmpuint (inferred_of (h), ==, inferred);
    gst_harness_teardown (h);
  }
}

/* Two tracked objects keep their own results when they change places, and a new one does not wait for an interval. */
static void
test_two_tracked (void)
{
  GstHarness *h = new_harness (CLASSIFY "reclassify-interval=0", caps);
  for (guint i = 0; i < 6; i++) {
    GstBuffer *in = new_picture (i);
    add_region (in, "thing", i < 3 ? 0 : WIDTH / 2, 0, WIDTH / 2, HEIGHT, 1);
    add_region (in, "thing", i < 3 ? WIDTH / 2 : 0, 0, WIDTH / 2, HEIGHT, 2);
    if (i >= 4)
      add_region (in, "thing", WIDTH / 2 + 3, 0, 80, HEIGHT, 3);
    GstBuffer *out = gst_harness_push_and_pull (h, in);
    g_assert_cmpuint (count_objects (out), ==, i < 4 ? 2 : 3);
    g_assert_cmpuint (best_of (nth_object (out, 0)), ==, 0);
    g_assert_cmpuint (best_of (nth_object (out, 1)), ==, 1);
    g_assert_cmpint (is_inferred (nth_object (out, 0)), ==, i == 0);
    if (i >= 4) {
      g_assert_cmpuint (best_of (nth_object (out, 2)), ==, 1);
      g_assert_cmpint (is_inferred (nth_object (out, 2)), ==, i == 4);
    }
    gst_buffer_unref (out);
  }
  g_assert_cmpuint (inferred_of (h), ==, 2);
  gst_harness_teardown (h);
}

/* Without a tracker a region between two inferences is the one that it overlaps; elsewhere nothing is known. */
static void
test_untracked (void)
{
  GstHarness *h = new_harness (CLASSIFY "inference-interval=3", caps);
  for (guint i = 0; i < 3; i++) {
    GstBuffer *in = new_picture (i);
    add_region (in, "thing", 100 + 4 * i, 0, 60, 60, 0);
    if (i > 0)
      add_region (in, "thing", 0, 0, 60, 60, 0);
    GstBuffer *out = gst_harness_push_and_pull (h, in);
    g_assert_cmpuint (count_objects (out), ==, 1);
    assert_rect (object_of (out), 100 + 4 * i, 0, 60, 60);
    g_assert_cmpuint (best_of (object_of (out)), ==, 1);
    g_assert_cmpuint (age_of (object_of (out)), ==, i * FRAME);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}

/* Regions of one frame share batches. */
static void
test_many (void)
{
  GstHarness *h = new_harness (CLASSIFY "batch-size=8", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  GstBuffer *in = new_picture (0);
  gst_buffer_unref (gst_harness_push_and_pull (h, in)); /* no region: nothing is encoded */
  g_assert_cmpuint (inferred_of (h), ==, 0);
  for (guint n = 1; n < 4; n++) {
    in = new_picture (n);
    for (guint i = 0; i < 100; i++)
      add_region (in, "thing", i % 2 ? WIDTH / 2 + i / 3 : i / 3, i / 2, 60, 40, 0);
    gst_harness_push (h, in);
  }
  gst_harness_push_event (h, gst_event_new_eos ());
  for (guint n = 1; n < 4; n++) {
    GstBuffer *out = gst_harness_pull (h);
    g_assert_cmpuint (count_objects (out), ==, 100);
    for (guint i = 0; i < 100; i++)
      g_assert_cmpuint (best_of (nth_object (out, i)), ==, i % 2);
    gst_buffer_unref (out);
  }
  gdouble batch;
  g_object_get (classifier, "batch-mean", &batch, NULL);
  g_assert_cmpfloat (batch, >, 4.0);
  gst_harness_teardown (h);
}

/* Elements that read DL Streamer's regions find the label in the region itself. */
static void
test_roi_param (void)
{
  GstHarness *h = new_harness (CLASSIFY, caps);
  GstBuffer *in = new_picture (0);
  add_region (in, "thing", WIDTH / 2, 0, WIDTH / 2, HEIGHT, 0);
  GstBuffer *out = gst_harness_push_and_pull (h, in);
  gpointer state = NULL;
  GstMeta *meta
      = gst_buffer_iterate_meta_filtered (out, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  const GstStructure *param
      = gst_video_region_of_interest_meta_get_param ((GstVideoRegionOfInterestMeta *) meta, "classification");
  gdouble confidence;
  g_assert_nonnull (param);
  g_assert_cmpstr (gst_structure_get_string (param, "label"), ==, "a white picture");
  g_assert_cmpstr (gst_structure_get_string (param, "model_name"), ==, "demo");
  g_assert_true (gst_structure_get_double (param, "confidence", &confidence));
  g_assert_cmpfloat (confidence, ==, label_double (object_of (out), 1, "confidence"));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

/* What was asked for a region is no result of the full frame, when that is wanted from now on. */
static void
test_switch (void)
{
  GstHarness *h = new_harness (CLASSIFY "async=always", caps);
  g_autoptr (GstElement) classifier = classifier_of (h);
  gdouble batches = 0.0;
  GstBuffer *in = new_picture (0);
  add_region (in, "thing", 0, 0, 10, 10, 0);
  gst_buffer_unref (gst_harness_push_and_pull (h, in));
  while (batches == 0.0) {
    g_usleep (1000);
    g_object_get (classifier, "batch-mean", &batches, NULL);
  }
  gst_util_set_object_arg (G_OBJECT (classifier), "inference-region", "full-frame");
  g_object_set (classifier, "batch-size", 4, "batch-timeout", 60000, NULL); /* nothing comes for now */
  GstBuffer *out = gst_harness_push_and_pull (h, new_picture (1));
  g_assert_cmpuint (inferred_of (h), ==, 1); /* the region's result is in */
  g_assert_cmpuint (count_objects (out), ==, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  caps = caps_of ("RGB", WIDTH, HEIGHT);
  g_test_add_func ("/regions/crops", test_crops);
  g_test_add_func ("/regions/choice", test_choice);
  g_test_add_func ("/regions/tracked", test_tracked);
  g_test_add_func ("/regions/two-tracked", test_two_tracked);
  g_test_add_func ("/regions/untracked", test_untracked);
  g_test_add_func ("/regions/many", test_many);
  g_test_add_func ("/regions/roi-param", test_roi_param);
  g_test_add_func ("/regions/switch", test_switch);
  int status = g_test_run ();
  g_free (caps);
  return status;
}
