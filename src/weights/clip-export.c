/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights/clip-export.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weights/clip-export-private.h"

#define PARTS 3 /* queries, keys and values may share a tensor */
#define HEADER_ALIGN 8

/* A tensor of the new file */
typedef struct {
  char *name;
  char *parts[PARTS]; /* canonical tensors whose rows it holds, in order */
  guint n_parts;
  guint64 shape[CLIP_TENSOR_MAX_DIMS]; /* as stored */
  guint n_dims;
  gboolean transposed;
  gsize part_count; /* elements of a part */
  float scalar;     /* where there are no parts */
} Record;

typedef struct {
  ClipWeights *weights;
  ClipLayout layout;
  ClipDtype dtype;
  GPtrArray *records;
  GHashTable *by_name;
  FILE *file;
} Export;

static void
record_free (gpointer data)
{
  Record *record = data;
  for (guint i = 0; i < record->n_parts; i++)
    g_free (record->parts[i]);
  g_free (record->name);
  g_free (record);
}

static gsize
dtype_size (ClipDtype dtype)
{
  return dtype == CLIP_DTYPE_F32 ? 4 : 2;
}

static gsize
record_count (const Record *record)
{
  return record->n_parts ? record->n_parts * record->part_count : 1;
}

/* (transfer full): the stored tensor of a canonical one */
static char *
stored_name (const Export *export, const char *canonical, ClipTensorView *view)
{
  if (export->layout == CLIP_LAYOUT_OPENCLIP)
    return clip_openai_view (canonical, "", view);
  return export->weights->config.family == CLIP_FAMILY_SIGLIP ? clip_siglip_stored_name (canonical, view)
                                                              : clip_hf_stored_name (canonical);
}

static Record *
new_record (Export *export, char *name)
{
  Record *record = g_new0 (Record, 1);
  record->name = name;
  g_ptr_array_add (export->records, record);
  g_hash_table_insert (export->by_name, name, record);
  return record;
}

static gboolean
plan_tensor (const char *canonical, const guint64 *shape, guint n_dims, gpointer user_data, GError **error)
{
  Export *export = user_data;
  ClipTensorView view = { 0 };
  g_autofree char *name = stored_name (export, canonical, &view);
  Record *record = g_hash_table_lookup (export->by_name, name);
  if (!record) {
    record = new_record (export, g_steal_pointer (&name));
    record->n_dims = n_dims;
    record->transposed = view.transposed;
    record->part_count = 1;
    for (guint i = 0; i < n_dims; i++) {
      record->part_count *= shape[i];
      record->shape[i] = shape[view.transposed ? n_dims - 1 - i : i];
    }
    record->shape[0] *= MAX (view.parts, 1);
  }
  /* parts are met in their order: q, k, v */
  g_return_val_if_fail (record->n_parts == view.part && record->n_parts < PARTS, FALSE);
  record->parts[record->n_parts++] = g_strdup (canonical);
  return TRUE;
}

static gboolean
plan (Export *export, GError **error)
{
  if (!clip_weights_foreach_tensor (&export->weights->config, plan_tensor, export, error))
    return FALSE;
  new_record (export, g_strdup ("logit_scale"))->scalar = export->weights->stored_logit_scale;
  if (export->weights->config.family == CLIP_FAMILY_SIGLIP)
    new_record (export, g_strdup ("logit_bias"))->scalar = export->weights->config.logit_bias;
  return TRUE;
}

/* Exact powers of two bring a value's last kept bit to the units, where rint() rounds to even */
guint16
clip_round_f16 (float value)
{
  guint32 bits;
  memcpy (&bits, &value, sizeof bits);
  const guint16 sign = bits >> 16 & 0x8000;
  const float magnitude = fabsf (value);
  if (isnan (value))
    return sign | 0x7e00;
  if (magnitude >= 65520.0f) /* half a step beyond the largest, 65504 */
    return sign | 0x7c00;
  if (magnitude < 0x1p-14f) /* subnormal: steps of 2^-24 */
    return sign | (guint16)rint ((double)magnitude * 0x1p24);
  int exponent;
  const double mantissa = frexp ((double)magnitude, &exponent); /* 0.5 <= mantissa < 1 */
  /* a mantissa that rounds up to 2048 carries into the exponent, as it should */
  return sign | (guint16)(((exponent + 14) << 10) + (int)rint (mantissa * 2048) - 1024);
}

