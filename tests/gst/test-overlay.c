/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clipoverlay alone, on metadata made here. With CLIP_PICTURES=FOLDER the pictures are saved there, to be looked at. */
#include <gst/video/video.h>
#include <string.h>

#include "frames.h"

#define GREY 110

typedef struct {
  guint x, y, w, h;
  const char *labels; /* separated by ; best first */
} Object;

static GstStructure *
new_object (const Object *o, gdouble confidence)
{
  GValue labels = G_VALUE_INIT, top = G_VALUE_INIT;
  g_auto (GStrv) names = g_strsplit (o->labels, ";", -1);
  g_value_init (&labels, GST_TYPE_ARRAY);
  g_value_init (&top, GST_TYPE_ARRAY);
  for (guint i = 0; names[i] && *names[i]; i++) {
    GValue id = G_VALUE_INIT;
    g_value_init (&id, G_TYPE_UINT);
    g_value_set_uint (&id, i);
    gst_value_array_append_and_take_value (&top, &id);
    append_structure (&labels, gst_structure_new ("label", "label", G_TYPE_STRING, names[i], "label-id", G_TYPE_UINT, i, "cosine",
        G_TYPE_DOUBLE, 0.3, "confidence", G_TYPE_DOUBLE, confidence / (i + 1), NULL));
  }
  GstStructure *object = gst_structure_new ("object", "x", G_TYPE_UINT, o->x, "y", G_TYPE_UINT, o->y, "w", G_TYPE_UINT,
      o->w, "h", G_TYPE_UINT, o->h, NULL);
  gst_structure_take_value (object, "labels", &labels);
  gst_structure_take_value (object, "top", &top);
  return object;
}

/* (transfer full): a grey frame with the metadata of @n objects */
static GstBuffer *
new_result (const char *caps, const Object *objects, guint n, gdouble confidence, GstClockTime pts)
{
  GValue array = G_VALUE_INIT;
  GstBuffer *buffer = new_frame (caps, GREY, pts);
  GstStructure *fields = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (buffer, "GstClipMeta"));
  g_value_init (&array, GST_TYPE_ARRAY);
  for (guint i = 0; i < n; i++)
    append_structure (&array, new_object (&objects[i], confidence));
  gst_structure_take_value (fields, "objects", &array);
  return buffer;
}

static void
save (GstBuffer *buffer, const char *caps_string, const char *name)
{
  const char *folder = g_getenv ("CLIP_PICTURES");
  if (!folder)
    return;
  g_autoptr (GstCaps) caps = gst_caps_from_string (caps_string), png = gst_caps_from_string ("image/png");
  g_autoptr (GstSample) sample = gst_sample_new (buffer, caps, NULL, NULL);
  g_autoptr (GstSample) encoded = gst_video_convert_sample (sample, png, GST_CLOCK_TIME_NONE, NULL);
  g_autofree char *path = g_strdup_printf ("%s/%s.png", folder, name);
  GstMapInfo map;
  gst_buffer_map (gst_sample_get_buffer (encoded), &map, GST_MAP_READ);
  g_assert_true (g_file_set_contents (path, (const char *) map.data, (gssize) map.size, NULL));
  gst_buffer_unmap (gst_sample_get_buffer (encoded), &map);
}

/* Bytes that are not the grey of the frame, in a rectangle of a BGRx picture. */
static gsize
changed_in (GstBuffer *buffer, guint stride, guint x, guint y, guint w, guint h)
{
  GstMapInfo map;
  gsize changed = 0;
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  for (guint row = y; row < y + h; row++) {
    for (guint i = x * 4; i < (x + w) * 4; i++)
      changed += i % 4 != 3 && map.data[(gsize) row * stride + i] != GREY;
  }
  gst_buffer_unmap (buffer, &map);
  return changed;
}

static guint64
renders_of (GstHarness *h)
{
  guint64 renders;
  g_autoptr (GstElement) overlay = gst_harness_find_element (h, "clipoverlay");
  g_object_get (overlay, "renders", &renders, NULL);
  return renders;
}

