/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One model in several formats: where the stored precision is the same, every tensor is the same to the last bit. */
#include <string.h>

#include "reference.h"
#include "weights/clip-weights-private.h"

/* Each line's files hold the same numbers */
static const char *const groups[][3] = {
  { "models/vit-quickgelu/hf-fp32", "models/vit-quickgelu/openclip" },
  { "models/vit-quickgelu/openai/ViT-tiny.pt", "models/vit-quickgelu/openai/ViT-tiny-state-dict.pt" },
  { "models/bad/good-openai", "models/bad/pt-training", "models/bad/good-openai/model.pt" },
};

static ClipWeights *
open_weights (const char *relative)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = ref_path (relative);
  ClipWeights *weights = clip_weights_open (path, &error);
  g_assert_no_error (error);
  return weights;
}

static gboolean
compare (const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  ClipWeights **pair = user_data;
  gsize count = 1;
  for (guint i = 0; i < n_dims; i++)
    count *= shape[i];
  g_autofree float *a = g_new (float, count);
  g_autofree float *b = g_new (float, count);
  if (!clip_weights_read (pair[0], name, a, count, error) || !clip_weights_read (pair[1], name, b, count, error))
    return FALSE;
  g_assert_cmpmem (a, count * sizeof *a, b, count * sizeof *b);
  return TRUE;
}

static void
check_sizes (const ClipModelConfig *a, const ClipModelConfig *b)
{
  g_assert_cmpmem (&a->vision, sizeof a->vision, &b->vision, sizeof b->vision);
  g_assert_cmpmem (&a->text, sizeof a->text, &b->text, sizeof b->text);
  g_assert_cmpmem (&a->preprocess, sizeof a->preprocess, &b->preprocess, sizeof b->preprocess);
  g_assert_cmpuint (a->image_size, ==, b->image_size);
  g_assert_cmpuint (a->patch_size, ==, b->patch_size);
  g_assert_cmpuint (a->embed_dim, ==, b->embed_dim);
  g_assert_cmpuint (a->vocab_size, ==, b->vocab_size);
  g_assert_cmpuint (a->context_length, ==, b->context_length);
  g_assert_cmpint (a->bos_id, ==, b->bos_id);
  g_assert_cmpint (a->eos_id, ==, b->eos_id);
}

static void
test_group (gconstpointer data)
{
  const char *const *group = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipWeights) first = open_weights (group[0]);
  for (guint i = 1; i < G_N_ELEMENTS (groups[0]) && group[i]; i++) {
    g_autoptr (ClipWeights) other = open_weights (group[i]);
    ClipWeights *pair[] = { first, other };
    check_sizes (clip_weights_get_config (first), clip_weights_get_config (other));
    g_assert_cmpfloat (clip_weights_get_config (first)->logit_scale, ==, clip_weights_get_config (other)->logit_scale);
    clip_weights_foreach_tensor (clip_weights_get_config (first), compare, pair, &error);
    g_assert_no_error (error);
  }
}

/* A transpose and strides give the same numbers as the plain file: the projection was rounded when it was made */
static gboolean
compare_rounded (const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  ClipWeights **pair = user_data;
  gsize count = 1;
  for (guint i = 0; i < n_dims; i++)
    count *= shape[i];
  g_autofree float *a = g_new (float, count);
  g_autofree float *b = g_new (float, count);
  if (!clip_weights_read (pair[0], name, a, count, error) || !clip_weights_read (pair[1], name, b, count, error))
    return FALSE;
  for (gsize i = 0; i < count; i++) /* half a unit in the last place of fp16 */
    g_assert_cmpfloat_with_epsilon (a[i], b[i], ABS (a[i]) / 2048 + 3e-8f);
  return TRUE;
}

static void
test_strided (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipWeights) good = open_weights ("models/bad/good-openai");
  g_autoptr (ClipWeights) strided = open_weights ("models/bad/pt-strided");
  ClipWeights *pair[] = { good, strided };
  clip_weights_foreach_tensor (clip_weights_get_config (good), compare_rounded, pair, &error);
  g_assert_no_error (error);
}

static void
test_resnet (void)
{
  g_autoptr (ClipWeights) openai = open_weights ("models/resnet/openai/RN-tiny.pt");
  g_autoptr (ClipWeights) openclip = open_weights ("models/resnet/openclip");
  const ClipModelConfig *config = clip_weights_get_config (openai);
  check_sizes (config, clip_weights_get_config (openclip));
  g_assert_cmpint (config->vision_kind, ==, CLIP_VISION_RESNET);
  g_assert_cmpmem (config->stage_blocks, sizeof config->stage_blocks,
      clip_weights_get_config (openclip)->stage_blocks, sizeof config->stage_blocks);
}

/* A tensor read in parts is the tensor. */
static gboolean
compare_parts (const char *name, const guint64 *shape, guint n_dims, gpointer weights, GError **error)
{
  gsize count = 1;
  for (guint i = 0; i < n_dims; i++)
    count *= shape[i];
  g_autofree float *whole = g_new (float, count);
  g_autofree float *parts = g_new0 (float, count);
  gsize part = clip_weights_get_part (weights, name, 100);
  g_assert_cmpuint (part, >, 0);
  for (gsize first = 0; first < count; first += part) {
    if (!clip_weights_read_part (weights, name, first, parts + first, MIN (part, count - first), count, error))
      return FALSE;
  }
  if (!clip_weights_read (weights, name, whole, count, error))
    return FALSE;
  g_assert_cmpmem (whole, count * sizeof *whole, parts, count * sizeof *parts);
  return TRUE;
}

static void
test_parts (void)
{
  static const char *const models[] = { "models/vit-quickgelu/hf-fp32", "models/vit-quickgelu/hf-fp16",
    "models/vit-quickgelu/hf-bf16", "models/vit-quickgelu/openai/ViT-tiny.pt", "models/bad/pt-strided" };
  for (gsize i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (ClipWeights) weights = open_weights (models[i]);
    clip_weights_foreach_tensor (clip_weights_get_config (weights), compare_parts, weights, &error);
    g_assert_no_error (error);
    if (i < 3)
      g_assert_cmpuint (clip_weights_get_part (weights, "text.token_embedding.weight", 100), ==, 100);
  }
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
    g_test_add_func ("/formats", test_absent);
    return g_test_run ();
  }
  for (gsize i = 0; i < G_N_ELEMENTS (groups); i++) {
    g_autofree char *name = g_strdup_printf ("/formats/%s", groups[i][0]);
    g_test_add_data_func (name, groups[i], test_group);
  }
  g_test_add_func ("/formats/strided", test_strided);
  g_test_add_func ("/formats/parts", test_parts);
  g_test_add_func ("/formats/resnet", test_resnet);
  return g_test_run ();
}
