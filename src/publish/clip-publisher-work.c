/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread of a publisher: from the queue, by way of the spool if there is one, to the transport. */
#include "clip-publisher-private.h"

#include <signal.h>
#include <unistd.h>

#include "clip-error.h"

#define FIRST_DELAY (100 * G_TIME_SPAN_MILLISECOND)
/* Longest sleep while a connection is open: keep-alives and the position of the spool are due from time to time. */
#define TICK (250 * G_TIME_SPAN_MILLISECOND)
#define KEEP_POSITION (200 * G_TIME_SPAN_MILLISECOND)
#define SPOOL_RETRY (500 * G_TIME_SPAN_MILLISECOND)
#define REPORT_MESSAGES (10 * G_USEC_PER_SEC)
/* Messages in one go: other work is due too. */
#define ROUND 256

/* Each kind of trouble once, until a message arrives; a message that cannot be sent is such a kind for a while. */
static void
report (ClipPublisher *p, const GError *error)
{
  if (g_error_matches (error, CLIP_ERROR, CLIP_ERROR_MESSAGE)) {
    if (p->message_reported && g_get_monotonic_time () - p->message_reported < REPORT_MESSAGES)
      return;
    p->message_reported = g_get_monotonic_time ();
    p->report (error, p->data);
    return;
  }
  if (error->domain == p->reported_domain && error->code == p->reported_code)
    return;
  p->reported_domain = error->domain;
  p->reported_code = error->code;
  p->report (error, p->data);
}

static void
free_flight (ClipFlight *flight)
{
  g_clear_pointer (&flight->message, clip_message_free);
  g_free (flight);
}

/* With the lock held */
static void
count_spooled (ClipPublisher *p)
{
  if (p->spool)
    p->statistics.spooled = clip_spool_count (p->spool);
}

/* What was sent and has not arrived goes back to the front. */
static void
take_back (ClipPublisher *p)
{
  g_mutex_lock (&p->lock);
  for (ClipFlight *flight; (flight = g_queue_pop_tail (&p->flights)); free_flight (flight)) {
    if (flight->message && !flight->arrived)
      g_queue_push_head (&p->waiting, g_steal_pointer (&flight->message));
  }
  p->in_flight = 0;
  g_mutex_unlock (&p->lock);
  if (p->spool)
    clip_spool_rewind (p->spool);
}

static void
close_transport (ClipPublisher *p)
{
  if (p->open)
    p->transport->klass->close (p->transport);
  p->open = p->was_ready = FALSE;
  take_back (p);
}

static void
fail (ClipPublisher *p, const GError *error)
{
  close_transport (p);
  p->delay = p->delay ? MIN (p->delay * 2, p->settings.max_delay) : FIRST_DELAY;
  /* many publishers that lost one broker must not all come back at once */
  p->retry = g_get_monotonic_time () + p->delay - (gint64) (g_random_double () * 0.3 * p->delay);
  report (p, error);
}

static void
open_transport (ClipPublisher *p)
{
  g_autoptr (GError) error = NULL;
  if (p->open || g_get_monotonic_time () < p->retry)
    return;
  p->open = p->transport->klass->open (p->transport, &error);
  if (!p->open)
    fail (p, error);
}

/* All that has arrived without a gap is done. */
static void
settle (ClipPublisher *p)
{
  for (ClipFlight *head; (head = g_queue_peek_head (&p->flights)) && head->arrived;) {
    if (p->spool)
      clip_spool_acknowledge (p->spool, head->id);
    p->in_flight--;
    free_flight (g_queue_pop_head (&p->flights));
  }
  count_spooled (p);
  g_cond_broadcast (&p->changed);
}

static void
mark_arrived (ClipPublisher *p, guint64 id, gboolean published)
{
  GList *link = p->flights.head;
  while (link && ((ClipFlight *) link->data)->id != id)
    link = link->next;
  ClipFlight *flight = link ? link->data : NULL;
  if (!flight || flight->arrived)
    return;
  g_mutex_lock (&p->lock);
  flight->arrived = TRUE;
  if (published) {
    p->statistics.published++;
    p->statistics.bytes += flight->length;
  } else
    p->statistics.dropped++;
  settle (p);
  g_mutex_unlock (&p->lock);
}

static void
acknowledged (guint64 id, gpointer data)
{
  ClipPublisher *p = data;
  p->delay = 0;
  p->reported_code = 0;
  p->reported_domain = 0;
  mark_arrived (p, id, TRUE);
}

