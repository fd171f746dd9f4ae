/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 bench: frames per second of the preprocessing and of the image encoder. */
#include <stdio.h>

#include "clip-tool.h"
#include "model/clip-model.h"

#define WIDTH 1280
#define HEIGHT 720

static int batch = 1;
static double seconds = 5;
static gboolean load;

static const GOptionEntry entries[] = {
  { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Pictures in one call (default 1)", "N" },
  { "seconds", 's', 0, G_OPTION_ARG_DOUBLE, &seconds, "How long each part is measured (default 5)", "S" },
  { "load", 'l', 0, G_OPTION_ARG_NONE, &load, "Measure time and memory of loading the model instead", NULL },
  G_OPTION_ENTRY_NULL,
};

typedef struct {
  ClipQueue *queue;
  ClipModel *model;
  ClipPreprocessor *preprocessor;
  ClipBuffer *pixels;
  ClipFrame frame;
  float *embeddings;
} Bench;

/* Noise, so that nothing is cheaper than in a real picture. (transfer full) */
static guint8 *
noise_frame (ClipFrame *frame)
{
  guint8 *pixels = g_malloc (WIDTH * HEIGHT * 3 / 2);
  guint32 state = 1;
  for (gsize i = 0; i < WIDTH * HEIGHT * 3 / 2; i++)
    pixels[i] = (guint8) ((state = state * 1664525u + 1013904223u) >> 24);
  *frame = (ClipFrame) { .format = CLIP_FORMAT_I420, .width = WIDTH, .height = HEIGHT,
    .planes = { pixels, pixels + WIDTH * HEIGHT, pixels + WIDTH * HEIGHT * 5 / 4 },
    .strides = { WIDTH, WIDTH / 2, WIDTH / 2 }, .kr = 0.2126f, .kb = 0.0722f,
    .chroma_site = CLIP_CHROMA_LEFT_X };
  return pixels;
}

static gboolean
preprocess_once (Bench *bench, GError **error)
{
  for (int i = 0; i < batch; i++) {
    if (!clip_preprocessor_run (bench->preprocessor, &bench->frame, bench->pixels, (guint) i, error))
      return FALSE;
  }
  return clip_queue_finish (bench->queue, error);
}

static gboolean
encode_once (Bench *bench, GError **error)
{
  return clip_model_encode_pixels (bench->model, bench->pixels, (guint) batch, bench->embeddings, NULL, error);
}

/* Returns: pictures per second, or a negative number; the first call (which builds kernels) is not counted */
static double
measure (Bench *bench, gboolean (*once) (Bench *, GError **), GError **error)
{
  if (!once (bench, error))
    return -1;
  const gint64 start = g_get_monotonic_time ();
  guint64 done = 0;
  gint64 now = start;
  do {
    if (!once (bench, error))
      return -1;
    done += (guint64) batch;
    now = g_get_monotonic_time ();
  } while ((double) (now - start) < seconds * G_USEC_PER_SEC);
  return (double) done * G_USEC_PER_SEC / (double) (now - start);
}

static gboolean
measure_and_print (Bench *bench, ClipDevice *device, GError **error)
{
  const double preprocess = measure (bench, preprocess_once, error);
  const double encode = preprocess < 0 ? -1 : measure (bench, encode_once, error);
  const char *model = clip_model_get_config (bench->model)->name;
  if (encode < 0)
    return FALSE;
  if (!tool_options.json) {
    printf ("%s on %s, matrix products by %s, batch %d\n  preprocess %dx%d I420  %8.2f frames/s\n"
            "  image encoder           %8.2f frames/s\n",
        model, clip_device_get_name (device), clip_model_get_gemm_backend (bench->model), batch, WIDTH,
        HEIGHT, preprocess, encode);
    return TRUE;
  }
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, model);
  g_string_append (out, ",\"device\":");
  tool_json_string (out, clip_device_get_name (device));
  g_string_append_printf (out, ",\"gemm_backend\":\"%s\",\"batch\":%d,\"preprocess_fps\":",
      clip_model_get_gemm_backend (bench->model), batch);
  tool_json_float (out, preprocess);
  g_string_append (out, ",\"encode_fps\":");
  tool_json_float (out, encode);
  puts (g_string_append (out, "}")->str);
  return TRUE;
}

static int
run (GError **error)
{
  if (batch < 1 || batch > 256)
    return tool_usage (&tool_bench, "expected --batch N of 1 to 256");
  if (!(seconds > 0 && seconds <= 3600))
    return tool_usage (&tool_bench, "expected --seconds S above 0, at most 3600");
  g_autofree char *path = tool_find_model (error);
  g_autoptr (ClipDevice) device = path ? clip_device_open (tool_options.device, error) : NULL;
  g_autoptr (ClipQueue) queue = device ? clip_queue_new (device, error) : NULL;
  if (queue && load)
    return tool_bench_load (queue, path, error) ? 0 : TOOL_FAILED;
  g_autoptr (ClipModel) model = queue ? clip_model_load (queue, path, tool_options.precision, error) : NULL;
  if (!model)
    return TOOL_FAILED;
  const ClipModelConfig *config = clip_model_get_config (model);
  const gsize picture = (gsize) 3 * config->image_size * config->image_size;
  g_autoptr (ClipPreprocessor) preprocessor = clip_preprocessor_new (queue, &config->preprocess, error);
  g_autoptr (ClipBuffer) pixels =
      preprocessor ? clip_buffer_new (device, (gsize) batch * picture * sizeof (float), error) : NULL;
  if (!pixels)
    return TOOL_FAILED;
  g_autofree float *embeddings = g_new (float, (gsize) batch * config->embed_dim);
  Bench bench = { queue, model, preprocessor, pixels, { 0 }, embeddings };
  g_autofree guint8 *memory = noise_frame (&bench.frame);
  return measure_and_print (&bench, device, error) ? 0 : TOOL_FAILED;
}

const ToolCommand tool_bench = { "bench", NULL, "Measure frames per second",
  "The preprocessing of a noise frame and the image encoder, each alone.", entries, NULL, run, TRUE };
