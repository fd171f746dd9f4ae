/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 search and similar: what the cameras saw, ranked by a sentence or by a picture. */
#include <stdio.h>

#include "clip-tool-index.h"
#include "engine/clip-engine.h"

static char *templates_name;
static gint top = 10, hits;
static gdouble gap = 2.0;
static gint64 entry = -1;
static gboolean frames;

#define RANKING_ENTRIES \
  TOOL_INDEX_ENTRIES, { "top", 0, 0, G_OPTION_ARG_INT, &top, "How many spans (10)", "N" }, \
      { "gap", 0, 0, G_OPTION_ARG_DOUBLE, &gap, "Hits of a source no further apart than this are one span (2)", "SECONDS" }, \
      { "hits", 0, 0, G_OPTION_ARG_INT, &hits, "How many of the best entries become spans (100 times --top)", "N" }, \
      { "frames", 0, 0, G_OPTION_ARG_NONE, &frames, "The best entries themselves, without spans", NULL }

static const GOptionEntry search_entries[] = {
  RANKING_ENTRIES,
  { "templates", 0, 0, G_OPTION_ARG_STRING, &templates_name,
      "none, simple, imagenet, ucf101, kinetics700, or a file with a '{}' line each", "NAME" },
  G_OPTION_ENTRY_NULL,
};

static const GOptionEntry similar_entries[] = {
  RANKING_ENTRIES,
  { "entry", 0, 0, G_OPTION_ARG_INT64, &entry, "In place of a picture: an entry of the store", "NUMBER" },
  G_OPTION_ENTRY_NULL,
};

/* (nullable): what is wrong */
static const char *
check_options (ClipIndexFilter *filter, guint arguments, const char *expected)
{
  if (tool_index_options.arguments->len != arguments)
    return expected;
  if (top < 1 || top > 100000)
    return "expected --top from 1 to 100000";
  if (hits < 0 || hits > 1000000)
    return "expected --hits from 1 to 1000000";
  if (!(gap >= 0 && gap <= 1e6))
    return "expected --gap from 0 to 1000000";
  return tool_index_filter (filter);
}

static gboolean
rank (ClipIndex *index, const float *query, const ClipIndexFilter *filter, const char *member, GError **error)
{
  guint64 searched = 0;
  g_autoptr (GArray) ranges = clip_index_select (index, filter, error);
  if (!ranges)
    return FALSE;
  for (guint i = 0; i < ranges->len; i++)
    searched += g_array_index (ranges, ClipIndexRange, i).end - g_array_index (ranges, ClipIndexRange, i).first;
  guint n = frames ? (guint) top : hits ? (guint) hits : MIN ((guint) top * 100, 1000000);
  g_autoptr (GArray) best = clip_index_search (index, query, ranges, n, error);
  g_autoptr (GPtrArray) spans
      = best ? clip_index_merge (index, best, frames ? -1 : (gint64) (gap * 1e9), error) : NULL;
  return spans && tool_index_print (index, spans, (guint) top, searched, member, error);
}

/* (transfer full): the index, when it was written with the engine's model */
static ClipIndex *
open_for (ClipEngine *engine, GError **error)
{
  const ClipModelConfig *config = clip_engine_get_config (engine);
  g_autoptr (ClipIndex) index = clip_index_open (g_ptr_array_index (tool_index_options.arguments, 0), error);
  return index && clip_index_check_model (index, config->name, config->embed_dim, error) ? g_steal_pointer (&index) : NULL;
}

/* The store is opened first: what is wrong with it is known at once, and not when the model has been loaded. */
static ClipEngine *
open_engine (GError **error)
{
  g_autoptr (ClipIndex) index = clip_index_open (g_ptr_array_index (tool_index_options.arguments, 0), error);
  g_autofree char *path = index ? tool_find_model (error) : NULL;
  return path ? clip_engine_new (path, tool_options.device, CLIP_PRECISION_FP32, error) : NULL;
}

