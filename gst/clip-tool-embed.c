/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 embed: unit vectors of pictures and texts. */
#include <math.h>
#include <stdio.h>

#include "clip-tool.h"
#include "model/clip-model.h"
#include "text/clip-tokenizer.h"

typedef struct {
  gboolean is_image;
  char *input;
} Item;

static GArray *items; /* in the order of the command line */

static gboolean
on_item (const char *name, const char *value, gpointer data, GError **error)
{
  Item item = { g_str_equal (name, "--image") || g_str_equal (name, "-i"), g_strdup (value) };
  g_array_append_val (items, item);
  return TRUE;
}

static const GOptionEntry entries[] = {
  { "image", 'i', G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, on_item, "A picture (may be repeated)",
      "FILE" },
  { "text", 't', G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, on_item, "A text (may be repeated)", "TEXT" },
  G_OPTION_ENTRY_NULL,
};

static void
prepare (void)
{
  items = g_array_new (FALSE, FALSE, sizeof (Item));
}

/* What turns inputs into vectors. */
typedef struct {
  ClipDevice *device;
  ClipQueue *queue;
  ClipModel *model;
  ClipPreprocessor *preprocessor;
  ClipTokenizer *tokenizer;
  ClipBuffer *pixels; /* [1,3,size,size] */
} Encoder;

static void
encoder_clear (Encoder *encoder)
{
  g_clear_pointer (&encoder->pixels, clip_buffer_unref);
  g_clear_pointer (&encoder->tokenizer, clip_tokenizer_free);
  g_clear_pointer (&encoder->preprocessor, clip_preprocessor_free);
  g_clear_pointer (&encoder->model, clip_model_free);
  g_clear_pointer (&encoder->queue, clip_queue_unref);
  g_clear_pointer (&encoder->device, clip_device_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Encoder, encoder_clear)

static gboolean
encoder_open (Encoder *encoder, GError **error)
{
  g_autofree char *path = tool_find_model (error);
  if (!path || !(encoder->device = clip_device_open (tool_options.device, error)) ||
      !(encoder->queue = clip_queue_new (encoder->device, error)) ||
      !(encoder->model = clip_model_load (encoder->queue, path, tool_options.precision, error)))
    return FALSE;
  const ClipModelConfig *config = clip_model_get_config (encoder->model);
  const gsize size = config->image_size;
  encoder->preprocessor = clip_preprocessor_new (encoder->queue, &config->preprocess, error);
  if (!encoder->preprocessor)
    return FALSE;
  encoder->pixels = clip_buffer_new (encoder->device, 3 * size * size * sizeof (float), error);
  return encoder->pixels != NULL;
}

static gboolean
encode_image (Encoder *encoder, const char *file, float *embedding, float *norm, GError **error)
{
  g_autoptr (ToolImage) image = tool_image_read (file, error);
  return image && clip_preprocessor_run (encoder->preprocessor, &image->frame, encoder->pixels, 0, error) &&
      clip_model_encode_pixels (encoder->model, encoder->pixels, 1, embedding, norm, error);
}

static gboolean
check_length (guint length, guint context_length, GError **error)
{
  if (length <= context_length)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "has %u tokens with start and end, the model takes %u",
      length, context_length);
  return FALSE;
}

static gboolean
encode_text (Encoder *encoder, const char *text, float *embedding, float *norm, GError **error)
{
  const ClipModelConfig *config = clip_model_get_config (encoder->model);
  if (!encoder->tokenizer)
    encoder->tokenizer = clip_model_open_tokenizer (config, error);
  if (!encoder->tokenizer)
    return FALSE;
  g_autoptr (GArray) ids = clip_tokenizer_encode (encoder->tokenizer, text, -1, error);
  if (!ids || !check_length (ids->len, config->context_length, error))
    return FALSE;
  clip_tokenizer_pad (encoder->tokenizer, ids, config->context_length);
  return clip_model_encode_tokens (encoder->model, &ids, 1, embedding, norm, error);
}

static void
append_item (GString *out, const Item *item, const float *embedding, guint n, float norm)
{
  g_string_append_printf (out, "{\"kind\":\"%s\",\"input\":", item->is_image ? "image" : "text");
  tool_json_string (out, item->input);
  g_string_append (out, ",\"norm\":");
  tool_json_float (out, norm);
  g_string_append (out, ",\"embedding\":[");
  for (guint i = 0; i < n; i++) {
    g_string_append (out, i == 0 ? "" : ",");
    tool_json_float (out, embedding[i]);
  }
  g_string_append (out, "]}");
}

static void
print_people (const Item *item, const float *embedding, guint n, float norm)
{
  printf ("%s: %u values, norm %.6g:", item->input, n, (double) norm);
  for (guint i = 0; i < MIN (n, 6); i++)
    printf (" %+.5f", (double) embedding[i]);
  puts (n > 6 ? " ..." : "");
}

static gboolean
embed (Encoder *encoder, GError **error)
{
  const guint n = clip_model_get_config (encoder->model)->embed_dim;
  g_autofree float *embedding = g_new (float, n);
  g_autoptr (GString) out = g_string_new ("{\"items\":[");
  for (guint i = 0; i < items->len; i++) {
    const Item *item = &g_array_index (items, Item, i);
    float norm;
    if (!(item->is_image ? encode_image : encode_text) (encoder, item->input, embedding, &norm, error)) {
      if (!item->is_image)
        g_prefix_error (error, "text \"%s\": ", item->input);
      return FALSE;
    }
    if (!tool_options.json)
      print_people (item, embedding, n, norm);
    g_string_append (out, i == 0 ? "" : ",");
    append_item (out, item, embedding, n, norm);
  }
  if (tool_options.json)
    printf ("%s]}\n", out->str);
  return TRUE;
}

static int
run (GError **error)
{
  if (items->len == 0)
    return tool_usage (&tool_embed, "expected --image FILE or --text TEXT");
  g_auto (Encoder) encoder = { NULL };
  return encoder_open (&encoder, error) && embed (&encoder, error) ? 0 : TOOL_FAILED;
}

const ToolCommand tool_embed = { "embed", NULL, "Print the embeddings of pictures and texts",
  "Unit vectors in the order of the options, and the norm before normalisation; --json has all values.",
  entries, prepare, run, TRUE };
