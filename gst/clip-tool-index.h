/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands that read a store of clipindex share. */
#pragma once

#include "clip-tool.h"
#include "index/clip-index.h"

G_BEGIN_DECLS

/** ToolIndexOptions: the store, and which of its entries */
typedef struct {
  GPtrArray *arguments; /* what is no option: the store comes first */
  char *from, *to, *source;
} ToolIndexOptions;
extern ToolIndexOptions tool_index_options;

/** TOOL_INDEX_ENTRIES: the options' entries, for the commands' lists */
#define TOOL_INDEX_ENTRIES \
  { "from", 0, 0, G_OPTION_ARG_STRING, &tool_index_options.from, \
      "Not before TIME: 2026-11-24T10:00, or seconds or H:MM:SS since the stream's start", "TIME" }, \
  { "to", 0, 0, G_OPTION_ARG_STRING, &tool_index_options.to, "Not after TIME", "TIME" }, \
  { "source", 0, G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, tool_index_on_source, "Only this source", "NAME" }, \
  { G_OPTION_REMAINING, 0, G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, tool_index_on_argument, NULL, NULL }

gboolean tool_index_on_source (const char *name, const char *value, gpointer data, GError **error);
gboolean tool_index_on_argument (const char *name, const char *value, gpointer data, GError **error);
void tool_index_prepare (void);

/** tool_index_filter: Returns: (nullable): what is wrong with the options, for tool_usage() */
const char *tool_index_filter (ClipIndexFilter *filter);

/** tool_index_print: the spans, for people or as JSON; @query: (transfer none): a JSON member */
gboolean tool_index_print (ClipIndex *index, GPtrArray *spans, guint top, guint64 searched, const char *query, GError **error);

G_END_DECLS
