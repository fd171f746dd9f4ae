/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipline.h"

#include "gstclipmeta.h"

#include <math.h>
#include <string.h>

#include "gstcliptime.h"

/* Written as it comes: a tree of JSON nodes would cost the streaming thread more than all else. */
static void
separate (GString *b)
{
  char last = b->len > 0 ? b->str[b->len - 1] : '[';
  if (last != '{' && last != '[' && last != ':')
    g_string_append_c (b, ',');
}

static void
append_escaped (GString *b, guchar c)
{
  static const char letters[] = "b\bf\fn\nr\rt\t\"\"\\\\";
  for (const char *letter = letters; *letter; letter += 2) {
    if ((guchar) letter[1] == c) {
      g_string_append_c (b, '\\');
      g_string_append_c (b, letter[0]);
      return;
    }
  }
  g_string_append_printf (b, "\\u%04x", c);
}

static void
append_quoted (GString *b, const char *text)
{
  g_string_append_c (b, '"');
  for (const char *from = text; *from;) {
    const char *to = from;
    while ((guchar) *to >= 0x20 && *to != '"' && *to != '\\' && *to != 0x7f)
      to++;
    g_string_append_len (b, from, to - from);
    if (*to)
      append_escaped (b, (guchar) *to++);
    from = to;
  }
  g_string_append_c (b, '"');
}

static void
add_name (GString *b, const char *name)
{
  separate (b);
  append_quoted (b, name);
  g_string_append_c (b, ':');
}

static void
begin (GString *b, char bracket)
{
  separate (b);
  g_string_append_c (b, bracket);
}

static void
end (GString *b, char bracket)
{
  g_string_append_c (b, bracket);
}

static void
add_string (GString *b, const char *name, const char *value)
{
  add_name (b, name);
  append_quoted (b, value ? value : "");
}

static void
add_int (GString *b, const char *name, gint64 value)
{
  add_name (b, name);
  g_string_append_printf (b, "%" G_GINT64_FORMAT, value);
}

/* JSON has no word for what is not finite. */
static void
add_double (GString *b, const char *name, gdouble value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];
  add_name (b, name);
  g_string_append (b, isfinite (value) ? g_ascii_dtostr (digits, sizeof digits, value) : "null");
  if (isfinite (value) && !strpbrk (digits, ".e"))
    g_string_append (b, ".0");
}

static void
add_boolean (GString *b, const char *name, gboolean value)
{
  add_name (b, name);
  g_string_append (b, value ? "true" : "false");
}

static guint
get_uint (const GstStructure *s, const char *name)
{
  guint value = 0;
  gst_structure_get_uint (s, name, &value);
  return value;
}

static gdouble
get_double (const GstStructure *s, const char *name)
{
  gdouble value = 0.0;
  gst_structure_get_double (s, name, &value);
  return value;
}

static gboolean
get_boolean (const GstStructure *s, const char *name)
{
  gboolean value = FALSE;
  gst_structure_get_boolean (s, name, &value);
  return value;
}

static void
add_label (GString *b, const GstStructure *label)
{
  begin (b, '{');
  add_string (b, "label", gst_structure_get_string (label, "label"));
  add_int (b, "label_id", get_uint (label, "label-id"));
  add_double (b, "cosine", get_double (label, "cosine"));
  add_double (b, "confidence", get_double (label, "confidence"));
  if (gst_structure_has_field (label, "frame-cosine")) {
    add_double (b, "frame_cosine", get_double (label, "frame-cosine"));
    add_double (b, "frame_confidence", get_double (label, "frame-confidence"));
  }
  add_boolean (b, "negative", get_boolean (label, "negative"));
  add_boolean (b, "passed", get_boolean (label, "passed"));
  end (b, '}');
}

/* DL Streamer's member for the best label; absent when nothing passed. */
static void
add_classification (GString *b, const GstStructure *object, const char *model)
{
  const GstStructure *best = gst_clip_meta_get_top (object, 0);
  if (!best)
    return;
  g_autofree char *member = g_strconcat ("classification/", model ? model : "", NULL);
  add_name (b, member);
  begin (b, '{');
  add_string (b, "label", gst_structure_get_string (best, "label"));
  add_int (b, "label_id", get_uint (best, "label-id"));
  add_double (b, "confidence", get_double (best, "confidence"));
  add_name (b, "model");
  begin (b, '{');
  add_string (b, "name", model);
  end (b, '}');
  end (b, '}');
}

