/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 preprocess: the picture that a model sees, without a model. */
#include <stdio.h>

#include "clip-tool.h"

static int size;
static char *output;
static char **images;

static const GOptionEntry entries[] = {
  { "size", 's', 0, G_OPTION_ARG_INT, &size, "Side of the square in pixels", "S" },
  { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "PNG file to write", "OUT.png" },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &images, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

static guint8 *
preprocess (const ClipFrame *frame, GError **error)
{
  const ClipPreprocessConfig config = { .size = (guint) size,
    .mode = CLIP_RESIZE_SHORTEST,
    .filter = CLIP_FILTER_BICUBIC,
    .mean = { 0.48145466f, 0.4578275f, 0.40821073f },
    .std = { 0.26862954f, 0.26130258f, 0.27577711f } };
  g_autoptr (ClipDevice) device = clip_device_open (tool_options.device, error);
  g_autoptr (ClipQueue) queue = device ? clip_queue_new (device, error) : NULL;
  g_autoptr (ClipPreprocessor) preprocessor =
      queue ? clip_preprocessor_new (queue, &config, error) : NULL;
  if (!preprocessor)
    return NULL;
  g_autofree guint8 *rgb = g_malloc ((gsize) size * (gsize) size * 3);
  if (!clip_preprocessor_run_rgb (preprocessor, frame, rgb, error))
    return NULL;
  return g_steal_pointer (&rgb);
}

static int
run (GError **error)
{
  if (!images || images[1])
    return tool_usage (&tool_preprocess, "expected one picture");
  if (!output)
    return tool_usage (&tool_preprocess, "expected -o OUT.png");
  if (size < 1 || size > 4096)
    return tool_usage (&tool_preprocess, "expected --size S of 1 to 4096");
  g_autoptr (ToolImage) image = tool_image_read (images[0], error);
  if (!image)
    return TOOL_FAILED;
  g_autofree guint8 *rgb = preprocess (&image->frame, error);
  if (!rgb || !tool_image_write_png (output, rgb, (guint) size, error))
    return TOOL_FAILED;
  if (tool_options.json) {
    g_autoptr (GString) out = g_string_new ("{\"file\":");
    tool_json_string (out, output);
    g_string_append_printf (out, ",\"size\":%d}", size);
    puts (out->str);
  }
  return 0;
}

const ToolCommand tool_preprocess = { "preprocess", "IMAGE", "Write the picture that the model sees",
  "Short side to S with Pillow's bicubic filter, then the centre, as openai/CLIP does;\n"
  "alpha is resized premultiplied and then dropped. --model is not used.",
  entries, NULL, run };
