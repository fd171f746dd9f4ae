/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstcliplines.h"

#include "gstclipline.h"
#include "gstclipmeta.h"
#include "gstcliptime.h"

/* An object that has not been seen for so many frames is a new one when it comes again. */
#define FORGET_AFTER 300

struct _GstClipLines {
  GMutex lock; /* guards the settings */
  char *source;
  gboolean only_on_change;
  GstClockTime interval;
  /* of the streaming thread */
  gint width, height;
  GstClockTime written; /* running time of the last line */
  guint64 frame;
  GHashTable *known; /* tracking id, or position of an object without -> Known */
};

typedef struct {
  gboolean tracked;
  guint64 id;
} Key;

typedef struct {
  char *label; /* the best one in the last line; NULL: none passed */
  guint64 seen; /* frame */
} Known;

static guint
hash_key (gconstpointer data)
{
  const Key *key = data;
  return g_int64_hash (&key->id) ^ (guint) key->tracked;
}

static gboolean
equal_keys (gconstpointer a, gconstpointer b)
{
  const Key *one = a, *other = b;
  return one->id == other->id && one->tracked == other->tracked;
}

static void
free_known (gpointer data)
{
  Known *known = data;
  g_free (known->label);
  g_free (known);
}

GstClipLines *
gst_clip_lines_new (void)
{
  GstClipLines *lines = g_new0 (GstClipLines, 1);
  g_mutex_init (&lines->lock);
  lines->written = GST_CLOCK_TIME_NONE;
  lines->known = g_hash_table_new_full (hash_key, equal_keys, g_free, free_known);
  return lines;
}

void
gst_clip_lines_free (GstClipLines *lines)
{
  g_mutex_clear (&lines->lock);
  g_hash_table_unref (lines->known);
  g_free (lines->source);
  g_free (lines);
}

#define PLAYING (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)

void
gst_clip_lines_install_properties (GObjectClass *klass)
{
  g_object_class_install_property (klass, GST_CLIP_LINES_PROP_SOURCE, g_param_spec_string ("source", "Source",
      "Name of the stream, written into each line", NULL, PLAYING));
  g_object_class_install_property (klass, GST_CLIP_LINES_PROP_ONLY_ON_CHANGE, g_param_spec_boolean (
      "only-on-change", "Only on change", "A line only when the best label of some object is another than in the "
      "line before", FALSE, PLAYING));
  g_object_class_install_property (klass, GST_CLIP_LINES_PROP_INTERVAL, g_param_spec_uint64 ("interval", "Interval",
      "At most one line in so much running time, in nanoseconds; 0: no limit", 0, G_MAXUINT64, 0, PLAYING));
}

/* JSON is UTF-8; what a shell hands over need not be. */
static char *
dup_utf8 (const GValue *value)
{
  const char *text = g_value_get_string (value);
  return text ? g_utf8_make_valid (text, -1) : NULL;
}

/* Call with the lock held. */
static gboolean
set_setting (GstClipLines *lines, guint id, const GValue *value)
{
  switch (id) {
    case GST_CLIP_LINES_PROP_SOURCE:
      g_free (lines->source);
      lines->source = dup_utf8 (value);
      return TRUE;
    case GST_CLIP_LINES_PROP_ONLY_ON_CHANGE:
      lines->only_on_change = g_value_get_boolean (value);
      return TRUE;
    case GST_CLIP_LINES_PROP_INTERVAL:
      lines->interval = g_value_get_uint64 (value);
      return TRUE;
    default:
      return FALSE;
  }
}

gboolean
gst_clip_lines_set_property (GstClipLines *lines, guint id, const GValue *value)
{
  g_mutex_lock (&lines->lock);
  gboolean found = set_setting (lines, id, value);
  g_mutex_unlock (&lines->lock);
  return found;
}

/* Call with the lock held. */
static gboolean
get_setting (GstClipLines *lines, guint id, GValue *value)
{
  switch (id) {
    case GST_CLIP_LINES_PROP_SOURCE:
      g_value_set_string (value, lines->source);
      return TRUE;
    case GST_CLIP_LINES_PROP_ONLY_ON_CHANGE:
      g_value_set_boolean (value, lines->only_on_change);
      return TRUE;
    case GST_CLIP_LINES_PROP_INTERVAL:
      g_value_set_uint64 (value, lines->interval);
      return TRUE;
    default:
      return FALSE;
  }
}

