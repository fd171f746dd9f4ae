/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 bench --profile: where the time goes. */
#include <stdio.h>
#include <string.h>

#include "clip-tool.h"
#include "device/clip-profile.h"
#include "gemm/clip-gemm.h"

/* What a kernel without a label belongs to; all others are "other". In the order of the table. */
static const struct {
  const char *kernel, *stage;
} stages[] = { { "upload", "upload" }, { "preprocess_rows", "preprocess" },
  { "preprocess_tensor", "preprocess" }, { "patches", "patch" }, { "embed_image", "patch" },
  { "im2col_pixels", "patch" }, { "attention", "attention" }, { "attention_group", "attention" },
  { "pool_attention", "attention" },
  { "head_keys", "attention" }, { "head_scores", "attention" }, { "head_mix", "attention" },
  { "head_values", "attention" }, { "softmax", "attention" }, { "layernorm", "layernorm" },
  { "avgpool", "average pool" } };

typedef struct {
  const char *name;
  guint calls;
  double milliseconds, operations; /* of all calls */
} Stage;

static const char *
stage_of (const ClipProfileRow *row)
{
  if (row->label[0])
    return row->label;
  for (guint i = 0; i < G_N_ELEMENTS (stages); i++) {
    if (g_str_equal (stages[i].kernel, row->kernel))
      return stages[i].stage;
  }
  return "other";
}

/* The packing of a product's factor belongs to the product */
static void
add_row (GArray *sums, const ClipProfileRow *row)
{
  const char *name = stage_of (row);
  Stage *stage = NULL;
  for (guint i = 0; !stage && i < sums->len; i++) {
    if (g_str_equal (g_array_index (sums, Stage, i).name, name))
      stage = &g_array_index (sums, Stage, i);
  }
  if (!stage) {
    const Stage added = { .name = name };
    g_array_append_val (sums, added);
    stage = &g_array_index (sums, Stage, sums->len - 1);
  }
  stage->calls += row->count;
  stage->milliseconds += (double) row->nanoseconds / 1e6;
  stage->operations += row->operations;
}

/* Operations of the products over the time of everything */
static double
products_rate (const GArray *sums, double all)
{
  double operations = 0;
  for (guint i = 0; i < sums->len; i++)
    operations += g_array_index (sums, Stage, i).operations;
  return operations / all / 1e6;
}

static void
print_text (const GArray *sums, guint rounds, double all, double peak)
{
  double sum = 0;
  for (guint i = 0; i < sums->len; i++) {
    const Stage *s = &g_array_index (sums, Stage, i);
    printf ("  %-32s %4u %9.3f ms %5.1f %%", s->name, s->calls / rounds, s->milliseconds / rounds,
        100 * s->milliseconds / all);
    if (s->operations > 0)
      printf ("  %7.1f GFLOP/s, %3.0f %% of the peak", s->operations / s->milliseconds / 1e6,
          100 * s->operations / s->milliseconds / 1e6 / peak);
    putchar ('\n');
    sum += s->milliseconds;
  }
  printf ("  %-32s %4s %9.3f ms %5.1f %%\n", "between the commands", "", (all - sum) / rounds,
      100 * (all - sum) / all);
  printf ("  all products in all the time %.1f GFLOP/s, %.0f %% of the peak\n",
      products_rate (sums, all), 100 * products_rate (sums, all) / peak);
}

static void
print_json (GString *out, const GArray *sums, guint rounds, double all, double peak)
{
  for (guint i = 0; i < sums->len; i++) {
    const Stage *s = &g_array_index (sums, Stage, i);
    g_string_append (out, i ? ",{\"stage\":" : "{\"stage\":");
    tool_json_string (out, s->name);
    g_string_append_printf (out, ",\"calls\":%u", s->calls / rounds);
    tool_json_field (out, "ms", s->milliseconds / rounds);
    tool_json_field (out, "share", s->milliseconds / all);
    if (s->operations > 0) {
      tool_json_field (out, "gflops", s->operations / s->milliseconds / 1e6);
      tool_json_field (out, "of_peak", s->operations / s->milliseconds / 1e6 / peak);
    }
    g_string_append_c (out, '}');
  }
}

gboolean
tool_bench_profile (
    ClipQueue *queue, ClipModel *model, guint batch, guint rounds, double seconds, GError **error)
{
  g_autoptr (GPtrArray) rows = clip_queue_take_profile (queue, error);
  const double peak = rows ? clip_linear_measure_peak (queue, error) : -1, all = seconds * 1e3;
  const char *device = clip_device_get_name (clip_queue_get_device (queue)),
             *name = clip_model_get_config (model)->name,
             *precision = clip_precision_get_name (clip_model_get_precision (model));
  g_autoptr (GArray) sums = g_array_new (FALSE, FALSE, sizeof (Stage));
  if (peak < 0)
    return FALSE;
  for (guint i = 0; i < rows->len; i++)
    add_row (sums, rows->pdata[i]);
  if (!tool_options.json) {
    printf (
        "%s on %s, %s, batch %u: a batch takes %.3f ms, %.2f/s; the peak of fp32 is %.1f GFLOP/s\n",
        name, device, precision, batch, all / rounds, batch * rounds / seconds, peak);
    print_text (sums, rounds, all, peak);
    return TRUE;
  }
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, name);
  g_string_append (out, ",\"device\":");
  tool_json_string (out, device);
  g_string_append_printf (out, ",\"precision\":\"%s\",\"batch\":%u", precision, batch);
  tool_json_field (out, "ms", all / rounds);
  tool_json_field (out, "per_second", batch * rounds / seconds);
  tool_json_field (out, "peak_gflops", peak);
  tool_json_field (out, "of_peak", products_rate (sums, all) / peak);
  g_string_append (out, ",\"stages\":[");
  print_json (out, sums, rounds, all, peak);
  puts (g_string_append (out, "]}")->str);
  return TRUE;
}
