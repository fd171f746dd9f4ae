/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstclipseen.h"

/* A tracked object that has not been there for so many frames is forgotten. */
#define TRACK_FRAMES 300

typedef struct {
  guint64 id;
  GstClockTime position; /* of the frame that its result comes from */
  guint64 frame;         /* the frame, counted, that had it last */
} Track;

struct _GstClipSeen {
  guint64 count; /* frames */
  GHashTable *tracks; /* tracking id -> Track */
  GstClockTime loose, loose_before; /* the position of what is not tracked: in this frame, in the last that had some */
};

GstClipSeen *
gst_clip_seen_new (void)
{
  GstClipSeen *seen = g_new0 (GstClipSeen, 1);
  seen->tracks = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_free);
  gst_clip_seen_reset (seen);
  return seen;
}

void
gst_clip_seen_free (GstClipSeen *seen)
{
  g_hash_table_unref (seen->tracks);
  g_free (seen);
}

void
gst_clip_seen_reset (GstClipSeen *seen)
{
  g_hash_table_remove_all (seen->tracks);
  seen->loose = seen->loose_before = GST_CLOCK_TIME_NONE;
}

static gboolean
forget_unseen (gpointer key, gpointer value, gpointer data)
{
  return ((const GstClipSeen *) data)->count - ((const Track *) value)->frame > TRACK_FRAMES;
}

void
gst_clip_seen_begin_frame (GstClipSeen *seen)
{
  seen->loose_before = seen->loose;
  if (++seen->count % TRACK_FRAMES == 0)
    g_hash_table_foreach_remove (seen->tracks, forget_unseen, seen);
}

static Track *
get_track (GstClipSeen *seen, guint64 id)
{
  Track *track = g_hash_table_lookup (seen->tracks, &id);
  if (track)
    return track;
  track = g_new0 (Track, 1);
  track->id = id;
  track->position = GST_CLOCK_TIME_NONE;
  g_hash_table_insert (seen->tracks, &track->id, track);
  return track;
}

gboolean
gst_clip_seen_is_new (GstClipSeen *seen, GstClockTime pts, const GstStructure *object)
{
  guint64 age = 0, id = 0;
  gboolean inferred = FALSE;
  gst_structure_get_uint64 (object, "age", &age);
  gst_structure_get_uint64 (object, "tracking-id", &id);
  gst_structure_get_boolean (object, "inferred", &inferred);
  if (!GST_CLOCK_TIME_IS_VALID (pts))
    return inferred;
  GstClockTime position = pts - MIN (age, pts);
  if (!id) {
    seen->loose = position;
    return position != seen->loose_before;
  }
  Track *track = get_track (seen, id);
  gboolean fresh = track->position != position;
  track->position = position;
  track->frame = seen->count;
  return fresh;
}
