/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 bench: frames per second of the preprocessing and of the image encoder. */
#include <stdio.h>
#include <string.h>

#include "clip-tool.h"
#include "device/clip-profile.h"
#include "model/clip-model.h"

#define PRECISIONS 3 /* fp32, bf16, and int8 or on a GPU fp16 */
#define ROUNDS 7

static int batch = 1;
static double seconds = 5;
static gboolean load, all, profile, encoder_only;
static char *texts, *templates, *frame_size, *frame_format;

static const GOptionEntry entries[] = {
  { "batch", 'b', 0, G_OPTION_ARG_INT, &batch, "Pictures in one call (default 1)", "N" },
  { "frame", 'f', 0, G_OPTION_ARG_STRING, &frame_size, "Size of the frame (default 1920x1080)",
      "WxH" },
  { "format", 'F', 0, G_OPTION_ARG_STRING, &frame_format,
      "Pixel format of the frame (default NV12)", "NAME" },
  { "encoder", 'e', 0, G_OPTION_ARG_NONE, &encoder_only, "Measure the image encoder alone", NULL },
  { "seconds", 's', 0, G_OPTION_ARG_DOUBLE, &seconds, "For how long is measured (default 5)", "S" },
  { "all-precisions", 'a', 0, G_OPTION_ARG_NONE, &all,
      "Compare fp32, bf16 and int8, on a GPU fp16, in alternating rounds", NULL },
  { "profile", 'p', 0, G_OPTION_ARG_NONE, &profile,
      "Show where the time goes instead, by OpenCL's profiling events", NULL },
  { "load", 'l', 0, G_OPTION_ARG_NONE, &load,
      "Measure time and memory of loading the model instead", NULL },
  { "texts", 0, 0, G_OPTION_ARG_FILENAME, &texts,
      "Measure the text encoder instead, on a file of prompts", "FILE" },
  { "templates", 't', 0, G_OPTION_ARG_FILENAME, &templates,
      "For --texts: as clipclassify takes them", "NAME" },
  G_OPTION_ENTRY_NULL,
};

typedef struct {
  ClipQueue *queue;
  ClipModel *model;
  ClipPreprocessor *preprocessor;
  ClipBuffer *pixels;
  const ClipFrame *frame;
  float *embeddings;
} Bench;

static gboolean
preprocess_once (Bench *bench, GError **error)
{
  for (int i = 0; i < batch; i++) {
    if (!clip_preprocessor_run (bench->preprocessor, bench->frame, bench->pixels, (guint) i, error))
      return FALSE;
  }
  return clip_queue_finish (bench->queue, error);
}

static gboolean
encode_once (Bench *bench, GError **error)
{
  return clip_model_encode_pixels (
      bench->model, bench->pixels, (guint) batch, bench->embeddings, NULL, error);
}

static const char *
format_name (void)
{
  return frame_format ? frame_format : "NV12";
}

/* The first batch (which builds kernels) is not counted. @preprocess: (out) (nullable): the frame's
 * share in seconds a picture; NULL: the encoder alone is measured. Returns: seconds a picture of
 * the encoder, or a negative number */
static double
measure (Bench *bench, double *preprocess, GError **error)
{
  if (!encode_once (bench, error))
    return -1;
  const gint64 start = g_get_monotonic_time ();
  gint64 now = start, preprocessing = 0;
  guint64 done = 0;
  do {
    if (preprocess && !preprocess_once (bench, error))
      return -1;
    preprocessing += g_get_monotonic_time () - now;
    if (!encode_once (bench, error))
      return -1;
    done += (guint64) batch;
    now = g_get_monotonic_time ();
  } while ((double) (now - start) < seconds * G_USEC_PER_SEC);
  if (preprocess)
    *preprocess = (double) preprocessing / G_USEC_PER_SEC / (double) done;
  return (double) (now - start - (preprocess ? preprocessing : 0)) / G_USEC_PER_SEC / (double) done;
}

static void
print_text (const Bench *bench, double preprocess, double encode)
{
  const ClipFrame *frame = bench->frame;
  printf ("%s on %s, %s, matrix products by %s, batch %d\n",
      clip_model_get_config (bench->model)->name,
      clip_device_get_name (clip_queue_get_device (bench->queue)),
      clip_precision_get_name (clip_model_get_precision (bench->model)),
      clip_model_get_gemm_backend (bench->model), batch);
  printf ("  image encoder        %8.3f ms a frame  %8.2f frames/s\n", encode * 1e3, 1 / encode);
  if (encoder_only)
    return;
  printf ("  preprocessing        %8.3f ms a frame, %.1f %% of the encoder's, of %ux%u %s\n",
      preprocess * 1e3, 100 * preprocess / encode, frame->width, frame->height, format_name ());
  printf ("  both                 %8.3f ms a frame  %8.2f frames/s\n", (preprocess + encode) * 1e3,
      1 / (preprocess + encode));
}

