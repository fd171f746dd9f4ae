/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GGUF files, written by make_gguf.py as clip.cpp writes them: every tensor, parity, tokens, damage. */
#define _GNU_SOURCE /* memmem */
#include <glib/gstdio.h>
#include <string.h>

#include "parity.h"
#include "text/clip-text-private.h"
#include "weights/clip-gguf.h"
#include "weights/clip-weights-private.h"

#define PYTHON "/usr/bin/python3"

static char *folder;
static ClipQueue *queue;

/* (transfer full) (nullable): FILE.gguf, and its meaning in a directory FILE.hf; NULL: the test is skipped */
static char *
write_gguf (const char *model, const char *type, const char *flag)
{
  g_autofree char *source = ref_path (model);
  g_autofree char *script = g_build_filename (g_getenv ("CLIP_TEST_DATA"), "..", "weights", "make_gguf.py", NULL);
  g_autofree char *base = g_strdelimit (g_strdup (model), "/:", '-');
  g_autofree char *path = g_strdup_printf ("%s/%s-%s%s.gguf", folder, base, type, flag ? flag : "");
  g_autofree char *meaning = g_strdup_printf ("%s.hf", path), *message = NULL;
  char *const arguments[]
      = { PYTHON, script, source, path, (char *) type, "--expected", meaning, (char *) flag, NULL };
  g_autoptr (GError) error = NULL;
  int status = 0;
  if (!source || !g_file_test (source, G_FILE_TEST_IS_DIR)) {
    g_test_skip ("reference absent");
    return NULL;
  }
  g_spawn_sync (NULL, (char **) arguments, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &message, &status, &error);
  if (error || strstr (message, "No module named 'numpy'")) {
    g_test_skip ("Python with numpy absent");
    return NULL;
  }
  g_test_message ("%s", message);
  g_assert_cmpint (status, ==, 0);
  return g_steal_pointer (&path);
}

static ClipWeights *
open_weights (const char *path)
{
  g_autoptr (GError) error = NULL;
  ClipWeights *weights = clip_weights_open (path, &error);
  g_assert_no_error (error);
  return weights;
}

typedef struct {
  ClipWeights *got, *want;
  guint seen;
} Pair;

/* What a reader of parts gets, blocks of 32 included */
static void
check_parts (ClipWeights *weights, const char *name, const float *whole, gsize count)
{
  g_autofree float *parts = g_new0 (float, count);
  gsize part = clip_weights_get_part (weights, name, 100);
  for (gsize first = 0; first < count; first += part)
    g_assert_true (
        clip_weights_read_part (weights, name, first, parts + first, MIN (part, count - first), count, NULL));
  g_assert_cmpmem (whole, count * sizeof *whole, parts, count * sizeof *parts);
}

static gboolean
compare_tensor (const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  Pair *pair = user_data;
  gsize count = 1;
  for (guint i = 0; i < n_dims; i++)
    count *= shape[i];
  g_autofree float *got = g_new (float, count), *want = g_new (float, count);
  if (!clip_weights_read (pair->got, name, got, count, error) || !clip_weights_read (pair->want, name, want, count, error))
    return FALSE;
  if (memcmp (got, want, count * sizeof *got) != 0)
    g_test_message ("%s differs", name);
  g_assert_cmpmem (got, count * sizeof *got, want, count * sizeof *want);
  check_parts (pair->got, name, got, count);
  pair->seen++;
  return TRUE;
}

