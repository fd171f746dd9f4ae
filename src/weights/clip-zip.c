/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Field offsets are those of PKWARE's APPNOTE.TXT 6.3, sections 4.3.7 to 4.3.16 and 4.5.3. */
#include "weights/clip-zip.h"

#include <string.h>
#include <zlib.h>

#define END_SIZE 22
#define END64_SIZE 56
#define LOCATOR_SIZE 20
#define ENTRY_SIZE 46
#define LOCAL_SIZE 30
#define MAX_COMMENT 65535
#define MAX_MEMBERS 100000 /* the largest CLIP has some thousand */

typedef struct {
  const guint8 *bytes;
  gsize length;
} Archive;

typedef struct {
  guint64 count, size, offset;
} Directory;

static guint64
get (const guint8 *p, guint bytes)
{
  guint64 value = 0;
  for (guint i = bytes; i-- > 0;)
    value = value << 8 | p[i];
  return value;
}

static gboolean
is_signed (const Archive *archive, guint64 offset, gsize size, const char *signature)
{
  return offset <= archive->length && size <= archive->length - offset
         && memcmp (archive->bytes + offset, signature, 4) == 0;
}

/* The end record is the last thing in the file but for a comment */
static gboolean
find_end (const Archive *archive, gsize *end)
{
  if (archive->length < END_SIZE)
    return FALSE;
  const gsize last = archive->length - END_SIZE;
  for (gsize back = 0; back <= MIN (last, MAX_COMMENT); back++)
    if (is_signed (archive, last - back, END_SIZE, "PK\5\6")
        && get (archive->bytes + last - back + 20, 2) == back) {
      *end = last - back;
      return TRUE;
    }
  return FALSE;
}

/* Where a field of the end record does not suffice, zip64's record has it */
static gboolean
read_end64 (const Archive *archive, gsize end, Directory *directory, GError **error)
{
  if (end < LOCATOR_SIZE || !is_signed (archive, end - LOCATOR_SIZE, LOCATOR_SIZE, "PK\6\7"))
    return TRUE;
  const guint64 at = get (archive->bytes + end - LOCATOR_SIZE + 8, 8);
  if (!is_signed (archive, at, END64_SIZE, "PK\6\6"))
    return clip_model_error (error, "its zip64 end record is not where it should be; download it again");
  const guint8 *record = archive->bytes + at;
  *directory = (Directory){ get (record + 32, 8), get (record + 40, 8), get (record + 48, 8) };
  return TRUE;
}

static gboolean
find_directory (const Archive *archive, Directory *directory, GError **error)
{
  gsize end = 0;
  if (!find_end (archive, &end))
    return clip_model_error (error, "has no directory at its end: it was cut; download it again");
  const guint8 *record = archive->bytes + end;
  *directory = (Directory){ get (record + 10, 2), get (record + 12, 4), get (record + 16, 4) };
  if (!read_end64 (archive, end, directory, error))
    return FALSE;
  if (directory->offset <= end && directory->size <= end - directory->offset
      && directory->count <= MIN (MAX_MEMBERS, directory->size / ENTRY_SIZE))
    return TRUE;
  return clip_model_error (error,
      "its directory of %" G_GUINT64_FORMAT " members, %" G_GUINT64_FORMAT " bytes at %" G_GUINT64_FORMAT
      " does not lie inside the file; download it again",
      directory->count, directory->size, directory->offset);
}

/* Fields that are all ones stand in the zip64 extra field, in this order */
static gboolean
read_extra64 (const guint8 *extra, gsize length, guint64 **fields)
{
  while (length >= 4) {
    const gsize size = get (extra + 2, 2);
    if (size > length - 4)
      return FALSE;
    if (get (extra, 2) == 1) {
      const guint8 *p = extra + 4;
      for (guint i = 0; fields[i]; i++) {
        if (*fields[i] != G_MAXUINT32)
          continue;
        if (p + 8 > extra + 4 + size)
          return FALSE;
        *fields[i] = get (p, 8);
        p += 8;
      }
    }
    extra += 4 + size;
    length -= 4 + size;
  }
  return TRUE;
}

