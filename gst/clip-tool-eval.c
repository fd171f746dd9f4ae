/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: zero-shot classification of a folder of class folders (radford2021 section 3.1). */
#include "clip-tool-eval.h"

#include <errno.h>
#include <gst/gst.h>
#include <string.h>
#include <unistd.h>

#include "classify/clip-classify.h"

#define MAX_K 1000
#define MAX_FRAMES 100000

static char *classes_file, *templates_name, *frames_name, *results_file, *confusion_file, *plot_file;
static char **directories;
static int top = 5;
static double every;
static gboolean resume, progress_forced;

static const GOptionEntry entries[] = {
  { "classes", 'c', 0, G_OPTION_ARG_FILENAME, &classes_file,
      "Lines folder<TAB>name<TAB>another phrasing..., or names in the order of the sorted folders", "FILE" },
  { "templates", 't', 0, G_OPTION_ARG_STRING, &templates_name,
      "none, simple, imagenet, ucf101, kinetics700, or a file with a '{}' line each", "NAME" },
  { "top", 'k', 0, G_OPTION_ARG_INT, &top, "K of top-K (default 5)", "K" },
  { "frames", 0, 0, G_OPTION_ARG_STRING, &frames_name,
      "Of a video: middle (default), all, or the middle ones of N equal parts", "N" },
  { "every", 0, 0, G_OPTION_ARG_DOUBLE, &every, "Of a video: a frame every S seconds", "S" },
  { "results", 'o', 0, G_OPTION_ARG_FILENAME, &results_file, "Write a JSON line for each file", "FILE.jsonl" },
  { "resume", 'r', 0, G_OPTION_ARG_NONE, &resume, "Go on with the results that are in --results", NULL },
  { "confusion", 0, 0, G_OPTION_ARG_FILENAME, &confusion_file, "Write the confusion table", "FILE.csv" },
  { "plot", 'p', 0, G_OPTION_ARG_FILENAME, &plot_file, "Draw the confusion table", "FILE.png" },
  { "progress", 0, 0, G_OPTION_ARG_NONE, &progress_forced, "Show progress where there is no terminal", NULL },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &directories, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

/* An evaluation under way. */
typedef struct {
  EvalData *data;
  EvalFrames frames;
  EvalEncoder *encoder;
  EvalResults *results; /* (nullable) */
  EvalProgress progress;
  float *prompts; /* [classes,embed_dim] */
  ClipScore *scores; /* [classes] */
  guint *best; /* [k] */
  guint k, done;
} Eval;

static void
eval_clear (Eval *eval)
{
  g_clear_pointer (&eval->encoder, eval_encoder_free);
  g_clear_pointer (&eval->results, eval_results_free);
  g_clear_pointer (&eval->data, eval_data_free);
  g_free (eval->prompts);
  g_free (eval->scores);
  g_free (eval->best);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Eval, eval_clear)

static EvalFile *
get_file (Eval *eval, guint index)
{
  return &g_array_index (eval->data->files, EvalFile, index);
}

/* Place of class @label among all, from 1; of equal ones the lower index is first, as in clip_top_k(). */
static guint
rank_of (const ClipScore *scores, guint n, guint label)
{
  guint rank = 1;
  for (guint i = 0; i < n; i++)
    rank += scores[i].cosine > scores[label].cosine || (i < label && scores[i].cosine == scores[label].cosine);
  return rank;
}

static void
append_best (GString *line, Eval *eval, guint count)
{
  g_string_append (line, ",\"top\":[");
  for (guint i = 0; i < count; i++) {
    g_string_append (line, i == 0 ? "{\"name\":" : ",{\"name\":");
    tool_json_string (line, eval_data_name (eval->data, eval->best[i]));
    g_string_append (line, ",\"cosine\":");
    tool_json_float (line, eval->scores[eval->best[i]].cosine);
    g_string_append_c (line, '}');
  }
  g_string_append_c (line, ']');
}

static gboolean
write_result (Eval *eval, const EvalFile *file, guint frames, guint count, GError **error)
{
  g_autoptr (GString) line = g_string_new ("{");
  eval_append_path (line, file->path);
  g_string_append (line, ",\"class\":");
  tool_json_string (line, eval_data_name (eval->data, file->label));
  g_string_append_printf (line, ",\"rank\":%u,\"best\":%u,\"frames\":%u", file->rank, file->best, frames);
  append_best (line, eval, count);
  return eval_results_write (eval->results, g_string_append_c (line, '}')->str, error);
}

static void
step (Eval *eval)
{
  eval->done++;
  eval_progress_step (&eval->progress, eval->done);
}

static gboolean
on_encoded (guint index, const float *embedding, guint frames, gpointer user_data, GError **error)
{
  Eval *eval = user_data;
  EvalFile *file = get_file (eval, index);
  const guint n = clip_prompt_set_get_size (eval->data->set);
  const guint d = clip_model_get_config (eval_encoder_get_model (eval->encoder))->embed_dim;
  /* every scoring puts the classes in the order of their cosines */
  clip_score (embedding, eval->prompts, n, d, 1, 0, CLIP_SCORING_COSINE, eval->scores);
  const guint count = clip_top_k (eval->scores, n, eval->k, eval->best);
  file->rank = rank_of (eval->scores, n, file->label);
  file->best = eval->best[0];
  step (eval);
  return !eval->results || write_result (eval, file, frames, count, error);
}

static gboolean
on_frame (const ClipFrame *frame, gpointer user_data, GError **error)
{
  return eval_encoder_add (user_data, frame, error);
}

/* Notes that the file at @index could not be read; frees @cause. */
static gboolean
fail_file (Eval *eval, guint index, GError *cause, GError **error)
{
  const EvalFile *file = get_file (eval, index);
  g_autoptr (GString) line = g_string_new ("{");
  eval_data_fail (eval->data, file->path, cause);
  step (eval);
  if (!eval->results)
    return TRUE;
  eval_append_path (line, file->path);
  g_string_append (line, ",\"error\":");
  tool_json_string (line, g_array_index (eval->data->problems, EvalProblem, eval->data->problems->len - 1).message);
  return eval_results_write (eval->results, g_string_append_c (line, '}')->str, error);
}

static gboolean
evaluate_file (Eval *eval, guint index, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autofree char *path = g_build_filename (eval->data->directory, get_file (eval, index)->path, NULL);
  eval_encoder_begin (eval->encoder, index);
  const gboolean ok = eval_read_frames (path, &eval->frames, on_frame, eval->encoder, &cause);
  eval_encoder_end (eval->encoder, ok);
  if (ok)
    return TRUE;
  if (!eval_encoder_broken (eval->encoder))
    return fail_file (eval, index, g_steal_pointer (&cause), error);
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

static gboolean
evaluate (Eval *eval, GError **error)
{
  const guint n = eval->data->files->len, before = eval_count_evaluated (eval->data);
  eval->done = before;
  eval_progress_start (&eval->progress, progress_forced, "files", n, before);
  gboolean ok = TRUE;
  for (guint i = 0; i < n && ok; i++)
    ok = get_file (eval, i)->rank > 0 || evaluate_file (eval, i, error);
  ok = ok && eval_encoder_flush (eval->encoder, error);
  eval_progress_end (&eval->progress);
  return ok;
}

/* Before hours of work: whether what is written at its end can be. */
static gboolean
check_output (const char *path, GError **error)
{
  g_autofree char *folder = path ? g_path_get_dirname (path) : NULL;
  if (!path || (g_file_test (path, G_FILE_TEST_EXISTS) ? access (path, W_OK) : access (folder, W_OK)) == 0)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_IMAGE, "%s: cannot be written: %s", path, g_strerror (errno));
  return FALSE;
}

static gboolean
parse_frames (EvalFrames *frames)
{
  guint64 count = 1;
  *frames = (EvalFrames){ EVAL_FRAMES_COUNT, 1, every };
  if (every > 0)
    frames->kind = EVAL_FRAMES_EVERY;
  else if (frames_name && g_str_equal (frames_name, "all"))
    frames->kind = EVAL_FRAMES_ALL;
  else if (frames_name && !g_str_equal (frames_name, "middle") &&
      !g_ascii_string_to_unsigned (frames_name, 10, 1, MAX_FRAMES, &count, NULL))
    return FALSE;
  frames->count = (guint) count;
  return TRUE;
}

/* (transfer full): one spelling for each meaning */
static char *
frames_text (const EvalFrames *frames)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  if (frames->kind == EVAL_FRAMES_EVERY)
    return g_strdup_printf ("every %s s", g_ascii_formatd (digits, sizeof digits, "%.9g", frames->seconds));
  return frames->kind == EVAL_FRAMES_ALL ? g_strdup ("all")
      : frames->count == 1               ? g_strdup ("middle")
                                         : g_strdup_printf ("%u", frames->count);
}

