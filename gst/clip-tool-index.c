/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options and tables of the commands that read a store. */
#include "clip-tool-index.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECOND G_GINT64_CONSTANT (1000000000)

ToolIndexOptions tool_index_options;

/* raw bytes, as prompts are: they must be UTF-8 whatever the locale is */
gboolean
tool_index_on_source (const char *name, const char *value, gpointer data, GError **error)
{
  g_free (tool_index_options.source);
  tool_index_options.source = g_strdup (value);
  return TRUE;
}

gboolean
tool_index_on_argument (const char *name, const char *value, gpointer data, GError **error)
{
  g_ptr_array_add (tool_index_options.arguments, g_strdup (value));
  return TRUE;
}

void
tool_index_prepare (void)
{
  tool_index_options.arguments = g_ptr_array_new_with_free_func (g_free);
}

/* "12.5", "1:02:03.5" */
static gboolean
parse_running (const char *text, gint64 *time)
{
  g_auto (GStrv) parts = g_strsplit (text, ":", 4);
  guint n = g_strv_length (parts);
  gdouble seconds = 0;
  if (n == 0 || n > 3)
    return FALSE;
  for (guint i = 0; i < n; i++) {
    char *end;
    if (!g_ascii_isdigit (*parts[i]))
      return FALSE;
    seconds = seconds * 60 + g_ascii_strtod (parts[i], &end);
    if (*end)
      return FALSE;
  }
  *time = (gint64) (MIN (seconds, 9e9) * SECOND);
  return TRUE;
}

/* A time without a zone is the user's. */
static gboolean
parse_utc (const char *text, gint64 *time)
{
  g_autoptr (GTimeZone) zone = g_time_zone_new_local ();
  g_autofree char *day = strchr (text, 'T') ? NULL : g_strconcat (text, "T00:00:00", NULL);
  g_autofree char *minute = strchr (text, 'T') && strlen (text) == 16 ? g_strconcat (text, ":00", NULL) : NULL;
  g_autoptr (GDateTime) parsed = g_date_time_new_from_iso8601 (day ? day : minute ? minute : text, zone);
  if (parsed)
    *time = g_date_time_to_unix (parsed) * SECOND + g_date_time_get_microsecond (parsed) * 1000;
  return parsed && g_date_time_get_year (parsed) >= 1970 && g_date_time_get_year (parsed) < 2200;
}

static gboolean
parse_time (const char *text, gint64 *time, gboolean *utc)
{
  *utc = FALSE;
  if (parse_running (text, time))
    return TRUE;
  *utc = TRUE;
  return parse_utc (text, time);
}

const char *
tool_index_filter (ClipIndexFilter *filter)
{
  const ToolIndexOptions *o = &tool_index_options;
  gboolean from_utc = FALSE, to_utc = FALSE;
  *filter = (ClipIndexFilter) CLIP_INDEX_FILTER_INIT;
  filter->source = o->source;
  if (o->from && !parse_time (o->from, &filter->from, &from_utc))
    return "expected --from as 2026-11-24T10:00:00Z, or seconds or H:MM:SS since the stream's start";
  if (o->to && !parse_time (o->to, &filter->to, &to_utc))
    return "expected --to as 2026-11-24T10:00:00Z, or seconds or H:MM:SS since the stream's start";
  if (o->from && o->to && from_utc != to_utc)
    return "expected --from and --to both as dates, or both since the stream's start";
  if (o->from && o->to && filter->from > filter->to)
    return "expected --from before --to";
  filter->utc = from_utc || to_utc;
  return NULL;
}

/* (transfer full): the date where it is known, else since the stream's start */
static char *
time_for_people (gint64 time, gint64 utc)
{
  if (utc != CLIP_INDEX_NO_TIME)
    return clip_index_format_utc (utc);
  if (time == CLIP_INDEX_NO_TIME)
    return g_strdup ("-");
  gint64 ms = MAX (time, 0) / 1000000;
  return g_strdup_printf ("%" G_GINT64_FORMAT ":%02d:%02d.%03d", ms / 3600000, (int) (ms / 60000 % 60),
      (int) (ms / 1000 % 60), (int) (ms % 1000));
}

/* (transfer full): the label that was reported first */
static char *
first_label (const ClipIndexRow *row)
{
  g_autoptr (JsonNode) node = json_from_string (row->labels, NULL);
  JsonArray *labels = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  if (!labels || json_array_get_length (labels) == 0)
    return g_strdup ("-");
  JsonNode *first = json_array_get_element (labels, 0);
  if (!JSON_NODE_HOLDS_OBJECT (first))
    return g_strdup ("-");
  return g_strdup (json_object_get_string_member_with_default (json_node_get_object (first), "label", "-"));
}

static void
print_people (const ClipIndexSpan *span)
{
  const ClipIndexRow *best = &span->best;
  g_autofree char *from = time_for_people (span->start, span->utc_start);
  g_autofree char *to = time_for_people (span->end, span->utc_end);
  g_autofree char *at = time_for_people (best->time, best->utc);
  g_autofree char *label = first_label (best);
  printf ("%7.4f  %-16s  %24s  %24s  %24s  %6u  %8" G_GUINT64_FORMAT "  %s\n", span->score, best->source, from, to, at,
      span->hits, best->id, label);
}

static void
append_number (GString *out, const char *name, gint64 value)
{
  if (value == CLIP_INDEX_NO_TIME)
    g_string_append_printf (out, ",\"%s\":null", name);
  else
    g_string_append_printf (out, ",\"%s\":%" G_GINT64_FORMAT, name, value);
}

static gboolean
append_span (ClipIndex *index, const ClipIndexSpan *span, GString *out, GError **error)
{
  g_string_append (out, "{\"score\":");
  tool_json_float (out, span->score);
  g_string_append_printf (out, ",\"hits\":%u", span->hits);
  append_number (out, "start", span->start);
  append_number (out, "end", span->end);
  append_number (out, "utc_start_ns", span->utc_start);
  append_number (out, "utc_end_ns", span->utc_end);
  g_string_append (out, ",\"best\":{");
  gboolean ok = clip_index_row_to_json (index, &span->best, out, error);
  g_string_append (out, "}}");
  return ok;
}

gboolean
tool_index_print (ClipIndex *index, GPtrArray *spans, guint top, guint64 searched, const char *query, GError **error)
{
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  guint n = MIN (top, spans->len);
  tool_json_string (out, clip_index_get_model (index));
  g_string_append_printf (out, ",%s,\"searched\":%" G_GUINT64_FORMAT ",\"spans\":[", query, searched);
  if (!tool_options.json)
    printf ("%7s  %-16s  %24s  %24s  %24s  %6s  %8s  %s\n", "score", "source", "from", "to", "best at", "hits", "entry",
        "label");
  for (guint i = 0; i < n; i++) {
    const ClipIndexSpan *span = g_ptr_array_index (spans, i);
    if (!tool_options.json)
      print_people (span);
    g_string_append (out, i == 0 ? "" : ",");
    if (tool_options.json && !append_span (index, span, out, error))
      return FALSE;
  }
  if (tool_options.json)
    printf ("%s]}\n", out->str);
  return TRUE;
}
