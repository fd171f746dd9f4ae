/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checkpoints: good ones against an independent reader, broken ones against the reference's list of
 * what must happen. */
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "reference.h"
#include "weights/clip-convert.h"
#include "weights/clip-weights-private.h"

static gboolean
skip_without_reference (void)
{
  if (ref_available ())
    return FALSE;
  g_test_skip ("reference absent: set CLIP_REFERENCE");
  return TRUE;
}

static gsize
shape_count (const guint64 *shape, guint n_dims)
{
  gsize count = 1;
  for (guint i = 0; i < n_dims; i++)
    count *= shape[i];
  return count;
}

static gboolean
read_one (const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  gsize count = shape_count (shape, n_dims);
  g_autofree float *values = g_new (float, count);
  return clip_weights_read (user_data, name, values, count, error);
}

/* Opens and reads every tensor, as a model does */
static gboolean
load_all (const char *path, GError **error)
{
  g_autoptr (ClipWeights) weights = clip_weights_open (path, error);
  return weights
         && clip_weights_foreach_tensor (
             clip_weights_get_config (weights), read_one, weights, error);
}

static void
check_error (const char *path, GError *error)
{
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_MODEL);
  g_assert_cmpuint (strlen (error->message), >, strlen (path) + 10);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
}

static void
test_bad_entry (gconstpointer data)
{
  JsonObject *entry = (JsonObject *)data;
  const char *expected = json_object_get_string_member (entry, "expected");
  g_autofree char *relative
      = g_strconcat ("models/bad/", json_object_get_string_member (entry, "dir"), NULL);
  g_autofree char *path = ref_path (relative);
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  gboolean loaded = load_all (path, &error);
  g_assert_cmpint (g_get_monotonic_time () - start, <, REF_PATIENCE);
  g_test_message (
      "%s: %s", json_object_get_string_member (entry, "wrong"), loaded ? "loads" : error->message);
  if (!loaded)
    check_error (path, error);
  if (g_str_has_prefix (expected, "loads") && !strstr (expected, "error"))
    g_assert_true (loaded);
  if (g_str_has_prefix (expected, "error") && !strstr (expected, "ignored")
      && !strstr (expected, "last wins") && !strstr (expected, "or loads"))
    g_assert_false (loaded);
}

static void
add_bad_entries (JsonParser *parser)
{
  g_autofree char *path = ref_path ("models/bad/manifest.json");
  g_autoptr (GError) error = NULL;
  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  JsonArray *entries = json_node_get_array (json_parser_get_root (parser));
  for (guint i = 0; i < json_array_get_length (entries); i++) {
    JsonObject *entry = json_array_get_object_element (entries, i);
    g_autofree char *name
        = g_strconcat ("/weights/bad/", json_object_get_string_member (entry, "dir"), NULL);
    g_test_add_data_func (name, entry, test_bad_entry);
  }
}

static ClipWeights *
open_good (const char *relative)
{
  g_autofree char *path = ref_path (relative);
  g_autoptr (GError) error = NULL;
  ClipWeights *weights = clip_weights_open (path, &error);
  g_assert_no_error (error);
  return weights;
}

static void
check_tower (const ClipTransformerConfig *tower, guint width, guint layers, guint heads, guint mlp)
{
  g_assert_cmpuint (tower->width, ==, width);
  g_assert_cmpuint (tower->layers, ==, layers);
  g_assert_cmpuint (tower->heads, ==, heads);
  g_assert_cmpuint (tower->mlp_width, ==, mlp);
  g_assert_cmpint (tower->activation, ==, CLIP_ACTIVATION_QUICK_GELU);
  g_assert_cmpfloat (tower->layernorm_eps, ==, 1e-5f);
}

static void
check_ids (const ClipModelConfig *config, guint vocabulary, guint context)
{
  g_assert_cmpuint (config->vocab_size, ==, vocabulary);
  g_assert_cmpuint (config->context_length, ==, context);
  g_assert_cmpint (config->bos_id, ==, vocabulary - 2);
  g_assert_cmpint (config->eos_id, ==, vocabulary - 1);
}