gboolean
gst_clip_lines_get_property (GstClipLines *lines, guint id, GValue *value)
{
  g_mutex_lock (&lines->lock);
  gboolean found = get_setting (lines, id, value);
  g_mutex_unlock (&lines->lock);
  return found;
}

char *
gst_clip_lines_dup_source (GstClipLines *lines)
{
  g_mutex_lock (&lines->lock);
  char *source = g_strdup (lines->source);
  g_mutex_unlock (&lines->lock);
  return source;
}

gboolean
gst_clip_lines_set_caps (GstClipLines *lines, GstCaps *caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  return gst_structure_get_int (s, "width", &lines->width) && gst_structure_get_int (s, "height", &lines->height);
}

void
gst_clip_lines_reset (GstClipLines *lines)
{
  g_hash_table_remove_all (lines->known);
  lines->written = GST_CLOCK_TIME_NONE;
  lines->frame = 0;
}

static gboolean
is_forgotten (gpointer key, gpointer value, gpointer user_data)
{
  const GstClipLines *lines = user_data;
  return lines->frame - ((Known *) value)->seen > FORGET_AFTER;
}

static Key
key_of (guint index, guint64 tracking_id)
{
  return tracking_id ? (Key){ TRUE, tracking_id } : (Key){ FALSE, index };
}

/* Whether an object's best label is another than in the last line */
static gboolean
is_changed (GstClipLines *lines, const GstStructure *meta)
{
  gboolean changed = FALSE;
  lines->frame++;
  for (guint i = 0; i < gst_clip_line_count_objects (meta); i++) {
    guint64 id;
    const char *label = gst_clip_line_get_best (meta, i, &id);
    Key key = key_of (i, id);
    Known *known = g_hash_table_lookup (lines->known, &key);
    changed |= !known || g_strcmp0 (known->label, label) != 0;
    if (known)
      known->seen = lines->frame;
  }
  g_hash_table_foreach_remove (lines->known, is_forgotten, lines);
  return changed;
}

static void
remember (GstClipLines *lines, const GstStructure *meta)
{
  for (guint i = 0; i < gst_clip_line_count_objects (meta); i++) {
    guint64 id;
    Known *known = g_new0 (Known, 1);
    known->label = g_strdup (gst_clip_line_get_best (meta, i, &id));
    known->seen = lines->frame;
    Key key = key_of (i, id);
    g_hash_table_replace (lines->known, g_memdup2 (&key, sizeof key), known);
  }
}

/* A time before the last line's is that of a stream which began anew. */
static gboolean
is_too_early (const GstClipLines *lines, GstClockTime interval, GstClockTime now)
{
  return GST_CLOCK_TIME_IS_VALID (lines->written) && GST_CLOCK_TIME_IS_VALID (now) && now >= lines->written
         && now - lines->written < interval;
}

char *
gst_clip_lines_next (GstClipLines *lines, GstElement *element, const GstSegment *segment, GstBuffer *buffer)
{
  const GstStructure *meta = gst_clip_meta_get (buffer);
  GstClockTime now = gst_clip_get_running_time (segment, buffer);
  g_mutex_lock (&lines->lock);
  gboolean only_on_change = lines->only_on_change;
  GstClockTime interval = lines->interval;
  g_mutex_unlock (&lines->lock);
  gboolean changed = !only_on_change || is_changed (lines, meta);
  if (!changed || is_too_early (lines, interval, now))
    return NULL;
  if (only_on_change)
    remember (lines, meta);
  lines->written = now;
  g_autofree char *source = gst_clip_lines_dup_source (lines);
  GstClipLineFrame frame = { source, lines->width, lines->height, GST_BUFFER_PTS (buffer), now,
    gst_clip_get_utc (element, buffer, now) };
  return gst_clip_line_new (meta, &frame);
}