static ClipEncodedPrompts *
encode_text (ClipEngine *engine, const char *text, GError **error)
{
  g_autoptr (GPtrArray) texts = g_ptr_array_new ();
  g_ptr_array_add (texts, (gpointer) text);
  g_autoptr (ClipPromptSet) set = tool_set_from_texts (texts, error);
  g_auto (GStrv) templates = set ? clip_templates_load (templates_name, error) : NULL;
  return templates ? clip_engine_encode_prompts (engine, set, templates, FALSE, error) : NULL;
}

static char *
make_member (const char *name, const char *value)
{
  GString *member = g_string_new (NULL);
  g_string_append_printf (member, "\"%s\":", name);
  tool_json_string (member, value);
  return g_string_free (member, FALSE);
}

static int
run_search (GError **error)
{
  ClipIndexFilter filter;
  const char *wrong = check_options (&filter, 2, "expected a store and a text");
  if (wrong)
    return tool_usage (&tool_search, wrong);
  const char *text = g_ptr_array_index (tool_index_options.arguments, 1);
  g_autoptr (ClipEngine) engine = open_engine (error);
  g_autoptr (ClipIndex) index = engine ? open_for (engine, error) : NULL;
  g_autoptr (ClipEncodedPrompts) prompts = index ? encode_text (engine, text, error) : NULL;
  g_autofree char *member = make_member ("text", text);
  return prompts && rank (index, prompts->matrix, &filter, member, error) ? 0 : TOOL_FAILED;
}

/* (transfer full): the picture's embedding */
static float *
encode_picture (ClipEngine *engine, const char *file, GError **error)
{
  g_autoptr (ToolImage) image = tool_image_read (file, error);
  g_autofree float *embedding = g_new (float, clip_engine_get_config (engine)->embed_dim);
  if (!image || !clip_engine_encode_frame (engine, &image->frame, embedding, NULL, error))
    return NULL;
  return g_steal_pointer (&embedding);
}

static gboolean
rank_by_picture (const char *file, const ClipIndexFilter *filter, GError **error)
{
  g_autoptr (ClipEngine) engine = open_engine (error);
  g_autoptr (ClipIndex) index = engine ? open_for (engine, error) : NULL;
  g_autofree float *embedding = index ? encode_picture (engine, file, error) : NULL;
  g_autofree char *member = make_member ("image", file);
  return embedding && rank (index, embedding, filter, member, error);
}

/* Needs no model: the embedding is there. */
static gboolean
rank_by_entry (const ClipIndexFilter *filter, GError **error)
{
  g_auto (ClipIndexRow) row = { 0 };
  g_autofree char *member = g_strdup_printf ("\"entry\":%" G_GINT64_FORMAT, entry);
  g_autoptr (ClipIndex) index = clip_index_open (g_ptr_array_index (tool_index_options.arguments, 0), error);
  return index && clip_index_read_row (index, (guint64) entry, &row, error)
         && rank (index, clip_index_get_vector (index, (guint64) entry), filter, member, error);
}

static int
run_similar (GError **error)
{
  ClipIndexFilter filter;
  const char *wrong = check_options (&filter, entry < 0 ? 2 : 1, "expected a store, and a picture or --entry NUMBER");
  if (wrong)
    return tool_usage (&tool_similar, wrong);
  gboolean ok = entry < 0 ? rank_by_picture (g_ptr_array_index (tool_index_options.arguments, 1), &filter, error)
                          : rank_by_entry (&filter, error);
  return ok ? 0 : TOOL_FAILED;
}

const ToolCommand tool_search = { "search", "STORE TEXT", "Find what was seen by a sentence",
  "Ranks what clipindex stored by its cosine to the text; neighbouring hits of a source are one line.\n"
  "  gst-clip-1.0 search seen.db \"a red car at night\" --source gate --from 2026-11-24T18:00",
  search_entries, tool_index_prepare, run_search };

const ToolCommand tool_similar = { "similar", "STORE IMAGE", "Find what was seen by a picture",
  "Ranks what clipindex stored by its cosine to the picture, or to an entry that search has found.\n"
  "  gst-clip-1.0 similar seen.db car.jpg\n  gst-clip-1.0 similar seen.db --entry 1234",
  similar_entries, tool_index_prepare, run_similar };