static void
rejected (guint64 id, const GError *error, gpointer data)
{
  ClipPublisher *p = data;
  report (p, error);
  mark_arrived (p, id, FALSE);
}

/* The message is in hand until it is put somewhere else, so that it counts at any time. */
static ClipMessage *
pop_waiting (ClipPublisher *p)
{
  g_mutex_lock (&p->lock);
  ClipMessage *message = g_queue_pop_head (&p->waiting);
  p->in_hand += message != NULL;
  g_cond_broadcast (&p->changed);
  g_mutex_unlock (&p->lock);
  return message;
}

static void
set_spool_failed (ClipPublisher *p, gboolean failed)
{
  g_mutex_lock (&p->lock);
  p->spool_failed = failed;
  g_cond_broadcast (&p->changed);
  g_mutex_unlock (&p->lock);
}

static void
put_back (ClipPublisher *p, ClipMessage *message)
{
  g_mutex_lock (&p->lock);
  g_queue_push_head (&p->waiting, message);
  g_mutex_unlock (&p->lock);
}

static gboolean
append_some (ClipPublisher *p, GError **error)
{
  guint64 lost = 0;
  gboolean appended = TRUE, any = FALSE;
  ClipMessage *message;
  for (guint i = 0; appended && i < ROUND && (message = pop_waiting (p)); i++) {
    appended = clip_spool_append (p->spool, message, &lost, error);
    any |= appended;
    if (appended)
      clip_message_free (message);
    else
      put_back (p, message);
  }
  g_mutex_lock (&p->lock);
  p->statistics.dropped += lost;
  p->in_hand = 0;
  count_spooled (p);
  g_mutex_unlock (&p->lock);
  return appended && (!any || p->settings.sync != CLIP_SYNC_EACH || clip_spool_sync (p->spool, error));
}

static void
fill_spool (ClipPublisher *p)
{
  g_autoptr (GError) error = NULL;
  if (!p->spool || g_get_monotonic_time () < p->spool_retry)
    return;
  gboolean filled = append_some (p, &error);
  set_spool_failed (p, !filled);
  if (filled)
    return;
  p->spool_retry = g_get_monotonic_time () + SPOOL_RETRY;
  report (p, error);
}

static ClipMessage *
next_message (ClipPublisher *p, guint64 *id)
{
  guint64 lost = 0;
  if (!p->spool) {
    *id = p->next_id++;
    return pop_waiting (p);
  }
  ClipMessage *message = clip_spool_next (p->spool, id, &lost);
  if (lost) {
    g_mutex_lock (&p->lock);
    p->statistics.dropped += lost;
    count_spooled (p);
    g_cond_broadcast (&p->changed);
    g_mutex_unlock (&p->lock);
  }
  return message;
}

/* The flight is there before the message is sent: a transport may acknowledge at once. */
static void
begin_flight (ClipPublisher *p, ClipMessage *message, guint64 id)
{
  ClipFlight *flight = g_new (ClipFlight, 1);
  *flight = (ClipFlight){ id, p->spool ? NULL : message, message->length, FALSE };
  g_mutex_lock (&p->lock);
  g_queue_push_tail (&p->flights, flight);
  p->in_flight++;
  p->in_hand = 0;
  g_mutex_unlock (&p->lock);
}

/* Returns: FALSE if the connection broke */
static gboolean
send_message (ClipPublisher *p, ClipMessage *message, guint64 id)
{
  g_autoptr (GError) error = NULL;
  begin_flight (p, message, id);
  gboolean sent = p->transport->klass->send (p->transport, message, id, &error);
  if (p->spool)
    clip_message_free (message);
  if (sent)
    return TRUE;
  if (g_error_matches (error, CLIP_ERROR, CLIP_ERROR_MESSAGE)) {
    rejected (id, error, p);
    return TRUE;
  }
  fail (p, error);
  return FALSE;
}

static void
send_waiting (ClipPublisher *p)
{
  const ClipTransportClass *klass = p->transport->klass;
  for (guint i = 0; i < ROUND && p->open && klass->is_ready (p->transport) && p->flights.length < klass->window; i++) {
    guint64 id;
    ClipMessage *message = next_message (p, &id);
    if (!message || !send_message (p, message, id))
      return;
  }
}