static void
check_same (const char *got_path, const char *want_path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipWeights) got = open_weights (got_path), want = open_weights (want_path);
  Pair pair = { got, want, 0 };
  const ClipModelConfig *a = clip_weights_get_config (got), *b = clip_weights_get_config (want);
  clip_weights_foreach_tensor (b, compare_tensor, &pair, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (pair.seen, >, 40);
  g_assert_cmpmem (&a->vision, sizeof a->vision, &b->vision, sizeof b->vision);
  g_assert_cmpmem (&a->text, sizeof a->text, &b->text, sizeof b->text);
  g_assert_cmpmem (&a->preprocess, sizeof a->preprocess, &b->preprocess, sizeof b->preprocess);
  g_assert_cmpuint (a->vocab_size, ==, b->vocab_size);
  g_assert_cmpint (a->eos_id, ==, b->eos_id);
  g_assert_cmpuint (a->context_length, ==, b->context_length);
  g_assert_cmpfloat (a->logit_scale, ==, 100.0f);
}

typedef struct {
  const char *model, *type, *flag;
  ClipDtype dtype;
  gboolean exact;     /* the file holds the directory's very values */
  const char *golden; /* (nullable) */
} Case;

static const Case cases[] = {
  { "data:vit-tiny", "f32", "--patch-f32", CLIP_DTYPE_F32, TRUE, "data:vit-tiny/expected.safetensors" },
  { "data:vit-tiny", "f32", NULL, CLIP_DTYPE_F32, FALSE, NULL },
  { "data:vit-tiny", "f32", "--version=2", CLIP_DTYPE_F32, FALSE, NULL },
  { "data:vit-tiny", "q8_0", NULL, CLIP_DTYPE_F32, FALSE, NULL },
  { "data:vit-gelu-fp16", "f16", NULL, CLIP_DTYPE_F16, TRUE, "data:vit-gelu-fp16/expected.safetensors" },
  { "models/vit-quickgelu/hf-fp32", "f32", "--patch-f32", CLIP_DTYPE_F32, TRUE,
      "models/vit-quickgelu/expected-fp32.safetensors" },
  { "models/vit-quickgelu/hf-fp16", "f16", NULL, CLIP_DTYPE_F16, TRUE, "models/vit-quickgelu/expected-fp16.safetensors" },
  { "models/vit-full-vocab/hf-fp16", "f16", NULL, CLIP_DTYPE_F16, TRUE, "models/vit-full-vocab/expected-fp16.safetensors" },
  { "models/vit-quickgelu/hf-fp32", "q8_0", NULL, CLIP_DTYPE_Q8_0, FALSE, NULL },
  { "models/vit-quickgelu/hf-fp32", "q5_1", NULL, CLIP_DTYPE_Q5_1, FALSE, NULL },
  { "models/vit-quickgelu/hf-fp32", "q5_0", NULL, CLIP_DTYPE_Q5_0, FALSE, NULL },
  { "models/vit-quickgelu/hf-fp32", "q4_1", NULL, CLIP_DTYPE_Q4_1, FALSE, NULL },
  { "models/vit-quickgelu/hf-fp32", "q4_0", NULL, CLIP_DTYPE_Q4_0, FALSE, NULL },
};

static void
test_tensors (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *path = write_gguf (c->model, c->type, c->flag);
  if (!path)
    return;
  g_autofree char *meaning = g_strconcat (path, ".hf", NULL), *source = ref_path (c->model);
  check_same (path, meaning);
  if (c->exact)
    check_same (path, source);
  g_autoptr (ClipWeights) weights = open_weights (path);
  if (!g_str_has_prefix (c->model, "data:") || c->exact)
    g_assert_cmpint (clip_weights_get_dtype (weights), ==, c->dtype);
}

