/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The publisher over a transport that fails as it is told. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "clip-error.h"
#include "publish/clip-publisher.h"

#define SECOND G_USEC_PER_SEC

typedef struct {
  ClipTransport parent;
  GMutex lock;
  GCond changed;
  GArray *arrived;     /* of guint: the numbers of the messages, as they came */
  gboolean up, hang;   /* hang: open() does not return */
  gboolean entered;    /* open() was called */
  gint fail_after;     /* messages until the connection breaks, once; -1: never */
  GArray *unanswered;  /* of guint64 */
  gboolean hold;       /* acknowledge nothing */
} Fake;

typedef struct {
  Fake *fake;
  ClipPublisher *publisher;
  GPtrArray *errors; /* of GError */
  gint reports;      /* atomic: how many there are */
  char *directory;
} Fixture;

static gboolean
open_fake (ClipTransport *transport, GError **error)
{
  Fake *fake = (Fake *) transport;
  g_mutex_lock (&fake->lock);
  fake->entered = TRUE;
  g_cond_broadcast (&fake->changed);
  while (fake->hang)
    g_cond_wait (&fake->changed, &fake->lock);
  gboolean up = fake->up;
  g_mutex_unlock (&fake->lock);
  if (!up)
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_AWAY, "away");
  return up;
}

static void
close_fake (ClipTransport *transport)
{
  g_array_set_size (((Fake *) transport)->unanswered, 0);
}

static gboolean
is_ready (ClipTransport *transport)
{
  return TRUE;
}

static gboolean
send_fake (ClipTransport *transport, const ClipMessage *message, guint64 id, GError **error)
{
  Fake *fake = (Fake *) transport;
  guint n = (guint) g_ascii_strtoull (message->line, NULL, 10);
  g_mutex_lock (&fake->lock);
  gboolean breaks = !fake->up || fake->fail_after == 0;
  const guint64 one = 1;
  if (fake->fail_after >= 0)
    fake->fail_after--;
  if (!breaks) {
    g_array_append_val (fake->arrived, n);
    g_array_append_val (fake->unanswered, id);
    g_assert_cmpint (write (transport->wake_fd, &one, sizeof one), ==, sizeof one); /* there is something to dispatch */
  }
  g_mutex_unlock (&fake->lock);
  if (breaks)
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_AWAY, "broke");
  else if (g_str_has_prefix (message->line, "bad")) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MESSAGE, "a bad message");
    breaks = TRUE;
  }
  return !breaks;
}

/* Acknowledges in another order than was sent, as Kafka's partitions do. */
static gboolean
dispatch (ClipTransport *transport, GError **error)
{
  Fake *fake = (Fake *) transport;
  g_mutex_lock (&fake->lock);
  gboolean hold = fake->hold;
  g_mutex_unlock (&fake->lock);
  for (guint i = hold ? 0 : fake->unanswered->len; i > 0; i--)
    transport->acknowledged (g_array_index (fake->unanswered, guint64, i - 1), transport->data);
  if (!hold)
    g_array_set_size (fake->unanswered, 0);
  return TRUE;
}

static void
free_fake (ClipTransport *transport)
{
  Fake *fake = (Fake *) transport;
  g_array_unref (fake->arrived);
  g_array_unref (fake->unanswered);
  g_mutex_clear (&fake->lock);
  g_cond_clear (&fake->changed);
  g_free (fake);
}

static Fake *
new_fake (void)
{
  static const ClipTransportClass klass
      = { "fake", 10, open_fake, close_fake, is_ready, send_fake, NULL, dispatch, free_fake };
  Fake *fake = g_new0 (Fake, 1);
  fake->parent.klass = &klass;
  fake->arrived = g_array_new (FALSE, FALSE, sizeof (guint));
  fake->unanswered = g_array_new (FALSE, FALSE, sizeof (guint64));
  fake->up = TRUE;
  fake->fail_after = -1;
  return fake;
}

static void
report (const GError *error, gpointer data)
{
  Fixture *f = data;
  g_ptr_array_add (f->errors, g_error_copy (error));
  g_atomic_int_inc (&f->reports);
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->errors = g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);
  f->directory = g_dir_make_tmp ("clip-publisher-XXXXXX", NULL);
  f->fake = new_fake ();
}

static void
start (Fixture *f, ClipPublishPolicy policy, guint queue_size)
{
  g_autoptr (GError) error = NULL;
  const ClipPublisherSettings settings
      = { policy, queue_size, f->directory, 1 << 20, CLIP_SYNC_NONE, SECOND, 300 * 1000, FALSE };
  f->publisher = clip_publisher_new (&f->fake->parent, &settings, report, f, NULL, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  const char *name;
  g_autoptr (GDir) dir = g_dir_open (f->directory, 0, NULL);
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (f->directory, name, NULL);
    g_unlink (path);
  }
  g_rmdir (f->directory);
  g_free (f->directory);
  g_ptr_array_unref (f->errors);
}

