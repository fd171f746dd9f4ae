/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: the numbers, for people and machines, and the confusion table. */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "clip-tool-eval.h"

#define SHOWN_PROBLEMS 20
#define SHOWN_CLASSES 5

typedef struct {
  guint label, files, first, in_k; /* files evaluated; right; within the best k */
  guint mistaken, times; /* the wrong class taken most often */
} ClassCount;

static const EvalFile *
get_file (const EvalData *data, guint index)
{
  return &g_array_index (data->files, EvalFile, index);
}

guint
eval_count_evaluated (const EvalData *data)
{
  guint count = 0;
  for (guint i = 0; i < data->files->len; i++)
    count += get_file (data, i)->rank > 0;
  return count;
}

guint
eval_confusion_row (const EvalData *data, guint label, guint from, guint *row)
{
  memset (row, 0, clip_prompt_set_get_size (data->set) * sizeof *row);
  for (; from < data->files->len && get_file (data, from)->label <= label; from++) {
    const EvalFile *file = get_file (data, from);
    if (file->rank > 0 && file->label == label)
      row[file->best]++;
  }
  return from;
}

/* (transfer full): [classes] */
static ClassCount *
count_classes (const EvalData *data, guint k)
{
  const guint n = clip_prompt_set_get_size (data->set);
  ClassCount *counts = g_new0 (ClassCount, n);
  g_autofree guint *row = g_new (guint, n);
  for (guint i = 0; i < data->files->len; i++) {
    const EvalFile *file = get_file (data, i);
    counts[file->label].files += file->rank > 0;
    counts[file->label].in_k += file->rank > 0 && file->rank <= k;
  }
  for (guint i = 0, from = 0; i < n; i++) {
    ClassCount *count = &counts[i];
    from = eval_confusion_row (data, i, from, row);
    count->label = i;
    count->first = row[i];
    for (guint j = 0; j < n && count->first < count->files; j++) {
      if (j != i && row[j] > count->times) {
        count->mistaken = j;
        count->times = row[j];
      }
    }
  }
  return counts;
}

typedef struct {
  guint files, first, in_k, classes, resumed;
  double mean_per_class;
} Totals;

static Totals
add_up (const EvalData *data, const ClassCount *counts)
{
  Totals totals = { 0 };
  for (guint i = 0; i < clip_prompt_set_get_size (data->set); i++) {
    totals.files += counts[i].files;
    totals.first += counts[i].first;
    totals.in_k += counts[i].in_k;
    totals.classes += counts[i].files > 0;
    if (counts[i].files > 0)
      totals.mean_per_class += (double) counts[i].first / counts[i].files;
  }
  totals.mean_per_class = totals.classes > 0 ? totals.mean_per_class / totals.classes : 0;
  for (guint i = 0; i < data->files->len; i++)
    totals.resumed += get_file (data, i)->resumed;
  return totals;
}

static int
worst_first (gconstpointer a, gconstpointer b)
{
  const ClassCount *x = a, *y = b;
  const guint64 left = (guint64) x->first * y->files, right = (guint64) y->first * x->files;
  if (left != right)
    return left < right ? -1 : 1;
  return x->label < y->label ? -1 : x->label > y->label;
}

static void
print_worst (const EvalData *data, const ClassCount *counts)
{
  g_autoptr (GArray) worst = g_array_new (FALSE, FALSE, sizeof (ClassCount));
  for (guint i = 0; i < clip_prompt_set_get_size (data->set); i++) {
    if (counts[i].first < counts[i].files)
      g_array_append_val (worst, counts[i]);
  }
  g_array_sort (worst, worst_first);
  for (guint i = 0; i < MIN (worst->len, SHOWN_CLASSES); i++) {
    const ClassCount *count = &g_array_index (worst, ClassCount, i);
    printf ("%s %6.2f %%  %s (%u of %u), most often taken for %s\n", i == 0 ? "worst          " : "               ",
        100.0 * count->first / count->files, eval_data_name (data, count->label), count->first, count->files,
        eval_data_name (data, count->mistaken));
  }
}

static void
print_problems (const EvalData *data)
{
  if (data->problems->len > 0)
    printf ("errors          %u, not counted above:\n", data->problems->len);
  for (guint i = 0; i < MIN (data->problems->len, SHOWN_PROBLEMS); i++) {
    const EvalProblem *problem = &g_array_index (data->problems, EvalProblem, i);
    g_autofree char *path = g_filename_display_name (problem->path);
    printf ("  %s: %s\n", path, problem->message);
  }
  if (data->problems->len > SHOWN_PROBLEMS)
    printf ("  and %u more: --json prints all\n", data->problems->len - SHOWN_PROBLEMS);
}

static void
print_people (const EvalData *data, const EvalSummary *summary, const ClassCount *counts, const Totals *totals)
{
  const guint n = clip_prompt_set_get_size (data->set);
  g_autofree char *best_k = g_strdup_printf ("top-%u", summary->k);
  printf ("model           %s, templates %s\n", summary->model, summary->templates);
  printf ("files           %u evaluated in %u classes", totals->files, totals->classes);
  if (totals->resumed > 0)
    printf (", %u of them taken from the results", totals->resumed);
  if (n > totals->classes)
    printf ("; %u further classes to choose from", n - totals->classes);
  putchar ('\n');
  if (data->skipped > 0)
    printf ("passed over     %u, neither in a class folder nor regular\n", data->skipped);
  if (totals->files > 0) {
    printf ("top-1           %6.2f %%\n%-15s %6.2f %%\nmean per class  %6.2f %%\n",
        100.0 * totals->first / totals->files, best_k, 100.0 * totals->in_k / totals->files,
        100.0 * totals->mean_per_class);
    print_worst (data, counts);
  }
  print_problems (data);
}

