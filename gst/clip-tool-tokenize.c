/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 tokenize: needs the configuration and the vocabulary, no device. */
#include <gio/gio.h>
#include <stdio.h>
#include <string.h>

#include "clip-tool.h"
#include "model/clip-model.h"

static char *lines_file;
static char **texts;

static const GOptionEntry entries[] = {
  { "lines", 'l', 0, G_OPTION_ARG_FILENAME, &lines_file, "A text per line of FILE ('-': standard input)",
      "FILE" },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &texts, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

static void
print_ids (const GArray *ids)
{
  g_autoptr (GString) out = g_string_new (tool_options.json ? "[" : NULL);
  for (guint i = 0; i < ids->len; i++)
    g_string_append_printf (out, "%s%d", i == 0 ? "" : tool_options.json ? "," : " ",
        g_array_index (ids, gint32, i));
  puts (g_string_append (out, tool_options.json ? "]" : "")->str);
}

/* @line is text @number, counted from 1 */
static gboolean
tokenize (ClipTokenizer *tokenizer, const char *line, gssize length, guint number, GError **error)
{
  g_autoptr (GArray) ids = clip_tokenizer_encode (tokenizer, line, length, error);
  if (!ids) {
    g_prefix_error (error, "text %u: ", number);
    return FALSE;
  }
  print_ids (ids);
  return TRUE;
}

static char *
read_lines (gsize *length, GError **error)
{
  char *contents = NULL;
  if (g_str_equal (lines_file, "-"))
    g_file_get_contents ("/dev/stdin", &contents, length, error);
  else
    g_file_get_contents (lines_file, &contents, length, error);
  return contents;
}

static gboolean
tokenize_file (ClipTokenizer *tokenizer, GError **error)
{
  gsize length;
  g_autofree char *contents = read_lines (&length, error);
  if (!contents)
    return FALSE;
  guint number = 1;
  for (const char *line = contents, *end = contents + length; line < end; number++) {
    const char *stop = memchr (line, '\n', (gsize) (end - line));
    if (!stop)
      stop = end;
    if (!tokenize (tokenizer, line, stop - line, number, error))
      return FALSE;
    line = stop + 1;
  }
  return TRUE;
}

static int
run (GError **error)
{
  if (!lines_file == !texts)
    return tool_usage (&tool_tokenize, "expected texts, or --lines FILE");
  g_autofree char *path = tool_find_model (error);
  g_autoptr (ClipWeights) weights = path ? clip_weights_open (path, error) : NULL;
  if (!weights)
    return TOOL_FAILED;
  const ClipModelConfig *config = clip_weights_get_config (weights);
  g_autoptr (ClipTokenizer) tokenizer = clip_model_open_tokenizer (config, error);
  if (!tokenizer)
    return TOOL_FAILED;
  if (lines_file)
    return tokenize_file (tokenizer, error) ? 0 : TOOL_FAILED;
  for (guint i = 0; texts[i]; i++) {
    if (!tokenize (tokenizer, texts[i], -1, i + 1, error))
      return TOOL_FAILED;
  }
  return 0;
}

const ToolCommand tool_tokenize = { "tokenize", "[TEXT...]", "Print the token ids of texts",
  "One line per text: start, tokens and end, not padded and never cut. As openai/CLIP's\n"
  "simple_tokenizer but for ftfy's repair of broken encodings; for SigLIP as\n"
  "transformers' SiglipTokenizer.",
  entries, NULL, run };
