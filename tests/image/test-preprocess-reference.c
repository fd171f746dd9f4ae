/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The preprocessing against Pillow and torchvision (preprocess/manifest.jsonl) and exact YUV conversion. */
#include "picture.h"
#include "reference.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <png.h>
#include <string.h>

static ClipQueue *queue;
static GHashTable *hashes; /* file of images/ -> SHA-256 of its RGB */

static char *
sha256 (const void *data, gsize size)
{
  return g_compute_checksum_for_data (G_CHECKSUM_SHA256, data, size);
}

static JsonNode *
load_json (const char *relative)
{
  g_autofree char *path = ref_path (relative);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_assert_true (json_parser_load_from_file (parser, path, NULL));
  return json_parser_steal_root (parser);
}

static void
load_hashes (void)
{
  g_autoptr (JsonNode) root = load_json ("images/manifest.json");
  JsonArray *array = json_node_get_array (root);
  hashes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonObject *entry = json_array_get_object_element (array, i);
    g_hash_table_insert (hashes, g_strdup (json_object_get_string_member (entry, "file")),
        g_strdup (json_object_get_string_member (entry, "rgb_sha256")));
  }
}

/* libpng gives RGBA of any file; that it gives what Pillow gives is checked by the hash of the RGB */
static Picture *
load_png (const char *name)
{
  g_autofree char *relative = g_build_filename ("images", name, NULL);
  g_autofree char *path = ref_path (relative);
  png_image image = { .version = PNG_IMAGE_VERSION };
  g_assert_true (png_image_begin_read_from_file (&image, path));
  image.format = PNG_FORMAT_RGBA;
  Picture *picture = picture_new (CLIP_FORMAT_RGBA, image.width, image.height, 0);
  g_assert_true (png_image_finish_read (&image, NULL, picture->planes[0], 0, NULL));
  gsize pixels = (gsize) image.width * image.height;
  g_autofree guint8 *rgb = g_malloc (pixels * 3);
  for (gsize i = 0; i < pixels; i++)
    memcpy (rgb + 3 * i, picture->planes[0] + 4 * i, 3);
  g_autofree char *hash = sha256 (rgb, pixels * 3);
  g_assert_cmpstr (hash, ==, g_hash_table_lookup (hashes, name));
  return picture;
}

static void
read_triple (JsonObject *line, const char *name, float *out)
{
  JsonArray *array = json_object_get_array_member (line, name);
  for (guint i = 0; i < 3; i++)
    out[i] = (float) json_array_get_double_element (array, i);
}

static ClipPreprocessConfig
read_config (JsonObject *line)
{
  const char *mode = json_object_get_string_member (line, "mode");
  ClipPreprocessConfig config = { .size = (guint) json_object_get_int_member (line, "size") };
  config.mode = strcmp (mode, "squash") == 0 ? CLIP_RESIZE_SQUASH
      : strcmp (mode, "longest") == 0       ? CLIP_RESIZE_LONGEST
                                            : CLIP_RESIZE_SHORTEST;
  config.filter = strcmp (json_object_get_string_member (line, "filter"), "bilinear") == 0
      ? CLIP_FILTER_BILINEAR : CLIP_FILTER_BICUBIC;
  read_triple (line, "mean", config.mean);
  read_triple (line, "std", config.std);
  return config;
}

/* says where the pixels differ, if they are stored */
static void
compare_pixels (JsonObject *line, const guint8 *rgb, gsize size)
{
  if (json_object_has_member (line, "stored") && !json_object_get_boolean_member (line, "stored"))
    return;
  g_autofree char *path = g_build_filename ("preprocess", json_object_get_string_member (line, "file"), NULL);
  g_autoptr (RefFile) file = ref_open (path);
  gsize n = 0;
  const guint8 *want = ref_u8 (file, json_object_get_string_member (line, "tensor"), &n);
  g_assert_nonnull (want);
  g_assert_cmpuint (n, ==, size);
  for (gsize i = 0; i < n; i++) {
    if (rgb[i] != want[i])
      g_error ("%s of %s: value %zu is %u, expected %u", json_object_get_string_member (line, "tensor"), path, i,
          rgb[i], want[i]);
  }
}

