/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-spool.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "clip-error.h"
#include "clip-segment.h"

#define SEGMENT_MAX (16 << 20)
/* Room is made a segment at a time: this many keep that a small part. */
#define SEGMENTS 8

struct _ClipSpool {
  char *directory;
  int lock_fd;
  guint64 max_size, size;
  GPtrArray *segments; /* of ClipSegment, in order */
  ClipSegment *writing; /* the last of them, or NULL */
  guint64 kept;         /* the position as it is on disk */
  guint64 done;         /* all messages before this one are acknowledged */
  guint64 end;          /* number of the next message to be appended */
  guint64 next;         /* number of the next message to be read */
  ClipSegment *reading; /* the segment that it is in, or NULL: to be sought */
  gint64 offset;
  guint64 gap, gap_end; /* the last damage: messages that cannot be acknowledged */
};

static ClipSegment *
segment_at (const ClipSpool *spool, guint index)
{
  return g_ptr_array_index (spool->segments, index);
}

static void
remove_segment (ClipSpool *spool, guint index)
{
  ClipSegment *segment = segment_at (spool, index);
  if (spool->reading == segment)
    spool->reading = NULL;
  if (spool->writing == segment)
    spool->writing = NULL;
  spool->size -= (guint64) segment->size;
  g_unlink (segment->path);
  g_ptr_array_remove_index (spool->segments, index);
}

/* The file that is written goes only when its work is done, else each message would have a file of its own. */
static void
remove_acknowledged (ClipSpool *spool)
{
  while (spool->segments->len > 0 && segment_at (spool, 0) != spool->writing) {
    const ClipSegment *oldest = segment_at (spool, 0);
    if (oldest->first + oldest->count > spool->done)
      return;
    remove_segment (spool, 0);
  }
}

static gboolean
lock_directory (ClipSpool *spool, GError **error)
{
  g_autofree char *path = g_build_filename (spool->directory, "lock", NULL);
  if (g_mkdir_with_parents (spool->directory, 0700) != 0)
    return clip_disk_error (error, spool->directory, "cannot make the directory of the spool", errno);
  spool->lock_fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (spool->lock_fd < 0)
    return clip_disk_error (error, path, "cannot open", errno);
  return clip_disk_lock (spool->lock_fd, spool->directory, error);
}

static gint
compare_segments (gconstpointer a, gconstpointer b)
{
  const ClipSegment *one = *(ClipSegment *const *) a, *other = *(ClipSegment *const *) b;
  return one->first < other->first ? -1 : one->first > other->first;
}

static gboolean
find_segments (ClipSpool *spool, GError **error)
{
  const char *name;
  guint64 first;
  g_autoptr (GDir) dir = g_dir_open (spool->directory, 0, error);
  if (!dir)
    return FALSE;
  while ((name = g_dir_read_name (dir))) {
    if (clip_segment_parse_name (name, &first))
      g_ptr_array_add (spool->segments, clip_segment_new (spool->directory, first));
  }
  g_ptr_array_sort (spool->segments, compare_segments);
  return TRUE;
}

/* The last file counts as far as it is whole; those before it end where the next begins. */
static gboolean
measure_segments (ClipSpool *spool, GError **error)
{
  for (guint i = 0; i < spool->segments->len; i++) {
    ClipSegment *segment = segment_at (spool, i);
    GStatBuf status;
    if (!clip_segment_open (segment, FALSE, error))
      return FALSE;
    if (i + 1 == spool->segments->len)
      clip_segment_scan (segment);
    else
      segment->count = segment_at (spool, i + 1)->first - segment->first;
    segment->size = g_stat (segment->path, &status) == 0 ? status.st_size : 0;
    clip_segment_close (segment);
    spool->size += (guint64) segment->size;
    spool->end = segment->first + segment->count;
  }
  /* the next one will have its name */
  if (spool->segments->len > 0 && segment_at (spool, spool->segments->len - 1)->count == 0)
    remove_segment (spool, spool->segments->len - 1);
  return TRUE;
}

static char *
position_path (const ClipSpool *spool)
{
  return g_build_filename (spool->directory, "position", NULL);
}

/* Without a position that can be read everything is sent again: twice is better than never. */
static void
read_position (ClipSpool *spool)
{
  g_autofree char *path = position_path (spool), *text = NULL;
  guint64 first = spool->segments->len > 0 ? segment_at (spool, 0)->first : 0, position = 0;
  if (g_file_get_contents (path, &text, NULL, NULL))
    g_ascii_string_to_unsigned (g_strchomp (text), 10, 0, G_MAXUINT64 / 2, &position, NULL);
  spool->done = spool->next = spool->kept = MAX (position, first);
  spool->end = MAX (spool->end, spool->done);
}

ClipSpool *
clip_spool_open (const char *directory, guint64 max_size, GError **error)
{
  g_autoptr (ClipSpool) spool = g_new0 (ClipSpool, 1);
  spool->directory = g_strdup (directory);
  spool->max_size = max_size;
  spool->lock_fd = -1;
  spool->segments = g_ptr_array_new_with_free_func ((GDestroyNotify) clip_segment_free);
  if (!lock_directory (spool, error) || !find_segments (spool, error) || !measure_segments (spool, error))
    return NULL;
  read_position (spool);
  remove_acknowledged (spool);
  return g_steal_pointer (&spool);
}

void
clip_spool_close (ClipSpool *spool)
{
  g_autoptr (GError) error = NULL;
  if (spool->done != spool->kept && !clip_spool_keep_position (spool, &error))
    g_warning ("%s", error->message);
  spool->writing = NULL;
  remove_acknowledged (spool);
  g_ptr_array_unref (spool->segments);
  if (spool->lock_fd >= 0)
    close (spool->lock_fd);
  g_free (spool->directory);
  g_free (spool);
}

