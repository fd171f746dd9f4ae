/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Label spans: cases by hand, and random ones against the rule read off the whole history. */
#include "classify/clip-span.h"

typedef struct {
  guint64 time;
  const char *label;
  double confidence, holder;
} Step;

typedef struct {
  const char *label, *previous;
  guint64 start, previous_start, previous_end;
} Want;

#define NONE CLIP_TIME_NONE

/* Pushes the steps and compares the changes that come with @want, ended by start 0 and no labels. */
static void
run (const ClipSpanRules *rules, const Step *steps, guint n, const Want *want, guint64 end)
{
  g_autoptr (ClipSpan) span = clip_span_new ();
  for (guint i = 0; i <= n; i++) {
    g_auto (ClipLabelChange) change = { 0 };
    gboolean changed = i < n ? clip_span_push (span, rules, steps[i].time, steps[i].label, 7, steps[i].confidence,
                                   steps[i].holder, &change)
                             : clip_span_end (span, end, &change);
    if (!changed)
      continue;
    g_assert_cmpstr (change.label, ==, want->label);
    g_assert_cmpstr (change.previous, ==, want->previous);
    g_assert_cmpuint (change.start, ==, want->start);
    g_assert_cmpuint (change.previous_start, ==, want->previous_start);
    g_assert_cmpuint (change.previous_end, ==, want->previous_end);
    g_assert_cmpint (change.label_id, ==, want->label ? 7 : -1);
    want++;
  }
  g_assert_true (!want->label && !want->previous);
}

static void
test_at_once (void)
{
  const Step steps[] = { { 10, NULL }, { 20, "a", .9 }, { 30, "a", .9, .9 }, { 40, "b", .6, .4 }, { 50, NULL }, { 60, "a", .5 } };
  const Want want[] = { { "a", NULL, 20, NONE, NONE }, { "b", "a", 40, 20, 40 }, { NULL, "b", 50, 40, 50 },
    { "a", NULL, 60, NONE, NONE }, { NULL, "a", 70, 60, 70 }, { 0 } };
  run (&(ClipSpanRules){ 0, 0 }, steps, G_N_ELEMENTS (steps), want, 70);
}

static void
test_hold (void)
{
  /* b flickers and is not reported; then it stays, and is reported from when it began */
  const Step steps[] = { { 0, "a", .9 }, { 10, "a", .9, .9 }, { 20, "b", .6, .4 }, { 25, "a", .5, .5 }, { 30, "b", .6, .4 },
    { 35, "b", .6, .4 }, { 40, "b", .6, .4 }, { 45, "c", .6, .4 }, { 46, NULL }, { 56, NULL } };
  const Want want[] = { { "a", NULL, 0, NONE, NONE }, { "b", "a", 30, 0, 30 }, { NULL, "b", 46, 30, 46 }, { 0 } };
  run (&(ClipSpanRules){ 10, 0 }, steps, G_N_ELEMENTS (steps), want, 100);
}

static void
test_hysteresis (void)
{
  const Step steps[] = { { 0, "a", .3 }, { 10, "b", .5, .45 }, { 20, "b", .5, .41 }, { 30, "b", .6, .4 }, { 40, NULL } };
  const Want want[] = { { "a", NULL, 0, NONE, NONE }, { "b", "a", 30, 0, 30 }, { NULL, "b", 40, 30, 40 }, { 0 } };
  run (&(ClipSpanRules){ 0, 0.1 }, steps, G_N_ELEMENTS (steps), want, 50);
}

static void
test_unknown_time (void)
{
  const Step steps[] = { { NONE, "a", .9 }, { NONE, "b", .9 } };
  const Want want[] = { { "a", NULL, NONE, NONE, NONE }, { "b", "a", NONE, NONE, NONE }, { NULL, "b", NONE, NONE, NONE }, { 0 } };
  run (&(ClipSpanRules){ 10, 0 }, steps, 2, want, NONE);
}

/* A span's confidence is the mean over its own results: not those of a rival that leads it and fails, of one that
 * takes over only from when it began to lead. */
static void
test_confidence (void)
{
  const ClipSpanRules rules = { 10, 0.1 };
  const Step steps[] = { { 0, "a", .9 }, { 10, "a", .8, .8 }, { 20, "b", .6, .4 }, { 25, "a", .7, .7 }, { 30, "b", .5, .45 },
    { 40, "b", .6, .3 }, { 45, "b", .7, .2 }, { 50, "b", .8, .1 }, { 60, "b", .9, .9 }, { 70, "a", .6, .3 } };
  const double want_a = (.9 + .8 + .4 + .7 + .45) / 5, want_b = (.6 + .7 + .8 + .9 + .3) / 5;
  g_autoptr (ClipSpan) span = clip_span_new ();
  guint changes = 0;
  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_auto (ClipLabelChange) change = { 0 };
    const Step *s = &steps[i];
    if (!clip_span_push (span, &rules, s->time, s->label, 0, s->confidence, s->holder, &change))
      continue;
    changes++;
    g_assert_cmpfloat_with_epsilon (change.previous_confidence, changes == 2 ? want_a : 0.0, 1e-12);
  }
  g_assert_cmpuint (changes, ==, 2);
  g_auto (ClipLabelChange) change = { 0 };
  g_assert_true (clip_span_end (span, 80, &change));
  g_assert_cmpfloat_with_epsilon (change.previous_confidence, want_b, 1e-12);
}

/* Spans lie end to end, none is entered that led for less than the hold time, and each began where its label did. */
static void
test_random (void)
{
  static const char *const labels[] = { NULL, "a", "b", "c" };
  GRand *rand = g_rand_new_with_seed (3);
  const ClipSpanRules rules = { 50, 0 };
  g_autoptr (ClipSpan) span = clip_span_new ();
  guint64 led_since = 0, last_start = NONE;
  const char *leader = NULL;
  guint changes = 0;
  for (guint64 time = 0; time < 200000; time += 10) {
    g_auto (ClipLabelChange) change = { 0 };
    const char *label = g_rand_int_range (rand, 0, 4) ? leader : labels[g_rand_int_range (rand, 0, 4)];
    if (g_strcmp0 (label, leader) != 0) {
      leader = label;
      led_since = time;
    }
    g_autofree char *holder = g_strdup (clip_span_get_label (span));
    gboolean want = time - led_since >= rules.hold_time && g_strcmp0 (leader, holder) != 0;
    g_assert_cmpint (clip_span_push (span, &rules, time, label, 0, .9, .1, &change), ==, want);
    if (!want)
      continue;
    changes++;
    g_assert_cmpuint (change.start, ==, led_since);
    g_assert_cmpstr (change.previous, ==, holder);
    if (holder) {
      g_assert_cmpuint (change.previous_start, ==, last_start);
      g_assert_cmpuint (change.previous_end, ==, change.start);
    }
    last_start = change.start;
  }
  g_assert_cmpuint (changes, >, 100);
  g_rand_free (rand);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/span/at-once", test_at_once);
  g_test_add_func ("/span/hold", test_hold);
  g_test_add_func ("/span/hysteresis", test_hysteresis);
  g_test_add_func ("/span/unknown-time", test_unknown_time);
  g_test_add_func ("/span/confidence", test_confidence);
  g_test_add_func ("/span/random", test_random);
  return g_test_run ();
}