static void
push (Fixture *f, guint from, guint to)
{
  for (guint i = from; i < to; i++)
    g_assert_true (clip_publisher_push (f->publisher, clip_message_new ("s", "t", g_strdup_printf ("%u\n", i))));
}

static void
set (Fixture *f, gboolean *field, gboolean value)
{
  g_mutex_lock (&f->fake->lock);
  *field = value;
  g_cond_broadcast (&f->fake->changed);
  g_mutex_unlock (&f->fake->lock);
}

/* All of @from to @to - 1, the first times of each in order */
static void
check_arrived (Fixture *f, guint from, guint to)
{
  guint next = from;
  g_mutex_lock (&f->fake->lock);
  for (guint i = 0; i < f->fake->arrived->len; i++) {
    guint n = g_array_index (f->fake->arrived, guint, i);
    g_assert_cmpuint (n, <=, next);
    next += n == next;
  }
  g_mutex_unlock (&f->fake->lock);
  g_assert_cmpuint (next, ==, to);
}

static ClipPublisherStatistics
statistics (Fixture *f)
{
  ClipPublisherStatistics s;
  clip_publisher_get_statistics (f->publisher, &s);
  return s;
}

static void
test_arrives (Fixture *f, gconstpointer policy)
{
  start (f, GPOINTER_TO_UINT (policy), 100);
  push (f, 0, 1000);
  gboolean drops = GPOINTER_TO_UINT (policy) == CLIP_PUBLISH_DROP_OLDEST;
  g_assert_true (clip_publisher_drain (f->publisher, 20 * SECOND));
  ClipPublisherStatistics s = statistics (f);
  if (!drops) {
    check_arrived (f, 0, 1000);
    g_assert_cmpuint (s.bytes, ==, 10 * 2 + 90 * 3 + 900 * 4);
  }
  g_assert_cmpuint (s.published + s.dropped, ==, 1000);
  g_assert_true (drops || s.dropped == 0);
  g_assert_cmpuint (s.queued + s.spooled, ==, 0);
  clip_publisher_stop (f->publisher, 0, NULL);
}

/* The connection breaks again and again, with messages on their way. */
static void
test_breaks (Fixture *f, gconstpointer policy)
{
  f->fake->fail_after = 5;
  start (f, GPOINTER_TO_UINT (policy), 50);
  for (guint i = 0; i < 5; i++) {
    push (f, i * 40, (i + 1) * 40);
    g_assert_true (clip_publisher_drain (f->publisher, 20 * SECOND));
    g_mutex_lock (&f->fake->lock);
    f->fake->fail_after = (gint) i * 7;
    g_mutex_unlock (&f->fake->lock);
  }
  check_arrived (f, 0, 200);
  ClipPublisherStatistics s = statistics (f);
  g_assert_cmpuint (s.published, ==, 200);
  g_assert_cmpuint (s.dropped, ==, 0);
  g_assert_cmpuint (s.reconnects, >=, 4);
  clip_publisher_stop (f->publisher, 0, NULL);
}

static gpointer
push_some (gpointer data)
{
  push (data, 0, 30);
  return NULL;
}

static void
test_block (Fixture *f, gconstpointer data)
{
  f->fake->up = FALSE;
  start (f, CLIP_PUBLISH_BLOCK, 10);
  GThread *thread = g_thread_new ("push", push_some, f);
  while (statistics (f).queued < 10)
    g_usleep (1000);
  g_usleep (50000);
  g_assert_cmpuint (statistics (f).queued, ==, 10);
  set (f, &f->fake->up, TRUE);
  g_thread_join (thread);
  g_assert_true (clip_publisher_drain (f->publisher, 20 * SECOND));
  check_arrived (f, 0, 30);
  clip_publisher_stop (f->publisher, 0, NULL);
}

static gpointer
push_until_refused (gpointer data)
{
  Fixture *f = data;
  while (clip_publisher_push (f->publisher, clip_message_new ("s", "t", g_strdup ("0\n"))))
    ;
  return NULL;
}

static void
test_interrupt (Fixture *f, gconstpointer data)
{
  f->fake->up = FALSE;
  start (f, CLIP_PUBLISH_BLOCK, 10);
  GThread *thread = g_thread_new ("push", push_until_refused, f);
  while (statistics (f).queued < 10)
    g_usleep (1000);
  clip_publisher_interrupt (f->publisher, TRUE);
  g_thread_join (thread);
  while (g_atomic_int_get (&f->reports) == 0)
    g_usleep (1000);
  g_usleep (400000); /* some attempts more */
  clip_publisher_stop (f->publisher, 0, NULL);
  /* once for each outage, however often it is tried */
  g_assert_cmpuint (f->errors->len, ==, 1);
}