static void
add_window (GString *b, const GstStructure *window)
{
  guint64 span = 0;
  gst_structure_get_uint64 (window, "span", &span);
  add_name (b, "window");
  begin (b, '{');
  add_string (b, "pooling", gst_structure_get_string (window, "pooling"));
  add_int (b, "frames", get_uint (window, "frames"));
  add_double (b, "span_ms", span / (gdouble) GST_MSECOND);
  end (b, '}');
}

static void
add_clip (GString *b, const GstStructure *meta, const GstStructure *object)
{
  guint64 age = 0;
  const GValue *labels = gst_structure_get_value (object, "labels");
  gst_structure_get_uint64 (object, "age", &age);
  add_name (b, "clip");
  begin (b, '{');
  add_boolean (b, "inferred", get_boolean (object, "inferred"));
  add_double (b, "age_ms", age / (gdouble) GST_MSECOND);
  add_int (b, "prompts_serial", get_uint (meta, "prompts-serial"));
  add_double (b, "logit_scale", get_double (meta, "logit-scale"));
  const GValue *window = gst_structure_get_value (object, "window");
  if (window)
    add_window (b, gst_value_get_structure (window));
  add_name (b, "labels");
  begin (b, '[');
  for (guint i = 0; i < gst_clip_meta_count (labels); i++)
    add_label (b, gst_clip_meta_nth (labels, i));
  end (b, ']');
  end (b, '}');
}

static void
add_object (GString *b, const GstStructure *meta, const GstStructure *object)
{
  begin (b, '{');
  add_int (b, "x", get_uint (object, "x"));
  add_int (b, "y", get_uint (object, "y"));
  add_int (b, "w", get_uint (object, "w"));
  add_int (b, "h", get_uint (object, "h"));
  const char *object_class = gst_structure_get_string (object, "object-class");
  guint64 tracking_id;
  if (object_class)
    add_string (b, "roi_type", object_class);
  if (gst_structure_get_uint64 (object, "tracking-id", &tracking_id))
    add_int (b, "id", (gint64) tracking_id);
  add_classification (b, object, gst_structure_get_string (meta, "model"));
  add_clip (b, meta, object);
  end (b, '}');
}

static void
add_times (GString *b, const GstClipLineFrame *frame)
{
  g_autofree char *utc = gst_clip_format_utc (frame->utc);
  if (GST_CLOCK_TIME_IS_VALID (frame->timestamp))
    add_int (b, "timestamp", (gint64) frame->timestamp);
  else {
    add_name (b, "timestamp");
    g_string_append (b, "null");
  }
  if (GST_CLOCK_TIME_IS_VALID (frame->running_time))
    add_int (b, "running_time", (gint64) frame->running_time);
  if (utc)
    add_string (b, "utc", utc);
}

static void
add_frame (GString *b, const GstStructure *meta, const GstClipLineFrame *frame)
{
  const GValue *objects = gst_clip_meta_get_objects (meta);
  begin (b, '{');
  add_times (b, frame);
  if (frame->source)
    add_string (b, "source", frame->source);
  add_name (b, "resolution");
  begin (b, '{');
  add_int (b, "width", frame->width);
  add_int (b, "height", frame->height);
  end (b, '}');
  add_name (b, "objects");
  begin (b, '[');
  for (guint i = 0; i < gst_clip_meta_count (objects); i++)
    add_object (b, meta, gst_clip_meta_nth (objects, i));
  end (b, ']');
  end (b, '}');
}

char *
gst_clip_line_new (const GstStructure *meta, const GstClipLineFrame *frame)
{
  GString *line = g_string_sized_new (2048);
  add_frame (line, meta, frame);
  g_string_append_c (line, '\n');
  return g_string_free (line, FALSE);
}

guint
gst_clip_line_count_objects (const GstStructure *meta)
{
  return gst_clip_meta_count (gst_clip_meta_get_objects (meta));
}

const char *
gst_clip_line_get_best (const GstStructure *meta, guint index, guint64 *tracking_id)
{
  const GstStructure *object = gst_clip_meta_nth (gst_clip_meta_get_objects (meta), index);
  const GstStructure *best = gst_clip_meta_get_top (object, 0);
  *tracking_id = 0;
  gst_structure_get_uint64 (object, "tracking-id", tracking_id);
  return best ? gst_structure_get_string (best, "label") : NULL;
}