/* Cheap checks come first: the folder, the names, the results, and only then the model. */
static gboolean
open_eval (Eval *eval, const char *frames, GError **error)
{
  g_auto (GStrv) templates = clip_templates_load (templates_name, error);
  if (!templates || !check_output (confusion_file, error) || !check_output (plot_file, error) ||
      !(eval->data = eval_data_open (directories[0], classes_file, error)))
    return FALSE;
  g_autofree char *model = tool_find_model (error);
  if (!model || (results_file && !(eval->results = eval_results_open (results_file, resume, model, templates,
                                       frames, eval->data, error))))
    return FALSE;
  const guint n = clip_prompt_set_get_size (eval->data->set);
  eval->k = MIN ((guint) top, n);
  eval->scores = g_new (ClipScore, n);
  eval->best = g_new (guint, eval->k);
  eval->encoder = eval_encoder_new (model, on_encoded, eval, error);
  if (!eval->encoder)
    return FALSE;
  if (eval->data->files->len > eval_count_evaluated (eval->data)) {
    eval->prompts = eval_prompts (
        eval_encoder_get_model (eval->encoder), eval->data->set, templates, progress_forced, error);
    return eval->prompts != NULL;
  }
  return TRUE;
}

static int
check_options (EvalFrames *frames)
{
  if (!directories || directories[1])
    return tool_usage (&tool_eval, "expected one folder, with a folder for each class");
  if (top < 1 || top > MAX_K)
    return tool_usage (&tool_eval, "expected --top K of 1 to " G_STRINGIFY (MAX_K));
  if (every != 0 && (!(every >= 1e-3 && every <= 86400) || frames_name))
    return tool_usage (&tool_eval, "expected --every S of 0.001 to 86400 seconds, without --frames");
  if (!parse_frames (frames))
    return tool_usage (&tool_eval, "expected --frames middle, all, or a number of 1 to " G_STRINGIFY (MAX_FRAMES));
  if (resume && !results_file)
    return tool_usage (&tool_eval, "expected --results FILE with --resume");
  return 0;
}

