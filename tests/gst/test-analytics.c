/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results read back with GStreamer's own analytics functions. */
#include <gst/analytics/analytics.h>
#include <gst/video/video.h>
#include <string.h>

#include "frames.h"

#define PROMPTS "snow;a black picture;!a picture of a dog;a grey picture"
#define CAPS "video/x-raw,format=RGB,width=96,height=96,framerate=30/1"

static GstHarness *
new_classifier (const char *options)
{
  g_autofree char *launch = g_strconcat ("clipclassify model=demo prompts=\"" PROMPTS "\" ", options, NULL);
  return new_harness (launch, CAPS);
}

/* How many classifications a buffer has; @mtd receives the last. */
static guint
find_labels (GstBuffer *buffer, GstAnalyticsClsMtd *mtd)
{
  GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta (buffer);
  gpointer state = NULL;
  GstAnalyticsMtd found;
  guint n = 0;
  while (relations
         && gst_analytics_relation_meta_iterate (relations, &state, gst_analytics_cls_mtd_get_mtd_type (), &found)) {
    *mtd = found;
    n++;
  }
  return n;
}

/* @mtd says what GstClipMeta's object says: the labels that passed, best first. */
static void
assert_labels (GstAnalyticsClsMtd *mtd, const GstStructure *object)
{
  const GValue *top = gst_structure_get_value (object, "top");
  const GValue *labels = gst_structure_get_value (object, "labels");
  gsize n = gst_analytics_cls_mtd_get_length (mtd);
  g_assert_cmpuint (n, ==, gst_value_array_get_size (top));
  for (gsize i = 0; i < n; i++) {
    guint id = g_value_get_uint (gst_value_array_get_value (top, i));
    const GstStructure *label = gst_value_get_structure (gst_value_array_get_value (labels, id));
    g_assert_cmpstr (g_quark_to_string (gst_analytics_cls_mtd_get_quark (mtd, i)), ==,
        gst_structure_get_string (label, "label"));
    g_assert_cmpfloat (gst_analytics_cls_mtd_get_level (mtd, i), ==, (gfloat) label_double (object, id, "confidence"));
    if (i > 0)
      g_assert_cmpfloat (gst_analytics_cls_mtd_get_level (mtd, i - 1), >=, gst_analytics_cls_mtd_get_level (mtd, i));
  }
}

