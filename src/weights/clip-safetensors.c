/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights/clip-safetensors.h"

#include <string.h>

#include "weights/clip-json.h"

/* The largest CLIP header is under 200 KB; JSON trees take some 30 times their text. */
#define MAX_HEADER (16u << 20)

typedef struct {
  ClipTensorFile *file;
  const guint8 *data; /* after the header */
  gsize length;
} Source;

static const struct {
  const char *name;
  guint8 size;
} dtypes[] = { { "F32", 4 }, { "F16", 2 }, { "BF16", 2 }, { "F64", 8 }, { "I64", 8 }, { "I32", 4 },
  { "I16", 2 }, { "I8", 1 }, { "U8", 1 }, { "BOOL", 1 }, { "U16", 2 }, { "U32", 4 }, { "U64", 8 },
  { "F8_E4M3", 1 }, { "F8_E5M2", 1 }, { "F8_E8M0", 1 }, { "C64", 8 } };

static JsonArray *
array_member (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);
  return node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

static gboolean
parse_dtype (JsonObject *object, ClipTensor *tensor, gsize *item, GError **error)
{
  const char *found = NULL;
  if (!clip_json_read_string (object, "dtype", &found, error))
    return FALSE;
  for (gsize i = 0; found && i < G_N_ELEMENTS (dtypes); i++)
    if (g_str_equal (found, dtypes[i].name)) {
      tensor->dtype = dtypes[i].name;
      *item = dtypes[i].size;
      return TRUE;
    }
  return clip_model_error (error, "dtype is %.40s, expected F32, F16, BF16 or another of the format's types",
      found ? found : "absent");
}

/* TRUE with the product of @shape in tensor->count */
static gboolean
parse_shape (JsonObject *object, ClipTensor *tensor, GError **error)
{
  JsonArray *shape = array_member (object, "shape");
  if (!shape || json_array_get_length (shape) > CLIP_TENSOR_MAX_DIMS)
    return clip_model_error (error, "shape is absent or has more than %d dimensions", CLIP_TENSOR_MAX_DIMS);
  tensor->n_dims = json_array_get_length (shape);
  tensor->count = 1;
  for (guint i = 0; i < tensor->n_dims; i++) {
    if (!clip_json_node_uint (json_array_get_element (shape, i), &tensor->shape[i]))
      return clip_model_error (error, "dimension %u of the shape is not a whole number of 0 or more", i);
    if (!g_size_checked_mul (&tensor->count, tensor->count, tensor->shape[i]))
      return clip_model_error (error, "the shape has more elements than memory can hold");
  }
  return TRUE;
}

static gboolean
parse_offsets (JsonObject *object, ClipTensor *tensor, const Source *source, GError **error)
{
  JsonArray *offsets = array_member (object, "data_offsets");
  guint64 begin, end;
  if (!offsets || json_array_get_length (offsets) != 2
      || !clip_json_node_uint (json_array_get_element (offsets, 0), &begin)
      || !clip_json_node_uint (json_array_get_element (offsets, 1), &end))
    return clip_model_error (error, "data_offsets is not two whole numbers of 0 or more");
  if (begin > end || end > source->length)
    return clip_model_error (error,
        "data_offsets are %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT
        ", but the file has %" G_GSIZE_FORMAT " bytes of data; was it cut?",
        begin, end, source->length);
  tensor->data = source->data + begin;
  tensor->size = end - begin;
  return TRUE;
}

static gboolean
parse_tensor (JsonNode *node, ClipTensor *tensor, const Source *source, GError **error)
{
  gsize item = 0, size;
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return clip_model_error (error, "is not an object with dtype, shape and data_offsets");
  JsonObject *object = json_node_get_object (node);
  if (!parse_dtype (object, tensor, &item, error) || !parse_shape (object, tensor, error)
      || !parse_offsets (object, tensor, source, error))
    return FALSE;
  if (g_size_checked_mul (&size, tensor->count, item) && size == tensor->size)
    return TRUE;
  g_autofree char *shape = clip_tensor_shape_string (tensor->shape, tensor->n_dims);
  return clip_model_error (error, "is %s %s, which does not fit its %" G_GSIZE_FORMAT " bytes", tensor->dtype,
      shape, tensor->size);
}

