/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies in a model directory: shards and their index, missing and misplaced files. */
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>

#include "weights/clip-weights-private.h"

static gboolean
read_one (const char *name, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  gsize count = 1;
  for (guint i = 0; i < n_dims; i++)
    count *= shape[i];
  g_autofree float *values = g_new (float, count);
  return clip_weights_read (user_data, name, values, count, error);
}

static void
check_error (const char *path, GError *error)
{
  g_assert_error (error, CLIP_ERROR, CLIP_ERROR_MODEL);
  g_assert_true (g_str_has_prefix (error->message, path));
}

static void
write_text (const char *directory, const char *name, const void *text, gssize length)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr (GError) error = NULL;
  g_file_set_contents (path, text, length, &error);
  g_assert_no_error (error);
}

static void
remove_directory (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    g_unlink (file);
  }
  g_rmdir (path);
}

/* A directory with the control model's configuration only */
static char *
make_directory (const char *source)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *config = g_build_filename (source, "config.json", NULL), *text = NULL;
  char *directory = g_dir_make_tmp ("clip-weights-XXXXXX", &error);
  g_assert_no_error (error);
  g_assert_true (g_file_get_contents (config, &text, NULL, NULL));
  write_text (directory, "config.json", text, -1);
  return directory;
}

typedef struct {
  GString *header;
  GByteArray *data;
} Shard;

static void
shard_add (Shard *shard, const char *name, JsonObject *info, const guint8 *data)
{
  JsonArray *offsets = json_object_get_array_member (info, "data_offsets");
  gsize begin = json_array_get_int_element (offsets, 0),
        size = json_array_get_int_element (offsets, 1) - begin;
  g_autofree char *shape = json_to_string (json_object_get_member (info, "shape"), FALSE);
  g_string_append_printf (shard->header,
      "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%u,%u]}",
      shard->header->len ? "," : "{", name, json_object_get_string_member (info, "dtype"), shape,
      shard->data->len, (guint)(shard->data->len + size));
  g_byte_array_append (shard->data, data + begin, size);
}

static void
shard_write (Shard *shard, const char *directory, const char *name)
{
  g_string_append_c (shard->header, '}');
  guint64 length = GUINT64_TO_LE (shard->header->len);
  g_autoptr (GByteArray) all = g_byte_array_new ();
  g_byte_array_append (all, (guint8 *)&length, 8);
  g_byte_array_append (all, (guint8 *)shard->header->str, shard->header->len);
  g_byte_array_append (all, shard->data->data, shard->data->len);
  write_text (directory, name, all->data, all->len);
  g_string_free (shard->header, TRUE);
  g_byte_array_unref (shard->data);
}

/* Deals the tensors of @source in turn to two files, and writes an index whose names are given */
static void
split_model (const char *source, const char *directory, const char *const files[2],
    const char *const index_names[2])
{
  g_autofree char *path = g_build_filename (source, "model.safetensors", NULL), *bytes = NULL;
  gsize length;
  guint64 header;
  g_assert_true (g_file_get_contents (path, &bytes, &length, NULL));
  memcpy (&header, bytes, 8);
  header = GUINT64_FROM_LE (header);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_assert_true (json_parser_load_from_data (parser, bytes + 8, header, NULL));
  Shard shards[2] = { { g_string_new (NULL), g_byte_array_new () },
    { g_string_new (NULL), g_byte_array_new () } };
  g_autoptr (GString) index = g_string_new ("{\"metadata\":{\"total_size\":1},\"weight_map\":{");
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;
  guint i = 0;
  json_object_iter_init (&iter, json_node_get_object (json_parser_get_root (parser)));
  while (json_object_iter_next (&iter, &name, &node)) {
    if (g_str_equal (name, "__metadata__"))
      continue;
    shard_add (&shards[i % 2], name, json_node_get_object (node), (guint8 *)bytes + 8 + header);
    g_string_append_printf (index, "%s\"%s\":\"%s\"", i ? "," : "", name, index_names[i % 2]);
    i++;
  }
  g_string_append (index, "}}");
  shard_write (&shards[0], directory, files[0]);
  shard_write (&shards[1], directory, files[1]);
  write_text (directory, "model.safetensors.index.json", index->str, -1);
}

static const char *const shard_names[2]
    = { "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors" };