static void
check_preprocess (const ClipPreprocessConfig *preprocess, guint size)
{
  g_assert_cmpuint (preprocess->size, ==, size);
  g_assert_cmpint (preprocess->mode, ==, CLIP_RESIZE_SHORTEST);
  g_assert_cmpint (preprocess->filter, ==, CLIP_FILTER_BICUBIC);
  g_assert_cmpfloat (preprocess->mean[0], ==, 0.48145466f);
  g_assert_cmpfloat (preprocess->mean[2], ==, 0.40821073f);
  g_assert_cmpfloat (preprocess->std[0], ==, 0.26862954f);
  g_assert_cmpfloat (preprocess->std[2], ==, 0.27577711f);
}

static void
test_config (void)
{
  static const char *const precisions[] = { "fp32", "fp16", "bf16" };
  if (skip_without_reference ())
    return;
  for (guint i = 0; i < G_N_ELEMENTS (precisions); i++) {
    g_autofree char *relative = g_strconcat ("models/vit-quickgelu/hf-", precisions[i], NULL);
    g_autoptr (ClipWeights) weights = open_good (relative);
    const ClipModelConfig *config = clip_weights_get_config (weights);
    check_tower (&config->vision, 128, 2, 2, 512);
    check_tower (&config->text, 64, 2, 1, 256);
    check_ids (config, 1024, 77);
    check_preprocess (&config->preprocess, 56);
    g_assert_cmpuint (config->embed_dim, ==, 96);
    g_assert_cmpuint (config->image_size, ==, 56);
    g_assert_cmpuint (config->patch_size, ==, 8);
    g_assert_cmpint (clip_weights_get_dtype (weights), ==, i);
    g_assert_cmpstr (config->name, ==, relative + strlen ("models/vit-quickgelu/"));
  }
}

static void
test_config_full_vocabulary (void)
{
  if (skip_without_reference ())
    return;
  g_autoptr (ClipWeights) weights = open_good ("models/vit-full-vocab/hf-fp16");
  const ClipModelConfig *config = clip_weights_get_config (weights);
  check_tower (&config->vision, 64, 1, 1, 256);
  check_tower (&config->text, 32, 1, 2, 128);
  check_ids (config, 49408, 77);
}

