/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The side of a publisher that other threads see. */
#include "clip-publisher-private.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clip-error.h"

#define GRACE (2 * G_USEC_PER_SEC)

void
clip_publisher_unref (ClipPublisher *p)
{
  if (!g_atomic_ref_count_dec (&p->refs))
    return;
  if (p->spool)
    clip_spool_close (p->spool);
  g_queue_clear_full (&p->waiting, (GDestroyNotify) clip_message_free);
  p->transport->klass->free (p->transport);
  if (p->free_data)
    p->free_data (p->data);
  if (p->wake_fd >= 0)
    close (p->wake_fd);
  g_mutex_clear (&p->lock);
  g_cond_clear (&p->changed);
  g_free ((char *) p->settings.spool_directory);
  g_free (p);
}

static gboolean
open_spool (ClipPublisher *p, GError **error)
{
  if (p->settings.policy != CLIP_PUBLISH_SPOOL)
    return TRUE;
  p->spool = clip_spool_open (p->settings.spool_directory, p->settings.spool_size, error);
  if (p->spool)
    p->statistics.spooled = clip_spool_count (p->spool);
  return p->spool != NULL;
}

static gboolean
open_wake_fd (ClipPublisher *p, GError **error)
{
  p->wake_fd = p->transport->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (p->wake_fd >= 0)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_AWAY, "no descriptor is left: %s", g_strerror (errno));
  return FALSE;
}

static gboolean
open_transport (ClipPublisher *p, GError **error)
{
  p->open = p->settings.open_first && p->transport->klass->open (p->transport, error);
  return p->open || !p->settings.open_first;
}

ClipPublisher *
clip_publisher_new (ClipTransport *transport, const ClipPublisherSettings *settings, ClipPublisherReport report,
    gpointer data, GDestroyNotify free_data, GError **error)
{
  ClipPublisher *p = g_new0 (ClipPublisher, 1);
  g_atomic_ref_count_init (&p->refs);
  g_mutex_init (&p->lock);
  g_cond_init (&p->changed);
  p->settings = *settings;
  p->settings.spool_directory = g_strdup (settings->spool_directory);
  p->transport = transport;
  p->report = report;
  p->data = data;
  p->free_data = free_data;
  if (!open_wake_fd (p, error) || !open_spool (p, error) || !open_transport (p, error)) {
    clip_publisher_unref (p);
    return NULL;
  }
  g_atomic_ref_count_inc (&p->refs);
  p->thread = g_thread_new ("clip-publisher", clip_publisher_work, p);
  return p;
}

void
clip_publisher_wake (ClipPublisher *p)
{
  const guint64 one = 1;
  if (write (p->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
    g_warning ("cannot wake the publisher: %s", g_strerror (errno));
}

static gboolean
is_full (const ClipPublisher *p)
{
  return p->waiting.length >= p->settings.queue_size;
}

/* With the lock held. Returns: FALSE when there is no room and no time to wait for it */
static gboolean
make_room (ClipPublisher *p)
{
  gboolean drop = p->settings.policy == CLIP_PUBLISH_DROP_OLDEST;
  while (is_full (p) && !drop && !p->spool_failed) {
    if (p->interrupted || p->stopping)
      return FALSE;
    g_cond_wait (&p->changed, &p->lock);
  }
  while (is_full (p)) {
    clip_message_free (g_queue_pop_head (&p->waiting));
    p->statistics.dropped++;
  }
  return TRUE;
}

gboolean
clip_publisher_push (ClipPublisher *p, ClipMessage *message)
{
  g_mutex_lock (&p->lock);
  gboolean room = make_room (p);
  if (room)
    g_queue_push_tail (&p->waiting, message);
  else
    p->statistics.dropped++;
  g_mutex_unlock (&p->lock);
  if (room)
    clip_publisher_wake (p);
  else
    clip_message_free (message);
  return room;
}

void
clip_publisher_interrupt (ClipPublisher *p, gboolean interrupted)
{
  g_mutex_lock (&p->lock);
  p->interrupted = interrupted;
  g_cond_broadcast (&p->changed);
  g_mutex_unlock (&p->lock);
}

gboolean
clip_publisher_is_drained (const ClipPublisher *p)
{
  return p->waiting.length == 0 && p->in_hand == 0 && p->in_flight == 0 && p->statistics.spooled == 0;
}

gboolean
clip_publisher_drain (ClipPublisher *p, gint64 timeout)
{
  gint64 end = g_get_monotonic_time () + timeout;
  gboolean in_time = TRUE;
  g_mutex_lock (&p->lock);
  while (in_time && !p->interrupted && !clip_publisher_is_drained (p))
    in_time = g_cond_wait_until (&p->changed, &p->lock, end);
  gboolean drained = clip_publisher_is_drained (p);
  g_mutex_unlock (&p->lock);
  return drained;
}

void
clip_publisher_get_statistics (ClipPublisher *p, ClipPublisherStatistics *statistics)
{
  g_mutex_lock (&p->lock);
  *statistics = p->statistics;
  /* what is sent from a spool is still there and counted there */
  statistics->queued = p->waiting.length + p->in_hand + (p->settings.policy == CLIP_PUBLISH_SPOOL ? 0 : p->in_flight);
  g_mutex_unlock (&p->lock);
}

/* Returns: whether the thread has ended */
static gboolean
wait_for_end (ClipPublisher *p, gint64 end)
{
  gboolean in_time = TRUE;
  g_mutex_lock (&p->lock);
  while (in_time && !p->finished)
    in_time = g_cond_wait_until (&p->changed, &p->lock, end);
  gboolean finished = p->finished;
  g_mutex_unlock (&p->lock);
  return finished;
}

void
clip_publisher_stop (ClipPublisher *p, gint64 timeout, ClipPublisherStatistics *left)
{
  gint64 end = g_get_monotonic_time () + timeout;
  g_mutex_lock (&p->lock);
  p->stopping = TRUE;
  p->deadline = end;
  g_cond_broadcast (&p->changed);
  g_mutex_unlock (&p->lock);
  clip_publisher_wake (p);
  if (wait_for_end (p, end + GRACE))
    g_thread_join (p->thread);
  else
    g_thread_unref (p->thread);
  if (left)
    clip_publisher_get_statistics (p, left);
  clip_publisher_unref (p);
}