static void
test_sharded (void)
{
  const char *source = g_getenv ("GST_CLIP_DEMO_MODEL");
  g_autofree char *directory = make_directory (source);
  g_autoptr (GError) error = NULL;
  split_model (source, directory, shard_names, shard_names);
  g_autoptr (ClipWeights) sharded = clip_weights_open (directory, &error);
  g_assert_no_error (error);
  g_autoptr (ClipWeights) whole = clip_weights_open (source, &error);
  g_assert_no_error (error);
  const ClipModelConfig *config = clip_weights_get_config (whole);
  gsize count = (gsize)config->embed_dim * config->vision.width;
  g_autofree float *a = g_new (float, count), *b = g_new (float, count);
  g_assert_true (clip_weights_read (sharded, "vision.projection.weight", a, count, &error));
  g_assert_true (clip_weights_read (whole, "vision.projection.weight", b, count, &error));
  g_assert_cmpmem (a, count * sizeof *a, b, count * sizeof *b);
  g_assert_true (clip_weights_foreach_tensor (config, read_one, sharded, &error));
  remove_directory (directory);
}

static void
test_index_bad (void)
{
  static const char *const names[]
      = { "../model.safetensors", "/etc/passwd", "..", ".", "", "a/b.safetensors",
          ".hidden.safetensors", "a\\\\b.safetensors", "model.bin", "absent.safetensors" };
  const char *source = g_getenv ("GST_CLIP_DEMO_MODEL");
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *directory = make_directory (source);
    g_autoptr (GError) error = NULL;
    const char *const index_names[2] = { shard_names[0], names[i] };
    split_model (source, directory, shard_names, index_names);
    g_assert_null (clip_weights_open (directory, &error));
    g_test_message ("%s", error->message);
    check_error (directory, error);
    remove_directory (directory);
  }
}

static void
test_paths (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *empty = g_dir_make_tmp ("clip-weights-XXXXXX", &error);
  g_autofree char *file = g_build_filename (g_getenv ("GST_CLIP_DEMO_MODEL"), "merges.txt", NULL);
  g_autofree char *configured = make_directory (g_getenv ("GST_CLIP_DEMO_MODEL"));
  const char *const paths[] = { empty, file, configured, "/nonexistent/model", "" };
  static const char *const words[] = { "empty directory", "is no file of weights",
    "model.safetensors is missing", "no such file", "no such file" };
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autoptr (GError) local = NULL;
    g_assert_null (clip_weights_open (paths[i], &local));
    g_test_message ("%s", local->message);
    g_assert_error (local, CLIP_ERROR, CLIP_ERROR_MODEL);
    g_assert_nonnull (strstr (local->message, words[i]));
  }
  remove_directory (empty);
  remove_directory (configured);
}

/* The file of weights itself is as good as its directory */
static void
test_file_beside_config (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *file
      = g_build_filename (g_getenv ("GST_CLIP_DEMO_MODEL"), "model.safetensors", NULL);
  g_autoptr (ClipWeights) weights = clip_weights_open (file, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (clip_weights_get_config (weights)->directory, ==, g_getenv ("GST_CLIP_DEMO_MODEL"));
}

/* A config.json that asks for less than the weights hold would load and answer wrongly */
static void
test_layer_more (void)
{
  const char *source = g_getenv ("GST_CLIP_DEMO_MODEL");
  g_autofree char *directory = make_directory (source);
  g_autofree char *path = g_build_filename (source, "model.safetensors", NULL), *bytes = NULL;
  g_autofree char *config_path = g_build_filename (source, "config.json", NULL), *config = NULL;
  g_autoptr (GError) error = NULL;
  gsize length;
  g_assert_true (g_file_get_contents (path, &bytes, &length, NULL));
  g_assert_true (g_file_get_contents (config_path, &config, NULL, NULL));
  write_text (directory, "model.safetensors", bytes, length);
  g_autoptr (GString) fewer = g_string_new (config);
  g_assert_cmpuint (
      g_string_replace (fewer, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2", 0), >, 0);
  write_text (directory, "config.json", fewer->str, -1);
  g_assert_null (clip_weights_open (directory, &error));
  check_error (directory, error);
  g_assert_nonnull (
      strstr (error->message, "text_model.encoder.layers.2.layer_norm1.weight exists"));
  remove_directory (directory);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/weights/sharded", test_sharded);
  g_test_add_func ("/weights/index-bad", test_index_bad);
  g_test_add_func ("/weights/paths", test_paths);
  g_test_add_func ("/weights/file-beside-config", test_file_beside_config);
  g_test_add_func ("/weights/layer-more", test_layer_more);
  return g_test_run ();
}
