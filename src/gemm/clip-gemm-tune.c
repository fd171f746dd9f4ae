/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-gemm-clblast-private.h"
#include "clip-gemm-draw.h"
#include "clip-gemm-trial.h"

#include <math.h>
#include <string.h>

/* a set is better with this share of the time */
#define BETTER 0.99
/* of the budget: the rest is for the small products' kernel */
#define XGEMM_SHARE 0.6
#define RANDOM_SHARE 0.5 /* then the best set is changed */

typedef struct {
  ClipTune tune; /* first: it is what the caller gets */
  ClipQueue *queue;
  GPtrArray *trials; /* ClipTrial, as tune.rows */
  double *times[2];  /* the best of both kernels: XGEMM, DIRECT */
  double *base[2];   /* with CLBlast's own parameters */
  double *last;      /* of the set that is tried */
  guint base_threshold;
  ClipGemmDraw *draw;
  ClipGemmTuning stored;          /* by an earlier search */
  gboolean begun[CLIP_GEMM_FAMILIES]; /* what is stored of it has been tried, or is not to be had */
  ClipTuneFunc func;
  gpointer user_data;
  double seconds;
  guint tries;
  GError *problem; /* the first with CLBlast's own parameters */
} Search;

static ClipTuneRow *
row_at (Search *search, guint i)
{
  return &g_array_index (search->tune.rows, ClipTuneRow, i);
}

static gboolean
set_threshold (Search *search, guint threshold, GError **error)
{
  const ClipGemmSet set = { { threshold } };
  return clip_gemm_set_apply (CLIP_GEMM_ROUTINE, &set, clip_queue_get_device (search->queue), error);
}

static gboolean
may_go_on (Search *search)
{
  if (!search->tune.is_stopped && search->func && !search->func (&search->tune, search->user_data))
    search->tune.is_stopped = TRUE;
  return !search->tune.is_stopped;
}

/* The weighted sum of times where each product takes the better kernel: @times or the other one's */
static double
sum_of (Search *search, const double *times, const double *other)
{
  double sum = 0;
  for (guint i = 0; i < search->tune.rows->len; i++)
    sum += row_at (search, i)->shape.weight * MIN (times[i], other[i]);
  return sum;
}

/* Sets search->last. FALSE: the set is of no use, or the search was stopped. */
static gboolean
measure_set (Search *search, const double *other, double most)
{
  double sum = 0;
  for (guint i = 0; i < search->trials->len; i++) {
    const double weight = row_at (search, i)->shape.weight;
    g_autoptr (GError) error = NULL;
    if (!may_go_on (search))
      return FALSE;
    search->last[i] = clip_trial_time (search->trials->pdata[i], (most - sum) / weight, &error);
    if (error) {
      g_info ("tune: %s", error->message);
      search->tune.wrong += g_error_matches (error, CLIP_ERROR, CLIP_ERROR_TUNING);
      search->tune.failed += !g_error_matches (error, CLIP_ERROR, CLIP_ERROR_TUNING);
      return FALSE;
    }
    sum += weight * MIN (search->last[i], other[i]);
    if (sum >= most)
      return FALSE;
  }
  return TRUE;
}

/* Of the kernel that CLBlast takes with @threshold */
static double
time_with (Search *search, double *const times[2], guint i, guint threshold)
{
  const gboolean small = clip_gemm_shape_work (&row_at (search, i)->shape) < pow (threshold, 3);
  return times[small ? CLIP_GEMM_DIRECT : CLIP_GEMM_XGEMM][i];
}

/* What fails is the search's to mend; where everything does it is not the parameters. */
static gboolean
check_base (Search *search, GError **error)
{
  for (guint i = 0; i < search->trials->len; i++) {
    if (isfinite (MIN (search->base[CLIP_GEMM_XGEMM][i], search->base[CLIP_GEMM_DIRECT][i])))
      return TRUE;
  }
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "CLBlast computes none of the products on this device: %s",
      search->problem->message);
  return FALSE;
}

/* CLBlast's own parameters: where they fail, INFINITY. FALSE: stopped */
static gboolean
measure_base (Search *search, ClipGemmFamily family)
{
  for (guint i = 0; i < search->trials->len; i++) {
    g_autoptr (GError) error = NULL;
    if (!may_go_on (search))
      return FALSE;
    const double seconds = clip_trial_time (search->trials->pdata[i], INFINITY, &error);
    if (error)
      g_info ("tune: CLBlast's own parameters of %s: %s", clip_gemm_family_get_name (family), error->message);
    if (error && !search->problem)
      search->problem = g_steal_pointer (&error);
    search->base[family][i] = search->times[family][i] = seconds < 0 ? INFINITY : seconds;
    if (family == CLIP_GEMM_XGEMM) { /* the second: both are known */
      row_at (search, i)->before = time_with (search, search->base, i, search->base_threshold);
      search->tune.rows_done = i + 1;
    }
  }
  return TRUE;
}