static void
test_demo (void)
{
  const char *path = g_getenv ("GST_CLIP_DEMO_MODEL");
  g_autoptr (GError) error = NULL;
  g_assert_nonnull (path);
  g_assert_true (load_all (path, &error));
  g_assert_no_error (error);
  g_autoptr (ClipWeights) weights = clip_weights_open (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (clip_weights_get_config (weights)->name, ==, "demo");
  check_preprocess (&clip_weights_get_config (weights)->preprocess,
      clip_weights_get_config (weights)->image_size);
  g_assert_cmpfloat (clip_weights_get_config (weights)->logit_scale, >, 1);
}

typedef struct {
  ClipWeights *weights;
  RefFile *file;
  guint dtype, seen;
} Compare;

/* The value of a half by its definition, (-1)^s 2^(e-15) 1.m, in double */
static double
half_value (guint16 half)
{
  int exponent = half >> 10 & 31, mantissa = half & 1023;
  double value = exponent ? ldexp (1024 + mantissa, exponent - 25) : ldexp (mantissa, -24);
  return half & 0x8000 ? -value : value;
}

static double
bfloat_value (guint16 bits)
{
  int exponent = bits >> 7 & 255, mantissa = bits & 127;
  double value = exponent ? ldexp (128 + mantissa, exponent - 134) : ldexp (mantissa, -133);
  return bits & 0x8000 ? -value : value;
}

static gboolean
compare_one (
    const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  Compare *compare = user_data;
  gsize count = shape_count (shape, n_dims), n = count;
  g_autofree float *values = g_new (float, count);
  g_autofree char *stored = clip_hf_stored_name (name);
  if (!clip_weights_read (compare->weights, name, values, count, error))
    return FALSE;
  const float *f32 = ref_f32 (compare->file, stored, NULL, NULL);
  const guint16 *u16 = ref_u16 (compare->file, stored, &n);
  g_assert_cmpuint (n, ==, count);
  for (gsize i = 0; i < count; i++) {
    double expected = compare->dtype == CLIP_DTYPE_F32   ? f32[i]
                      : compare->dtype == CLIP_DTYPE_F16 ? half_value (u16[i])
                                                         : bfloat_value (u16[i]);
    g_assert_cmpfloat (values[i], ==, expected);
  }
  compare->seen++;
  return TRUE;
}

static void
test_values (void)
{
  static const char *const precisions[] = { "fp32", "fp16", "bf16" };
  if (skip_without_reference ())
    return;
  for (guint i = 0; i < G_N_ELEMENTS (precisions); i++) {
    g_autofree char *relative = g_strconcat ("models/vit-quickgelu/hf-", precisions[i], NULL);
    g_autofree char *tensors = g_strconcat (relative, "/model.safetensors", NULL);
    g_autoptr (ClipWeights) weights = open_good (relative);
    g_autoptr (RefFile) file = ref_open (tensors);
    g_autoptr (GError) error = NULL;
    Compare compare = { weights, file, i, 0 };
    g_assert_true (clip_weights_foreach_tensor (
        clip_weights_get_config (weights), compare_one, &compare, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (compare.seen, ==, 8 + 5 + 2 * 2 * 16);
    double scale = i == 0   ? *ref_f32 (file, "logit_scale", NULL, NULL)
                   : i == 1 ? half_value (*ref_u16 (file, "logit_scale", NULL))
                            : bfloat_value (*ref_u16 (file, "logit_scale", NULL));
    g_assert_cmpfloat_with_epsilon (
        clip_weights_get_config (weights)->logit_scale, exp (scale), 1e-5 * exp (scale));
  }
}

static void
test_convert (void)
{
  g_autofree guint8 *halves = g_malloc (2 * 65536 + 1);
  g_autofree float *fast = g_new (float, 65536), *portable = g_new (float, 65536);
  guint8 *odd = halves + 1; /* an address that no type would choose */
  for (guint i = 0; i < 65536; i++) {
    odd[2 * i] = i & 255;
    odd[2 * i + 1] = i >> 8;
  }
  clip_convert_f16 (odd, fast, 65536);
  clip_convert_f16_portable (odd, portable, 65536);
  for (guint i = 0; i < 65536; i++) {
    gboolean finite = (i & 0x7c00) != 0x7c00;
    g_assert_true (isfinite (fast[i]) == finite && isfinite (portable[i]) == finite);
    g_assert_true (isnan (fast[i]) == isnan (portable[i]));
    if (!isnan (fast[i]))
      g_assert_cmpfloat (fast[i], ==, portable[i]);
    if (finite)
      g_assert_cmpfloat (portable[i], ==, half_value (i));
  }
  clip_convert_bf16 (odd, fast, 65536);
  for (guint i = 0; i < 65536; i++)
    if ((i & 0x7f80) != 0x7f80)
      g_assert_cmpfloat (fast[i], ==, bfloat_value (i));
}

static void
test_mismatch_message (void)
{
  if (skip_without_reference ())
    return;
  g_autofree char *path = ref_path ("models/bad/hf-shape-transposed");
  g_autoptr (GError) error = NULL;
  g_assert_null (clip_weights_open (path, &error));
  g_assert_nonnull (strstr (error->message,
      "model.safetensors: tensor visual_projection.weight is [16,8], expected "
      "[8,16]; is this another model's configuration?"));
}

static void
test_no_reference (void)
{
  skip_without_reference ();
}

int
main (int argc, char **argv)
{
  g_autoptr (JsonParser) bad = json_parser_new ();
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/weights/convert", test_convert);
  g_test_add_func ("/weights/demo", test_demo);
  g_test_add_func ("/weights/config", test_config);
  g_test_add_func ("/weights/config-full-vocabulary", test_config_full_vocabulary);
  g_test_add_func ("/weights/values", test_values);
  g_test_add_func ("/weights/mismatch-message", test_mismatch_message);
  if (ref_available ())
    add_bad_entries (bad);
  else
    g_test_add_func ("/weights/bad", test_no_reference);
  return g_test_run ();
}
