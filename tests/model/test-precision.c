/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* precision=auto: the rule on made-up numbers, then measured on small models; what is remembered,
 * and when not. */
#include "model/clip-model-private.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "engine/clip-engine.h"
#include "model/clip-probe-pictures.h"
#include "reference.h"

#define CHANNELS 64 /* of data:vit-tiny */
#define HUGE_SCALE 1024.0f

static ClipQueue *queue;
static char *folder;   /* of this run's cache */
static guint measured; /* how often the log says that a choice was made by measuring */

static void
count (const char *domain, GLogLevelFlags level, const char *message, gpointer user_data)
{
  measured += strstr (message, "was chosen, in") != NULL;
}

static gboolean
device_has_none (void)
{
  for (ClipPrecision p = CLIP_PRECISION_FP32; p < CLIP_PRECISION_AUTO; p++) {
    if (clip_precision_get_level (p, queue) > 0)
      return FALSE;
  }
  g_test_skip ("the device has no instructions for a reduced precision");
  return TRUE;
}

typedef struct {
  ClipPrecisionMeasurement m[3];
  guint n;
  ClipPrecision expected;
} Made;

#define FP32 CLIP_PRECISION_FP32
#define BF16 CLIP_PRECISION_BF16
#define INT8 CLIP_PRECISION_INT8

static void
test_rule (void)
{
  const Made cases[] = {
    { { { FP32, 10, 1 } }, 1, FP32 },
    { { { FP32, 10, 1 }, { BF16, 20, 0.9996 }, { INT8, 40, 0.996 } }, 3, INT8 },
    { { { FP32, 10, 1 }, { BF16, 40, 0.9996 }, { INT8, 20, 0.996 } }, 3, BF16 },
    /* fast, but below the bar; each its own */
    { { { FP32, 10, 1 }, { BF16, 20, 0.9996 }, { INT8, 40, 0.9949 } }, 3, BF16 },
    { { { FP32, 10, 1 }, { BF16, 20, 0.9994 }, { INT8, 15, 0.9951 } }, 3, INT8 },
    { { { FP32, 10, 1 }, { BF16, 20, 0.9994 }, { INT8, 40, 0.9949 } }, 3, FP32 },
    /* the bar itself holds */
    { { { FP32, 10, 1 }, { BF16, 20, 0.9995 } }, 2, BF16 },
    { { { FP32, 10, 1 }, { INT8, 20, 0.995 } }, 2, INT8 },
    /* equally fast: the one that is nearer to fp32, which stands first */
    { { { FP32, 10, 1 }, { BF16, 10, 1 }, { INT8, 10, 1 } }, 3, FP32 },
    { { { FP32, 10, 1 }, { BF16, 20, 0.9999 }, { INT8, 20, 0.9999 } }, 3, BF16 },
    { { { FP32, 10, 1 }, { BF16, 9, 1 }, { INT8, 5, 1 } }, 3, FP32 },
    /* failed, or no numbers */
    { { { FP32, 10, 1 }, { BF16, 0, 0 }, { INT8, 0, 1 } }, 3, FP32 },
    { { { FP32, 0, 1 }, { BF16, 0, 0 }, { INT8, 0, 0 } }, 3, FP32 },
    { { { FP32, 10, 1 }, { BF16, 20, NAN }, { INT8, NAN, 1 } }, 3, FP32 },
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_test_message ("case %u", i);
    g_assert_cmpint (clip_precision_choose (cases[i].m, cases[i].n), ==, cases[i].expected);
  }
}

static double
mean_difference (const float *a, const float *b, guint n)
{
  double sum = 0.0;
  for (guint i = 0; i < n; i++)
    sum += fabs (a[i] - b[i]);
  return sum / n;
}

/* The same each time, each another one, with something to see, normalised as the model says */
static void
test_pictures (void)
{
  const ClipPreprocessConfig plain = { .size = 32, .std = { 1, 1, 1 } };
  const ClipPreprocessConfig config
      = { .size = 32, .mean = { 0.5f, 0.4f, 0.3f }, .std = { 0.25f, 0.5f, 1 } };
  enum { AREA = 32 * 32, N = 3 * AREA };
  g_autofree float *all = g_new (float, CLIP_PROBE_PICTURES *N), *again = g_new (float, N);
  for (guint p = 0; p < CLIP_PROBE_PICTURES; p++) {
    float *picture = all + p * N, low = 1, high = 0;
    clip_probe_draw (p, &plain, picture);
    clip_probe_draw (p, &plain, again);
    g_assert_cmpmem (picture, N * sizeof (float), again, N * sizeof (float));
    for (guint i = 0; i < N; i++) {
      low = MIN (low, picture[i]);
      high = MAX (high, picture[i]);
    }
    g_assert_cmpfloat (low, >=, 0);
    g_assert_cmpfloat (high, <=, 1);
    g_assert_cmpfloat (high - low, >, 0.4);
    for (guint other = 0; other < p; other++)
      g_assert_cmpfloat (mean_difference (picture, all + other * N, N), >, 0.05);
    clip_probe_draw (p, &config, again);
    for (guint i = 0; i < N; i++)
      g_assert_cmpfloat_with_epsilon (
          again[i], (picture[i] - config.mean[i / AREA]) / config.std[i / AREA], 1e-5);
  }
}