/* Labels of many lengths and scripts, in pictures of many sizes: text is there, and nothing is outside of its place. */
static void
test_sizes (void)
{
  const guint sizes[][2] = { { 320, 240 }, { 640, 360 }, { 3840, 2160 }, { 3, 500 }, { 500, 3 }, { 1, 1 } };
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    guint w = sizes[i][0], h = sizes[i][1];
    const Object objects[] = { { 0, 0, w, h,
        "a dog;a sentence that is much too long for any panel and goes on and on;"
        "\xd7\x9b\xd7\x9c\xd7\x91 \xd7\xa7\xd7\x98\xd7\x9f;\xf0\x9f\x90\xb6 a dog emoji \xf0\x9f\x8d\x95;\xe7\x8a\xac" },
      { w / 2, h / 2, w / 3, h / 3, "a person waving" } };
    g_autofree char *caps = caps_of ("BGRx", w, h);
    g_autofree char *name = g_strdup_printf ("sizes-%ux%u", w, h);
    GstHarness *harness = new_harness ("clipoverlay history=10000000000", caps);
    GstBuffer *out = gst_harness_push_and_pull (harness, new_result (caps, objects, 2, 0.93, 0));
    g_assert_nonnull (out);
    save (out, caps, name);
    if (i < 3) {
      g_assert_cmpuint (changed_in (out, w * 4, 0, 0, w / 2, h / 4), >, w * h / 16);
      /* right of the panel and above the box; inside of the box */
      g_assert_cmpuint (changed_in (out, w * 4, w * 3 / 4, 0, w / 4, h / 3), ==, 0);
      g_assert_cmpuint (changed_in (out, w * 4, w / 2 + w / 12, h / 2 + h / 12, w / 6, h / 6), ==, 0);
    }
    gst_buffer_unref (out);
    gst_harness_teardown (harness);
  }
}

static void
fill_grid (Object *objects, guint n)
{
  static const char *const labels[] = { "a person waving", "a red car", "a dog", "", "an empty street at night" };
  for (guint i = 0; i < n; i++)
    objects[i] = (Object){ i % 5 * 128 + 4, i / 5 * 90 + 4, 90 + i * 3 % 30, 70, labels[i % G_N_ELEMENTS (labels)] };
}

