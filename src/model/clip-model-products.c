/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-model-products.h"

#include "device/clip-profile.h"
#include "gemm/clip-gemm-tune.h"

/* a prompt of usual length, and as many of them as a user may have */
#define TEXT "a photo of a dog"
#define TEXTS 16

static void
add_shape (GArray *shapes, const ClipGemmShape *shape)
{
  for (guint i = 0; i < shapes->len; i++) {
    ClipGemmShape *known = &g_array_index (shapes, ClipGemmShape, i);
    if (known->m == shape->m && known->n == shape->n && known->k == shape->k) {
      known->weight += shape->weight;
      return;
    }
  }
  g_array_append_val (shapes, *shape);
}

/* What was enqueued since the last call; @weight: of a call */
static gboolean
add_products (ClipQueue *queue, double weight, GArray *shapes, GError **error)
{
  g_autoptr (GPtrArray) rows = clip_queue_take_profile (queue, error);
  for (guint i = 0; rows && i < rows->len; i++) {
    const ClipProfileRow *row = rows->pdata[i];
    ClipGemmShape shape;
    if (row->count == 0 || !clip_gemm_shape_from_label (row->label, &shape))
      continue;
    shape.weight = weight * row->count;
    add_shape (shapes, &shape);
  }
  return rows != NULL;
}

static gboolean
encode_pictures (ClipModel *model, ClipQueue *queue, guint batch, GError **error)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  const gsize size = (gsize) batch * 3 * config->image_size * config->image_size * sizeof (float);
  g_autofree float *blank = g_malloc0 (size), *embeddings = g_new (float, (gsize) batch * config->embed_dim);
  g_autoptr (ClipBuffer) pixels = clip_buffer_new (clip_queue_get_device (queue), size, error);
  return pixels && clip_buffer_write (pixels, queue, 0, blank, size, error)
         && clip_model_encode_pixels (model, pixels, batch, embeddings, NULL, error);
}

static gboolean
encode_texts (ClipModel *model, GError **error)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  g_autofree float *embeddings = g_new (float, TEXTS * config->embed_dim);
  g_autoptr (ClipTokenizer) tokenizer = clip_model_open_tokenizer (config, error);
  g_autoptr (GArray) ids = tokenizer ? clip_tokenizer_encode (tokenizer, TEXT, -1, error) : NULL;
  GArray *texts[TEXTS];
  if (!ids)
    return FALSE;
  clip_tokenizer_pad (tokenizer, ids, config->context_length);
  for (guint i = 0; i < TEXTS; i++)
    texts[i] = ids;
  return clip_model_encode_tokens (model, texts, TEXTS, embeddings, NULL, error);
}

GArray *
clip_model_list_products (ClipDevice *device, const char *path, const guint *batches, guint n, GError **error)
{
  g_autoptr (ClipQueue) queue = clip_queue_new_profiled (device, error);
  g_autoptr (ClipModel) model = queue ? clip_model_load (queue, path, CLIP_PRECISION_FP32, error) : NULL;
  g_autoptr (GArray) shapes = g_array_new (FALSE, FALSE, sizeof (ClipGemmShape));
  if (!model)
    return NULL;
  for (guint i = 0; i < n; i++) {
    if (!encode_pictures (model, queue, batches[i], error)
        || !add_products (queue, 1.0 / batches[i] / (n + 1), shapes, error))
      return NULL;
  }
  if (!encode_texts (model, error) || !add_products (queue, 1.0 / TEXTS / (n + 1), shapes, error))
    return NULL;
  return g_steal_pointer (&shapes);
}