/* Counts connections by the first time each is ready. */
static void
watch_connection (ClipPublisher *p)
{
  gboolean ready = p->open && p->transport->klass->is_ready (p->transport);
  if (!ready || p->was_ready)
    return;
  p->was_ready = TRUE;
  if (p->ready_before) {
    g_mutex_lock (&p->lock);
    p->statistics.reconnects++;
    g_mutex_unlock (&p->lock);
  }
  p->ready_before = TRUE;
}

static void
keep_position (ClipPublisher *p)
{
  gint64 now = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;
  if (!p->spool)
    return;
  if (p->settings.sync == CLIP_SYNC_INTERVAL && now - p->synced >= p->settings.sync_interval) {
    p->synced = now;
    if (!clip_spool_sync (p->spool, &error))
      report (p, error);
  } else if (now - p->kept >= KEEP_POSITION) {
    p->kept = now;
    if (!clip_spool_keep_position (p->spool, &error))
      report (p, error);
  }
}

/* Whether the next round has something to send or to spool */
static gboolean
has_work (ClipPublisher *p, gint64 now)
{
  const ClipTransportClass *klass = p->transport->klass;
  gboolean can_send = p->open && klass->is_ready (p->transport) && p->flights.length < klass->window;
  if (p->spool)
    return (can_send && clip_spool_has_next (p->spool)) || (p->waiting.length > 0 && now >= p->spool_retry);
  return can_send && p->waiting.length > 0;
}

static gint64
next_time (ClipPublisher *p, gint64 now)
{
  gint64 next = now + TICK;
  if (!p->open)
    next = MIN (next, p->retry);
  g_mutex_lock (&p->lock);
  if (has_work (p, now))
    next = now;
  if (p->stopping)
    next = MIN (next, p->deadline);
  g_mutex_unlock (&p->lock);
  return next;
}

static void
wait (ClipPublisher *p)
{
  const ClipTransportClass *klass = p->transport->klass;
  GPollFD fds[2] = { { p->wake_fd, G_IO_IN, 0 } };
  guint n = 1;
  guint64 woken;
  gint64 now = g_get_monotonic_time (), left = next_time (p, now) - now;
  if (p->open && klass->get_poll && klass->get_poll (p->transport, &fds[1]))
    n++;
  g_poll (fds, n, (gint) (MAX (left, 0) / 1000 + (left > 0)));
  if (read (p->wake_fd, &woken, sizeof woken) < 0)
    return; /* nobody did */
}

/* Of a transport that reconnects by itself */
static void
take_trouble (ClipPublisher *p)
{
  g_autoptr (GError) trouble = g_steal_pointer (&p->transport->trouble);
  if (trouble)
    report (p, trouble);
  g_mutex_lock (&p->lock);
  p->statistics.reconnects += p->transport->reconnects;
  p->transport->reconnects = 0;
  g_mutex_unlock (&p->lock);
}

static void
dispatch (ClipPublisher *p)
{
  g_autoptr (GError) error = NULL;
  if (p->open && p->transport->klass->dispatch && !p->transport->klass->dispatch (p->transport, &error))
    fail (p, error);
  take_trouble (p);
}

static gboolean
is_over (ClipPublisher *p)
{
  g_mutex_lock (&p->lock);
  gboolean over = p->stopping && (clip_publisher_is_drained (p) || g_get_monotonic_time () >= p->deadline);
  g_mutex_unlock (&p->lock);
  return over;
}

static void
finish (ClipPublisher *p)
{
  close_transport (p);
  p->spool_retry = 0;
  fill_spool (p);
  g_mutex_lock (&p->lock);
  g_clear_pointer (&p->spool, clip_spool_close);
  p->finished = TRUE;
  g_cond_broadcast (&p->changed);
  g_mutex_unlock (&p->lock);
  clip_publisher_unref (p);
}

/* A broker that is gone is an error of write() and not the end of the process. */
static void
block_sigpipe (void)
{
  sigset_t set;
  sigemptyset (&set);
  sigaddset (&set, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &set, NULL);
}

gpointer
clip_publisher_work (gpointer data)
{
  ClipPublisher *p = data;
  block_sigpipe ();
  p->transport->acknowledged = acknowledged;
  p->transport->rejected = rejected;
  p->transport->data = p;
  while (!is_over (p)) {
    fill_spool (p);
    open_transport (p);
    watch_connection (p);
    send_waiting (p);
    keep_position (p);
    wait (p);
    dispatch (p);
  }
  finish (p);
  return NULL;
}