guint16
clip_round_bf16 (float value)
{
  guint32 bits;
  memcpy (&bits, &value, sizeof bits);
  if (isnan (value))
    return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* In place: each value's new form follows the one before it */
static gboolean
round_values (const Export *export, const Record *record, float *values, gsize count, GError **error)
{
  guint8 *out = (guint8 *)values;
  for (gsize i = 0; i < count; i++) {
    const float value = values[i];
    guint32 bits;
    memcpy (&bits, &value, sizeof bits);
    if (export->dtype != CLIP_DTYPE_F32)
      bits = export->dtype == CLIP_DTYPE_F16 ? clip_round_f16 (value) : clip_round_bf16 (value);
    if (export->dtype != CLIP_DTYPE_F32 && (bits & 0x7fff) >= (export->dtype == CLIP_DTYPE_F16 ? 0x7c00 : 0x7f80))
      return clip_model_error (error, "tensor %s has the value %g, too large for %s; choose %s", record->name, (double)value,
          clip_dtype_get_name (export->dtype), export->dtype == CLIP_DTYPE_F16 ? "bf16 or fp32" : "fp32");
    for (guint b = 0; b < dtype_size (export->dtype); b++)
      *out++ = bits >> (8 * b);
  }
  return TRUE;
}

/* Canonical [rows,columns] as [columns,rows] */
static void
transpose (const float *src, float *dst, gsize rows, gsize columns)
{
  for (gsize r = 0; r < rows; r++)
    for (gsize c = 0; c < columns; c++)
      dst[c * rows + r] = src[r * columns + c];
}

static gboolean
read_part (const Export *export, const Record *record, const char *canonical, float *values, GError **error)
{
  if (!record->transposed)
    return clip_weights_read (export->weights, canonical, values, record->part_count, error);
  g_autofree float *plain = g_new (float, record->part_count);
  if (!clip_weights_read (export->weights, canonical, plain, record->part_count, error))
    return FALSE;
  transpose (plain, values, record->shape[1], record->shape[0]);
  return TRUE;
}

static gboolean
write_bytes (Export *export, const void *bytes, gsize size, GError **error)
{
  return fwrite (bytes, 1, size, export->file) == size || clip_model_error (error, "cannot be written: %s", g_strerror (errno));
}

static gboolean
write_record (Export *export, const Record *record, GError **error)
{
  const gsize count = record->n_parts ? record->part_count : 1;
  g_autofree float *values = g_new (float, count);
  values[0] = record->scalar;
  for (guint i = 0; i < MAX (record->n_parts, 1); i++)
    if ((i < record->n_parts && !read_part (export, record, record->parts[i], values, error))
        || !round_values (export, record, values, count, error)
        || !write_bytes (export, values, count * dtype_size (export->dtype), error))
      return FALSE;
  return TRUE;
}

/* The JSON header, padded with spaces so that the data is aligned, as the format's own library does */
static gboolean
write_header (Export *export, GError **error)
{
  static const char *const names[] = { [CLIP_DTYPE_F32] = "F32", [CLIP_DTYPE_F16] = "F16", [CLIP_DTYPE_BF16] = "BF16" };
  g_autoptr (GString) header = g_string_new ("{\"__metadata__\":{\"format\":\"pt\"}");
  gsize at = 0;
  for (guint i = 0; i < export->records->len; i++) {
    const Record *record = export->records->pdata[i];
    const gsize size = record_count (record) * dtype_size (export->dtype);
    g_autofree char *shape = clip_tensor_shape_string (record->shape, record->n_dims);
    g_string_append_printf (header,
        ",\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%" G_GSIZE_FORMAT ",%" G_GSIZE_FORMAT "]}",
        record->name, names[export->dtype], shape, at, at + size);
    at += size;
  }
  g_string_append_c (header, '}');
  while (header->len % HEADER_ALIGN)
    g_string_append_c (header, ' ');
  const guint64 length = GUINT64_TO_LE (header->len);
  return write_bytes (export, &length, sizeof length, error) && write_bytes (export, header->str, header->len, error);
}

static gboolean
write_weights (Export *export, ClipExportProgress progress, gpointer user_data, GError **error)
{
  if (!write_header (export, error))
    return FALSE;
  for (guint i = 0; i < export->records->len; i++) {
    if (!write_record (export, export->records->pdata[i], error))
      return FALSE;
    if (progress && !progress (i + 1, export->records->len, user_data))
      return clip_model_error (error, "stopped");
  }
  return (fflush (export->file) == 0 && fsync (fileno (export->file)) == 0)
         || clip_model_error (error, "cannot be written: %s", g_strerror (errno));
}

static gboolean
copy_tokenizer (const ClipModelConfig *config, const char *directory, GError **error)
{
  static const char *const names[] = { "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt", "spiece.model",
    "tokenizer.model" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *from = g_build_filename (config->directory, names[i], NULL);
    g_autofree char *to = g_build_filename (directory, names[i], NULL);
    g_autofree char *content = NULL;
    gsize length;
    if (g_file_test (from, G_FILE_TEST_IS_REGULAR)
        && (!g_file_get_contents (from, &content, &length, error)
            || !g_file_set_contents_full (to, content, length, G_FILE_SET_CONTENTS_DURABLE, 0644, error)))
      return FALSE;
  }
  return TRUE;
}

static gboolean
write_file (Export *export, const char *directory, ClipExportProgress progress, gpointer user_data, GError **error)
{
  const char *name = export->layout == CLIP_LAYOUT_HF ? "model.safetensors" : "open_clip_model.safetensors";
  g_autofree char *path = g_build_filename (directory, name, NULL);
  export->file = fopen (path, "wbex");
  gboolean ok = export->file || clip_model_error (error, "cannot be made: %s", g_strerror (errno));
  ok = ok && write_weights (export, progress, user_data, error);
  if (export->file && fclose (export->file) != 0 && ok)
    ok = clip_model_error (error, "cannot be written: %s", g_strerror (errno));
  if (!ok)
    g_prefix_error (error, "%s: ", name);
  return ok;
}

gboolean
clip_weights_export (ClipWeights *weights, const char *directory, ClipDtype dtype, ClipExportProgress progress,
    gpointer user_data, GError **error)
{
  g_return_val_if_fail (dtype <= CLIP_DTYPE_BF16, FALSE);
  const ClipModelConfig *config = &weights->config;
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (record_free);
  g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);
  Export export = { weights, clip_export_layout (config), dtype, records, by_name, NULL };
  return plan (&export, error) && clip_export_config (config, export.layout, directory, dtype, error)
         && copy_tokenizer (config, directory, error)
         && write_file (&export, directory, progress, user_data, error);
}