/* A line on each side of each box, nothing inside. */
static void
test_boxes (void)
{
  Object objects[20];
  g_autofree char *caps = caps_of ("BGRx", 640, 360);
  fill_grid (objects, G_N_ELEMENTS (objects));
  GstHarness *h = new_harness ("clipoverlay line-width=3", caps);
  GstBuffer *out = gst_harness_push_and_pull (h, new_result (caps, objects, G_N_ELEMENTS (objects), 0.8, 0));
  save (out, caps, "boxes");
  for (guint i = 0; i < G_N_ELEMENTS (objects); i++) {
    const Object *o = &objects[i];
    g_assert_cmpuint (changed_in (out, 2560, o->x, o->y + o->h - 3, o->w, 3), >=, o->w * 3 * 2);
    g_assert_cmpuint (changed_in (out, 2560, o->x, o->y, 3, o->h), >=, o->h * 3 * 2);
    g_assert_cmpuint (changed_in (out, 2560, o->x + o->w - 3, o->y, 3, o->h), >=, o->h * 3 * 2);
    g_assert_cmpuint (changed_in (out, 2560, o->x + 3, o->y + 30, o->w - 6, o->h - 33), ==, 0);
  }
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

/* Boxes that are outside, or as wrong as another program can make them. */
static void
test_wrong_objects (void)
{
  g_autofree char *caps = caps_of ("BGRx", 64, 64);
  const Object objects[] = { { 60, 60, 4000000000u, 4000000000u, "a" }, { 64, 0, 5, 5, "b" }, { 5, 5, 0, 9, "c" },
    { 3, 3, 1, 1, "\xe2\x80\xae turned" }, { 0, 0, 64, 64, "\t;\n\n;<b>" } };
  GstHarness *h = new_harness ("clipoverlay", caps);
  GstBuffer *out = gst_harness_push_and_pull (h, new_result (caps, objects, G_N_ELEMENTS (objects), 7.0, 0));
  g_assert_nonnull (out);
  gst_buffer_unref (out);
  GstBuffer *in = new_frame (caps, GREY, 1);
  GstStructure *fields = gst_custom_meta_get_structure (gst_buffer_add_custom_meta (in, "GstClipMeta"));
  gst_structure_set (fields, "objects", G_TYPE_STRING, "none", NULL);
  out = gst_harness_push_and_pull (h, in);
  g_assert_cmpuint (changed_in (out, 256, 0, 0, 64, 64), ==, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static guint32
pixel_at (GstBuffer *buffer, guint stride, guint x, guint y)
{
  guint8 pixel[4] = { 0 };
  gst_buffer_extract (buffer, (gsize) y * stride + x * 4, pixel, 3);
  return (guint32) (pixel[0] | pixel[1] << 8 | pixel[2] << 16);
}

/* The same label has the same colour beside others, at other places, in another element; another label another one. */
static void
test_colors (void)
{
  g_autofree char *caps = caps_of ("BGRx", 640, 360);
  const Object first[] = { { 100, 100, 50, 50, "a dog" }, { 300, 100, 50, 50, "a cat" } };
  const Object second[] = { { 300, 200, 90, 90, "a bird" }, { 20, 200, 70, 70, "a dog" } };
  GstHarness *h = new_harness ("clipoverlay", caps), *other = new_harness ("clipoverlay", caps);
  GstBuffer *a = gst_harness_push_and_pull (h, new_result (caps, first, 2, 0.8, 0));
  GstBuffer *b = gst_harness_push_and_pull (other, new_result (caps, second, 2, 0.5, 0));
  guint32 dog = pixel_at (a, 2560, 100, 140);
  g_assert_cmphex (dog, ==, pixel_at (b, 2560, 20, 260));
  g_assert_cmphex (dog, !=, pixel_at (a, 2560, 300, 140));
  g_assert_cmphex (dog, !=, pixel_at (b, 2560, 300, 260));
  /* FNV-1a gives hue 157, saturation 0.85, value 0.75, of which Python's colorsys makes 29, 191, 129 */
  const guint8 rgb[] = { 29, 191, 129 };
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (ABS ((gint) (dog >> (16 - 8 * i) & 0xff) - rgb[i]), <=, 1);
  gst_buffer_unref (a);
  gst_buffer_unref (b);
  gst_harness_teardown (h);
  gst_harness_teardown (other);
}

/* What looks the same is not drawn again, and a box that moves is not either. */
static void
test_renders (void)
{
  g_autofree char *caps = caps_of ("BGRx", 640, 360);
  Object objects[] = { { 0, 0, 640, 360, "a dog;a cat" }, { 100, 200, 90, 70, "a dog" } };
  GstHarness *h = new_harness ("clipoverlay", caps);
  for (guint i = 0; i < 30; i++)
    gst_buffer_unref (gst_harness_push_and_pull (h, new_result (caps, objects, 2, 0.8 + i * 0.0001, i * GST_MSECOND)));
  g_assert_cmpuint (renders_of (h), ==, 4); /* panel, tag, lines of two shapes */
  for (guint i = 0; i < 30; i++) {
    objects[1].x++;
    gst_buffer_unref (gst_harness_push_and_pull (h, new_result (caps, objects, 2, 0.8, (30 + i) * GST_MSECOND)));
  }
  g_assert_cmpuint (renders_of (h), ==, 4);
  gst_buffer_unref (gst_harness_push_and_pull (h, new_result (caps, objects, 2, 0.6, 60 * GST_MSECOND)));
  g_assert_cmpuint (renders_of (h), ==, 6); /* panel and tag: the percents changed */
  gst_harness_teardown (h);
}

/* While one label holds, its band fills the strip and stays as it is; after a change it moves on by steps. */
static void
test_history (void)
{
  g_autofree char *caps = caps_of ("BGRx", 640, 360);
  Object object = { 0, 0, 640, 360, "a dog" };
  GstHarness *h = new_harness ("clipoverlay history=2000000000", caps);
  GstBuffer *out = NULL;
  for (guint i = 0; i < 120; i++) {
    gst_clear_buffer (&out);
    out = gst_harness_push_and_pull (h, new_result (caps, &object, 1, 0.8, i * GST_SECOND / 30));
  }
  guint64 renders = renders_of (h);
  guint32 dog = pixel_at (out, 2560, 600, 332);
  g_assert_cmphex (pixel_at (out, 2560, 2, 332), ==, dog);
  for (guint i = 120; i < 150; i++) {
    gst_clear_buffer (&out);
    out = gst_harness_push_and_pull (h, new_result (caps, &object, 1, 0.8, i * GST_SECOND / 30));
  }
  g_assert_cmpuint (renders_of (h), ==, renders);
  object.labels = "a cat";
  for (guint i = 150; i < 180; i++) {
    gst_clear_buffer (&out);
    out = gst_harness_push_and_pull (h, new_result (caps, &object, 1, 0.8, i * GST_SECOND / 30));
  }
  save (out, caps, "history");
  guint32 cat = pixel_at (out, 2560, 600, 332);
  g_assert_cmphex (cat, !=, dog);
  g_assert_cmphex (pixel_at (out, 2560, 2, 332), ==, dog);
  g_assert_cmphex (pixel_at (out, 2560, 300, 332), ==, dog); /* it changed a second ago, in the middle */
  g_assert_cmphex (pixel_at (out, 2560, 335, 332), ==, cat);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_position (void)
{
  const struct {
    const char *options;
    guint x, y; /* a corner of the panel */
  } cases[] = { { "", 2, 2 }, { "halignment=right valignment=bottom", 637, 357 },
    { "halignment=right xpad=20 ypad=10", 617, 12 }, { "halignment=center valignment=center", 320, 180 },
    { "valignment=bottom ypad=30 font-desc=\"Serif 20\"", 2, 327 } };
  const Object object = { 0, 0, 640, 360, "a dog" };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *caps = caps_of ("BGRx", 640, 360);
    g_autofree char *launch = g_strconcat ("clipoverlay ", cases[i].options, NULL);
    g_autofree char *name = g_strdup_printf ("position-%u", i);
    GstHarness *h = new_harness (launch, caps);
    GstBuffer *out = gst_harness_push_and_pull (h, new_result (caps, &object, 1, 0.5, 0));
    save (out, caps, name);
    for (guint j = 0; j < G_N_ELEMENTS (cases); j++) {
      gboolean inside = pixel_at (out, 2560, cases[j].x, cases[j].y) != GREY * 0x010101;
      if (i == j)
        g_assert_true (inside);
      else if (i < 4 && j < 4 && (i == 0) != (j == 0))
        g_assert_false (inside);
    }
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}

/* Downstream that can blend gets the composition, the pixels stay, and unchanged results have the same one. */
static void
test_composition_meta (void)
{
  g_autofree char *caps = caps_of ("NV12", 640, 360);
  const Object object = { 0, 0, 640, 360, "a dog" };
  GstHarness *h = gst_harness_new_parse ("clipoverlay");
  GstVideoOverlayComposition *last = NULL;
  gst_harness_add_propose_allocation_meta (h, GST_VIDEO_OVERLAY_COMPOSITION_META_API_TYPE, NULL);
  gst_harness_set_sink_caps_str (h, "video/x-raw(memory:SystemMemory,meta:GstVideoOverlayComposition),format=NV12");
  gst_harness_set_src_caps_str (h, caps);
  for (guint i = 0; i < 5; i++) {
    GstBuffer *in = new_result (caps, &object, 1, 0.5, i * GST_MSECOND);
    GstMemory *memory = gst_buffer_peek_memory (in, 0);
    GstBuffer *out = gst_harness_push_and_pull (h, in);
    GstVideoOverlayCompositionMeta *meta = gst_buffer_get_video_overlay_composition_meta (out);
    g_assert_nonnull (meta);
    g_assert_cmpuint (gst_video_overlay_composition_n_rectangles (meta->overlay), ==, 1);
    g_assert_true (gst_buffer_peek_memory (out, 0) == memory);
    g_assert_true (!last || meta->overlay == last);
    last = meta->overlay;
    gst_buffer_unref (out);
  }
  g_assert_cmpuint (renders_of (h), ==, 1);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_autoptr (GstElement) loaded = gst_element_factory_make ("clipoverlay", NULL); /* registers GstClipMeta */
  g_assert_nonnull (loaded);
  g_test_add_func ("/overlay/sizes", test_sizes);
  g_test_add_func ("/overlay/boxes", test_boxes);
  g_test_add_func ("/overlay/wrong-objects", test_wrong_objects);
  g_test_add_func ("/overlay/colors", test_colors);
  g_test_add_func ("/overlay/renders", test_renders);
  g_test_add_func ("/overlay/history", test_history);
  g_test_add_func ("/overlay/position", test_position);
  g_test_add_func ("/overlay/composition-meta", test_composition_meta);
  return g_test_run ();
}
