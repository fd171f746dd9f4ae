/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How fast a model is in each precision, and how near to fp32: the fastest so far and the next
 * candidate encode the same pictures in turns, so that what else the machine does slows both; the
 * faster one stays, if it is near enough. */
#include "clip-model-private.h"
#include "clip-probe-pictures.h"

#include <math.h>

#define RACE_TIME (G_TIME_SPAN_SECOND / 5) /* a small model encodes the pictures again */

static const char *const texts[] = {
  "a photo of a dog",
  "an empty street at night, seen from above",
  "snow",
  "two people in red jackets wait for the bus while it rains",
};
#define TEXTS G_N_ELEMENTS (texts)

typedef struct {
  guint dim;
  ClipBuffer *pictures[CLIP_PROBE_PICTURES];
  GArray *tokens[TEXTS];
  float *image_embeddings,
      *text_embeddings; /* [pictures,dim] and [TEXTS,dim] in fp32; the latter NULL until needed */
} Probes;

static void
probes_clear (Probes *p)
{
  for (guint i = 0; i < CLIP_PROBE_PICTURES; i++)
    g_clear_pointer (&p->pictures[i], clip_buffer_unref);
  for (guint i = 0; i < TEXTS; i++)
    g_clear_pointer (&p->tokens[i], g_array_unref);
  g_clear_pointer (&p->image_embeddings, g_free);
  g_clear_pointer (&p->text_embeddings, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Probes, probes_clear)

static gboolean
draw (Probes *p, ClipModel *model, GError **error)
{
  const ClipPreprocessConfig *config = &clip_model_get_config (model)->preprocess;
  ClipQueue *queue = clip_model_get_queue (model);
  gsize bytes = (gsize)3 * config->size * config->size * sizeof (float);
  g_autofree float *pixels = g_malloc (bytes);
  for (guint i = 0; i < CLIP_PROBE_PICTURES; i++) {
    clip_probe_draw (i, config, pixels);
    p->pictures[i] = clip_buffer_new (clip_queue_get_device (queue), bytes, error);
    if (!p->pictures[i] || !clip_buffer_write (p->pictures[i], queue, 0, pixels, bytes, error))
      return FALSE;
  }
  return TRUE;
}

/* To a short context; the end token stays the last */
static void
cut (GArray *tokens, guint length)
{
  if (tokens->len <= length)
    return;
  g_array_index (tokens, gint32, length - 1) = g_array_index (tokens, gint32, tokens->len - 1);
  g_array_set_size (tokens, length);
}

static gboolean
tokenize (Probes *p, const ClipModelConfig *config, GError **error)
{
  g_autoptr (ClipTokenizer) tokenizer = clip_model_open_tokenizer (config, error);
  for (guint i = 0; tokenizer && i < TEXTS; i++) {
    p->tokens[i] = clip_tokenizer_encode (tokenizer, texts[i], -1, error);
    if (!p->tokens[i])
      return FALSE;
    cut (p->tokens[i], config->context_length);
    clip_tokenizer_pad (tokenizer, p->tokens[i], config->context_length);
  }
  return tokenizer != NULL;
}

static gboolean
probes_init (Probes *p, ClipModel *model, GError **error)
{
  p->dim = clip_model_get_config (model)->embed_dim;
  p->image_embeddings = g_new0 (float, (gsize)CLIP_PROBE_PICTURES * p->dim);
  return tokenize (p, clip_model_get_config (model), error) && draw (p, model, error);
}

/* The smaller of @least and the cosine of two unit embeddings; one that is no number is opposite to
 * all. */
static double
compare (double least, const float *a, const float *b, guint n)
{
  double sum = 0.0;
  for (guint i = 0; i < n; i++)
    sum += (double)a[i] * b[i];
  return isnan (sum) ? -1.0 : MIN (least, sum);
}

/* Returns: microseconds, at least 1; 0 after an error */
static gint64
encode (ClipModel *model, ClipBuffer *picture, float *embedding, GError **error)
{
  gint64 start = g_get_monotonic_time ();
  if (!clip_model_encode_pixels (model, picture, 1, embedding, NULL, error))
    return 0;
  return MAX (g_get_monotonic_time () - start, 1);
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double
median (GArray *values)
{
  g_array_sort (values, compare_doubles);
  return values->len > 0 ? g_array_index (values, double, values->len / 2) : 0.0;
}

/* Both encode the pictures in turns; ends early when @challenger's bar does not hold.
 * @champion: in fp32 its embeddings become the ones to compare with, and its speed @of is measured
 */
static gboolean
race (Probes *p, ClipModel *champion, ClipPrecisionMeasurement *of, ClipModel *challenger,
    ClipPrecisionMeasurement *m, GError **error)
{
  const gboolean exact = of->precision == CLIP_PRECISION_FP32;
  const double bar = clip_precision_get_bar (m->precision);
  g_autoptr (GArray) ratios = g_array_new (FALSE, FALSE, sizeof (double));
  g_autoptr (GArray) rates = g_array_new (FALSE, FALSE, sizeof (double));
  g_autofree float *ours = g_new (float, p->dim), *theirs = g_new (float, p->dim);
  /* not timed: the first may compile */
  gboolean ok = encode (champion, p->pictures[0], theirs, error)
                && encode (challenger, p->pictures[0], ours, error);
  const gint64 enough = g_get_monotonic_time () + RACE_TIME;
  m->cosine = 1.0;
  for (guint i = 0;
       ok && (i < CLIP_PROBE_PICTURES || g_get_monotonic_time () < enough) && m->cosine >= bar;
       i++) {
    const guint at = i % CLIP_PROBE_PICTURES;
    float *reference = p->image_embeddings + (gsize)at * p->dim;
    gint64 old = encode (champion, p->pictures[at], exact ? reference : theirs, error);
    gint64 new = old > 0 ? encode (challenger, p->pictures[at], ours, error) : 0;
    double ratio = new > 0 ? (double)old / new : 0.0, rate = old > 0 ? 1e6 / old : 0.0;
    g_array_append_val (ratios, ratio);
    g_array_append_val (rates, rate);
    ok = new > 0;
    if (ok)
      m->cosine = compare (m->cosine, ours, reference, p->dim);
  }
  if (ok && of->rate == 0.0) /* once, else earlier rates would not compare with it */
    of->rate = median (rates);
  m->rate = ok ? of->rate * median (ratios) : 0.0;
  return ok;
}

/* (transfer full) (nullable): [TEXTS,dim]; the text encoder is loaded for it, and dropped */
static float *
encode_texts (Probes *p, ClipModel *model, GError **error)
{
  g_autofree float *embeddings = g_new (float, TEXTS * p->dim);
  gboolean ok = clip_model_encode_tokens (model, p->tokens, TEXTS, embeddings, NULL, error);
  clip_model_drop_text (model);
  return ok ? g_steal_pointer (&embeddings) : NULL;
}

/* Texts are encoded in the model's precision too. */
static gboolean
compare_texts (Probes *p, ClipModel *champion, ClipModel *challenger, ClipPrecisionMeasurement *m,
    GError **error)
{
  if (!p->text_embeddings && !(p->text_embeddings = encode_texts (p, champion, error)))
    return FALSE;
  g_autofree float *ours = encode_texts (p, challenger, error);
  for (guint i = 0; ours && i < TEXTS; i++)
    m->cosine = compare (m->cosine, ours + i * p->dim, p->text_embeddings + i * p->dim, p->dim);
  return ours != NULL;
}

/* @count: measured before, of which @champion is the one to choose
 * Returns: (transfer full) (nullable): the candidate's model when it is the better choice */
static ClipModel *
try_candidate (
    Probes *p, const char *path, ClipModel *champion, ClipPrecisionMeasurement *m, guint count)
{
  g_autoptr (GError) error = NULL;
  ClipPrecisionMeasurement *own = &m[count], *best = m;
  const ClipPrecision precision = own->precision, champions = clip_model_get_precision (champion);
  while (best->precision != champions)
    best++;
  g_autoptr (ClipModel) challenger
      = clip_model_load (clip_model_get_queue (champion), path, precision, &error);
  gboolean ok = challenger && race (p, champion, best, challenger, own, &error);
  gboolean wins = ok && clip_precision_choose (m, count + 1) == precision;
  if (wins)
    ok = compare_texts (p, champion, challenger, own, &error);
  if (!ok) {
    own->rate = 0.0;
    g_info ("precision: %s is out: %s", clip_precision_get_name (precision), error->message);
    return NULL;
  }
  g_info ("precision: %s %.1f pictures/s, %s %.1f; smallest cosine %.6f, at least %g is wanted",
      clip_precision_get_name (champions), best->rate, clip_precision_get_name (precision),
      own->rate, own->cosine, clip_precision_get_bar (precision));
  return wins && clip_precision_choose (m, count + 1) == precision ? g_steal_pointer (&challenger)
                                                                   : NULL;
}

gboolean
clip_model_measure (const char *path, ClipModel **model, const ClipPrecision *candidates, guint n,
    ClipPrecisionMeasurement *m, GError **error)
{
  g_auto (Probes) probes = { 0 };
  m[0] = (ClipPrecisionMeasurement){ CLIP_PRECISION_FP32, 0.0, 1.0 };
  if (!probes_init (&probes, *model, error))
    return FALSE;
  for (guint i = 1; i <= n; i++) {
    m[i] = (ClipPrecisionMeasurement){ candidates[i - 1], 0.0, 0.0 };
    ClipModel *better = try_candidate (&probes, path, *model, m, i);
    if (better) {
      clip_model_free (*model);
      *model = better;
    }
  }
  return TRUE;
}