/* What an earlier search found stays until this one comes to it */
static gboolean
store (Search *search, GError **error)
{
  ClipGemmTuning tuning = search->tune.tuning;
  gboolean is_any = FALSE;
  for (ClipGemmFamily family = 0; family < CLIP_GEMM_FAMILIES; family++) {
    if (!search->begun[family]) {
      tuning.has[family] = search->stored.has[family];
      tuning.sets[family] = search->stored.sets[family];
    }
    is_any |= tuning.has[family];
  }
  const gboolean ok = clip_gemm_tuning_save (clip_queue_get_device (search->queue), &tuning, error);
  search->tune.is_stored = ok && is_any;
  return ok;
}

static void
try_set (Search *search, ClipGemmFamily family, const ClipGemmSet *set)
{
  ClipTune *tune = &search->tune;
  const double *other = search->times[family == CLIP_GEMM_XGEMM ? CLIP_GEMM_DIRECT : CLIP_GEMM_XGEMM];
  double *best = search->times[family];
  const double most = sum_of (search, best, other);
  g_autoptr (GError) error = NULL;
  tune->tried++;
  if (!clip_gemm_set_apply (family, set, clip_queue_get_device (search->queue), &error)) {
    g_info ("tune: %s", error->message);
    tune->failed++;
    return;
  }
  const gboolean better = measure_set (search, other, most * BETTER);
  CLBlastClearCache (); /* or each set's program would stay */
  if (!better)
    return;
  memcpy (best, search->last, search->tune.rows->len * sizeof (double));
  tune->gain *= isfinite (most) ? most / sum_of (search, best, other) : 1;
  tune->tuning.has[family] = TRUE;
  tune->tuning.sets[family] = *set;
  if (!store (search, &error))
    g_warning ("%s", error->message); /* the last time it is an error */
}

static double
family_fraction (Search *search, gint64 start, double seconds, guint tried)
{
  const double of_time = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC / seconds;
  return search->tries > 0 ? (double) tried / search->tries : of_time;
}

static void
search_family (Search *search, ClipGemmFamily family, double from, double to)
{
  ClipTune *tune = &search->tune;
  const gint64 start = g_get_monotonic_time ();
  const guint tried = tune->tried;
  const double seconds = search->seconds * (to - from);
  ClipGemmSet set = search->stored.sets[family];
  tune->family = family;
  clip_gemm_draw_begin (search->draw, family);
  if (search->stored.has[family] && clip_gemm_draw_add (search->draw, &set))
    try_set (search, family, &set);
  search->begun[family] = !tune->is_stopped;
  double fraction = family_fraction (search, start, seconds, tune->tried - tried);
  while (!tune->is_stopped && fraction < 1) {
    const gboolean change = fraction > RANDOM_SHARE && tune->tuning.has[family];
    if (!clip_gemm_draw_next (search->draw, change ? &tune->tuning.sets[family] : NULL, &set))
      break;
    try_set (search, family, &set);
    fraction = family_fraction (search, start, seconds, tune->tried - tried);
    tune->fraction = from + MIN (fraction, 1) * (to - from);
  }
}

/* What the search chose, once more: the fastest of many measurements is also the luckiest. */
static void
confirm (Search *search, ClipGemmFamily family)
{
  ClipTune *tune = &search->tune;
  const double *other = search->times[family == CLIP_GEMM_XGEMM ? CLIP_GEMM_DIRECT : CLIP_GEMM_XGEMM];
  double *best = search->times[family], *base = search->base[family];
  if (!tune->tuning.has[family] || tune->is_stopped)
    return;
  if (clip_gemm_set_apply (family, &tune->tuning.sets[family], clip_queue_get_device (search->queue), NULL)
      && measure_set (search, other, INFINITY))
    memcpy (best, search->last, tune->rows->len * sizeof (double));
  if (tune->is_stopped || sum_of (search, best, other) < sum_of (search, base, other))
    return;
  memcpy (best, base, tune->rows->len * sizeof (double));
  tune->tuning.has[family] = FALSE;
}

static double
sum_with (Search *search, guint threshold)
{
  double sum = 0;
  for (guint i = 0; i < search->tune.rows->len; i++)
    sum += row_at (search, i)->shape.weight * time_with (search, search->times, i, threshold);
  return sum;
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  const double x = *(const double *) a, y = *(const double *) b;
  return x < y ? -1 : x > y;
}