static int
compare_place (gconstpointer a, gconstpointer b)
{
  const ClipTensor *x = *(ClipTensor *const *)a, *y = *(ClipTensor *const *)b;
  if (x->data != y->data)
    return x->data < y->data ? -1 : 1;
  return x->size < y->size ? -1 : x->size > y->size;
}

/* In the order of the file each tensor begins where the one before it ends: the format allows
 * neither overlap nor hole */
static gboolean
check_cover (const Source *source, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new ();
  g_autoptr (GList) names = clip_tensor_file_get_names (source->file);
  for (GList *l = names; l; l = l->next)
    g_ptr_array_add (all, (gpointer)clip_tensor_file_lookup (source->file, l->data));
  g_ptr_array_sort (all, compare_place);
  const guint8 *next = source->data;
  for (guint i = 0; i < all->len; i++) {
    const ClipTensor *tensor = all->pdata[i];
    if (tensor->data != next)
      return clip_model_error (error, "tensors %s at byte %" G_GSIZE_FORMAT " of the data; the file is damaged",
          tensor->data < next ? "overlap" : "leave a hole", (gsize)(tensor->data - source->data));
    next += tensor->size;
  }
  gsize rest = source->data + source->length - next;
  return rest == 0
         || clip_model_error (error, "%" G_GSIZE_FORMAT " bytes follow the last tensor; the file is damaged", rest);
}

static gboolean
parse_members (const Source *source, JsonObject *root, GError **error)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *node;
  json_object_iter_init (&iter, root);
  while (json_object_iter_next (&iter, &name, &node)) {
    ClipTensor tensor = { 0 };
    if (g_str_equal (name, "__metadata__"))
      continue;
    if (!parse_tensor (node, &tensor, source, error)) {
      g_prefix_error (error, "tensor %.200s: ", name);
      return FALSE;
    }
    clip_tensor_file_add (source->file, name, &tensor);
  }
  return check_cover (source, error);
}

static gboolean
parse_bytes (ClipTensorFile *file, GError **error)
{
  gsize length;
  const guint8 *bytes = clip_tensor_file_get_bytes (file, &length);
  guint64 header;
  if (length < 8)
    return clip_model_error (error,
        "has %" G_GSIZE_FORMAT " bytes, too few for a safetensors file; download it again", length);
  memcpy (&header, bytes, 8);
  header = GUINT64_FROM_LE (header);
  if (header > length - 8 || header > MAX_HEADER)
    return clip_model_error (error,
        "header of %" G_GUINT64_FORMAT " bytes in a file of %" G_GSIZE_FORMAT
        ": cut, or not a safetensors file; download it again",
        header, length);
  Source source = { file, bytes + 8 + header, length - 8 - header };
  g_autoptr (JsonNode) root = clip_json_parse ((const char *)bytes + 8, header, error);
  if (!root) {
    g_prefix_error (error, "header: ");
    return FALSE;
  }
  return parse_members (&source, json_node_get_object (root), error);
}

ClipTensorFile *
clip_safetensors_parse (const guint8 *data, gsize length, const char *name, GError **error)
{
  return clip_tensor_file_read (clip_tensor_file_new (data, length, name), parse_bytes, error);
}

ClipTensorFile *
clip_safetensors_open (const char *path, GError **error)
{
  return clip_tensor_file_read (clip_tensor_file_map (path, error), parse_bytes, error);
}

gboolean
clip_safetensors_detect_file (const char *path)
{
  g_autoptr (ClipTensorFile) file = clip_tensor_file_map (path, NULL);
  gsize length = 0;
  const guint8 *bytes = file ? clip_tensor_file_get_bytes (file, &length) : NULL;
  return length > 8 && bytes[8] == '{';
}