/* Embeddings only: clip.cpp keeps no logit_scale */
static void
test_parity (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (RefFile) golden = ref_open (c->golden);
  g_autofree char *path = golden ? write_gguf (c->model, c->type, c->flag) : NULL;
  gsize rows, cols, n, p, d;
  if (!path) {
    if (!golden)
      g_test_skip ("reference absent");
    return;
  }
  g_autoptr (ClipModel) model = clip_model_load (queue, path, CLIP_PRECISION_FP32, &error);
  g_assert_no_error (error);
  const float *want_images = ref_f32 (golden, "image_embeds", &n, &d), *pixels = ref_f32 (golden, "pixel_values", &rows, &cols);
  const float *want_texts = ref_f32 (golden, "text_embeds", &p, NULL);
  gsize size = rows * cols * sizeof (float);
  g_autoptr (ClipBuffer) buffer = clip_buffer_new (clip_queue_get_device (queue), size, &error);
  g_assert_no_error (error);
  g_assert_true (clip_buffer_write (buffer, queue, 0, pixels, size, &error));
  g_autofree float *images = g_new (float, n * d), *texts = parity_encode_golden_texts (model, golden);
  g_assert_true (clip_model_encode_pixels (model, buffer, n, images, NULL, &error));
  ParityResult image = parity_compare (images, want_images, n, d), text = parity_compare (texts, want_texts, p, d);
  g_test_message ("images %.2e, texts %.2e", image.embedding, text.embedding);
  g_assert_true (parity_holds (image) && parity_holds (text));
}