static ClipPrecision
load (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipModel) model = clip_model_load (queue, path, CLIP_PRECISION_AUTO, &error);
  g_assert_no_error (error);
  return clip_model_get_precision (model);
}

/* (transfer full) (nullable): the only entry in the cache */
static char *
find_entry (void)
{
  g_autofree char *entries = g_build_filename (folder, "gst-clip", "precision", NULL);
  g_autoptr (GDir) dir = g_dir_open (entries, 0, NULL);
  const char *name = dir ? g_dir_read_name (dir) : NULL;
  char *path = name ? g_build_filename (entries, name, NULL) : NULL;
  g_assert_true (!dir || !g_dir_read_name (dir));
  return path;
}

static void
forget (void)
{
  g_autofree char *entry = find_entry ();
  if (entry)
    g_assert_cmpint (g_unlink (entry), ==, 0);
}

/* The rule once more, from what is written in the entry */
static ClipPrecision
expect_from_entry (const char *path)
{
  static const struct {
    const char *name;
    double bar;
  } rules[] = { { "fp32", 1 }, { "bf16", 0.9995 }, { "int8", 0.995 } };
  g_autoptr (GKeyFile) file = g_key_file_new ();
  double fastest = 0;
  guint best = 0;
  g_assert_true (g_key_file_load_from_file (file, path, G_KEY_FILE_NONE, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (rules); i++) {
    double rate = g_key_file_get_double (file, rules[i].name, "rate", NULL);
    if (g_key_file_get_double (file, rules[i].name, "cosine", NULL) >= rules[i].bar
        && rate > fastest) {
      fastest = rate;
      best = i;
    }
  }
  g_assert_cmpfloat (fastest, >, 0);
  return (ClipPrecision)best;
}

static void
test_remembered (gconstpointer model)
{
  g_autofree char *path
      = strcmp (model, "demo") == 0 ? clip_model_find (model, NULL, NULL) : ref_path (model);
  if (device_has_none ())
    return;
  forget ();
  measured = 0;
  ClipPrecision first = load (path);
  g_autofree char *entry = find_entry ();
  g_assert_nonnull (entry);
  g_assert_cmpint (first, ==, expect_from_entry (entry));
  g_assert_cmpuint (measured, ==, 1);
  g_assert_cmpint (load (path), ==, first);
  g_assert_cmpuint (measured, ==, 1);
}

/* The entry decides, also when it is not what was measured here. */
static void
test_read_back (void)
{
  g_autofree char *path = clip_model_find ("demo", NULL, NULL);
  if (device_has_none () || clip_precision_get_level (BF16, queue) == 0
      || clip_precision_get_level (INT8, queue) == 0)
    return;
  forget ();
  load (path);
  g_autofree char *entry = find_entry ();
  static const struct {
    const char *text;
    ClipPrecision expected;
  } cases[] = {
    { "[fp32]\nrate=9\ncosine=1\n[bf16]\nrate=8\ncosine=1\n[int8]\nrate=10\ncosine=0.99\n", FP32 },
    { "[fp32]\nrate=9\ncosine=1\n[bf16]\nrate=11\ncosine=1\n[int8]\nrate=10\ncosine=1\n", BF16 },
    { "[fp32]\nrate=9\ncosine=1\n[bf16]\nrate=8\ncosine=1\n[int8]\nrate=10\ncosine=1\n", INT8 },
  };
  measured = 0;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_assert_true (g_file_set_contents (entry, cases[i].text, -1, NULL));
    g_assert_cmpint (load (path), ==, cases[i].expected);
  }
  g_assert_cmpuint (measured, ==, 0);
}

static void
test_damaged (void)
{
  static const char *const damaged[] = {
    "",
    "\xff\xfe\x00 no entry",
    "[fp32]\nrate=9\n",
    "[fp32]\nrate=9\ncosine=1\n",
    "[fp32]\nrate=9\ncosine=1\n[bf16]\nrate=fast\ncosine=1\n[int8]\nrate=10\ncosine=1\n",
    "[fp32]\nrate=9\ncosine=1\n[bf16]\nrate=nan\ncosine=1\n[int8]\nrate=10\ncosine=nan\n",
    "[fp32]\nrate=9\ncosine=1\n[bf16]\nrate=-8\ncosine=1\n[int8]\nrate=10\ncosine=7\n",
  };
  g_autofree char *path = ref_path ("data:vit-tiny");
  if (device_has_none ())
    return;
  forget ();
  load (path);
  g_autofree char *entry = find_entry ();
  for (guint i = 0; i < G_N_ELEMENTS (damaged); i++) {
    measured = 0;
    g_assert_true (g_file_set_contents (entry, damaged[i], -1, NULL));
    ClipPrecision precision = load (path);
    g_assert_cmpuint (measured, ==, 1);
    g_assert_cmpint (precision, ==, expect_from_entry (entry));
  }
}