static void
test_drop_oldest (Fixture *f, gconstpointer data)
{
  f->fake->up = FALSE;
  start (f, CLIP_PUBLISH_DROP_OLDEST, 10);
  push (f, 0, 100);
  g_assert_cmpuint (statistics (f).dropped, ==, 90);
  set (f, &f->fake->up, TRUE);
  g_assert_true (clip_publisher_drain (f->publisher, 20 * SECOND));
  check_arrived (f, 90, 100);
  clip_publisher_stop (f->publisher, 0, NULL);
}

/* The broker is away until the end; the next process sends what the first could not. */
static void
test_spool_survives (Fixture *f, gconstpointer data)
{
  ClipPublisherStatistics left;
  f->fake->up = FALSE;
  start (f, CLIP_PUBLISH_SPOOL, 10);
  push (f, 0, 500);
  clip_publisher_stop (f->publisher, SECOND / 10, &left);
  g_assert_cmpuint (left.spooled, ==, 500);
  g_assert_cmpuint (left.dropped, ==, 0);
  f->fake = new_fake ();
  start (f, CLIP_PUBLISH_SPOOL, 10);
  push (f, 500, 600);
  g_assert_true (clip_publisher_drain (f->publisher, 20 * SECOND));
  check_arrived (f, 0, 600);
  clip_publisher_stop (f->publisher, 0, NULL);
}

static void
test_bad_message (Fixture *f, gconstpointer policy)
{
  start (f, GPOINTER_TO_UINT (policy), 10);
  g_assert_true (clip_publisher_push (f->publisher, clip_message_new ("s", "t", g_strdup ("bad\n"))));
  push (f, 0, 5);
  g_assert_true (clip_publisher_drain (f->publisher, 20 * SECOND));
  ClipPublisherStatistics s = statistics (f);
  g_assert_cmpuint (s.published, ==, 5);
  g_assert_cmpuint (s.dropped, ==, 1);
  clip_publisher_stop (f->publisher, 0, NULL);
  g_assert_cmpuint (f->errors->len, ==, 1);
}

/* A stop is bounded though nothing is acknowledged, and says what is lost. */
static void
test_stop_is_bounded (Fixture *f, gconstpointer data)
{
  ClipPublisherStatistics left;
  f->fake->hold = TRUE;
  start (f, CLIP_PUBLISH_BLOCK, 10);
  push (f, 0, 8);
  gint64 begin = g_get_monotonic_time ();
  clip_publisher_stop (f->publisher, SECOND / 5, &left);
  gint64 took = g_get_monotonic_time () - begin;
  g_assert_cmpint (took, >=, SECOND / 5);
  g_assert_cmpint (took, <, 10 * SECOND);
  g_assert_cmpuint (left.queued, ==, 8);
}

/* Even when the transport does not come back. */
static void
test_hung_transport (Fixture *f, gconstpointer data)
{
  f->fake->hang = TRUE;
  Fake *fake = f->fake;
  start (f, CLIP_PUBLISH_BLOCK, 10);
  push (f, 0, 3);
  g_mutex_lock (&fake->lock);
  while (!fake->entered)
    g_cond_wait (&fake->changed, &fake->lock);
  g_mutex_unlock (&fake->lock);
  clip_publisher_stop (f->publisher, 0, NULL);
  g_mutex_lock (&fake->lock);
  fake->hang = FALSE;
  g_cond_broadcast (&fake->changed);
  g_mutex_unlock (&fake->lock);
  g_usleep (200000); /* it ends by itself now; valgrind would see what it leaves */
}

int
main (int argc, char **argv)
{
  static const char *const policies[] = { "block", "drop-oldest", "spool" };
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (policies); i++) {
    g_autofree char *arrives = g_strconcat ("/publisher/arrives/", policies[i], NULL);
    g_autofree char *breaks = g_strconcat ("/publisher/breaks/", policies[i], NULL);
    g_autofree char *bad = g_strconcat ("/publisher/bad-message/", policies[i], NULL);
    g_test_add (arrives, Fixture, GUINT_TO_POINTER (i), set_up, test_arrives, tear_down);
    g_test_add (breaks, Fixture, GUINT_TO_POINTER (i), set_up, test_breaks, tear_down);
    g_test_add (bad, Fixture, GUINT_TO_POINTER (i), set_up, test_bad_message, tear_down);
  }
  g_test_add ("/publisher/block", Fixture, NULL, set_up, test_block, tear_down);
  g_test_add ("/publisher/interrupt", Fixture, NULL, set_up, test_interrupt, tear_down);
  g_test_add ("/publisher/drop-oldest", Fixture, NULL, set_up, test_drop_oldest, tear_down);
  g_test_add ("/publisher/spool-survives", Fixture, NULL, set_up, test_spool_survives, tear_down);
  g_test_add ("/publisher/stop-is-bounded", Fixture, NULL, set_up, test_stop_is_bounded, tear_down);
  g_test_add ("/publisher/hung-transport", Fixture, NULL, set_up, test_hung_transport, tear_down);
  return g_test_run ();
}