static void
print_json (const Bench *bench, double preprocess, double encode)
{
  const ClipFrame *frame = bench->frame;
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, clip_model_get_config (bench->model)->name);
  g_string_append (out, ",\"device\":");
  tool_json_string (out, clip_device_get_name (clip_queue_get_device (bench->queue)));
  g_string_append_printf (out, ",\"precision\":\"%s\",\"gemm_backend\":\"%s\",\"batch\":%d",
      clip_precision_get_name (clip_model_get_precision (bench->model)),
      clip_model_get_gemm_backend (bench->model), batch);
  tool_json_field (out, "encode_fps", 1 / encode);
  if (!encoder_only) {
    g_string_append_printf (out, ",\"frame\":{\"width\":%u,\"height\":%u,\"format\":\"%s\"}",
        frame->width, frame->height, format_name ());
    tool_json_field (out, "preprocess_fps", 1 / preprocess);
    tool_json_field (out, "preprocess_over_encode", preprocess / encode);
    tool_json_field (out, "fps", 1 / (preprocess + encode));
  }
  puts (g_string_append (out, "}")->str);
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
  return (bench->preprocessor = clip_preprocessor_new (bench->queue, &config->preprocess, error))
         && (bench->pixels
             = clip_buffer_new (device, (gsize) batch * picture * sizeof (float), error))
         && preprocess_once (bench, error);
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
      const double encode = measure (&benches[i], NULL, error);
      if (encode < 0)
        return FALSE;
      rates[i][round] = 1 / encode;
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
    printf (
        "%s on %s, image encoder, batch %d, median of %d rounds\n", model, device, batch, ROUNDS);
  for (guint i = 0; i < PRECISIONS; i++) {
    double ratios[ROUNDS];
    for (guint round = 0; round < ROUNDS; round++)
      ratios[round] = rates[i][round] / rates[0][round];
    const char *name = clip_precision_get_name (clip_model_get_precision (benches[i].model));
    const char *backend = clip_model_get_gemm_backend (benches[i].model);
    if (!tool_options.json)
      printf ("  %s  %8.2f frames/s  %5.2fx of fp32  by %s\n", name, median (rates[i]),
          median (ratios), backend);
    g_string_append_printf (
        out, "%s\"%s\":{\"gemm_backend\":\"%s\",\"encode_fps\":", i ? "," : "", name, backend);
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
    benches[i].frame = frame;
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
  g_auto (Bench) bench = { .queue = queue, .frame = frame };
  double preprocess = 0, encode;
  if (!bench_open (&bench, path, tool_options.precision, error)
      || (encode = measure (&bench, encoder_only ? NULL : &preprocess, error)) < 0)
    return FALSE;
  (tool_options.json ? print_json : print_text) (&bench, preprocess, encode);
  return TRUE;
}

/* Frames from the upload to the embeddings; the first batch (which builds kernels) is not counted */
static gboolean
run_profile (ClipQueue *queue, const char *path, const ClipFrame *frame, GError **error)
{
  g_auto (Bench) bench = { .queue = queue, .frame = frame };
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
  return first
         && tool_bench_profile (queue, bench.model, (guint) batch, rounds,
             (double) (now - start) / G_USEC_PER_SEC, error);
}

static int
run (GError **error)
{
  if (batch < 1 || batch > 256)
    return tool_usage (&tool_bench, "expected --batch N of 1 to 256");
  if (!(seconds > 0 && seconds <= 3600))
    return tool_usage (&tool_bench, "expected --seconds S above 0, at most 3600");
  if (load + all + profile + encoder_only > 1)
    return tool_usage (
        &tool_bench, "expected --load, --all-precisions, --profile or --encoder, not two of them");
  /* loading and texts need no frame, nor GStreamer in what is resident */
  const gboolean framed = !load && !texts;
  g_autoptr (GError) problem = NULL;
  const char *size = frame_size ? frame_size : "1920x1080";
  g_autoptr (ToolImage) image = framed ? tool_bench_frame_new (size, format_name (), &problem) : NULL;
  if (framed && !image)
    return tool_usage (&tool_bench, problem->message);
  g_autofree char *path = tool_find_model (error);
  g_autoptr (ClipDevice) device = path ? clip_device_open (tool_options.device, error) : NULL;
  g_autoptr (ClipQueue) queue
      = device ? (profile ? clip_queue_new_profiled : clip_queue_new) (device, error) : NULL;
  if (!queue)
    return TOOL_FAILED;
  if (load)
    return tool_bench_load (queue, path, error) ? 0 : TOOL_FAILED;
  if (texts)
    return tool_bench_texts (queue, path, texts, templates, error) ? 0 : TOOL_FAILED;
  gboolean (*measured) (ClipQueue *, const char *, const ClipFrame *, GError **)
      = all ? run_all : profile ? run_profile : run_one;
  return measured (queue, path, &image->frame, error) ? 0 : TOOL_FAILED;
}

const ToolCommand tool_bench = { "bench", NULL, "Measure frames and texts per second",
  "A frame of noise is preprocessed and encoded, over and over.", entries, NULL, run, TRUE };
