/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 bench: frames per second of the preprocessing and of the image encoder. */
#include <stdio.h>
#include <string.h>

#include "clip-tool.h"
#include "device/clip-profile.h"
#include "model/clip-model.h"

#define WIDTH 1280
#define HEIGHT 720
#define PRECISIONS 3 /* fp32, bf16, and int8 or on a GPU fp16 */
#define ROUNDS 7

static int batch = 1;
static double seconds = 5;
static gboolean load, all, profile;
static char *texts, *templates;

static const GOptionEntry entries[] = {
  { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Pictures in one call (default 1)", "N" },
  { "seconds", 's', 0, G_OPTION_ARG_DOUBLE, &seconds, "How long each part is measured (default 5)", "S" },
  { "all-precisions", 'a', 0, G_OPTION_ARG_NONE, &all,
      "Compare fp32, bf16 and int8, on a GPU fp16, in alternating rounds", NULL },
  { "profile", 'p', 0, G_OPTION_ARG_NONE, &profile, "Show where the time goes instead, by OpenCL's profiling events",
      NULL },
  { "load", 'l', 0, G_OPTION_ARG_NONE, &load, "Measure time and memory of loading the model instead", NULL },
  { "texts", 0, 0, G_OPTION_ARG_FILENAME, &texts, "Measure the text encoder instead, on a file of prompts", "FILE" },
  { "templates", 't', 0, G_OPTION_ARG_FILENAME, &templates, "For --texts: as clipclassify takes them", "NAME" },
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
  const char *precision = clip_precision_get_name (clip_model_get_precision (bench->model));
  if (encode < 0)
    return FALSE;
  if (!tool_options.json) {
    printf ("%s on %s, %s, matrix products by %s, batch %d\n  preprocess %dx%d I420  %8.2f frames/s\n"
            "  image encoder           %8.2f frames/s\n",
        model, clip_device_get_name (device), precision, clip_model_get_gemm_backend (bench->model), batch, WIDTH,
        HEIGHT, preprocess, encode);
    return TRUE;
  }
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, model);
  g_string_append (out, ",\"device\":");
  tool_json_string (out, clip_device_get_name (device));
  g_string_append_printf (out, ",\"precision\":\"%s\",\"gemm_backend\":\"%s\",\"batch\":%d,\"preprocess_fps\":",
      precision, clip_model_get_gemm_backend (bench->model), batch);
  tool_json_float (out, preprocess);
  g_string_append (out, ",\"encode_fps\":");
  tool_json_float (out, encode);
  puts (g_string_append (out, "}")->str);
  return TRUE;
}

static gboolean
bench_open (Bench *bench, const char *path, ClipPrecision precision, GError **error)
{
  ClipDevice *device = clip_queue_get_device (bench->queue);
  bench->model = clip_model_load (bench->queue, path, precision, error);
  if (!bench->model)
    return FALSE;
  const ClipModelConfig *config = clip_model_get_config (bench->model);
  const gsize picture = (gsize) 3 * config->image_size * config->image_size;
  bench->embeddings = g_new (float, (gsize) batch * config->embed_dim);
  return (bench->preprocessor = clip_preprocessor_new (bench->queue, &config->preprocess, error)) &&
      (bench->pixels = clip_buffer_new (device, (gsize) batch * picture * sizeof (float), error)) &&
      preprocess_once (bench, error);
}

static void
bench_clear (Bench *bench)
{
  g_clear_pointer (&bench->pixels, clip_buffer_unref);
  g_clear_pointer (&bench->preprocessor, clip_preprocessor_free);
  g_clear_pointer (&bench->model, clip_model_free);
  g_clear_pointer (&bench->embeddings, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Bench, bench_clear)

/* One after the other on one device, in rounds: a clock that changes meanwhile changes all of them */
static gboolean
compare_precisions (Bench benches[PRECISIONS], double rates[PRECISIONS][ROUNDS], GError **error)
{
  for (guint round = 0; round < ROUNDS; round++) {
    for (guint i = 0; i < PRECISIONS; i++) {
      if ((rates[i][round] = measure (&benches[i], encode_once, error)) < 0)
        return FALSE;
    }
  }
  return TRUE;
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  const double x = *(const double *) a, y = *(const double *) b;
  return x < y ? -1 : x > y;
}

static double
median (const double values[ROUNDS])
{
  double sorted[ROUNDS];
  memcpy (sorted, values, sizeof sorted);
  qsort (sorted, ROUNDS, sizeof *sorted, compare_doubles);
  return sorted[ROUNDS / 2];
}

static void
print_precisions (const Bench benches[PRECISIONS], double rates[PRECISIONS][ROUNDS])
{
  const char *device = clip_device_get_name (clip_queue_get_device (benches[0].queue));
  const char *model = clip_model_get_config (benches[0].model)->name;
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, model);
  g_string_append (out, ",\"device\":");
  tool_json_string (out, device);
  g_string_append_printf (out, ",\"batch\":%d,\"precisions\":{", batch);
  if (!tool_options.json)
    printf ("%s on %s, image encoder, batch %d, median of %d rounds\n", model, device, batch, ROUNDS);
  for (guint i = 0; i < PRECISIONS; i++) {
    double ratios[ROUNDS];
    for (guint round = 0; round < ROUNDS; round++)
      ratios[round] = rates[i][round] / rates[0][round];
    const char *name = clip_precision_get_name (clip_model_get_precision (benches[i].model));
    const char *backend = clip_model_get_gemm_backend (benches[i].model);
    if (!tool_options.json)
      printf ("  %s  %8.2f frames/s  %5.2fx of fp32  by %s\n", name, median (rates[i]), median (ratios), backend);
    g_string_append_printf (out, "%s\"%s\":{\"gemm_backend\":\"%s\",\"encode_fps\":", i ? "," : "", name, backend);
    tool_json_float (out, median (rates[i]));
    g_string_append (out, ",\"over_fp32\":");
    tool_json_float (out, median (ratios));
    g_string_append_c (out, '}');
  }
  if (tool_options.json)
    puts (g_string_append (out, "}}")->str);
}