static void
test_cache_off (void)
{
  g_autofree char *path = ref_path ("data:vit-gelu-fp16");
  if (device_has_none ())
    return;
  forget ();
  measured = 0;
  g_setenv ("GST_CLIP_CACHE", "off", TRUE);
  ClipPrecision first = load (path);
  g_assert_cmpint (load (path), ==, first);
  g_unsetenv ("GST_CLIP_CACHE");
  g_assert_cmpuint (measured, ==, 1);
  g_autofree char *entry = find_entry ();
  g_assert_null (entry);
}

/* Without instructions nothing is tried. */
static void
test_portable (void)
{
  g_autofree char *path = ref_path ("data:vit-tiny");
  forget ();
  measured = 0;
  g_setenv ("GST_CLIP_DOT", "portable", TRUE);
  g_assert_cmpint (load (path), ==, FP32);
  g_unsetenv ("GST_CLIP_DOT");
  g_assert_cmpuint (measured, ==, 0);
  g_autofree char *entry = find_entry ();
  g_assert_null (entry);
}

/* A float32 tensor of a safetensors file that was read */
static float *
find_tensor (char *bytes, JsonObject *header, guint64 length, guint layer, const char *name)
{
  g_autofree char *full = g_strdup_printf ("vision_model.encoder.layers.%u.%s", layer, name);
  JsonObject *tensor = json_object_get_object_member (header, full);
  g_assert_cmpstr (json_object_get_string_member (tensor, "dtype"), ==, "F32");
  gint64 at = json_array_get_int_element (json_object_get_array_member (tensor, "data_offsets"), 0);
  return (float *)(gpointer)(bytes + 8 + length + at);
}

static const guint outliers[] = { 3, 20, 41 }; /* channels */

/* What a norm gives is larger in some channels, and the weights that read it are smaller: the same
 * function, but the rows that are rounded have outliers (as those of large models; Xiao et al.
 * 2022, SmoothQuant). */
static void
scale_channels (float *values, guint rows, float scale)
{
  for (guint i = 0; i < rows; i++) {
    for (guint c = 0; c < G_N_ELEMENTS (outliers); c++)
      values[i * CHANNELS + outliers[c]] *= scale;
  }
}

/* (transfer full): a copy of data:vit-tiny with outliers */
static char *
write_outliers (void)
{
  static const struct {
    const char *name;
    guint rows;
    float scale;
  } scaled[] = {
    { "layer_norm1.weight", 1, HUGE_SCALE },
    { "layer_norm1.bias", 1, HUGE_SCALE },
    { "self_attn.q_proj.weight", CHANNELS, 1 / HUGE_SCALE },
    { "self_attn.k_proj.weight", CHANNELS, 1 / HUGE_SCALE },
    { "self_attn.v_proj.weight", CHANNELS, 1 / HUGE_SCALE },
    { "layer_norm2.weight", 1, HUGE_SCALE },
    { "layer_norm2.bias", 1, HUGE_SCALE },
    { "mlp.fc1.weight", 4 * CHANNELS, 1 / HUGE_SCALE },
  };
  g_autofree char *from = ref_path ("data:vit-tiny"),
                  *to = g_build_filename (folder, "outliers", NULL);
  g_autofree char *file = g_build_filename (to, "model.safetensors", NULL), *bytes = NULL;
  g_autofree char *command
      = g_strdup_printf ("cp -rL '%s' '%s' && chmod -R u+w '%s'", from, to, to);
  g_autoptr (JsonParser) parser = json_parser_new ();
  gsize size;
  guint64 length;
  g_assert_cmpint (system (command), ==, 0);
  g_assert_true (g_file_get_contents (file, &bytes, &size, NULL));
  memcpy (&length, bytes, sizeof length);
  length = GUINT64_FROM_LE (length);
  g_assert_true (json_parser_load_from_data (parser, bytes + 8, (gssize)length, NULL));
  JsonObject *header = json_node_get_object (json_parser_get_root (parser));
  for (guint layer = 0; layer < 2; layer++) {
    for (guint i = 0; i < G_N_ELEMENTS (scaled); i++)
      scale_channels (find_tensor (bytes, header, length, layer, scaled[i].name), scaled[i].rows,
          scaled[i].scale);
  }
  g_assert_true (g_file_set_contents (file, bytes, (gssize)size, NULL));
  return g_steal_pointer (&to);
}

