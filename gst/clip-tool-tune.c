/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 tune: CLBlast's parameters for a device and a model. */
#include "config.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clip-tool-eval.h"
#include "clip-tool.h"
#include "gemm/clip-gemm-tune.h"
#include "model/clip-model-products.h"

#define MAX_BATCHES 8
#define DEFAULT_SECONDS 180
#define REDRAW (G_USEC_PER_SEC / 5)

static char *batch_list;
static double seconds = DEFAULT_SECONDS;
static int tries;
static volatile sig_atomic_t interrupted;

static const GOptionEntry entries[] = {
  { "batch", 'b', 0, G_OPTION_ARG_STRING, &batch_list, "Pictures that are encoded at once; several sizes count alike "
                                                       "(default: 1,8)", "N,N..." },
  { "seconds", 's', 0, G_OPTION_ARG_DOUBLE, &seconds, "How long to search, about (default: 180)", "S" },
  { "tries", 't', 0, G_OPTION_ARG_INT, &tries, "Try N sets of parameters for each kernel, whatever time it takes", "N" },
  G_OPTION_ENTRY_NULL,
};

typedef struct {
  gboolean terminal;
  guint rows; /* printed */
  gint64 drawn;
} Progress;

/* The second signal ends the process */
static void
on_signal (int number)
{
  interrupted = 1;
}

static double
gflops (const ClipGemmShape *shape, double time)
{
  return 2e-9 * shape->m * shape->n * shape->k / time;
}

static void
print_row (const ClipTuneRow *row)
{
  const ClipGemmShape *s = &row->shape;
  fprintf (stderr, "%ux%ux%u: %.1f GFLOP/s\n", s->m, s->n, s->k, gflops (s, row->before));
}

static gboolean
on_progress (const ClipTune *tune, gpointer data)
{
  Progress *progress = data;
  const gint64 now = g_get_monotonic_time ();
  if (!progress->terminal) {
    while (progress->rows < tune->rows_done)
      print_row (&g_array_index (tune->rows, ClipTuneRow, progress->rows++));
  } else if (now - progress->drawn >= REDRAW) {
    progress->drawn = now;
    eval_print_bar ((guint) (tune->fraction * 1000), 1000);
    fprintf (stderr, "%s, %u sets tried, %.2fx   ", tune->family == CLIP_GEMM_XGEMM ? "large products" : "small products",
        tune->tried, tune->gain);
    fflush (stderr);
  }
  return !interrupted;
}

/* CLBlast prints what a compiler says of parameters that do not build to stdout, where the result goes. */
static int
silence_stdout (void)
{
  fflush (stdout);
  const int kept = dup (STDOUT_FILENO), null = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) {
    dup2 (null, STDOUT_FILENO);
    close (null);
  }
  return kept;
}

static void
restore_stdout (int kept)
{
  fflush (stdout);
  if (kept >= 0) {
    dup2 (kept, STDOUT_FILENO);
    close (kept);
  }
}

static ClipTune *
search (ClipDevice *device, const GArray *shapes, GError **error)
{
  Progress progress = { .terminal = isatty (STDERR_FILENO) == 1 };
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = (int) SA_RESETHAND };
  g_autoptr (ClipQueue) queue = clip_queue_new (device, error);
  if (!queue)
    return NULL;
  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
  const int kept = silence_stdout ();
  ClipTune *tune = clip_tune_run (queue, shapes, seconds, (guint) tries, on_progress, &progress, error);
  restore_stdout (kept);
  if (progress.terminal)
    fputs ("\r\033[K", stderr);
  return tune;
}

/* Of a picture's or a text's products, on the average */
static double
milliseconds (const ClipTune *tune, gboolean after)
{
  double sum = 0;
  for (guint i = 0; i < tune->rows->len; i++) {
    const ClipTuneRow *row = &g_array_index (tune->rows, ClipTuneRow, i);
    sum += row->shape.weight * 1e3 * (after ? row->after : row->before);
  }
  return sum;
}

static void
print_people (const ClipTune *tune, ClipDevice *device, const char *path)
{
  printf ("%s, CLBlast %s, fp32\n  %-20s %10s %10s  GFLOP/s\n", clip_device_get_name (device), CLBLAST_VERSION, "product",
      "before", "after");
  for (guint i = 0; i < tune->rows->len; i++) {
    const ClipTuneRow *row = &g_array_index (tune->rows, ClipTuneRow, i);
    g_autofree char *name = g_strdup_printf ("%ux%ux%u", row->shape.m, row->shape.n, row->shape.k);
    printf ("  %-20s %10.1f %10.1f  %.2fx\n", name, gflops (&row->shape, row->before), gflops (&row->shape, row->after),
        row->before / row->after);
  }
  printf ("%u sets of parameters tried%s; %u gave a wrong result, %u did not build\n", tune->tried,
      tune->is_stopped ? ", then stopped" : "", tune->wrong, tune->failed);
  printf ("the products of a picture: %.3f ms before, %.3f ms after\n", milliseconds (tune, FALSE),
      milliseconds (tune, TRUE));
  if (path)
    printf ("stored in %s\n", path);
  else
    puts ("nothing is stored: CLBlast's own parameters are as good as any that were tried");
}

