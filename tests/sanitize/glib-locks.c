/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GLib's locks on pthreads, and its reference counts announced, so that ThreadSanitizer sees who waits for whom.
 *
 * GLib's own are futexes and atomics in a library that is not instrumented: invisible, and all that they guard would be
 * reported. Preloaded by tests/sanitize/run; for tests only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <glib-object.h>
#include <gst/gst.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

void __tsan_acquire (void *address);
void __tsan_release (void *address);

/* A lock in zeroed memory is made when it is used for the first time. */
static void *
made (void **place, void *(*make) (void), void (*drop) (void *))
{
  void *found = __atomic_load_n (place, __ATOMIC_ACQUIRE);
  if (found)
    return found;
  void *fresh = make ();
  if (__atomic_compare_exchange_n (place, &found, fresh, FALSE, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return fresh;
  drop (fresh);
  return found;
}

static void *
make_mutex (void)
{
  pthread_mutex_t *mutex = calloc (1, sizeof *mutex);
  pthread_mutex_init (mutex, NULL);
  return mutex;
}

static void *
make_recursive (void)
{
  pthread_mutex_t *mutex = calloc (1, sizeof *mutex);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init (&attributes);
  pthread_mutexattr_settype (&attributes, PTHREAD_MUTEX_RECURSIVE);
  pthread_mutex_init (mutex, &attributes);
  pthread_mutexattr_destroy (&attributes);
  return mutex;
}

static void
drop_mutex (void *mutex)
{
  pthread_mutex_destroy (mutex);
  free (mutex);
}

static void *
make_cond (void)
{
  pthread_cond_t *cond = calloc (1, sizeof *cond);
  pthread_condattr_t attributes;
  pthread_condattr_init (&attributes);
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
  pthread_cond_init (cond, &attributes);
  pthread_condattr_destroy (&attributes);
  return cond;
}

static void
drop_cond (void *cond)
{
  pthread_cond_destroy (cond);
  free (cond);
}

static void *
make_rw (void)
{
  pthread_rwlock_t *lock = calloc (1, sizeof *lock);
  pthread_rwlock_init (lock, NULL);
  return lock;
}

static void
drop_rw (void *lock)
{
  pthread_rwlock_destroy (lock);
  free (lock);
}

#define MUTEX(m) made ((void **) &(m)->p, make_mutex, drop_mutex)
#define RECURSIVE(m) made ((void **) &(m)->p, make_recursive, drop_mutex)
#define COND(c) made ((void **) &(c)->p, make_cond, drop_cond)
#define RW(l) made ((void **) &(l)->p, make_rw, drop_rw)

static void
clear (gpointer *place, void (*drop) (void *))
{
  if (*place)
    drop (*place);
  *place = NULL;
}

void
g_mutex_init (GMutex *mutex)
{
  mutex->p = NULL;
}

void
g_mutex_clear (GMutex *mutex)
{
  clear (&mutex->p, drop_mutex);
}

void
g_mutex_lock (GMutex *mutex)
{
  pthread_mutex_lock (MUTEX (mutex));
}

gboolean
g_mutex_trylock (GMutex *mutex)
{
  return pthread_mutex_trylock (MUTEX (mutex)) == 0;
}

void
g_mutex_unlock (GMutex *mutex)
{
  pthread_mutex_unlock (MUTEX (mutex));
}

void
g_rec_mutex_init (GRecMutex *mutex)
{
  mutex->p = NULL;
}

void
g_rec_mutex_clear (GRecMutex *mutex)
{
  clear (&mutex->p, drop_mutex);
}

void
g_rec_mutex_lock (GRecMutex *mutex)
{
  pthread_mutex_lock (RECURSIVE (mutex));
}

gboolean
g_rec_mutex_trylock (GRecMutex *mutex)
{
  return pthread_mutex_trylock (RECURSIVE (mutex)) == 0;
}

void
g_rec_mutex_unlock (GRecMutex *mutex)
{
  pthread_mutex_unlock (RECURSIVE (mutex));
}

void
g_rw_lock_init (GRWLock *lock)
{
  lock->p = NULL;
}

void
g_rw_lock_clear (GRWLock *lock)
{
  clear (&lock->p, drop_rw);
}

void
g_rw_lock_writer_lock (GRWLock *lock)
{
  pthread_rwlock_wrlock (RW (lock));
}

gboolean
g_rw_lock_writer_trylock (GRWLock *lock)
{
  return pthread_rwlock_trywrlock (RW (lock)) == 0;
}

void
g_rw_lock_writer_unlock (GRWLock *lock)
{
  pthread_rwlock_unlock (RW (lock));
}

void
g_rw_lock_reader_lock (GRWLock *lock)
{
  pthread_rwlock_rdlock (RW (lock));
}

gboolean
g_rw_lock_reader_trylock (GRWLock *lock)
{
  return pthread_rwlock_tryrdlock (RW (lock)) == 0;
}

void
g_rw_lock_reader_unlock (GRWLock *lock)
{
  pthread_rwlock_unlock (RW (lock));
}

void
g_cond_init (GCond *cond)
{
  cond->p = NULL;
}

void
g_cond_clear (GCond *cond)
{
  clear (&cond->p, drop_cond);
}

void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  pthread_cond_wait (COND (cond), MUTEX (mutex));
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 end_time)
{
  struct timespec until = { end_time / G_USEC_PER_SEC, end_time % G_USEC_PER_SEC * 1000 };
  return pthread_cond_timedwait (COND (cond), MUTEX (mutex), &until) != ETIMEDOUT;
}

void
g_cond_signal (GCond *cond)
{
  pthread_cond_signal (COND (cond));
}

void
g_cond_broadcast (GCond *cond)
{
  pthread_cond_broadcast (COND (cond));
}

/* What a thread did before it gave up its reference was done before the last one frees the object. */
static void
announce (gpointer object)
{
  __tsan_acquire (object);
  __tsan_release (object);
}

#define REAL(name) ((__typeof__ (&name)) dlsym (RTLD_NEXT, #name))

void
g_object_unref (gpointer object)
{
  static __typeof__ (&g_object_unref) real;
  if (!real)
    real = REAL (g_object_unref);
  announce (object);
  real (object);
}

void
gst_mini_object_unref (GstMiniObject *object)
{
  static __typeof__ (&gst_mini_object_unref) real;
  if (!real)
    real = REAL (gst_mini_object_unref);
  announce (object);
  real (object);
}

#undef g_atomic_ref_count_dec
gboolean
g_atomic_ref_count_dec (gatomicrefcount *count)
{
  static __typeof__ (&g_atomic_ref_count_dec) real;
  if (!real)
    real = REAL (g_atomic_ref_count_dec);
  announce (count);
  return real (count);
}