/* Between two products' sizes, in the middle; or below or above all */
static void
choose_threshold (Search *search)
{
  ClipTune *tune = &search->tune;
  const guint count = tune->rows->len;
  g_autofree double *sides = g_new (double, count);
  for (guint i = 0; i < count; i++)
    sides[i] = cbrt (clip_gemm_shape_work (&row_at (search, i)->shape));
  qsort (sides, count, sizeof *sides, compare_doubles);
  guint best = search->base_threshold;
  for (guint i = 0; i <= count; i++) {
    const double middle = i == 0 ? 1 : i == count ? sides[i - 1] * 1.25 : (sides[i - 1] + sides[i]) / 2;
    const guint threshold = CLAMP ((guint) ceil (middle), 1, CLIP_GEMM_MAX_THRESHOLD);
    if (!(sum_with (search, threshold) >= BETTER * sum_with (search, best)))
      best = threshold;
  }
  tune->tuning.has[CLIP_GEMM_ROUTINE] = best != search->base_threshold;
  tune->tuning.sets[CLIP_GEMM_ROUTINE].values[0] = best;
  search->begun[CLIP_GEMM_ROUTINE] = TRUE;
}

static void
set_after (Search *search)
{
  const ClipGemmTuning *tuning = &search->tune.tuning;
  const guint found = tuning->sets[CLIP_GEMM_ROUTINE].values[0];
  const guint threshold = tuning->has[CLIP_GEMM_ROUTINE] ? found : search->base_threshold;
  for (guint i = 0; i < search->tune.rows->len; i++)
    row_at (search, i)->after = time_with (search, search->times, i, threshold);
}

static gboolean
stopped_early (GError **error)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TUNING, "stopped before CLBlast's own parameters were measured; nothing is "
                                                     "changed");
  return FALSE;
}

/* CLBlast's own parameters cannot be had again once others are set, so they are measured before. */
static gboolean
run (Search *search, GError **error)
{
  search->base_threshold = clip_clblast_find_threshold (search->queue);
  search->tune.family = CLIP_GEMM_DIRECT;
  if (!set_threshold (search, CLIP_GEMM_MAX_THRESHOLD, error))
    return FALSE;
  if (!measure_base (search, CLIP_GEMM_DIRECT))
    return stopped_early (error);
  search->tune.family = CLIP_GEMM_XGEMM;
  if (!set_threshold (search, 1, error))
    return FALSE;
  if (!measure_base (search, CLIP_GEMM_XGEMM))
    return stopped_early (error);
  if (!check_base (search, error))
    return FALSE;
  search_family (search, CLIP_GEMM_XGEMM, 0, XGEMM_SHARE);
  confirm (search, CLIP_GEMM_XGEMM);
  if (!set_threshold (search, CLIP_GEMM_MAX_THRESHOLD, error))
    return FALSE;
  search_family (search, CLIP_GEMM_DIRECT, XGEMM_SHARE, 1);
  confirm (search, CLIP_GEMM_DIRECT);
  if (search->begun[CLIP_GEMM_DIRECT])
    choose_threshold (search);
  set_after (search);
  return store (search, error);
}

static void
load_stored (Search *search)
{
  g_autoptr (GError) error = NULL;
  if (!clip_gemm_tuning_load (clip_queue_get_device (search->queue), &search->stored, NULL, &error))
    g_warning ("%s", error->message);
}

static gboolean
add_trials (Search *search, GError **error)
{
  const guint count = search->tune.rows->len;
  for (guint i = 0; i < count; i++) {
    ClipTrial *trial = clip_trial_new (search->queue, &row_at (search, i)->shape, error);
    if (!trial)
      return FALSE;
    g_ptr_array_add (search->trials, trial);
  }
  for (guint i = 0; i < 2; i++) {
    search->times[i] = g_new (double, count);
    search->base[i] = g_new (double, count);
  }
  search->last = g_new (double, count);
  return TRUE;
}

ClipTune *
clip_tune_run (ClipQueue *queue, const GArray *shapes, double seconds, guint tries, ClipTuneFunc func,
    gpointer user_data, GError **error)
{
  g_return_val_if_fail (shapes->len > 0 && seconds > 0, NULL);
  Search *search = g_new0 (Search, 1);
  g_autoptr (ClipTune) tune = &search->tune;
  tune->rows = clip_gemm_select_shapes (shapes);
  tune->gain = 1;
  search->queue = clip_queue_ref (queue);
  search->trials = g_ptr_array_new_with_free_func ((GDestroyNotify) clip_trial_free);
  search->draw = clip_gemm_draw_new (clip_queue_get_device (queue));
  search->func = func;
  search->user_data = user_data;
  search->seconds = seconds;
  search->tries = tries;
  clip_gemm_tuning_skip (clip_queue_get_device (queue));
  load_stored (search);
  if (!clip_gemm_tuning_prepare (clip_queue_get_device (queue), error) || !add_trials (search, error)
      || !run (search, error))
    return NULL;
  return g_steal_pointer (&tune);
}

void
clip_tune_free (ClipTune *tune)
{
  Search *search = (Search *) tune;
  for (guint i = 0; i < 2; i++) {
    g_free (search->times[i]);
    g_free (search->base[i]);
  }
  g_free (search->last);
  g_clear_error (&search->problem);
  g_ptr_array_unref (search->trials);
  clip_gemm_draw_free (search->draw);
  clip_queue_unref (search->queue);
  g_array_unref (tune->rows);
  g_free (search);
}
