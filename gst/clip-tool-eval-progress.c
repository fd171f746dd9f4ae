/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 eval: how far it is, how fast, and how long it will take. */
#include <stdio.h>
#include <unistd.h>

#include "clip-tool-eval.h"

#define WIDTH 24
#define ON_TERMINAL (G_USEC_PER_SEC / 5) /* between two lines */
#define IN_A_LOG (10 * G_USEC_PER_SEC)

void
eval_progress_start (EvalProgress *progress, gboolean forced, const char *what, guint total, guint before)
{
  const gboolean terminal = isatty (STDERR_FILENO) == 1;
  *progress = (EvalProgress){ terminal || forced, terminal, what, total, before, g_get_monotonic_time (), 0 };
}

void
eval_print_bar (guint done, guint total)
{
  const guint full = (guint) ((guint64) done * WIDTH / total);
  fputs ("\r[", stderr);
  for (guint i = 0; i < WIDTH; i++)
    fputc (i < full ? '#' : '-', stderr);
  fputs ("] ", stderr);
}

static void
print_left (double seconds)
{
  const guint64 s = (guint64) (seconds + 0.5);
  if (s >= 3600)
    fprintf (stderr, "%" G_GUINT64_FORMAT ":%02u:%02u left", s / 3600, (guint) (s / 60 % 60), (guint) (s % 60));
  else
    fprintf (stderr, "%u:%02u left", (guint) (s / 60), (guint) (s % 60));
}

static void
print (EvalProgress *progress, guint done, gint64 now)
{
  const double seconds = (double) (now - progress->start) / G_USEC_PER_SEC;
  const double rate = seconds > 0 ? (done - progress->before) / seconds : 0;
  if (progress->terminal)
    eval_print_bar (done, progress->total);
  fprintf (stderr, "%u of %u %s, %.1f/s, ", done, progress->total, progress->what, rate);
  if (rate > 0)
    print_left ((progress->total - done) / rate);
  fputs (progress->terminal ? "   " : "\n", stderr);
  fflush (stderr);
}

void
eval_progress_step (EvalProgress *progress, guint done)
{
  const gint64 now = g_get_monotonic_time ();
  const gint64 interval = progress->terminal ? ON_TERMINAL : IN_A_LOG;
  if (!progress->shown || progress->total == 0 ||
      (done < progress->total && now - MAX (progress->last, progress->start) < interval))
    return;
  progress->last = now;
  print (progress, MIN (done, progress->total), now);
}

/* The line on a terminal makes room for what is printed next. */
void
eval_progress_end (EvalProgress *progress)
{
  if (progress->shown && progress->terminal && progress->last > 0)
    fputs ("\r\033[K", stderr);
}