static void
append_fraction (GString *out, const char *name, double part, double whole)
{
  g_string_append_printf (out, ",\"%s\":", name);
  if (whole > 0)
    tool_json_float (out, part / whole);
  else
    g_string_append (out, "null");
}

static void
append_text (GString *out, const char *name, const char *text)
{
  g_string_append_printf (out, "\"%s\":", name);
  tool_json_string (out, text);
}

static void
append_class (GString *out, const EvalData *data, const ClassCount *count)
{
  const char *folder = g_ptr_array_index (data->folders, count->label);
  g_string_append (out, count->label == 0 ? "{" : ",{");
  append_text (out, "name", eval_data_name (data, count->label));
  if (folder) {
    g_string_append_c (out, ',');
    append_text (out, "folder", folder);
  }
  g_string_append_printf (out, ",\"evaluated\":%u,\"top_1\":%u,\"top_k\":%u", count->files, count->first, count->in_k);
  if (count->times > 0) {
    g_string_append_c (out, ',');
    append_text (out, "most_often_taken_for", eval_data_name (data, count->mistaken));
  }
  g_string_append_c (out, '}');
}

static void
print_json (const EvalData *data, const EvalSummary *summary, const ClassCount *counts, const Totals *totals)
{
  g_autoptr (GString) out = g_string_new ("{");
  append_text (out, "model", summary->model);
  g_string_append_c (out, ',');
  append_text (out, "templates", summary->templates);
  g_string_append_c (out, ',');
  append_text (out, "frames", summary->frames);
  g_string_append_printf (out, ",\"evaluated\":%u,\"resumed\":%u,\"skipped\":%u,\"k\":%u", totals->files,
      totals->resumed, data->skipped, summary->k);
  append_fraction (out, "top_1", totals->first, totals->files);
  append_fraction (out, "top_k", totals->in_k, totals->files);
  append_fraction (out, "mean_per_class", totals->mean_per_class, totals->classes > 0);
  g_string_append (out, ",\"seconds\":");
  tool_json_float (out, summary->seconds);
  g_string_append (out, ",\"classes\":[");
  for (guint i = 0; i < clip_prompt_set_get_size (data->set); i++)
    append_class (out, data, &counts[i]);
  g_string_append (out, "],\"errors\":[");
  for (guint i = 0; i < data->problems->len; i++) {
    const EvalProblem *problem = &g_array_index (data->problems, EvalProblem, i);
    g_string_append (out, i == 0 ? "{" : ",{");
    eval_append_path (out, problem->path);
    g_string_append_c (out, ',');
    append_text (out, "error", problem->message);
    g_string_append_c (out, '}');
  }
  puts (g_string_append (out, "]}")->str);
}

void
eval_report (const EvalData *data, const EvalSummary *summary)
{
  g_autofree ClassCount *counts = count_classes (data, summary->k);
  const Totals totals = add_up (data, counts);
  (tool_options.json ? print_json : print_people) (data, summary, counts, &totals);
}

/* RFC 4180: quotes where a comma, a quote or a line end would be read as a sign */
static void
append_cell (GString *line, const char *text)
{
  if (!strpbrk (text, ",\"\r\n")) {
    g_string_append (line, text);
    return;
  }
  g_string_append_c (line, '"');
  for (const char *c = text; *c; c++)
    g_string_append_printf (line, *c == '"' ? "\"\"" : "%c", *c);
  g_string_append_c (line, '"');
}

static gboolean
write_rows (const EvalData *data, GOutputStream *stream, GError **error)
{
  const guint n = clip_prompt_set_get_size (data->set);
  g_autofree guint *row = g_new (guint, n);
  g_autoptr (GString) line = g_string_new ("true\\predicted");
  for (guint i = 0; i < n; i++)
    append_cell (g_string_append_c (line, ','), eval_data_name (data, i));
  g_string_append_c (line, '\n');
  for (guint i = 0, from = 0; i < n; i++) {
    if (!g_output_stream_write_all (stream, line->str, line->len, NULL, NULL, error))
      return FALSE;
    g_string_truncate (line, 0);
    append_cell (line, eval_data_name (data, i));
    from = eval_confusion_row (data, i, from, row);
    for (guint j = 0; j < n; j++)
      g_string_append_printf (line, ",%u", row[j]);
    g_string_append_c (line, '\n');
  }
  return g_output_stream_write_all (stream, line->str, line->len, NULL, NULL, error);
}

/* Complete or not at all: g_file_replace() writes beside it and renames at the end. */
gboolean
eval_write_confusion (const EvalData *data, const char *path, GError **error)
{
  g_autoptr (GFile) file = g_file_new_for_commandline_arg (path);
  g_autoptr (GFileOutputStream) stream = g_file_replace (file, NULL, FALSE, G_FILE_CREATE_NONE, NULL, error);
  gboolean ok = stream && write_rows (data, G_OUTPUT_STREAM (stream), error);
  if (ok) {
    ok = g_output_stream_close (G_OUTPUT_STREAM (stream), NULL, error);
  } else if (stream) { /* a cancelled close does not rename */
    g_autoptr (GCancellable) cancelled = g_cancellable_new ();
    g_cancellable_cancel (cancelled);
    g_output_stream_close (G_OUTPUT_STREAM (stream), cancelled, NULL);
  }
  if (!ok)
    g_prefix_error (error, "%s: ", path);
  return ok;
}
