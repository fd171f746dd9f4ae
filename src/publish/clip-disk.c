/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-disk.h"

#include <errno.h>
#include <sys/file.h>
#include <unistd.h>

#include "clip-error.h"

gboolean
clip_disk_error (GError **error, const char *path, const char *what, int code)
{
  g_autofree char *name = g_filename_display_name (path);
  gboolean full = code == ENOSPC || code == EDQUOT;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED, "%s: %s: %s%s", name, what, g_strerror (code),
      full ? "; make room there" : "");
  return FALSE;
}

static gboolean
write_all (int fd, const char *data, gsize length)
{
  while (length > 0) {
    gssize n = write (fd, data, length);
    if (n < 0 && errno != EINTR)
      return FALSE;
    if (n > 0) {
      data += n;
      length -= (gsize) n;
    }
  }
  return TRUE;
}

gboolean
clip_disk_append (int fd, const char *path, gint64 size, gconstpointer data, gsize length, GError **error)
{
  if (write_all (fd, data, length))
    return TRUE;
  int code = errno;
  if (ftruncate (fd, size) != 0)
    g_warning ("%s: a line that was cut cannot be taken back: %s", path, g_strerror (errno));
  return clip_disk_error (error, path, "cannot write", code);
}

gboolean
clip_disk_lock (int fd, const char *path, GError **error)
{
  if (flock (fd, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  if (errno != EWOULDBLOCK)
    return clip_disk_error (error, path, "cannot lock", errno);
  g_autofree char *name = g_filename_display_name (path);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_REFUSED, "%s: another publisher writes there; give each its own", name);
  return FALSE;
}
