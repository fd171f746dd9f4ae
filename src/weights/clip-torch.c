/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The archive's layout: torch's caffe2/serialize/inline_container.h; the pickle's tensors: torch/_utils.py
 * _rebuild_tensor_v2; its storages: torch/serialization.py persistent_id. */
#include "weights/clip-torch.h"

#include <string.h>

#include "weights/clip-pickle.h"
#include "weights/clip-zip.h"

#define MAX_PICKLE (8u << 20) /* the largest CLIP has 200 KB */
#define MAX_DEPTH 64          /* of modules in modules */
#define MAX_NAME 1024

typedef struct {
  ClipTensorFile *file;
  GHashTable *members; /* name -> ClipZipMember */
  char *root;          /* "archive/": what all members begin with */
  GHashTable *seen;    /* modules on the way down: a cycle ends there */
  guint tensors;
} Archive;

static const struct {
  const char *storage, *dtype;
  guint size;
} types[] = { { "torch.FloatStorage", "F32", 4 }, { "torch.HalfStorage", "F16", 2 },
  { "torch.BFloat16Storage", "BF16", 2 }, { "torch.DoubleStorage", "F64", 8 }, { "torch.LongStorage", "I64", 8 },
  { "torch.IntStorage", "I32", 4 }, { "torch.ShortStorage", "I16", 2 }, { "torch.CharStorage", "I8", 1 },
  { "torch.ByteStorage", "U8", 1 }, { "torch.BoolStorage", "BOOL", 1 } };

/* The @index th item when it is of this kind */
static const ClipPickleValue *
item (const ClipPickleValue *value, guint index, ClipPickleKind kind)
{
  const ClipPickleValue *found
      = value->items && index < value->items->len ? value->items->pdata[index] : NULL;
  return found && found->kind == kind ? found : NULL;
}

/* The bytes of a storage: ('storage', type, key, device, count) */
static gboolean
find_storage (Archive *archive, const ClipPickleValue *storage, guint *type, gsize *count, const guint8 **data,
    GError **error)
{
  const ClipPickleValue *class = item (storage, 1, CLIP_PICKLE_GLOBAL), *key = item (storage, 2, CLIP_PICKLE_STRING);
  const ClipPickleValue *length = item (storage, 4, CLIP_PICKLE_INT);
  if (!class || !key || !length || length->integer < 0)
    return clip_model_error (error, "its storage is not described as torch does");
  for (*type = 0; *type < G_N_ELEMENTS (types); ++*type)
    if (g_str_equal (class->string, types[*type].storage))
      break;
  if (*type == G_N_ELEMENTS (types))
    return clip_model_error (error, "its storage is a %.60s, expected FloatStorage, HalfStorage or BFloat16Storage", class->string);
  g_autofree char *name = g_strconcat (archive->root, "data/", key->string, NULL);
  const ClipZipMember *member = g_hash_table_lookup (archive->members, name);
  if (!member)
    return clip_model_error (error, "the archive lacks its member %.100s; download it again", name);
  *count = length->integer;
  if (member->deflated)
    return clip_model_error (error, "member %.100s is packed, which torch does not do; load and save it again with torch", name);
  if (*count > member->size / types[*type].size)
    return clip_model_error (error, "member %.100s has %" G_GSIZE_FORMAT " bytes, too few for %" G_GSIZE_FORMAT " elements of %s", name,
        member->size, *count, types[*type].dtype);
  *data = member->data;
  return TRUE;
}

/* Shape and strides; FALSE with an error where they do not lie inside @count elements from @offset on. *span: elements
 * from the first to the last */
