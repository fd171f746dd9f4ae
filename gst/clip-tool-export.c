/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 export: a store for other programs. */
#include <stdio.h>

#include "clip-tool-index.h"

static char *npy_file, *jsonl_file;

static const GOptionEntry entries[] = {
  TOOL_INDEX_ENTRIES,
  { "npy", 0, 0, G_OPTION_ARG_FILENAME, &npy_file, "The vectors, as a NumPy array [entries,size] of float32", "FILE.npy" },
  { "jsonl", 0, 0, G_OPTION_ARG_FILENAME, &jsonl_file, "The rest, a JSON line an entry, in the same order", "FILE.jsonl" },
  G_OPTION_ENTRY_NULL,
};

static gboolean
export (const char *path, const ClipIndexFilter *filter, GError **error)
{
  guint64 n = 0;
  g_autoptr (ClipIndex) index = clip_index_open (path, error);
  g_autoptr (GArray) ranges = index ? clip_index_select (index, filter, error) : NULL;
  if (!ranges || !clip_index_export (index, ranges, npy_file, jsonl_file, error))
    return FALSE;
  for (guint i = 0; i < ranges->len; i++)
    n += g_array_index (ranges, ClipIndexRange, i).end - g_array_index (ranges, ClipIndexRange, i).first;
  if (tool_options.json)
    printf ("{\"entries\":%" G_GUINT64_FORMAT ",\"embed_dim\":%u}\n", n, clip_index_get_embed_dim (index));
  else
    printf ("%" G_GUINT64_FORMAT " entries\n", n);
  return TRUE;
}

static int
run (GError **error)
{
  ClipIndexFilter filter;
  if (tool_index_options.arguments->len != 1 || (!npy_file && !jsonl_file))
    return tool_usage (&tool_export, "expected a store, and --npy FILE, --jsonl FILE or both");
  const char *wrong = tool_index_filter (&filter);
  if (wrong)
    return tool_usage (&tool_export, wrong);
  return export (g_ptr_array_index (tool_index_options.arguments, 0), &filter, error) ? 0 : TOOL_FAILED;
}

const ToolCommand tool_export = { "export", "STORE", "Write what was seen as files for other programs",
  "A file appears complete or not at all; every vector's checksum is looked at.\n"
  "  gst-clip-1.0 export seen.db --npy seen.npy --jsonl seen.jsonl",
  entries, tool_index_prepare, run };