/* The merges recovered from the tokens are those of the model's own files, each with its rank */
static void
test_merges (gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *source_path = ref_path (data), *path = write_gguf (data, "f16", NULL);
  if (!path)
    return;
  g_autoptr (ClipWeights) weights = open_weights (path);
  const ClipModelConfig *config = clip_weights_get_config (weights);
  g_autoptr (ClipVocabularySource) source = clip_vocabulary_source_find (source_path, config->vocab_size, &error);
  g_assert_no_error (error);
  g_autoptr (ClipVocabulary) want = clip_vocabulary_new (source, &error);
  g_assert_no_error (error);
  g_autoptr (ClipVocabulary) got = clip_vocabulary_new_from_tokens ("tokens", config->tokens, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (source->merges->len, >, 0);
  g_assert_cmpuint (g_hash_table_size (got->by_pair), ==, source->merges->len);
  g_assert_cmpmem (got->merges, source->merges->len * sizeof *got->merges, want->merges, source->merges->len * sizeof *want->merges);
  g_assert_cmpmem (got->inner, sizeof got->inner, want->inner, sizeof want->inner);
  g_assert_cmpmem (got->final, sizeof got->final, want->final, sizeof want->final);
  g_assert_cmpint (got->end, ==, want->end);
  g_autoptr (ClipTokenizer) tokenizer = clip_model_open_tokenizer (config, &error);
  g_assert_no_error (error);
  g_autoptr (GArray) ids = clip_tokenizer_encode (tokenizer, "a photo", -1, &error);
  g_assert_cmpint (g_array_index (ids, gint32, ids->len - 1), ==, config->eos_id);
}

/* Bytes behind a text that occurs once in the file's header, replaced */
static const struct {
  const char *find;
  int at; /* from the text's end */
  const char *bytes;
  guint size;
  const char *message;
} patches[] = {
  { "GGUF", -4, "GGUX", 4, NULL },
  { "GGUF", 0, "\1\0\0\0", 4, "version 1" },
  { "GGUF", 0, "\0\0\0\3", 4, "big endian" },
  { "GGUF", 0, "\4\0\0\0", 4, "version 4" },
  { "GGUF", 4, "\377\377\377\377\377\377\377\377", 8, "tensors" },
  { "GGUF", 12, "\377\377\377\377\377\377\377\377", 8, "values" },
  { "GGUF", 12, "\377\0\0\0\0\0\0\0", 8, "file" }, /* more values than there are: reads tensors as such */
  { "general.architecture", 12, "bert", 4, "bert, expected clip" },
  { "general.architecture", 4, "\377\377\377\377\377\377\377\177", 8, "was it cut" },
  { "general.architecture", 0, "\15\0\0\0", 4, "type 13" },
  { "general.architecture", -1, "x", 1, "general.architecture is missing" },
  { "clip.has_text_encoder", 4, "\0", 1, "has_text_encoder is false" },
  { "clip.has_text_encoder", -1, "x", 1, "has_text_encoder is false or missing" },
  { "clip.has_text_encoder", 4, "\2", 1, "byte 2" },
  { "clip.has_vision_encoder", 4, "\0", 1, "has_vision_encoder is false" },
  { "clip.use_gelu", -1, "x", 1, "clip.use_gelu is missing" },
  { "clip.use_gelu", 0, "\1", 1, "is i8, expected bool" },
  { "clip.text.block_count", 4, "\1", 1, "block_count is 1" },
  { "clip.text.block_count", 4, "\3", 1, "t.blk.2.ln1.weight is missing" },
  { "clip.text.block_count", 4, "\0\0\0\200", 4, "expected 1 to 256" },
  { "clip.text.block_count", 0, "\6", 1, "is f32, expected a whole number" },
  { "clip.text.attention.head_count", 4, "\7", 1, "divisor" },
  { "clip.vision.patch_size", 4, "\7", 1, "divisor of image_size" },
  { "clip.vision.projection_dim", 4, "\7", 1, "projection_dim" },
  { "clip.vision.image_mean", 8, "\377\377\377\377\377\377\377\77", 8, "was it cut" },
  { "clip.vision.image_mean", 8, "\2", 1, NULL },
  { "clip.vision.image_mean", 16, "\0\0\300\177", 4, "image_mean is nan" },
  { "clip.vision.image_std", 16, "\0\0\0\0", 4, "image_std is 0" },
  { "tokenizer.ggml.tokens", 8, "\377\377\377\377\377\377\377\377", 8, "strings, expected at most" },
  { "tokenizer.ggml.tokens", 8, "\377\377\377\0\0\0\0\0", 8, NULL },
  { "tokenizer.ggml.tokens", 4, "\11", 1, "type 9" },
  { "tokenizer.ggml.tokens", -1, "x", 1, "tokens is missing" },
  { "v.class_embd", 0, "\5", 1, "5 dimensions" },
  { "v.class_embd", 4, "\377\377\377\377\377\377\377\377", 8, "more elements" },
  { "v.class_embd", 4, "\1", 1, "lies at" }, /* the next one */
  { "v.class_embd", 12, "\14", 1, "Q4_K" },
  { "v.class_embd", 12, "\377", 1, "unknown type 255" },
  { "v.class_embd", 16, "\1", 1, "lies at" },
  { "v.class_embd", 16, "\377\377\377\377\377\377\377\377", 8, "lies at" },
  { "v.class_embd", -1, "\377", 1, "UTF-8" },
  { "v.class_embd", -1, "x", 1, "v.class_embd is missing" },
  { "v.blk.1.ln1.weight", -12, "\60", 1, "twice" },
  { "v.class_embd", -18, "\377\377\377\377\377\377\377\377", 8, "name of" },
};

static void
check_refused (const char *path, const char *message)
{
  g_autoptr (GError) error = NULL;
  gint64 start = g_get_monotonic_time ();
  g_assert_null (clip_weights_open (path, &error));
  g_assert_cmpint (g_get_monotonic_time () - start, <, REF_PATIENCE);
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_MODEL);
  g_test_message ("%s", error->message);
  if (message && !strstr (error->message, message))
    g_error ("expected \"%s\" in: %s", message, error->message);
}