static gboolean
read_shape (const ClipPickleValue *value, ClipTensor *tensor, gsize offset, gsize count, gsize *span, GError **error)
{
  const ClipPickleValue *shape = item (value, 2, CLIP_PICKLE_LIST), *strides = item (value, 3, CLIP_PICKLE_LIST);
  if (!shape || !strides || shape->items->len != strides->items->len || shape->items->len > CLIP_TENSOR_MAX_DIMS)
    return clip_model_error (error, "its shape and strides are no two lists of at most %d numbers", CLIP_TENSOR_MAX_DIMS);
  gsize last = 0, expected = 1;
  tensor->n_dims = shape->items->len;
  tensor->count = 1;
  for (guint d = tensor->n_dims; d-- > 0;) {
    const ClipPickleValue *side = item (shape, d, CLIP_PICKLE_INT), *stride = item (strides, d, CLIP_PICKLE_INT);
    gsize reach;
    if (!side || !stride || side->integer < 0 || stride->integer < 0)
      return clip_model_error (error, "its shape or strides are not whole numbers of 0 or more");
    tensor->shape[d] = side->integer;
    tensor->strides[d] = stride->integer;
    tensor->strided |= side->integer > 1 && (gsize)stride->integer != expected;
    if (!g_size_checked_mul (&tensor->count, tensor->count, tensor->shape[d])
        || !g_size_checked_mul (&reach, side->integer > 0 ? side->integer - 1 : 0, tensor->strides[d])
        || !g_size_checked_add (&last, last, reach))
      return clip_model_error (error, "its shape has more elements than memory can hold");
    expected = tensor->count;
  }
  *span = tensor->count ? last + 1 : 0;
  if (*span == 0 || (last < count && offset < count - last))
    /* one element used for many would make a small file a large tensor */
    return tensor->count <= count || clip_model_error (error, "it has more elements than its storage");
  return clip_model_error (error, "it reaches beyond its storage of %" G_GSIZE_FORMAT " elements", count);
}

static gboolean
add_tensor (Archive *archive, const char *name, const ClipPickleValue *value, GError **error)
{
  const ClipPickleValue *storage = item (value, 0, CLIP_PICKLE_STORAGE), *offset = item (value, 1, CLIP_PICKLE_INT);
  ClipTensor tensor = { 0 };
  const guint8 *data = NULL;
  gsize count = 0, span = 0;
  guint type = 0;
  gboolean ok = storage && offset && offset->integer >= 0;
  if (!ok)
    clip_model_error (error, "it is not described as torch does");
  ok = ok && find_storage (archive, storage, &type, &count, &data, error)
       && read_shape (value, &tensor, offset->integer, count, &span, error);
  if (!ok) {
    g_prefix_error (error, "tensor %.200s: ", name);
    return FALSE;
  }
  tensor.dtype = types[type].dtype;
  tensor.data = data + (span ? (gsize)offset->integer * types[type].size : 0);
  tensor.size = span * types[type].size;
  clip_tensor_file_add (archive->file, name, &tensor);
  archive->tensors++;
  return TRUE;
}

static gboolean add_value (
    Archive *archive, const char *name, const ClipPickleValue *value, guint depth, GError **error);