/* fp32 and int8 alone */
static ClipPrecisionMeasurement
measure_int8 (const char *path, ClipPrecision *choice)
{
  const ClipPrecision candidate = INT8;
  ClipPrecisionMeasurement m[2];
  g_autoptr (GError) error = NULL;
  ClipModel *model = clip_model_load (queue, path, FP32, &error);
  g_assert_no_error (error);
  g_assert_true (clip_model_measure (path, &model, &candidate, 1, m, &error));
  g_assert_no_error (error);
  g_assert_cmpfloat (m[0].rate, >, 0);
  g_assert_cmpfloat (m[1].rate, >, 0);
  *choice = clip_model_get_precision (model);
  g_assert_cmpint (*choice, ==, clip_precision_choose (m, 2));
  clip_model_free (model);
  return m[1];
}

static void
test_outliers (void)
{
  g_autofree char *usual = ref_path ("data:vit-tiny"), *path = write_outliers ();
  ClipPrecision choice;
  if (!clip_device_is_cpu (clip_queue_get_device (queue))) {
    g_test_skip ("int8 is for CPU devices");
    return;
  }
  g_assert_cmpfloat (measure_int8 (usual, &choice).cosine, >=, 0.995);
  g_assert_cmpfloat (measure_int8 (path, &choice).cosine, <, 0.995);
  g_assert_cmpint (choice, ==, FP32);
  g_assert_cmpint (load (path), !=, INT8);
}

/* A picture and a prompt through the engine, as in the precision that it says it took */
static void
encode (ClipPrecision asked, ClipPrecision *taken, float *image, float *text)
{
  static guint8 pixels[48 * 48 * 3];
  char *templates[] = { (char *)"{}", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipPromptSet) set = clip_prompt_set_parse ("a red circle", NULL);
  ClipFrame frame = { .format = CLIP_FORMAT_RGB,
    .width = 48,
    .height = 48,
    .planes = { pixels },
    .strides = { 48 * 3 } };
  for (guint i = 0; i < sizeof pixels; i++)
    pixels[i] = (guint8)(i * i / 7);
  g_autoptr (ClipEngine) engine = clip_engine_new ("demo", NULL, asked, &error);
  g_assert_no_error (error);
  *taken = clip_engine_get_precision (engine);
  guint d = clip_engine_get_config (engine)->embed_dim;
  g_autoptr (ClipEncodedPrompts) encoded
      = clip_engine_encode_prompts (engine, set, templates, FALSE, &error);
  g_assert_no_error (error);
  memcpy (text, encoded->matrix, d * sizeof (float));
  g_assert_true (clip_engine_encode_frame (engine, &frame, image, NULL, &error));
}

static void
test_engine (void)
{
  float image[192], text[192], same_image[192], same_text[192];
  ClipPrecision taken, same;
  forget ();
  measured = 0;
  encode (CLIP_PRECISION_AUTO, &taken, image, text);
  g_assert_cmpint (taken, !=, CLIP_PRECISION_AUTO);
  encode (taken, &same, same_image, same_text);
  g_assert_cmpint (same, ==, taken);
  g_assert_cmpuint (measured, <=, 1);
  for (guint i = 0; i < G_N_ELEMENTS (image); i++) {
    g_assert_cmpfloat_with_epsilon (image[i], same_image[i], 1e-5);
    g_assert_cmpfloat_with_epsilon (text[i], same_text[i], 1e-5);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("clip-precision-XXXXXX", NULL);
  g_setenv ("XDG_CACHE_HOME", folder, TRUE);
  g_log_set_handler ("clip", G_LOG_LEVEL_INFO, count, NULL);
  g_autoptr (ClipDevice) device = clip_device_open (g_getenv ("CLIP_TEST_DEVICE"), &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  g_test_add_func ("/precision/rule", test_rule);
  g_test_add_func ("/precision/pictures", test_pictures);
  g_test_add_data_func ("/precision/remembered/demo", "demo", test_remembered);
  g_test_add_data_func ("/precision/remembered/small", "data:vit-tiny", test_remembered);
  g_test_add_func ("/precision/read-back", test_read_back);
  g_test_add_func ("/precision/damaged", test_damaged);
  g_test_add_func ("/precision/cache-off", test_cache_off);
  g_test_add_func ("/precision/portable", test_portable);
  g_test_add_func ("/precision/outliers", test_outliers);
  g_test_add_func ("/precision/engine", test_engine);
  int status = g_test_run ();
  clip_queue_unref (queue);
  g_autofree char *command = g_strdup_printf ("rm -rf '%s'", folder);
  status += system (command) != 0;
  g_free (folder);
  return status;
}
