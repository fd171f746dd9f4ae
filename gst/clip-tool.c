/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0: CLIP on pictures and texts from the command line. */
#include "config.h"

#include <errno.h>
#include <gst/gst.h>
#include <locale.h>
#include <stdio.h>

#include "clip-tool.h"
#include "engine/clip-engine.h"

#define TOOL "gst-clip-1.0"

ToolOptions tool_options;

static const ToolCommand *const commands[] = { &tool_match, &tool_embed, &tool_tokenize,
  &tool_preprocess, &tool_info, &tool_bench, &tool_tune, &tool_eval, &tool_convert,
#ifdef HAVE_SQLITE
  &tool_search, &tool_similar, &tool_export,
#endif
};

int
tool_usage (const ToolCommand *command, const char *message)
{
  g_printerr (TOOL " %s: %s\nTry '" TOOL " %s --help'.\n", command->name, message, command->name);
  return TOOL_USAGE;
}

char *
tool_find_model (GError **error)
{
  gboolean is_fallback = FALSE;
  char *path = clip_model_find (tool_options.model, &is_fallback, error);
  if (path && is_fallback)
    g_printerr (TOOL ": no model given and none downloaded: using the demo model, which knows test "
                     "patterns and drawings but no photographs (see pipelines/fetch-model)\n");
  return path;
}

void
tool_json_string (GString *out, const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  g_string_append_c (out, '"');
  for (const char *c = valid; *c; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_printf (out, "\\%c", *c);
    else if ((guchar) *c < 0x20 || *c == 0x7f)
      g_string_append_printf (out, "\\u%04x", (guint) *c);
    else
      g_string_append_c (out, *c);
  }
  g_string_append_c (out, '"');
}

void
tool_json_float (GString *out, double value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  g_string_append (out, g_ascii_formatd (digits, sizeof digits, "%.9g", value));
}

void
tool_json_field (GString *out, const char *name, double value)
{
  g_string_append_printf (out, ",\"%s\":", name);
  tool_json_float (out, value);
}

static void
print_help (FILE *file)
{
  fprintf (file, "Usage: " TOOL " COMMAND [OPTION...]\n\n"
                 "CLIP on pictures and texts, with GStreamer's decoders and OpenCL.\n\nCommands:\n");
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    fprintf (file, "  %-12s%s\n", commands[i]->name, commands[i]->summary);
  fprintf (file, "\n'" TOOL " COMMAND --help' explains a command; '" TOOL " --version' prints the "
                 "version.\nExit status: 0 done, 1 an error, 2 wrong usage.\n");
}

static const GOptionEntry shared_entries[] = {
  { "model", 'm', 0, G_OPTION_ARG_FILENAME, &tool_options.model,
      "Directory of the weights, a downloaded model's name, or 'demo'", "MODEL" },
  { "device", 'd', 0, G_OPTION_ARG_STRING, &tool_options.device,
      "OpenCL device: an index, a part of its name, cpu, gpu or auto", "DEVICE" },
  { "json", 'j', 0, G_OPTION_ARG_NONE, &tool_options.json, "Print JSON", NULL },
  G_OPTION_ENTRY_NULL,
};

static gboolean
on_precision (const char *name, const char *value, gpointer data, GError **error)
{
  if (clip_precision_from_name (value, &tool_options.precision))
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s is '%s', expected fp32, bf16, int8, fp16 or auto", name,
      value);
  return FALSE;
}

static const GOptionEntry precision_entries[] = {
  { "precision", 'p', 0, G_OPTION_ARG_CALLBACK, on_precision,
      "Arithmetic: fp32 (default), bf16, int8 (CPU), fp16 (GPU), or auto (the fastest that stays near fp32, measured once)", "PRECISION" },
  G_OPTION_ENTRY_NULL,
};

static int
run (const ToolCommand *command, char **arguments)
{
  g_autoptr (GOptionContext) context = g_option_context_new (command->arguments);
  g_autoptr (GError) error = NULL;
  g_option_context_set_summary (context, command->summary);
  g_option_context_set_description (context, command->description);
  if (command->prepare)
    command->prepare ();
  if (command->entries)
    g_option_context_add_main_entries (context, command->entries, NULL);
  g_option_context_add_main_entries (context, shared_entries, NULL);
  if (command->encodes)
    g_option_context_add_main_entries (context, precision_entries, NULL);
  if (!g_option_context_parse_strv (context, &arguments, &error))
    return tool_usage (command, error->message);
  int status = command->run (&error);
  if (error)
    g_printerr (TOOL " %s: %s\n", command->name, error->message);
  if (fflush (stdout) == 0)
    return status;
  g_printerr (TOOL " %s: cannot write the output: %s\n", command->name, g_strerror (errno));
  return TOOL_FAILED;
}

/* (transfer full): "gst-clip-1.0 COMMAND", for --help, and the arguments after it */
static char **
command_arguments (char **argv)
{
  GStrvBuilder *builder = g_strv_builder_new ();
  g_autofree char *name = g_strdup_printf (TOOL " %s", argv[1]);
  g_strv_builder_add (builder, name);
  g_strv_builder_addv (builder, (const char **) argv + 2);
  char **arguments = g_strv_builder_end (builder);
  g_strv_builder_unref (builder);
  return arguments;
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  if (argc < 2) {
    print_help (stderr);
    return TOOL_USAGE;
  }
  if (g_str_equal (argv[1], "--help") || g_str_equal (argv[1], "-h") || g_str_equal (argv[1], "help")) {
    print_help (stdout);
    return 0;
  }
  if (g_str_equal (argv[1], "--version")) {
    printf (TOOL " %s\n", VERSION);
    return 0;
  }
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++) {
    /* not freed: options point into it until the process ends */
    if (g_str_equal (argv[1], commands[i]->name))
      return run (commands[i], command_arguments (argv));
  }
  g_printerr (TOOL ": there is no command '%s'\nTry '" TOOL " --help'.\n", argv[1]);
  return TOOL_USAGE;
}
