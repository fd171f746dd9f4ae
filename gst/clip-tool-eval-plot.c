/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: the confusion table as a picture. */
#include "clip-plot.h"
#include "clip-tool-eval.h"

gboolean
eval_plot_confusion (const EvalData *data, const char *path, GError **error)
{
  const guint n = clip_prompt_set_get_size (data->set);
  if (n > EVAL_MAX_PLOT) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE,
        "%s: a table of %u classes cannot be drawn, expected at most %d; --confusion writes any number of them", path, n,
        EVAL_MAX_PLOT);
    return FALSE;
  }
  g_autofree float *shares = g_new0 (float, (gsize) n * n);
  g_autofree guint *row = g_new (guint, n);
  g_autofree const char **names = g_new (const char *, n);
  for (guint i = 0, from = 0; i < n; i++) {
    guint files = 0;
    names[i] = eval_data_name (data, i);
    from = eval_confusion_row (data, i, from, row);
    for (guint j = 0; j < n; j++)
      files += row[j];
    for (guint j = 0; j < n && files > 0; j++)
      shares[(gsize) i * n + j] = (float) row[j] / (float) files;
  }
  const ClipHeatMap map = { .rows = n, .columns = n, .values = shares, .low = 0, .high = 1, .row_labels = names,
    .column_labels = names };
  return clip_plot_heat_map (path, &map, error);
}