static void
test_damaged (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = write_gguf ("data:vit-tiny", "f32", NULL), *bytes = NULL;
  g_autofree char *bad = g_build_filename (folder, "bad.gguf", NULL);
  gsize length;
  if (!path)
    return;
  g_assert_true (g_file_get_contents (path, &bytes, &length, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (patches); i++) {
    g_autofree char *copy = g_memdup2 (bytes, length);
    char *at = memmem (copy, length, patches[i].find, strlen (patches[i].find));
    g_assert_nonnull (at);
    memcpy (at + strlen (patches[i].find) + patches[i].at, patches[i].bytes, patches[i].size);
    g_assert_true (g_file_set_contents (bad, copy, length, &error));
    g_test_message ("patch %u", (guint) i);
    check_refused (bad, patches[i].message);
  }
}

static void
test_cut (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = write_gguf ("data:vit-tiny", "q8_0", NULL), *bytes = NULL;
  gsize length;
  if (!path)
    return;
  g_assert_true (g_file_get_contents (path, &bytes, &length, NULL));
  for (gsize cut = 0; cut + 32 < length; cut += cut < 4096 || cut + 8192 > length ? 1 : 211) {
    g_autofree guint8 *copy = g_memdup2 (bytes, cut); /* so that ASan sees one byte too many */
    g_autoptr (ClipGguf) gguf = clip_gguf_parse (copy, cut, "cut", &error);
    g_autoptr (ClipTensorFile) file = gguf ? clip_gguf_take_tensors (gguf, &error) : NULL;
    g_assert_null (file);
    g_assert_error (error, CLIP_ERROR, CLIP_ERROR_MODEL);
    g_clear_error (&error);
  }
}

/* What a user may mistake for a CLIP model: llava's projector with its image encoder, a language model */
static void
test_others (void)
{
  static const char llama[] = "GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
                              "\24\0\0\0\0\0\0\0general.architecture\10\0\0\0\5\0\0\0\0\0\0\0llama"
                              "\1\0\0\0\0\0\0\0x\1\0\0\0\0\1\0\0\0\0\0\0\14\0\0\0\0\0\0\0\0\0\0\0";
  static const char mmproj[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0"
                               "\24\0\0\0\0\0\0\0general.architecture\10\0\0\0\4\0\0\0\0\0\0\0clip"
                               "\25\0\0\0\0\0\0\0clip.has_text_encoder\7\0\0\0\0"
                               "\27\0\0\0\0\0\0\0clip.has_vision_encoder\7\0\0\0\1"
                               "\30\0\0\0\0\0\0\0clip.has_llava_projector\7\0\0\0\1";
  g_autofree char *path = g_build_filename (folder, "other.gguf", NULL);
  g_assert_true (g_file_set_contents (path, llama, sizeof llama - 1, NULL));
  check_refused (path, "general.architecture is llama, expected clip");
  g_assert_true (g_file_set_contents (path, mmproj, sizeof mmproj - 1, NULL));
  check_refused (path, "mmproj");
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *child = g_build_filename (path, name, NULL);
    remove_tree (child);
  }
  g_remove (path);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (ClipDevice) device = clip_device_open (NULL, &error);
  g_assert_no_error (error);
  queue = clip_queue_new (device, &error);
  g_assert_no_error (error);
  folder = g_dir_make_tmp ("clip-gguf-XXXXXX", &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *name = g_strdup_printf ("%s-%s%s", cases[i].model, cases[i].type, cases[i].flag ? cases[i].flag : "");
    g_strdelimit (name, "/:", '-');
    g_autofree char *tensors = g_strdup_printf ("/gguf/tensors/%s", name), *parity = g_strdup_printf ("/gguf/parity/%s", name);
    g_test_add_data_func (tensors, &cases[i], test_tensors);
    if (cases[i].golden)
      g_test_add_data_func (parity, &cases[i], test_parity);
  }
  g_test_add_data_func ("/gguf/merges/vit-tiny", "data:vit-tiny", test_merges);
  g_test_add_data_func ("/gguf/merges/small", "models/vit-quickgelu/hf-fp16", test_merges);
  g_test_add_data_func ("/gguf/merges/full", "models/vit-full-vocab/hf-fp16", test_merges);
  g_test_add_func ("/gguf/damaged", test_damaged);
  g_test_add_func ("/gguf/cut", test_cut);
  g_test_add_func ("/gguf/others", test_others);
  int result = g_test_run ();
  remove_tree (folder);
  g_free (folder);
  clip_queue_unref (queue);
  return result;
}