/* The member's bytes follow its local header, whose name and extra field may have other lengths */
static gboolean
locate (const Archive *archive, guint64 offset, ClipZipMember *member, const char *name, GError **error)
{
  if (!is_signed (archive, offset, LOCAL_SIZE, "PK\3\4"))
    return clip_model_error (error, "member %.100s is not where the directory says; download it again", name);
  const guint8 *local = archive->bytes + offset;
  const guint64 begin = offset + LOCAL_SIZE + get (local + 26, 2) + get (local + 28, 2);
  if (begin > archive->length || member->packed > archive->length - begin)
    return clip_model_error (error,
        "member %.100s has %" G_GSIZE_FORMAT " bytes at %" G_GUINT64_FORMAT
        ", but the file ends at %" G_GSIZE_FORMAT "; download it again",
        name, member->packed, begin, archive->length);
  member->data = archive->bytes + begin;
  return TRUE;
}

/* One entry of the directory; *used: its bytes */
static gboolean
read_entry (const Archive *archive, const guint8 *entry, gsize left, GHashTable *members, gsize *used, GError **error)
{
  if (left < ENTRY_SIZE || memcmp (entry, "PK\1\2", 4) != 0)
    return clip_model_error (error, "its directory is damaged; download it again");
  const gsize name_length = get (entry + 28, 2), extra_length = get (entry + 30, 2);
  *used = ENTRY_SIZE + name_length + extra_length + get (entry + 32, 2);
  if (*used > left)
    return clip_model_error (error, "its directory is damaged; download it again");
  g_autofree char *name = g_strndup ((const char *)entry + ENTRY_SIZE, name_length);
  guint64 packed = get (entry + 20, 4), size = get (entry + 24, 4), offset = get (entry + 42, 4);
  guint64 *fields[] = { &size, &packed, &offset, NULL };
  if (!read_extra64 (entry + ENTRY_SIZE + name_length, extra_length, fields))
    return clip_model_error (error, "member %.100s has a damaged extra field; download it again", name);
  const guint64 flags = get (entry + 8, 2), method = get (entry + 10, 2);
  if ((flags & 1) || (method != 0 && method != 8) || (method == 0 && packed != size))
    return clip_model_error (error, "member %.100s is encrypted or packed in a way that torch does not use", name);
  ClipZipMember member = { method == 8, NULL, packed, size };
  if (!locate (archive, offset, &member, name, error))
    return FALSE;
  if (g_hash_table_contains (members, name))
    return clip_model_error (error, "member %.100s occurs twice", name);
  g_hash_table_insert (members, g_steal_pointer (&name), g_memdup2 (&member, sizeof member));
  return TRUE;
}

GHashTable *
clip_zip_read (const guint8 *bytes, gsize length, GError **error)
{
  const Archive archive = { bytes, length };
  Directory directory = { 0 };
  if (!find_directory (&archive, &directory, error))
    return NULL;
  g_autoptr (GHashTable) members = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  gsize at = directory.offset, left = directory.size, used = 0;
  for (guint64 i = 0; i < directory.count; i++, at += used, left -= used)
    if (!read_entry (&archive, bytes + at, left, members, &used, error))
      return NULL;
  return g_steal_pointer (&members);
}

static gboolean
inflate_member (const ClipZipMember *member, guint8 *out)
{
  z_stream stream = { .next_in = (Bytef *)member->data, .avail_in = member->packed, .next_out = out,
    .avail_out = member->size };
  if (inflateInit2 (&stream, -MAX_WBITS) != Z_OK)
    return FALSE;
  const int code = inflate (&stream, Z_FINISH);
  inflateEnd (&stream);
  return code == Z_STREAM_END && stream.avail_out == 0;
}

GBytes *
clip_zip_unpack (const ClipZipMember *member, gsize limit, GError **error)
{
  if (member->size > limit || member->packed > limit) {
    clip_model_error (error, "has %" G_GSIZE_FORMAT " bytes, expected at most %" G_GSIZE_FORMAT, member->size, limit);
    return NULL;
  }
  if (!member->deflated)
    return g_bytes_new_static (member->data, member->size);
  guint8 *out = g_malloc (MAX (member->size, 1));
  if (inflate_member (member, out))
    return g_bytes_new_take (out, member->size);
  g_free (out);
  clip_model_error (error, "is damaged: it cannot be unpacked");
  return NULL;
}