static gboolean
run_all (ClipQueue *queue, const char *path, const ClipFrame *frame, GError **error)
{
  Bench benches[PRECISIONS] = { { 0 } };
  double rates[PRECISIONS][ROUNDS];
  gboolean ok = TRUE, cpu = clip_device_is_cpu (clip_queue_get_device (queue));
  const ClipPrecision precisions[] = { CLIP_PRECISION_FP32, CLIP_PRECISION_BF16, cpu ? CLIP_PRECISION_INT8 : CLIP_PRECISION_FP16 };
  seconds /= ROUNDS;
  for (guint i = 0; ok && i < PRECISIONS; i++) {
    benches[i].queue = queue;
    benches[i].frame = *frame;
    ok = bench_open (&benches[i], path, precisions[i], error);
  }
  if ((ok = ok && compare_precisions (benches, rates, error)))
    print_precisions (benches, rates);
  for (guint i = 0; i < PRECISIONS; i++)
    bench_clear (&benches[i]);
  return ok;
}

static gboolean
run_one (ClipQueue *queue, const char *path, const ClipFrame *frame, GError **error)
{
  g_auto (Bench) bench = { .queue = queue, .frame = *frame };
  return bench_open (&bench, path, tool_options.precision, error) &&
      measure_and_print (&bench, clip_queue_get_device (queue), error);
}

/* Frames from the upload to the embeddings; the first batch (which builds kernels) is not counted */
static gboolean
run_profile (ClipQueue *queue, const char *path, const ClipFrame *frame, GError **error)
{
  g_auto (Bench) bench = { .queue = queue, .frame = *frame };
  guint rounds = 0;
  if (!bench_open (&bench, path, tool_options.precision, error) || !encode_once (&bench, error))
    return FALSE;
  g_autoptr (GPtrArray) first = clip_queue_take_profile (queue, error);
  const gint64 start = g_get_monotonic_time ();
  gint64 now = start;
  for (; first && (double) (now - start) < seconds * G_USEC_PER_SEC; rounds++) {
    if (!preprocess_once (&bench, error) || !encode_once (&bench, error))
      return FALSE;
    now = g_get_monotonic_time ();
  }
  return first && tool_bench_profile (queue, clip_model_get_config (bench.model)->name,
      clip_precision_get_name (clip_model_get_precision (bench.model)), (guint) batch, rounds,
      (double) (now - start) / G_USEC_PER_SEC, error);
}

static int
run (GError **error)
{
  if (batch < 1 || batch > 256)
    return tool_usage (&tool_bench, "expected --batch N of 1 to 256");
  if (!(seconds > 0 && seconds <= 3600))
    return tool_usage (&tool_bench, "expected --seconds S above 0, at most 3600");
  if (load + all + profile > 1)
    return tool_usage (&tool_bench, "expected --load, --all-precisions or --profile, not two of them");
  g_autofree char *path = tool_find_model (error);
  g_autoptr (ClipDevice) device = path ? clip_device_open (tool_options.device, error) : NULL;
  g_autoptr (ClipQueue) queue = device ? (profile ? clip_queue_new_profiled : clip_queue_new) (device, error) : NULL;
  if (!queue)
    return TOOL_FAILED;
  if (load)
    return tool_bench_load (queue, path, error) ? 0 : TOOL_FAILED;
  if (texts)
    return tool_bench_texts (queue, path, texts, templates, error) ? 0 : TOOL_FAILED;
  ClipFrame frame;
  g_autofree guint8 *memory = noise_frame (&frame);
  return (all ? run_all : profile ? run_profile : run_one) (queue, path, &frame, error) ? 0 : TOOL_FAILED;
}

const ToolCommand tool_bench = { "bench", NULL, "Measure frames per second",
  "The preprocessing of a noise frame and the image encoder, each alone.", entries, NULL, run, TRUE };
