/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of gst-clip-1.0 eval share. */
#pragma once

#include "model/clip-model.h"
#include "text/clip-prompts.h"

#include "clip-tool.h"

G_BEGIN_DECLS

#define EVAL_BATCH 16        /* frames encoded in one call */
#define EVAL_NO_CLASS G_MAXUINT

/** EvalFile: a file below a class folder, and what became of it */
typedef struct {
  char *path; /* relative to the evaluated folder, as bytes */
  guint label; /* index of its class */
  guint best; /* class predicted, when @rank > 0 */
  guint rank; /* of its class among all, 1 is right; 0: not evaluated */
  gboolean resumed;
} EvalFile;

typedef struct {
  char *path; /* relative to the evaluated folder */
  char *message;
} EvalProblem;

/** EvalData: the classes, in the order of their indices, and the files, sorted by class and path */
typedef struct {
  char *directory;
  ClipPromptSet *set; /* the phrasings of each class */
  GPtrArray *folders; /* (nullable) char * for each class: its folder's name, as bytes */
  GArray *files; /* EvalFile */
  GArray *problems; /* EvalProblem */
  guint skipped; /* what is neither file nor folder, and files beside the class folders */
} EvalData;

/**
 * eval_data_open:
 * @classes_file: (nullable): names of the classes; NULL: the folders' names
 *
 * Lists the class folders of @directory and their files. Folders that cannot be read are problems, not errors.
 */
EvalData *eval_data_open (const char *directory, const char *classes_file, GError **error);
void eval_data_free (EvalData *data);
/** eval_data_name: what a class is called, for people */
const char *eval_data_name (const EvalData *data, guint index);
/** eval_data_fail: notes a problem; frees @error. @path: relative to the folder */
void eval_data_fail (EvalData *data, const char *path, GError *error);

/**
 * eval_classes_open: @folders: (element-type filename): sorted names.
 *
 * Sets @data's set and folders. See README.md, "Measure a model", for the file.
 */
gboolean eval_classes_open (EvalData *data, GPtrArray *folders, const char *file, GError **error);

/** EvalFrames: which frames of a video stand for it */
typedef struct {
  enum { EVAL_FRAMES_COUNT, EVAL_FRAMES_ALL, EVAL_FRAMES_EVERY } kind;
  guint count; /* COUNT: the middle frames of this many equal parts */
  double seconds; /* EVERY: the first frame of each period */
} EvalFrames;

/** EvalFrameFunc: Returns: FALSE to stop with @error */
typedef gboolean (*EvalFrameFunc) (const ClipFrame *frame, gpointer user_data, GError **error);

/** eval_read_frames: calls @func for the picture, or the chosen frames of the video, in @path */
gboolean eval_read_frames (
    const char *path, const EvalFrames *frames, EvalFrameFunc func, gpointer user_data, GError **error);

/** EvalEncoder: frames in, one unit embedding a file out; batches frames across files */
typedef struct _EvalEncoder EvalEncoder;

/** EvalEncodedFunc: @embedding: [embed_dim], unit; @frames: how many were averaged */
typedef gboolean (*EvalEncodedFunc) (
    guint file, const float *embedding, guint frames, gpointer user_data, GError **error);

EvalEncoder *eval_encoder_new (const char *model, EvalEncodedFunc func, gpointer user_data, GError **error);
void eval_encoder_free (EvalEncoder *encoder);
ClipModel *eval_encoder_get_model (EvalEncoder *encoder);
/** eval_encoder_begin: the frames that follow are @file's */
void eval_encoder_begin (EvalEncoder *encoder, guint file);
gboolean eval_encoder_add (EvalEncoder *encoder, const ClipFrame *frame, GError **error);
/** eval_encoder_end: no more frames of the file come. @use: FALSE forgets it */
void eval_encoder_end (EvalEncoder *encoder, gboolean use);
/** eval_encoder_broken: whether the model or the device failed, and not one frame */
gboolean eval_encoder_broken (EvalEncoder *encoder);
/** eval_encoder_flush: encodes what waits; the function was called for every ended file afterwards */
gboolean eval_encoder_flush (EvalEncoder *encoder, GError **error);

/** EvalProgress: a line on stderr, rewritten on a terminal */
typedef struct {
  gboolean shown, terminal;
  const char *what;
  guint total, before; /* @before: done when it started, not counted in the rate */
  gint64 start, last;
} EvalProgress;
void eval_progress_start (EvalProgress *progress, gboolean forced, const char *what, guint total, guint before);
void eval_progress_step (EvalProgress *progress, guint done);
void eval_progress_end (EvalProgress *progress);
/** eval_print_bar: a bar at the begin of the line on stderr */
void eval_print_bar (guint done, guint total);

/** eval_prompts: [classes,embed_dim] unit embeddings of the classes. Returns: (transfer full) */
float *eval_prompts (ClipModel *model, ClipPromptSet *set, char **templates, gboolean progress, GError **error);

/** EvalResults: a file of a JSON line for each evaluated file */
typedef struct _EvalResults EvalResults;

/**
 * eval_results_open:
 * @resume: go on with an existing file: its files of @data are done; else it must not exist, or be empty
 * @model: the model's path; @frames: as the user wrote it
 *
 * Refuses a file that another model, other prompts or other frames of videos wrote.
 */
EvalResults *eval_results_open (const char *path, gboolean resume, const char *model, char **templates,
    const char *frames, EvalData *data, GError **error);
void eval_results_free (EvalResults *results);
/** eval_results_write: one line, complete or not at all. @line: JSON without line end */
gboolean eval_results_write (EvalResults *results, const char *line, GError **error);
/** eval_append_path: "file":NAME, and the bytes in base64 when they are not UTF-8 */
void eval_append_path (GString *out, const char *path);
/** eval_fingerprint: hex digest of what makes results comparable: some of the weights. (transfer full) */
char *eval_fingerprint_model (const char *path, GError **error);
char *eval_fingerprint_prompts (const EvalData *data, char **templates);

/** EvalSummary: what is reported; accuracies in 0..1, over the files that were evaluated */
typedef struct {
  const char *model;
  const char *templates;
  const char *frames;
  guint k; /* of top-k */
  double seconds; /* spent on frames in this run */
} EvalSummary;
/** eval_report: prints for people or, with --json, for machines */
void eval_report (const EvalData *data, const EvalSummary *summary);
/** eval_count_evaluated: files with a rank */
guint eval_count_evaluated (const EvalData *data);
/** eval_confusion_row: @row: [classes], receives how often files of class @label were taken for each class;
 * @from: first file to look at. Returns: the first file of a later class */
guint eval_confusion_row (const EvalData *data, guint label, guint from, guint *row);
/** eval_write_confusion: CSV, a row for each true class, a column for each predicted one */
gboolean eval_write_confusion (const EvalData *data, const char *path, GError **error);
#define EVAL_MAX_PLOT 5000 /* classes: a pixel each, and 100 MB of them */
/** eval_plot_confusion: PNG, in each cell the share of the row's class that was taken for the column's */
gboolean eval_plot_confusion (const EvalData *data, const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalData, eval_data_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalEncoder, eval_encoder_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvalResults, eval_results_free)

G_END_DECLS