/* Each member of a dictionary or of a module's attributes, under PREFIX.KEY */
static gboolean
add_members (Archive *archive, const char *prefix, const ClipPickleValue *dict, guint depth, GError **error)
{
  for (guint i = 0; i + 1 < dict->items->len; i += 2) {
    const ClipPickleValue *key = dict->items->pdata[i];
    if (key->kind != CLIP_PICKLE_STRING)
      continue;
    g_autofree char *name = *prefix ? g_strconcat (prefix, ".", key->string, NULL) : g_strdup (key->string);
    if (strlen (name) > MAX_NAME)
      return clip_model_error (error, "has a name of over %d bytes", MAX_NAME);
    if (!add_value (archive, name, dict->items->pdata[i + 1], depth, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_value (Archive *archive, const char *name, const ClipPickleValue *value, guint depth, GError **error)
{
  if (value->kind == CLIP_PICKLE_TENSOR)
    return add_tensor (archive, name, value, error);
  const ClipPickleValue *members = value->kind == CLIP_PICKLE_OBJECT ? value->state : NULL;
  if (!members || members->kind != CLIP_PICKLE_DICT)
    return TRUE;
  if (depth == MAX_DEPTH)
    return clip_model_error (error, "has modules %d deep in one another, which no CLIP model needs", MAX_DEPTH);
  /* a module that is used in two places is met once: names double with every level otherwise */
  if (!g_hash_table_add (archive->seen, (gpointer)value))
    return TRUE;
  return add_members (archive, name, members, depth + 1, error);
}

/* The dictionary of tensors: the module's attributes, the root, or what training programs call state_dict */
static const ClipPickleValue *
find_dict (const ClipPickleValue *root, GError **error)
{
  const ClipPickleValue *dict = root->kind == CLIP_PICKLE_OBJECT ? root->state : root;
  const ClipPickleValue *inner = dict && dict->kind == CLIP_PICKLE_DICT ? clip_pickle_get (dict, "state_dict") : NULL;
  if (inner && inner->kind == CLIP_PICKLE_DICT)
    return inner;
  if (dict && dict->kind == CLIP_PICKLE_DICT)
    return dict;
  clip_model_error (error, "holds no dictionary of tensors, expected a model's state_dict");
  return NULL;
}

/* Training programs put "module." before every name */
static gboolean
is_wrapped (const ClipPickleValue *dict)
{
  gboolean all = dict->items->len > 0;
  for (guint i = 0; all && i + 1 < dict->items->len; i += 2) {
    const ClipPickleValue *key = dict->items->pdata[i];
    all = key->kind == CLIP_PICKLE_STRING && g_str_has_prefix (key->string, "module.");
  }
  return all;
}

static gboolean
add_wrapped (Archive *archive, const ClipPickleValue *dict, GError **error)
{
  for (guint i = 0; i + 1 < dict->items->len; i += 2) {
    const ClipPickleValue *key = dict->items->pdata[i];
    if (!add_value (archive, key->string + strlen ("module."), dict->items->pdata[i + 1], 0, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_pickle (Archive *archive, const ClipZipMember *member, GError **error)
{
  g_autoptr (GBytes) bytes = clip_zip_unpack (member, MAX_PICKLE, error);
  if (!bytes)
    return FALSE;
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  g_autoptr (ClipPickle) pickle = clip_pickle_read (data, length, error);
  const ClipPickleValue *dict = pickle ? find_dict (clip_pickle_get_root (pickle), error) : NULL;
  if (!dict)
    return FALSE;
  if (!(is_wrapped (dict) ? add_wrapped (archive, dict, error) : add_members (archive, "", dict, 0, error)))
    return FALSE;
  return archive->tensors > 0 || clip_model_error (error, "holds no tensors, expected a model's state_dict");
}

/* "NAME/data.pkl", whatever NAME is; NULL when there is none */
static const ClipZipMember *
find_pickle (Archive *archive)
{
  GHashTableIter iter;
  gpointer name, member;
  g_hash_table_iter_init (&iter, archive->members);
  while (g_hash_table_iter_next (&iter, &name, &member)) {
    const char *slash = strchr (name, '/');
    if (slash && g_str_equal (slash, "/data.pkl")) {
      archive->root = g_strndup (name, slash + 1 - (const char *)name);
      return member;
    }
  }
  return NULL;
}

static gboolean
check_byte_order (Archive *archive, GError **error)
{
  g_autofree char *name = g_strconcat (archive->root, "byteorder", NULL);
  const ClipZipMember *member = g_hash_table_lookup (archive->members, name);
  return !member || member->size != 3 || member->deflated || memcmp (member->data, "big", 3) != 0
         || clip_model_error (error, "was written on a big-endian machine; load and save it again on a little-endian one");
}

static gboolean
read_archive (Archive *archive, GError **error)
{
  const ClipZipMember *pickle = find_pickle (archive);
  if (!pickle)
    return clip_model_error (error, "is a zip archive without data.pkl, expected one of torch.save or torch.jit.save");
  if (!check_byte_order (archive, error))
    return FALSE;
  if (read_pickle (archive, pickle, error))
    return TRUE;
  g_prefix_error (error, "data.pkl: ");
  return FALSE;
}

static gboolean
parse_bytes (ClipTensorFile *file, GError **error)
{
  gsize length;
  const guint8 *bytes = clip_tensor_file_get_bytes (file, &length);
  if (length < 4 || memcmp (bytes, "PK", 2) != 0)
    return clip_model_error (error, "is no zip archive, as torch writes since 1.6; load it with torch and save it again");
  Archive archive = { .file = file, .members = clip_zip_read (bytes, length, error) };
  if (!archive.members)
    return FALSE;
  archive.seen = g_hash_table_new (NULL, NULL);
  const gboolean ok = read_archive (&archive, error);
  g_hash_table_unref (archive.seen);
  g_hash_table_unref (archive.members);
  g_free (archive.root);
  return ok;
}

ClipTensorFile *
clip_torch_parse (const guint8 *data, gsize length, const char *name, GError **error)
{
  return clip_tensor_file_read (clip_tensor_file_new (data, length, name), parse_bytes, error);
}

ClipTensorFile *
clip_torch_open (const char *path, GError **error)
{
  return clip_tensor_file_read (clip_tensor_file_map (path, error), parse_bytes, error);
}

gboolean
clip_torch_detect_file (const char *path)
{
  g_autoptr (ClipTensorFile) file = clip_tensor_file_map (path, NULL);
  gsize length = 0;
  const guint8 *bytes = file ? clip_tensor_file_get_bytes (file, &length) : NULL;
  return length >= 4 && (memcmp (bytes, "PK", 2) == 0 || (bytes[0] == 0x80 && bytes[1] <= 5));
}
