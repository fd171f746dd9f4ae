/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clipindex: which results become entries, by metadata made here; and reference timestamps. The rest is tested with
 * clipclassify before it, in tests/tool/test_index.py. */
#include <glib/gstdio.h>

#include "frames.h"
#include "index/clip-index.h"

#define DIM 4

typedef struct {
  guint64 tracking_id;
  guint age; /* frames */
} Object;

static GstStructure *
make_object (const Object *object)
{
  const float vector[DIM] = { 1, 0, 0, 0 };
  g_autoptr (GBytes) bytes = g_bytes_new (vector, sizeof vector);
  GstStructure *s = gst_structure_new ("object", "x", G_TYPE_UINT, 0, "y", G_TYPE_UINT, 0, "w", G_TYPE_UINT, 8, "h",
      G_TYPE_UINT, 8, "inferred", G_TYPE_BOOLEAN, object->age == 0, "age", G_TYPE_UINT64,
      (guint64) object->age * GST_SECOND, "embedding", G_TYPE_BYTES, bytes, NULL);
  if (object->tracking_id)
    gst_structure_set (s, "tracking-id", G_TYPE_UINT64, object->tracking_id, NULL);
  return s;
}

/* (transfer full): frame @index of one frame a second, with objects up to one of age G_MAXUINT */
static GstBuffer *
make_buffer (const char *caps, guint index, const Object *objects)
{
  GstBuffer *buffer = new_frame (caps, 0, index * GST_SECOND);
  GValue array = G_VALUE_INIT;
  g_value_init (&array, GST_TYPE_ARRAY);
  for (; objects->age != G_MAXUINT; objects++)
    append_structure (&array, make_object (objects));
  GstStructure *meta = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "GstClipMeta"));
  gst_structure_set (meta, "model", G_TYPE_STRING, "m", NULL);
  gst_structure_take_value (meta, "objects", &array);
  return buffer;
}

/* Pushes the frames and compares what is stored, as "tracking id@second" */
static void
run (const Object frames[][4], guint n, const char *want)
{
  g_autofree char *folder = g_dir_make_tmp ("test-index-XXXXXX", NULL);
  g_autofree char *store = g_build_filename (folder, "seen.db", NULL);
  g_autofree char *launch = g_strdup_printf ("clipindex location=%s", store);
  g_autofree char *caps = caps_of ("RGB", 8, 8);
  g_autoptr (GError) error = NULL;
  GstHarness *h = new_harness (launch, caps);
  for (guint i = 0; i < n; i++) {
    GstBuffer *in = make_buffer (caps, i, frames[i]);
    if (i == 1)
      gst_buffer_add_reference_timestamp_meta (in, gst_caps_new_empty_simple ("timestamp/x-ntp"),
          (G_GUINT64_CONSTANT (2208988800) + 1000) * GST_SECOND, GST_CLOCK_TIME_NONE);
    gst_buffer_unref (gst_harness_push_and_pull (h, in));
  }
  g_assert_true (gst_harness_push_event (h, gst_event_new_eos ()));
  g_autoptr (ClipIndex) index = clip_index_open (store, &error);
  g_assert_no_error (error);
  guint64 id, end;
  g_autoptr (GString) found = g_string_new (NULL);
  clip_index_get_bounds (index, &id, &end);
  for (; id < end; id++) {
    g_auto (ClipIndexRow) row = { 0 };
    g_assert_true (clip_index_read_row (index, id, &row, &error));
    g_string_append_printf (found, " %" G_GUINT64_FORMAT "@%d", row.tracking_id, (int) (row.time / (gint64) GST_SECOND));
    /* of the frame with the reference timestamp, what is a second old was seen a second before */
    if (row.utc != CLIP_INDEX_NO_TIME)
      g_assert_cmpint (row.utc, ==, row.time + 999 * (gint64) GST_SECOND);
  }
  g_assert_cmpstr (found->str, ==, want);
  gst_harness_teardown (h);
  g_autofree char *remove = g_strdup_printf ("rm -r '%s'", folder);
  g_assert_true (g_spawn_command_line_sync (remove, NULL, NULL, NULL, NULL));
}

#define END { 0, G_MAXUINT }

static void
test_repeats (void)
{
  const Object frames[][4] = { { { 0, 0 }, END }, { { 0, 1 }, END }, { { 0, 2 }, END }, { { 0, 0 }, END }, { { 0, 1 }, END } };
  run (frames, G_N_ELEMENTS (frames), " 0@0 0@3");
}

/* No frame has its own result; the first has none at all. */
static void
test_late (void)
{
  const Object frames[][4] = { { END }, { { 0, 1 }, END }, { { 0, 1 }, END }, { { 0, 2 }, END }, { { 0, 1 }, END } };
  run (frames, G_N_ELEMENTS (frames), " 0@0 0@1 0@3");
}

static void
test_regions (void)
{
  const Object frames[][4] = { { { 7, 0 }, { 8, 0 }, END }, { { 7, 0 }, { 8, 1 }, END }, { { 8, 2 }, END },
    { { 9, 0 }, { 7, 2 }, { 8, 0 }, END } };
  run (frames, G_N_ELEMENTS (frames), " 7@0 8@0 7@1 9@3 8@3");
}

static void
test_untracked_regions (void)
{
  const Object frames[][4] = { { { 0, 0 }, { 0, 0 }, END }, { { 0, 1 }, { 0, 1 }, END }, { { 0, 0 }, { 0, 0 }, { 0, 0 }, END } };
  run (frames, G_N_ELEMENTS (frames), " 0@0 0@0 0@2 0@2 0@2");
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/clipindex/repeats", test_repeats);
  g_test_add_func ("/clipindex/late", test_late);
  g_test_add_func ("/clipindex/regions", test_regions);
  g_test_add_func ("/clipindex/untracked-regions", test_untracked_regions);
  return g_test_run ();
}