static void
check_line (JsonObject *line)
{
  g_autoptr (GError) error = NULL;
  const ClipPreprocessConfig config = read_config (line);
  gsize size = (gsize) 3 * config.size * config.size;
  g_autofree guint8 *rgb = g_malloc (size);
  g_autofree float *chw = g_new (float, size);
  g_autoptr (Picture) picture = load_png (json_object_get_string_member (line, "image"));
  picture->frame.use_alpha = strcmp (json_object_get_string_member (line, "variant"), "openai-order") == 0;
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config, &error);
  g_autoptr (ClipBuffer) dst = clip_buffer_new (clip_queue_get_device (queue), size * sizeof (float), &error);
  clip_preprocessor_run_rgb (preprocessor, &picture->frame, rgb, &error);
  clip_preprocessor_run (preprocessor, &picture->frame, dst, 0, &error);
  clip_buffer_read (dst, queue, 0, chw, size * sizeof (float), &error);
  g_assert_no_error (error);
  compare_pixels (line, rgb, size);
  g_autofree char *rgb_hash = sha256 (rgb, size), *chw_hash = sha256 (chw, size * sizeof (float));
  g_assert_cmpstr (rgb_hash, ==, json_object_get_string_member (line, "rgb_sha256"));
  g_assert_cmpstr (chw_hash, ==, json_object_get_string_member (line, "chw_f32_sha256"));
}

/* Pillow 13 and transformers' crop are other programs' answers. A palette picture that openai/CLIP resizes in
 * its own mode gets nearest neighbours of indices; a decoded frame has no indices. */
static gboolean
is_ours (JsonObject *line, const char *variant)
{
  return strcmp (json_object_get_string_member (line, "variant"), variant) == 0
      && !(json_object_has_member (line, "source_mode")
          && strcmp (json_object_get_string_member (line, "source_mode"), "P") == 0);
}

static void
test_pillow (gconstpointer variant)
{
  g_autofree char *path = ref_path ("preprocess/manifest.jsonl");
  g_autofree char *text = NULL;
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  guint count = 0;
  for (guint i = 0; lines[i] && *lines[i]; i++) {
    g_autoptr (JsonNode) node = json_from_string (lines[i], NULL);
    JsonObject *line = json_node_get_object (node);
    if (!is_ours (line, variant))
      continue;
    check_line (line);
    count++;
  }
  g_test_message ("%u results equal in pixels and in normalised floats", count);
  g_assert_cmpuint (count, >, 0);
}

/* Packings of the same samples. SIBLING is filled from FROM plane by plane, sample by sample. */
static Picture *
repack (const ClipFrame *from, ClipFormat to)
{
  Picture *p = picture_new (to, from->width, from->height, 2);
  const guint8 *const *in = from->planes;
  const gsize *s = from->strides;
  guint half = (from->width + 1) / 2;
  for (guint y = 0; y < from->height; y++) {
    guint8 *row = p->planes[0] + y * p->frame.strides[0];
    for (guint x = 0; x < from->width && from->format != CLIP_FORMAT_YUY2; x++)
      row[x] = in[0][y * s[0] + x];
    for (guint x = 0; x < half && from->format == CLIP_FORMAT_YUY2; x++) {
      const guint8 *word = in[0] + y * s[0] + 4 * x;
      if (to == CLIP_FORMAT_UYVY) {
        memcpy (row + 4 * x, (guint8[]){ word[1], word[0], word[3], word[2] }, 4);
        continue;
      }
      row[2 * x] = word[0];
      if (2 * x + 1 < from->width)
        row[2 * x + 1] = word[2];
      p->planes[1][y * p->frame.strides[1] + x] = word[1];
      p->planes[2][y * p->frame.strides[2] + x] = word[3];
    }
  }
  for (guint y = 0; y < (from->height + 1) / 2 && from->format == CLIP_FORMAT_I420; y++)
    for (guint x = 0; x < half; x++) {
      guint8 u = in[1][y * s[1] + x], v = in[2][y * s[2] + x];
      if (to == CLIP_FORMAT_YV12) {
        p->planes[1][y * p->frame.strides[1] + x] = v;
        p->planes[2][y * p->frame.strides[2] + x] = u;
      } else {
        guint8 *pair = p->planes[1] + y * p->frame.strides[1] + 2 * x;
        pair[0] = to == CLIP_FORMAT_NV12 ? u : v;
        pair[1] = to == CLIP_FORMAT_NV12 ? v : u;
      }
    }
  return p;
}