static int
run (GError **error)
{
  g_auto (Eval) eval = { NULL };
  const int usage = check_options (&eval.frames);
  if (usage != 0)
    return usage;
  gst_init (NULL, NULL);
  g_autofree char *frames = frames_text (&eval.frames);
  if (!open_eval (&eval, frames, error))
    return TOOL_FAILED;
  const gint64 start = g_get_monotonic_time ();
  if (!evaluate (&eval, error))
    return TOOL_FAILED;
  const EvalSummary summary = { clip_model_get_config (eval_encoder_get_model (eval.encoder))->name,
    templates_name ? templates_name : "none", frames, eval.k,
    (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC };
  eval_report (eval.data, &summary);
  if ((confusion_file && !eval_write_confusion (eval.data, confusion_file, error))
      || (plot_file && !eval_plot_confusion (eval.data, plot_file, error)))
    return TOOL_FAILED;
  return eval_count_evaluated (eval.data) > 0 ? 0 : TOOL_FAILED;
}

const ToolCommand tool_eval = { "eval", "DIR", "Measure zero-shot accuracy on a folder of class folders",
  "DIR/CLASS/... holds pictures or videos; a class is called as its folder, underscores as spaces,\n"
  "unless --classes says otherwise. Files that cannot be read are listed and not counted.\n"
  "  gst-clip-1.0 eval --templates imagenet --classes names.tsv imagenet/val\n"
  "  gst-clip-1.0 eval --templates ucf101 --results ucf.jsonl UCF-101",
  entries, NULL, run, TRUE };
