/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sanitizer must report, and what it must not: run tells by it whether its silence means anything. */
#include <glib-object.h>
#include <string.h>

static GMutex lock;
static volatile gint counter;

static gpointer
count (gpointer with_lock)
{
  for (guint i = 0; i < 1000; i++) {
    if (with_lock)
      g_mutex_lock (&lock);
    counter++;
    if (with_lock)
      g_mutex_unlock (&lock);
  }
  return NULL;
}

static void
count_twice (gpointer with_lock)
{
  GThread *other = g_thread_new ("count", count, with_lock);
  count (with_lock);
  g_thread_join (other);
}

static void
overflow (void)
{
  volatile guint8 *bytes = g_malloc (16);
  volatile guint index = 16;
  bytes[index] = 1;
  g_free ((gpointer) bytes);
}

static void
leak (void)
{
  volatile gpointer lost = g_malloc (1000);
  lost = NULL;
  (void) lost;
}

int
main (int argc, char **argv)
{
  const char *what = argc > 1 ? argv[1] : "";
  if (g_str_equal (what, "race"))
    count_twice (NULL);
  else if (g_str_equal (what, "locked"))
    count_twice (&lock);
  else if (g_str_equal (what, "overflow"))
    overflow ();
  else if (g_str_equal (what, "leak"))
    leak ();
  else if (!g_str_equal (what, "nothing"))
    return 2;
  return 0;
}