/* the crop of the frame's short side, which is not resampled; returns its place */
static guint8 *
run_crop (const ClipFrame *frame, guint *size, guint *left, guint *top)
{
  g_autoptr (GError) error = NULL;
  *size = MIN (frame->width, frame->height);
  *left = (guint) rint ((frame->width - *size) / 2.0);
  *top = (guint) rint ((frame->height - *size) / 2.0);
  ClipPreprocessConfig config = { *size, CLIP_RESIZE_SHORTEST, CLIP_FILTER_BICUBIC, { 0 }, { 1, 1, 1 } };
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config, &error);
  guint8 *rgb = g_malloc ((gsize) 3 * *size * *size);
  clip_preprocessor_run_rgb (preprocessor, frame, rgb, &error);
  g_assert_no_error (error);
  return rgb;
}

static void
assert_near (const ClipFrame *frame, const float *want, const char *what)
{
  guint size, left, top;
  g_autofree guint8 *rgb = run_crop (frame, &size, &left, &top);
  for (guint i = 0; i < 3 * size * size; i++) {
    guint c = i % 3, x = i / 3 % size + left, y = i / 3 / size + top;
    float exact = want[(y * frame->width + x) * 3 + c];
    float difference = fabsf (rgb[i] - CLAMP (exact, 0, 255));
    if (difference > 0.5f + 1e-3f)
      g_error ("%s: channel %u of pixel %u, %u is %u, expected %g", what, c, x, y, rgb[i], exact);
  }
}

static void
assert_siblings (const ClipFrame *frame, const ClipFormat *formats, guint n)
{
  guint size, left, top;
  g_autofree guint8 *want = run_crop (frame, &size, &left, &top);
  for (guint i = 0; i < n; i++) {
    g_autoptr (Picture) other = repack (frame, formats[i]);
    other->frame.kr = frame->kr;
    other->frame.kb = frame->kb;
    other->frame.full_range = frame->full_range;
    other->frame.chroma_site = frame->chroma_site;
    g_autofree guint8 *got = run_crop (&other->frame, &size, &left, &top);
    g_assert_cmpmem (got, 3 * size * size, want, 3 * size * size);
  }
}

static void
check_color (RefFile *file, const char *name, ClipFrame *frame, const char *color, const char *how)
{
  const char *sub = frame->format == CLIP_FORMAT_YUY2 ? "422" : "420";
  g_autofree char *tensor = g_strdup_printf ("%s/rgb-%s-%s-%s", name, sub, color, how);
  static const ClipFormat of_420[] = { CLIP_FORMAT_NV12, CLIP_FORMAT_NV21, CLIP_FORMAT_YV12 };
  static const ClipFormat of_422[] = { CLIP_FORMAT_UYVY, CLIP_FORMAT_Y42B };
  const float *want = ref_f32 (file, tensor, NULL, NULL);
  g_assert_nonnull (want);
  frame->kr = strstr (color, "bt601") ? 0.299f : 0.2126f;
  frame->kb = strstr (color, "bt601") ? 0.114f : 0.0722f;
  frame->full_range = strstr (color, "full") != NULL;
  frame->chroma_site = strcmp (how, "left") == 0 ? CLIP_CHROMA_LEFT_X : 0;
  assert_near (frame, want, tensor);
  if (frame->format == CLIP_FORMAT_I420)
    assert_siblings (frame, of_420, G_N_ELEMENTS (of_420));
  else if (frame->format == CLIP_FORMAT_YUY2)
    assert_siblings (frame, of_422, G_N_ELEMENTS (of_422));
}

