/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store for other programs: a NumPy array of the vectors, and JSON lines of the rest. */
#include "clip-index-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *
clip_index_format_utc (gint64 utc)
{
  gint64 second = utc / 1000000000, rest = utc % 1000000000;
  if (rest < 0) {
    second--;
    rest += 1000000000;
  }
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (second);
  g_autofree char *text = time ? g_date_time_format (time, "%Y-%m-%dT%H:%M:%S") : g_strdup ("?");
  return g_strdup_printf ("%s.%03dZ", text, (int) (rest / 1000000));
}

static void
append_string (GString *out, const char *name, const char *value)
{
  g_autoptr (JsonNode) node = json_node_init_string (json_node_alloc (), value);
  g_autofree char *text = json_to_string (node, FALSE);
  g_string_append_printf (out, ",\"%s\":%s", name, text);
}

static void
append_time (GString *out, const char *name, gint64 time)
{
  if (time == CLIP_INDEX_NO_TIME)
    g_string_append_printf (out, ",\"%s\":null", name);
  else
    g_string_append_printf (out, ",\"%s\":%" G_GINT64_FORMAT, name, time);
}

gboolean
clip_index_row_to_json (ClipIndex *index, const ClipIndexRow *row, GString *out, GError **error)
{
  g_autoptr (JsonNode) labels = json_from_string (row->labels, NULL);
  if (!labels || !JSON_NODE_HOLDS_ARRAY (labels))
    return clip_index_fail (
        error, "%s: the labels of entry %" G_GUINT64_FORMAT " are damaged", index->path, row->id);
  g_autofree char *text = json_to_string (labels, FALSE);
  g_autofree char *utc = row->utc != CLIP_INDEX_NO_TIME ? clip_index_format_utc (row->utc) : NULL;
  g_string_append_printf (out, "\"id\":%" G_GUINT64_FORMAT, row->id);
  append_string (out, "source", row->source);
  g_string_append_printf (out, ",\"run\":%" G_GINT64_FORMAT, row->run);
  append_time (out, "timestamp", row->time);
  append_time (out, "utc_ns", row->utc);
  if (utc)
    append_string (out, "utc", utc);
  g_string_append_printf (out, ",\"x\":%u,\"y\":%u,\"w\":%u,\"h\":%u", row->x, row->y, row->w, row->h);
  if (row->object_class)
    append_string (out, "roi_type", row->object_class);
  if (row->tracking_id)
    g_string_append_printf (out, ",\"tracking_id\":%" G_GUINT64_FORMAT, row->tracking_id);
  g_string_append_printf (out, ",\"labels\":%s", text);
  return TRUE;
}

/* A file that gets its name when it is complete. */
typedef struct {
  char *path, *temporary;
  FILE *file;
} Output;

static void
output_clear (Output *output)
{
  if (output->file)
    fclose (output->file);
  if (output->temporary)
    g_unlink (output->temporary);
  g_clear_pointer (&output->temporary, g_free);
  g_clear_pointer (&output->path, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Output, output_clear)

static gboolean
output_fail (const Output *output, GError **error)
{
  return clip_index_fail (error, "%s: cannot be written: %s", output->path, g_strerror (errno));
}

static gboolean
output_open (Output *output, const char *path, GError **error)
{
  if (!path)
    return TRUE;
  output->path = g_strdup (path);
  g_autofree char *temporary = g_strconcat (path, ".XXXXXX", NULL);
  int fd = g_mkstemp_full (temporary, O_RDWR | O_CLOEXEC, 0666);
  if (fd < 0)
    return output_fail (output, error);
  output->temporary = g_steal_pointer (&temporary);
  output->file = fdopen (fd, "w");
  return output->file || output_fail (output, error);
}

static gboolean
output_write (Output *output, const void *data, gsize size, GError **error)
{
  return fwrite (data, 1, size, output->file) == size || output_fail (output, error);
}

static gboolean
output_finish (Output *output, GError **error)
{
  if (!output->file)
    return TRUE;
  gboolean ok = fflush (output->file) == 0 && fsync (fileno (output->file)) == 0;
  if (!ok || g_rename (output->temporary, output->path) != 0)
    return output_fail (output, error);
  g_clear_pointer (&output->temporary, g_free);
  return TRUE;
}

/* numpy.lib.format, version 1.0: the header's length is a multiple of 64 */
static gboolean
write_npy_header (Output *output, guint64 rows, guint dim, GError **error)
{
  g_autofree char *text = g_strdup_printf (
      "\x93NUMPY\x01%c\x76%c{'descr': '<f4', 'fortran_order': False, 'shape': (%" G_GUINT64_FORMAT ", %u), }", 0, 0,
      rows, dim);
  char header[128];
  memset (header, ' ', sizeof header);
  memcpy (header, text, 10 + strlen (text + 10));
  header[sizeof header - 1] = '\n';
  return output_write (output, header, sizeof header, error);
}

static gboolean
export_row (ClipIndex *index, guint64 id, Output *npy, Output *jsonl, GString *line, GError **error)
{
  g_auto (ClipIndexRow) row = { 0 };
  if (!clip_index_read_row (index, id, &row, error))
    return FALSE;
  if (npy->file
      && !output_write (npy, clip_index_get_vector (index, id), index->meta.dim * sizeof (float), error))
    return FALSE;
  if (!jsonl->file)
    return TRUE;
  g_string_assign (line, "{");
  if (!clip_index_row_to_json (index, &row, line, error))
    return FALSE;
  g_string_append (line, "}\n");
  return output_write (jsonl, line->str, line->len, error);
}

static gboolean
export_rows (ClipIndex *index, GArray *ranges, Output *npy, Output *jsonl, GError **error)
{
  g_autoptr (GString) line = g_string_new (NULL);
  for (guint i = 0; i < ranges->len; i++) {
    const ClipIndexRange *range = &g_array_index (ranges, ClipIndexRange, i);
    for (guint64 id = range->first; id < range->end; id++) {
      if (!export_row (index, id, npy, jsonl, line, error))
        return FALSE;
    }
  }
  return TRUE;
}

gboolean
clip_index_export (ClipIndex *index, GArray *ranges, const char *npy, const char *jsonl, GError **error)
{
  g_auto (Output) vectors = { 0 }, lines = { 0 };
  guint64 rows = 0;
  for (guint i = 0; i < ranges->len; i++)
    rows += g_array_index (ranges, ClipIndexRange, i).end - g_array_index (ranges, ClipIndexRange, i).first;
  if (!output_open (&vectors, npy, error) || !output_open (&lines, jsonl, error)
      || (npy && !write_npy_header (&vectors, rows, index->meta.dim, error)))
    return FALSE;
  return export_rows (index, ranges, &vectors, &lines, error) && output_finish (&vectors, error)
         && output_finish (&lines, error);
}