static void
test_labels (void)
{
  GstHarness *h = new_classifier ("top-k=4");
  GstBuffer *out = gst_harness_push_and_pull (h, new_frame (CAPS, 0, 0));
  GstAnalyticsClsMtd mtd;
  g_assert_cmpuint (find_labels (out, &mtd), ==, 1);
  g_assert_cmpuint (gst_analytics_cls_mtd_get_length (&mtd), ==, 3); /* a negative prompt is no label */
  g_assert_cmpstr (g_quark_to_string (gst_analytics_cls_mtd_get_quark (&mtd, 0)), ==, "a black picture");
  assert_labels (&mtd, object_of (out));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_only_what_passed (void)
{
  GstHarness *h = new_classifier ("top-k=4 min-confidence=0.5");
  GstBuffer *out = gst_harness_push_and_pull (h, new_frame (CAPS, 0, 0));
  GstAnalyticsClsMtd mtd;
  g_assert_cmpuint (find_labels (out, &mtd), ==, 1);
  g_assert_cmpuint (gst_analytics_cls_mtd_get_length (&mtd), ==, 1);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_nothing_passed (void)
{
  GstHarness *h = new_classifier ("min-cosine=1");
  GstBuffer *out = gst_harness_push_and_pull (h, new_frame (CAPS, 0, 0));
  object_of (out);
  g_assert_null (gst_buffer_get_analytics_relation_meta (out));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

/* A frame that repeats a result carries it like the others. */
static void
test_repeated (void)
{
  GstHarness *h = new_classifier ("inference-interval=3 tensor-meta=true");
  for (guint i = 0; i < 7; i++) {
    GstAnalyticsClsMtd mtd;
    GstBuffer *out = gst_harness_push_and_pull (h, new_frame (CAPS, i * 40, i * GST_MSECOND));
    g_assert_cmpint (is_inferred (object_of (out)), ==, i % 3 == 0);
    g_assert_cmpuint (find_labels (out, &mtd), ==, 1);
    assert_labels (&mtd, object_of (out));
#if GST_CHECK_VERSION(1, 26, 0)
    g_assert_cmpuint (gst_buffer_get_tensor_meta (out)->num_tensors, ==, 1);
#endif
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}

/* (transfer full): a grey frame with a black left half and two objects, the second outside of the picture */
static GstBuffer *
new_detected_frame (GstAnalyticsODMtd *seen, GstAnalyticsODMtd *outside)
{
  GstBuffer *buffer = new_frame (CAPS, 128, 0);
  for (guint row = 0; row < 96; row++)
    gst_buffer_memset (buffer, row * 96 * 3, 0, 48 * 3);
  GstAnalyticsRelationMeta *relations = gst_buffer_add_analytics_relation_meta (buffer);
  GQuark person = g_quark_from_static_string ("person");
  g_assert_true (gst_analytics_relation_meta_add_od_mtd (relations, person, 0, 8, 40, 80, 0.75f, seen));
  g_assert_true (gst_analytics_relation_meta_add_od_mtd (relations, person, 200, 200, 20, 20, 0.5f, outside));
  return buffer;
}

static void
test_regions (void)
{
  GstAnalyticsODMtd seen, outside;
  GstAnalyticsClsMtd mtd, related;
  GstHarness *h = new_classifier ("inference-region=roi-list");
  GstBuffer *out = gst_harness_push_and_pull (h, new_detected_frame (&seen, &outside));
  GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta (out);
  g_assert_cmpuint (find_labels (out, &mtd), ==, 1);
  assert_labels (&mtd, object_of (out));
  g_assert_cmpstr (g_quark_to_string (gst_analytics_cls_mtd_get_quark (&mtd, 0)), ==, "a black picture");
  const GstAnalyticsRelTypes types[] = { GST_ANALYTICS_REL_TYPE_CONTAIN, GST_ANALYTICS_REL_TYPE_RELATE_TO };
  for (guint i = 0; i < G_N_ELEMENTS (types); i++) {
    gpointer state = NULL;
    g_assert_true (gst_analytics_relation_meta_get_direct_related (
        relations, seen.id, types[i], gst_analytics_cls_mtd_get_mtd_type (), &state, &related));
    g_assert_cmpuint (related.id, ==, mtd.id);
    g_assert_false (gst_analytics_relation_meta_exist (relations, outside.id, mtd.id, 1, types[i], NULL));
  }
  g_assert_true (
      gst_analytics_relation_meta_exist (relations, mtd.id, seen.id, 1, GST_ANALYTICS_REL_TYPE_IS_PART_OF, NULL));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

/* A classification without a relation would be the whole picture's. */
static void
test_region_without_object (void)
{
  GstAnalyticsClsMtd mtd;
  GstHarness *h = new_classifier ("inference-region=roi-list");
  GstBuffer *in = new_frame (CAPS, 0, 0);
  GstVideoRegionOfInterestMeta *roi
      = gst_buffer_add_video_region_of_interest_meta (in, "person", 10, 10, 40, 40);
  g_assert_null (gst_video_region_of_interest_meta_get_param (roi, "classification"));
  GstBuffer *out = gst_harness_push_and_pull (h, in);
  g_assert_cmpuint (find_labels (out, &mtd), ==, 0);
  roi = (gpointer) gst_buffer_get_meta (out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  g_assert_nonnull (gst_video_region_of_interest_meta_get_param (roi, "classification"));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_survives (void)
{
  GstAnalyticsODMtd seen, outside;
  GstAnalyticsClsMtd mtd;
  GstHarness *h = new_classifier ("inference-region=roi-list ! tee ! queue ! videoconvert ! videoscale ! "
                                  "video/x-raw,format=NV12,width=192,height=48 ! identity");
  GstBuffer *out = gst_harness_push_and_pull (h, new_detected_frame (&seen, &outside));
  g_assert_cmpuint (find_labels (out, &mtd), ==, 1);
  assert_labels (&mtd, object_of (out));
  g_assert_true (
      gst_analytics_relation_meta_exist (mtd.meta, seen.id, mtd.id, 1, GST_ANALYTICS_REL_TYPE_CONTAIN, NULL));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

#if GST_CHECK_VERSION(1, 26, 0)
static void
assert_tensor (const GstTensor *tensor, gsize n)
{
  GstMapInfo map;
  g_assert_cmpstr (g_quark_to_string (tensor->id), ==, "clip-image-embedding-out");
  g_assert_cmpint (tensor->data_type, ==, GST_TENSOR_DATA_TYPE_FLOAT32);
  g_assert_cmpint (tensor->dims_order, ==, GST_TENSOR_DIM_ORDER_ROW_MAJOR);
  g_assert_cmpuint (tensor->num_dims, ==, 2);
  g_assert_cmpuint (tensor->dims[0], ==, n);
  gst_buffer_map (tensor->data, &map, GST_MAP_READ);
  g_assert_cmpuint (map.size, ==, n * tensor->dims[1] * sizeof (float));
  for (gsize i = 0; i < n; i++) {
    gdouble square = 0;
    for (gsize j = 0; j < tensor->dims[1]; j++) {
      float x = ((const float *) map.data)[i * tensor->dims[1] + j];
      square += (gdouble) x * x;
    }
    g_assert_cmpfloat_with_epsilon (square, 1.0, 1e-5);
  }
  gst_buffer_unmap (tensor->data, &map);
}

static void
test_tensor (void)
{
  GstHarness *h = new_classifier ("tensor-meta=true");
  GstBuffer *out = gst_harness_push_and_pull (h, new_frame (CAPS, 90, 0));
  GstTensorMeta *meta = gst_buffer_get_tensor_meta (out);
  g_assert_nonnull (meta);
  g_assert_cmpuint (meta->num_tensors, ==, 1);
  assert_tensor (gst_tensor_meta_get (meta, 0), 1);
  gst_buffer_unref (out);
  g_autoptr (GstElement) classifier = classifier_of (h);
  g_object_set (classifier, "tensor-meta", FALSE, NULL);
  out = gst_harness_push_and_pull (h, new_frame (CAPS, 90, 1));
  g_assert_null (gst_buffer_get_tensor_meta (out));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

/* What another element left stays in its place. */
static void
test_tensor_beside_others (void)
{
  GstHarness *h = new_classifier ("tensor-meta=true");
  GstBuffer *in = new_frame (CAPS, 90, 0);
  gsize dims[] = { 4 };
  GQuark id = g_quark_from_static_string ("another-out");
  GstTensor **tensors = g_new (GstTensor *, 1);
  tensors[0] = gst_tensor_new_simple (id, GST_TENSOR_DATA_TYPE_UINT8, gst_buffer_new_memdup ("1234", 4),
      GST_TENSOR_DIM_ORDER_ROW_MAJOR, 1, dims);
  gst_tensor_meta_set (gst_buffer_add_tensor_meta (in), 1, tensors);
  GstBuffer *out = gst_harness_push_and_pull (h, in);
  GstTensorMeta *meta = gst_buffer_get_tensor_meta (out);
  g_assert_cmpint (gst_tensor_meta_get_index_from_id (meta, id), ==, 0);
  g_assert_cmpuint (meta->num_tensors, ==, 2);
  assert_tensor (gst_tensor_meta_get (meta, 1), 1);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_tensor_of_regions (void)
{
  GstHarness *h = new_classifier ("tensor-meta=true inference-region=roi-list");
  GstBuffer *in = new_frame (CAPS, 90, 0);
  gst_buffer_add_video_region_of_interest_meta (in, "a", 10, 10, 40, 40);
  gst_buffer_add_video_region_of_interest_meta (in, "b", 50, 50, 40, 40);
  GstBuffer *out = gst_harness_push_and_pull (h, in);
  g_assert_cmpuint (count_objects (out), ==, 2);
  assert_tensor (gst_tensor_meta_get (gst_buffer_get_tensor_meta (out), 0), 2);
  gst_buffer_unref (out);
  out = gst_harness_push_and_pull (h, new_frame (CAPS, 90, 1));
  g_assert_null (gst_buffer_get_tensor_meta (out));
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
#endif

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/analytics/labels", test_labels);
  g_test_add_func ("/analytics/only-what-passed", test_only_what_passed);
  g_test_add_func ("/analytics/nothing-passed", test_nothing_passed);
  g_test_add_func ("/analytics/repeated", test_repeated);
  g_test_add_func ("/analytics/regions", test_regions);
  g_test_add_func ("/analytics/region-without-object", test_region_without_object);
  g_test_add_func ("/analytics/survives", test_survives);
#if GST_CHECK_VERSION(1, 26, 0)
  g_test_add_func ("/analytics/tensor", test_tensor);
  g_test_add_func ("/analytics/tensor-beside-others", test_tensor_beside_others);
  g_test_add_func ("/analytics/tensor-of-regions", test_tensor_of_regions);
#endif
  return g_test_run ();
}