static void
set_planes (ClipFrame *frame, JsonObject *entry, const char *format, const guint8 *data)
{
  JsonObject *all_offsets = json_object_get_object_member (entry, "offsets");
  JsonArray *strides = json_object_get_array_member (json_object_get_object_member (entry, "strides"), format);
  JsonArray *offsets = json_object_has_member (all_offsets, format)
      ? json_object_get_array_member (all_offsets, format) : NULL;
  for (guint i = 0; i < json_array_get_length (strides); i++) {
    frame->strides[i] = (gsize) json_array_get_int_element (strides, i);
    frame->planes[i] = data + (offsets ? json_array_get_int_element (offsets, i) : 0);
  }
}

static ClipFrame
stored_frame (RefFile *file, JsonObject *entry, const char *format, ClipFormat id)
{
  const char *name = json_object_get_string_member (entry, "name");
  g_autofree char *tensor = g_strdup_printf ("%s/%s", name, format);
  gsize n;
  ClipFrame frame = { .format = id, .width = (guint) json_object_get_int_member (entry, "width"),
    .height = (guint) json_object_get_int_member (entry, "height"), .full_range = TRUE };
  const guint8 *data = ref_u8 (file, tensor, &n);
  g_assert_nonnull (data);
  set_planes (&frame, entry, format, data);
  return frame;
}

static void
check_yuv (RefFile *file, JsonObject *entry, const char *format, ClipFormat id)
{
  static const char *const colors[] = { "bt601-limited", "bt709-limited", "bt601-full", "bt709-full" };
  static const char *const hows[] = { "centered", "left" };
  ClipFrame frame = stored_frame (file, entry, format, id);
  for (guint i = 0; i < 8; i++)
    check_color (file, json_object_get_string_member (entry, "name"), &frame, colors[i / 2], hows[i % 2]);
}

static void
check_rgb (RefFile *file, JsonObject *entry, const char *format, ClipFormat id, const char *golden)
{
  g_autofree char *tensor
      = g_strdup_printf ("%s/%s", json_object_get_string_member (entry, "name"), golden);
  ClipFrame frame = stored_frame (file, entry, format, id);
  gsize n;
  const guint8 *want = ref_u8 (file, tensor, &n);
  g_autofree float *exact = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    exact[i] = want[i];
  assert_near (&frame, exact, tensor);
}

static void
test_frames (void)
{
  g_autoptr (RefFile) file = ref_open ("preprocess/yuv.safetensors");
  g_autoptr (JsonNode) root = load_json ("preprocess/yuv.json");
  JsonArray *frames = json_object_get_array_member (json_node_get_object (root), "frames");
  for (guint i = 0; i < json_array_get_length (frames); i++) {
    JsonObject *entry = json_array_get_object_element (frames, i);
    check_yuv (file, entry, "I420", CLIP_FORMAT_I420);
    check_yuv (file, entry, "NV12", CLIP_FORMAT_NV12);
    check_yuv (file, entry, "YUY2", CLIP_FORMAT_YUY2);
    check_rgb (file, entry, "RGBA", CLIP_FORMAT_RGBA, "rgb-from-RGBA-and-BGRx");
    check_rgb (file, entry, "BGRx", CLIP_FORMAT_BGRX, "rgb-from-RGBA-and-BGRx");
    check_rgb (file, entry, "GRAY8", CLIP_FORMAT_GRAY8, "rgb-from-GRAY8");
  }
}

static void
open_queue (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipDevice) device = clip_device_open (g_getenv ("GST_CLIP_DEVICE"), &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
}

static void
test_absent (void)
{
  g_test_skip ("reference absent: set CLIP_REFERENCE");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!ref_available ()) {
    g_test_add_func ("/preprocess/reference", test_absent);
    return g_test_run ();
  }
  open_queue ();
  load_hashes ();
  g_test_add_data_func ("/preprocess/reference/rgb", "rgb", test_pillow);
  g_test_add_data_func ("/preprocess/reference/openai-order", "openai-order", test_pillow);
  g_test_add_func ("/preprocess/reference/frames", test_frames);
  int status = g_test_run ();
  g_hash_table_unref (hashes);
  clip_queue_unref (queue);
  return status;
}
