/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the subcommands of gst-clip-1.0 share. */
#pragma once

#include <cairo.h>
#include <gst/video/video.h>

#include "gemm/clip-precision.h"
#include "image/clip-image.h"
#include "model/clip-model.h"
#include "text/clip-prompts.h"

G_BEGIN_DECLS

#define TOOL_IMAGE_TIMEOUT (10 * G_USEC_PER_SEC) /* for one picture, from opening to decoded */

/** ToolCommand: a subcommand; @run gets the arguments after its name, with the command's as argv[0] */
typedef struct {
  const char *name, *arguments, *summary, *description;
  const GOptionEntry *entries; /* (nullable): main entries, without the shared ones */
  void (*prepare) (void); /* (nullable): before the options are parsed */
  int (*run) (GError **error);
  gboolean encodes; /* it has --precision, into tool_options.precision */
} ToolCommand;

#define TOOL_FAILED 1
#define TOOL_USAGE 2

extern const ToolCommand tool_match, tool_embed, tool_tokenize, tool_preprocess, tool_info, tool_bench,
    tool_tune, tool_eval, tool_convert, tool_search, tool_similar, tool_export;

/* Options that most commands have. */
typedef struct {
  char *model, *device;
  ClipPrecision precision;
  gboolean json;
} ToolOptions;
extern ToolOptions tool_options;

/** tool_usage: "gst-clip-1.0 COMMAND: MESSAGE" on stderr. Returns: TOOL_USAGE */
int tool_usage (const ToolCommand *command, const char *message);

/**
 * tool_find_model: as clip_model_find() for --model, with a warning on stderr when only the demo
 * model was found. Returns: (transfer full)
 */
char *tool_find_model (GError **error);

/** tool_set_from_texts: (transfer full): a label for each text as it is, whatever signs of prompts it has; @texts: of char * */
ClipPromptSet *tool_set_from_texts (GPtrArray *texts, GError **error);

/* JSON: numbers in the "C" locale with the digits that give the float back. */
void tool_json_string (GString *out, const char *text);
void tool_json_float (GString *out, double value);
/** tool_json_field: ,"NAME":VALUE */
void tool_json_field (GString *out, const char *name, double value);

/** tool_bench_load: measures and prints what loading the model at @path takes */
gboolean tool_bench_load (ClipQueue *queue, const char *path, GError **error);
/** tool_bench_profile: prints where the time of @rounds of @batch went, from the @queue's profile; they took @seconds */
gboolean tool_bench_profile (
    ClipQueue *queue, ClipModel *model, guint batch, guint rounds, double seconds, GError **error);

/** tool_bench_texts: measures and prints what encoding a file of prompts with templates takes; where the time went, on a
 * profiled @queue */
gboolean tool_bench_texts (
    ClipQueue *queue, const char *path, const char *prompts, const char *templates, GError **error);

/** ToolImage: a decoded picture; @frame points into @video */
typedef struct {
  GstSample *sample;
  GstVideoFrame video;
  ClipFrame frame;
} ToolImage;

/**
 * tool_image_read:
 * @path: a file of any picture (or video: its first frame) format that GStreamer decodes
 *
 * Alpha is kept and resized premultiplied, as openai/CLIP does.
 */
ToolImage *tool_image_read (const char *path, GError **error);
void tool_image_free (ToolImage *image);

/** tool_image_thumbnail: (transfer full): the picture at most 128 pixels wide and high, over white where it is transparent */
cairo_surface_t *tool_image_thumbnail (ToolImage *image, const char *path, GError **error);

/** tool_image_write_png: @rgb: [size,size,3]; the file appears complete or not at all */
gboolean tool_image_write_png (const char *path, const guint8 *rgb, guint size, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ToolImage, tool_image_free)

/**
 * tool_bench_frame_new:
 * @size: as in "1920x1080"
 * @format: as GStreamer calls it
 *
 * Returns: (transfer full): a frame of noise; NULL with CLIP_ERROR_IMAGE
 */
ToolImage *tool_bench_frame_new (const char *size, const char *format, GError **error);

G_END_DECLS
