/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reference.h"

#include <json-glib/json-glib.h>
#include <string.h>

typedef struct {
  char *dtype;
  gsize *shape;
  guint n_dims;
  gsize elements, size;
  gpointer
      data; /* a copy of its own: aligned for any type, and out of bounds shows under a sanitizer */
} RefTensor;

struct _RefFile {
  char *bytes;
  gsize length;
  GHashTable *tensors; /* name -> RefTensor */
  GHashTable *meta;    /* key -> string */
};

static void
ref_tensor_free (gpointer data)
{
  RefTensor *tensor = data;
  g_free (tensor->dtype);
  g_free (tensor->shape);
  g_free (tensor->data);
  g_free (tensor);
}

gboolean
ref_available (void)
{
  const char *root = g_getenv ("CLIP_REFERENCE");
  return root && g_file_test (root, G_FILE_TEST_IS_DIR);
}

char *
ref_path (const char *relative)
{
  gboolean own = g_str_has_prefix (relative, "data:");
  const char *root = g_getenv (own ? "CLIP_TEST_DATA" : "CLIP_REFERENCE");
  return g_build_filename (root ? root : ".", own ? relative + 5 : relative, NULL);
}

static RefTensor *
parse_tensor (JsonObject *object, const char *data, gsize length)
{
  JsonArray *shape = json_object_get_array_member (object, "shape");
  JsonArray *offsets = json_object_get_array_member (object, "data_offsets");
  gsize begin = json_array_get_int_element (offsets, 0),
        end = json_array_get_int_element (offsets, 1);
  if (begin > end || end > length)
    return NULL;
  RefTensor *tensor = g_new0 (RefTensor, 1);
  tensor->dtype = g_strdup (json_object_get_string_member (object, "dtype"));
  tensor->n_dims = json_array_get_length (shape);
  tensor->shape = g_new0 (gsize, tensor->n_dims + 1);
  tensor->elements = 1;
  for (guint i = 0; i < tensor->n_dims; i++) {
    tensor->shape[i] = json_array_get_int_element (shape, i);
    tensor->elements *= tensor->shape[i];
  }
  tensor->size = end - begin;
  tensor->data = g_malloc (MAX (tensor->size, 1));
  memcpy (tensor->data, data + begin, tensor->size);
  return tensor;
}

static gboolean
parse_member (RefFile *file, const char *name, JsonNode *node, gsize header)
{
  JsonObject *object = json_node_get_object (node);
  if (g_strcmp0 (name, "__metadata__") == 0) {
    g_autoptr (GList) keys = json_object_get_members (object);
    for (GList *l = keys; l; l = l->next)
      g_hash_table_insert (file->meta, g_strdup (l->data),
          g_strdup (json_object_get_string_member (object, l->data)));
    return TRUE;
  }
  RefTensor *tensor = parse_tensor (object, file->bytes + 8 + header, file->length - 8 - header);
  if (!tensor)
    return FALSE;
  g_hash_table_insert (file->tensors, g_strdup (name), tensor);
  return TRUE;
}

static gboolean
parse_file (RefFile *file)
{
  guint64 header;
  if (file->length < 8)
    return FALSE;
  memcpy (&header, file->bytes, 8);
  header = GUINT64_FROM_LE (header);
  if (header > file->length - 8)
    return FALSE;
  g_autoptr (JsonParser) parser = json_parser_new ();
  if (!json_parser_load_from_data (parser, file->bytes + 8, header, NULL))
    return FALSE;
  JsonObject *root = json_node_get_object (json_parser_get_root (parser));
  g_autoptr (GList) names = json_object_get_members (root);
  for (GList *l = names; l; l = l->next)
    if (!parse_member (file, l->data, json_object_get_member (root, l->data), header))
      return FALSE;
  return TRUE;
}

RefFile *
ref_open (const char *relative_path)
{
  g_autofree char *path = ref_path (relative_path);
  g_autoptr (RefFile) file = g_new0 (RefFile, 1);
  file->tensors = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, ref_tensor_free);
  file->meta = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (!g_file_get_contents (path, &file->bytes, &file->length, NULL) || !parse_file (file))
    return NULL;
  g_clear_pointer (&file->bytes, g_free);
  return g_steal_pointer (&file);
}

void
ref_close (RefFile *file)
{
  if (!file)
    return;
  g_hash_table_unref (file->tensors);
  g_hash_table_unref (file->meta);
  g_free (file->bytes);
  g_free (file);
}

gboolean
ref_has (RefFile *file, const char *name)
{
  return g_hash_table_contains (file->tensors, name);
}

static RefTensor *
find (RefFile *file, const char *name, const char *const *dtypes, gsize item)
{
  RefTensor *tensor = g_hash_table_lookup (file->tensors, name);
  gboolean ok = tensor && g_strv_contains (dtypes, tensor->dtype)
                && tensor->size == tensor->elements * item;
  return ok ? tensor : NULL;
}

static gconstpointer
matrix (RefFile *file, const char *name, const char *const *dtypes, gsize item, gsize *rows,
    gsize *cols)
{
  RefTensor *tensor = find (file, name, dtypes, item);
  if (!tensor)
    return NULL;
  gsize last = tensor->n_dims ? tensor->shape[tensor->n_dims - 1] : 1;
  if (rows)
    *rows = last ? tensor->elements / last : 0;
  if (cols)
    *cols = last;
  return tensor->data;
}

static gconstpointer
vector (RefFile *file, const char *name, const char *const *dtypes, gsize item, gsize *n)
{
  RefTensor *tensor = find (file, name, dtypes, item);
  if (tensor && n)
    *n = tensor->elements;
  return tensor ? tensor->data : NULL;
}

#define DTYPES(...) ((const char *const[]){ __VA_ARGS__, NULL })

const float *
ref_f32 (RefFile *file, const char *name, gsize *rows, gsize *cols)
{
  return matrix (file, name, DTYPES ("F32"), 4, rows, cols);
}

const double *
ref_f64 (RefFile *file, const char *name, gsize *rows, gsize *cols)
{
  return matrix (file, name, DTYPES ("F64"), 8, rows, cols);
}

const guint8 *
ref_u8 (RefFile *file, const char *name, gsize *n)
{
  return vector (file, name, DTYPES ("U8"), 1, n);
}

const gint32 *
ref_i32 (RefFile *file, const char *name, gsize *n)
{
  return vector (file, name, DTYPES ("I32"), 4, n);
}

const gint64 *
ref_i64 (RefFile *file, const char *name, gsize *n)
{
  return vector (file, name, DTYPES ("I64"), 8, n);
}

const guint16 *
ref_u16 (RefFile *file, const char *name, gsize *n)
{
  return vector (file, name, DTYPES ("F16", "BF16", "U16"), 2, n);
}

const gsize *
ref_shape (RefFile *file, const char *name, guint *n_dims)
{
  RefTensor *tensor = g_hash_table_lookup (file->tensors, name);
  if (tensor && n_dims)
    *n_dims = tensor->n_dims;
  return tensor ? tensor->shape : NULL;
}

const char *
ref_meta (RefFile *file, const char *key)
{
  return g_hash_table_lookup (file->meta, key);
}