static void
append_number (GString *out, const char *key, double value)
{
  g_string_append_printf (out, ",\"%s\":", key);
  if (isfinite (value))
    tool_json_float (out, value);
  else
    g_string_append (out, "null");
}

static void
append_parameters (GString *out, const ClipGemmTuning *tuning)
{
  const char *comma = "";
  g_string_append (out, ",\"parameters\":{");
  for (ClipGemmFamily family = 0; family < CLIP_GEMM_FAMILIES; family++) {
    if (!tuning->has[family])
      continue;
    g_string_append_printf (out, "%s\"%s\":{", comma, clip_gemm_family_get_name (family));
    for (guint i = 0; i < clip_gemm_family_get_size (family); i++)
      g_string_append_printf (out, "%s\"%s\":%u", i ? "," : "", clip_gemm_family_get_parameter (family, i),
          tuning->sets[family].values[i]);
    g_string_append_c (out, '}');
    comma = ",";
  }
  g_string_append_c (out, '}');
}

static void
print_json (const ClipTune *tune, ClipDevice *device, const char *path)
{
  g_autoptr (GString) out = g_string_new ("{\"device\":");
  tool_json_string (out, clip_device_get_name (device));
  g_string_append_printf (out, ",\"clblast\":\"%s\",\"precision\":\"fp32\",\"tried\":%u,\"wrong\":%u,\"failed\":%u,"
                               "\"stopped\":%s,\"stored\":", CLBLAST_VERSION, tune->tried, tune->wrong, tune->failed,
      tune->is_stopped ? "true" : "false");
  if (path)
    tool_json_string (out, path);
  else
    g_string_append (out, "null");
  append_number (out, "before_ms", milliseconds (tune, FALSE));
  append_number (out, "after_ms", milliseconds (tune, TRUE));
  g_string_append (out, ",\"products\":[");
  for (guint i = 0; i < tune->rows->len; i++) {
    const ClipTuneRow *row = &g_array_index (tune->rows, ClipTuneRow, i);
    g_string_append_printf (out, "%s{\"m\":%u,\"n\":%u,\"k\":%u", i ? "," : "", row->shape.m, row->shape.n, row->shape.k);
    append_number (out, "calls", row->shape.weight);
    append_number (out, "before_gflops", gflops (&row->shape, row->before));
    append_number (out, "after_gflops", gflops (&row->shape, row->after));
    g_string_append_c (out, '}');
  }
  g_string_append_c (out, ']');
  append_parameters (out, &tune->tuning);
  puts (g_string_append (out, "}")->str);
}

/* Returns: how many, 0 where the list is none */
static guint
parse_batches (const char *text, guint batches[MAX_BATCHES])
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);
  const guint count = g_strv_length (parts);
  if (count > MAX_BATCHES)
    return 0;
  for (guint i = 0; i < count; i++) {
    guint64 value;
    if (!g_ascii_string_to_unsigned (parts[i], 10, 1, 256, &value, NULL))
      return 0;
    batches[i] = (guint) value;
  }
  return count;
}

static gboolean
tune_and_print (ClipDevice *device, const char *model, const guint *batches, guint count, GError **error)
{
  g_autoptr (GArray) shapes = clip_model_list_products (device, model, batches, count, error);
  g_autoptr (ClipTune) tune = shapes ? search (device, shapes, error) : NULL;
  if (!tune)
    return FALSE;
  g_autofree char *path = clip_gemm_tuning_get_path (device);
  (tool_options.json ? print_json : print_people) (tune, device, tune->is_stored ? path : NULL);
  return TRUE;
}

static int
run (GError **error)
{
  guint batches[MAX_BATCHES];
  const guint count = parse_batches (batch_list ? batch_list : "1,8", batches);
  if (count == 0)
    return tool_usage (&tool_tune, "expected --batch N or N,N... of at most 8 numbers, each 1 to 256");
  if (!(seconds > 0 && seconds <= 86400) || tries < 0)
    return tool_usage (&tool_tune, "expected --seconds S above 0, at most 86400, or --tries N above 0");
  if (tool_options.precision != CLIP_PRECISION_FP32)
    return tool_usage (&tool_tune, "expected --precision fp32: CLBlast does not compute the others");
  g_autofree char *model = tool_find_model (error);
  g_autoptr (ClipDevice) device = model ? clip_device_open (tool_options.device, error) : NULL;
  if (!device)
    return TOOL_FAILED;
  if (clip_device_is_cpu (device))
    g_printerr ("gst-clip-1.0 tune: on a CPU device CLBlast is used with GST_CLIP_GEMM=clblast alone, or where our own "
                "kernel is slow\n");
  g_setenv ("GST_CLIP_GEMM", "panel", TRUE); /* to list the products nothing needs to be measured */
  return tune_and_print (device, model, batches, count, error) ? 0 : TOOL_FAILED;
}

const ToolCommand tool_tune = { "tune", NULL, "Search CLBlast's parameters for a GPU and a model",
  "Times the products of the model's encoders with many sets of parameters, checks the results, and stores what is\n"
  "faster than CLBlast's own for this device; all that run on it use it from then on. Ctrl-C keeps what was found.\n"
  "  gst-clip-1.0 tune --model ViT-B/32 --device gpu",
  entries, NULL, run, TRUE };
