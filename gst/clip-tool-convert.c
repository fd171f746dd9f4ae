/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 convert: any checkpoint as one safetensors directory. */
#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "clip-tool-eval.h"
#include "clip-tool.h"
#include "engine/clip-engine.h"
#include "weights/clip-export.h"

static char *precision;
static char **paths;
static gboolean force;
static volatile sig_atomic_t stopped;

static const GOptionEntry entries[] = {
  { "precision", 'p', 0, G_OPTION_ARG_STRING, &precision, "fp32, fp16 or bf16 (default: as most of IN is stored)",
      "NAME" },
  { "force", 'f', 0, G_OPTION_ARG_NONE, &force, "Replace OUT when it exists", NULL },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &paths, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

static void
on_signal (int signal)
{
  stopped = 1;
}

static gboolean
on_progress (guint done, guint total, gpointer progress)
{
  EvalProgress *shown = progress;
  shown->total = total;
  eval_progress_step (shown, done);
  return !stopped;
}

static gboolean
find_precision (const char *name, ClipDtype *dtype)
{
  for (ClipDtype i = CLIP_DTYPE_F32; i <= CLIP_DTYPE_BF16; i++)
    if (g_str_equal (name, clip_dtype_get_name (i))) {
      *dtype = i;
      return TRUE;
    }
  return FALSE;
}

/* Only what an export writes: files, no folders in it */
static void
remove_directory (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    g_unlink (file);
  }
  g_rmdir (path);
}

static gboolean
fail (GError **error, const char *path, const char *message)
{
  g_autofree char *name = g_filename_display_name (path);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s: %s", name, message);
  return FALSE;
}

/* With --force an old OUT steps aside until the new one has its name */
static gboolean
move_into_place (const char *temporary, const char *out, GError **error)
{
  g_autofree char *old = g_strconcat (temporary, ".old", NULL);
  const gboolean exists = g_file_test (out, G_FILE_TEST_EXISTS);
  if (exists && g_rename (out, old) != 0)
    return fail (error, out, g_strerror (errno));
  if (g_rename (temporary, out) != 0) {
    fail (error, out, g_strerror (errno));
    if (exists)
      g_rename (old, out);
    return FALSE;
  }
  if (exists)
    remove_directory (old);
  return TRUE;
}

static gboolean
check_out (const char *out, GError **error)
{
  g_autofree char *config = g_build_filename (out, "config.json", NULL);
  g_autofree char *openclip = g_build_filename (out, "open_clip_config.json", NULL);
  if (!g_file_test (out, G_FILE_TEST_EXISTS))
    return TRUE;
  if (!force)
    return fail (error, out, "exists; choose another name, or --force to replace it");
  return g_file_test (config, G_FILE_TEST_EXISTS) || g_file_test (openclip, G_FILE_TEST_EXISTS)
         || fail (error, out, "is not a model's directory, and is not replaced");
}

static gboolean
convert (ClipWeights *weights, ClipDtype dtype, const char *out, GError **error)
{
  g_autofree char *temporary = g_strconcat (out, ".XXXXXX", NULL);
  EvalProgress progress;
  struct sigaction action = { .sa_handler = on_signal };
  sigaction (SIGINT, &action, NULL); /* before there is anything to clean up */
  sigaction (SIGTERM, &action, NULL);
  signal (SIGXFSZ, SIG_IGN); /* a limit of the file size is an error of write(), not the end */
  if (!g_mkdtemp_full (temporary, 0755))
    return fail (error, out, g_strerror (errno));
  eval_progress_start (&progress, FALSE, "tensors", 0, 0); /* the first step knows how many */
  const gboolean ok = clip_weights_export (weights, temporary, dtype, on_progress, &progress, error)
                      && move_into_place (temporary, out, error);
  eval_progress_end (&progress);
  if (!ok)
    remove_directory (temporary);
  return ok;
}

static int
run (GError **error)
{
  ClipDtype dtype = CLIP_DTYPE_F32;
  if (!paths || !paths[0] || !paths[1] || paths[2])
    return tool_usage (&tool_convert, "expected IN and OUT");
  if (precision && !find_precision (precision, &dtype))
    return tool_usage (&tool_convert, "expected --precision fp32, fp16 or bf16");
  g_autofree char *out = g_strdup (paths[1]);
  for (gsize n = strlen (out); n > 1 && out[n - 1] == '/'; n--)
    out[n - 1] = '\0';
  if (!check_out (out, error))
    return TOOL_FAILED;
  g_autofree char *in = clip_model_find (paths[0], NULL, error);
  g_autoptr (ClipWeights) weights = in ? clip_weights_open (in, error) : NULL;
  if (!weights)
    return TOOL_FAILED;
  if (!precision) {
    dtype = clip_weights_get_dtype (weights);
    dtype = dtype > CLIP_DTYPE_BF16 ? CLIP_DTYPE_F16 : dtype; /* ggml's blocks are made of fp16 scales */
  }
  if (!convert (weights, dtype, out, error))
    return TOOL_FAILED;
  g_autofree char *name = g_filename_display_name (out);
  printf ("%s: %s, %s\n", name, clip_weights_get_config (weights)->name, clip_dtype_get_name (dtype));
  return 0;
}

const ToolCommand tool_convert = { "convert", "IN OUT", "Write a model as one safetensors directory",
  "IN is any weights that can be loaded. OUT becomes a directory of Hugging Face's layout, or of OpenCLIP's for a\n"
  "ModifiedResNet; it appears complete or not at all.\n"
  "  gst-clip-1.0 convert --precision fp16 ViT-B-32.pt vit-b-32-fp16",
  entries, NULL, run };