gboolean
clip_spool_keep_position (ClipSpool *spool, GError **error)
{
  if (spool->done == spool->kept)
    return TRUE;
  g_autofree char *path = position_path (spool), *text = g_strdup_printf ("%" G_GUINT64_FORMAT "\n", spool->done);
  g_autofree char *new_path = g_strconcat (path, ".new", NULL);
  /* renamed into place, so that it is whole; when it is old, messages are sent twice, and that is allowed */
  if (!g_file_set_contents_full (new_path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, error))
    return FALSE;
  if (g_rename (new_path, path) != 0)
    return clip_disk_error (error, path, "cannot write", errno);
  spool->kept = spool->done;
  return TRUE;
}

static void
make_room (ClipSpool *spool, gsize more, guint64 *lost)
{
  while (spool->size + more > spool->max_size && spool->segments->len > 0) {
    const ClipSegment *oldest = segment_at (spool, 0);
    guint64 after = oldest->first + oldest->count;
    if (after > spool->done) {
      *lost += after - spool->done;
      spool->done = after;
      spool->next = MAX (spool->next, after);
    }
    remove_segment (spool, 0);
  }
}

static gboolean
begin_segment (ClipSpool *spool, GError **error)
{
  g_autoptr (ClipSegment) segment = clip_segment_new (spool->directory, spool->end);
  if (!clip_segment_open (segment, TRUE, error))
    return FALSE;
  spool->writing = g_steal_pointer (&segment);
  g_ptr_array_add (spool->segments, spool->writing);
  return TRUE;
}

gboolean
clip_spool_append (ClipSpool *spool, const ClipMessage *message, guint64 *lost, GError **error)
{
  gsize size = clip_segment_record_size (message);
  gint64 limit = (gint64) MIN (SEGMENT_MAX, spool->max_size / SEGMENTS);
  make_room (spool, size, lost);
  if (spool->writing && spool->writing->size > 0 && spool->writing->size + (gint64) size > limit) {
    if (!clip_spool_sync (spool, error))
      return FALSE;
    if (spool->writing != spool->reading)
      clip_segment_close (spool->writing);
    spool->writing = NULL;
    remove_acknowledged (spool);
  }
  if ((!spool->writing && !begin_segment (spool, error)) || !clip_segment_append (spool->writing, message, error))
    return FALSE;
  spool->size += size;
  spool->end++;
  return TRUE;
}

/* The file that holds the next message, and where in it */
static gboolean
seek (ClipSpool *spool)
{
  for (guint i = 0; i < spool->segments->len; i++) {
    ClipSegment *segment = segment_at (spool, i);
    if (spool->next >= segment->first + segment->count)
      continue;
    spool->next = MAX (spool->next, segment->first);
    spool->reading = segment;
    spool->offset = 0;
    if (!clip_segment_open (segment, FALSE, NULL))
      return FALSE;
    for (guint64 number = segment->first; number < spool->next; number++) {
      g_autoptr (ClipMessage) skipped = clip_segment_read (segment, &spool->offset);
      if (!skipped)
        return FALSE;
    }
    return TRUE;
  }
  return FALSE;
}

static void
skip_gap (ClipSpool *spool)
{
  if (spool->done >= spool->gap && spool->done < spool->gap_end)
    spool->done = spool->gap_end;
}

/* What comes behind damage in a file cannot be found. */
static void
give_up_segment (ClipSpool *spool, guint64 *lost)
{
  const ClipSegment *segment = spool->reading;
  guint64 after = segment->first + segment->count;
  g_warning ("%s is damaged: %" G_GUINT64_FORMAT " messages are lost", segment->path, after - spool->next);
  *lost += after - spool->next;
  spool->gap = spool->next;
  spool->gap_end = spool->next = after;
  skip_gap (spool);
}

static void
leave_segment (ClipSpool *spool)
{
  if (spool->reading != spool->writing)
    clip_segment_close (spool->reading);
  spool->reading = NULL;
}

ClipMessage *
clip_spool_next (ClipSpool *spool, guint64 *id, guint64 *lost)
{
  while (spool->next < spool->end) {
    if (spool->reading && spool->next >= spool->reading->first + spool->reading->count)
      leave_segment (spool);
    gboolean found = spool->reading || seek (spool);
    if (!found && !spool->reading)
      return NULL;
    ClipMessage *message = found ? clip_segment_read (spool->reading, &spool->offset) : NULL;
    if (message) {
      *id = spool->next++;
      return message;
    }
    give_up_segment (spool, lost);
  }
  return NULL;
}

gboolean
clip_spool_has_next (const ClipSpool *spool)
{
  return spool->next < spool->end;
}

void
clip_spool_rewind (ClipSpool *spool)
{
  if (spool->reading)
    leave_segment (spool);
  spool->next = spool->done;
}

void
clip_spool_acknowledge (ClipSpool *spool, guint64 id)
{
  if (id < spool->done)
    return;
  spool->done = id + 1;
  skip_gap (spool);
  spool->next = MAX (spool->next, spool->done);
  remove_acknowledged (spool);
}

gboolean
clip_spool_sync (ClipSpool *spool, GError **error)
{
  if (!spool->writing || fdatasync (spool->writing->fd) == 0)
    return TRUE;
  return clip_disk_error (error, spool->writing->path, "cannot bring what was written to the disk", errno);
}

guint64
clip_spool_count (const ClipSpool *spool)
{
  return spool->end - spool->done;
}

guint64
clip_spool_size (const ClipSpool *spool)
{
  return spool->size;
}
