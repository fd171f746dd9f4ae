/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clip-prompt-job.h"

#include <math.h>
#include <string.h>

/* Texts tokenized ahead, sorted by length, so that those encoded together are of like length. */
#define WINDOW 256

typedef struct {
  GArray *tokens;
  guint label;
} Text;

struct _ClipPromptJob {
  ClipEncodedPrompts *result;
  char **templates;
  gboolean truncate;
  GCancellable *cancellable;
  ClipPromptsFunc func;
  gpointer user_data;
  GDestroyNotify destroy;
  ClipPromptCache *cache; /* (nullable): not owned */
  ClipPromptRows rows;    /* of the result's matrix */
  gboolean is_looked_up;
  /* the next text to tokenize */
  guint label, phrasing, template_;
  GArray *window; /* of Text, longest first; taken from the end */
};

static void
text_clear (gpointer data)
{
  g_array_unref (((Text *) data)->tokens);
}

ClipPromptJob *
clip_prompt_job_new (ClipPromptSet *set, char **templates, guint embed_dim, gboolean truncate,
    GCancellable *cancellable, ClipPromptsFunc func, gpointer user_data, GDestroyNotify destroy)
{
  ClipPromptJob *job = g_new0 (ClipPromptJob, 1);
  job->result = g_new0 (ClipEncodedPrompts, 1);
  g_atomic_ref_count_init (&job->result->refs);
  job->result->set = clip_prompt_set_ref (set);
  job->result->embed_dim = embed_dim;
  job->result->matrix = g_new0 (float, (gsize) clip_prompt_set_get_size (set) * embed_dim);
  job->templates = g_strdupv (templates);
  clip_prompt_rows_init (&job->rows, set, templates, job->result->matrix, embed_dim);
  job->truncate = truncate;
  job->cancellable = cancellable ? g_object_ref (cancellable) : NULL;
  job->func = func;
  job->user_data = user_data;
  job->destroy = destroy;
  job->window = g_array_new (FALSE, FALSE, sizeof (Text));
  g_array_set_clear_func (job->window, text_clear);
  return job;
}

void
clip_prompt_job_set_cache (ClipPromptJob *job, ClipPromptCache *cache)
{
  job->cache = cache;
}

void
clip_prompt_job_free (ClipPromptJob *job)
{
  clip_prompt_rows_clear (&job->rows);
  clip_encoded_prompts_unref (job->result);
  g_strfreev (job->templates);
  g_clear_object (&job->cancellable);
  g_array_unref (job->window);
  if (job->destroy)
    job->destroy (job->user_data);
  g_free (job);
}

/* Moves the cursor to the next text: template by template, phrasing by phrasing, label by label. */
static void
advance (ClipPromptJob *job, const ClipLabel *label)
{
  if (job->templates[++job->template_])
    return;
  job->template_ = 0;
  if (label->phrasings[++job->phrasing])
    return;
  job->phrasing = 0;
  job->label++;
}

static gboolean
fit_context (ClipPromptJob *job, GArray *tokens, guint context, const char *text, GError **error)
{
  if (tokens->len <= context)
    return TRUE;
  if (!job->truncate) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT,
        "prompt \"%.60s...\" has %u tokens, start and end included, and the model takes %u; shorten it, or "
        "let it be cut with truncate-prompts=true",
        text, tokens->len, context);
    return FALSE;
  }
  /* openai/CLIP's truncate=True: cut, and the last token becomes the end token */
  gint32 end = g_array_index (tokens, gint32, tokens->len - 1);
  g_array_set_size (tokens, context);
  g_array_index (tokens, gint32, context - 1) = end;
  job->rows.truncated[job->label]++;
  return TRUE;
}

static gboolean
tokenize_next (ClipPromptJob *job, ClipTokenizer *tokenizer, guint context, GError **error)
{
  const ClipLabel *label = clip_prompt_set_get (job->result->set, job->label);
  g_autofree char *text
      = clip_template_apply (job->templates[job->template_], label->phrasings[job->phrasing]);
  Text entry = { clip_tokenizer_encode (tokenizer, text, -1, error), job->label };
  if (!entry.tokens)
    return FALSE;
  g_array_append_val (job->window, entry);
  if (!fit_context (job, entry.tokens, context, text, error))
    return FALSE;
  clip_tokenizer_pad (tokenizer, entry.tokens, context);
  advance (job, label);
  return TRUE;
}

static int
longest_first (gconstpointer a, gconstpointer b)
{
  return (int) ((const Text *) b)->tokens->len - (int) ((const Text *) a)->tokens->len;
}

/* Whether there are texts to tokenize: goes over labels that came from the cache. */
static gboolean
has_texts (ClipPromptJob *job)
{
  while (job->label < job->rows.n && job->rows.known[job->label])
    job->label++;
  return job->label < job->rows.n;
}

static gboolean
fill_window (ClipPromptJob *job, ClipTokenizer *tokenizer, guint context, GError **error)
{
  while (has_texts (job) && job->window->len < WINDOW) {
    if (!tokenize_next (job, tokenizer, context, error))
      return FALSE;
  }
  g_array_sort (job->window, longest_first);
  return TRUE;
}

/* How many texts from the end of the window make up @rows tokens: at least one. */
static guint
piece_size (const GArray *window, guint rows)
{
  guint count = 1;
  while (count < window->len) {
    guint length = g_array_index (window, Text, window->len - 1 - count).tokens->len;
    if ((count + 1) * length > rows)
      break;
    count++;
  }
  return count;
}

static gboolean
encode_piece (ClipPromptJob *job, ClipModel *model, guint rows, GError **error)
{
  guint d = job->result->embed_dim, count = piece_size (job->window, rows);
  const Text *texts = &g_array_index (job->window, Text, job->window->len - count);
  g_autofree GArray **tokens = g_new (GArray *, count);
  g_autofree float *embeddings = g_new (float, (gsize) count * d);
  for (guint i = 0; i < count; i++)
    tokens[i] = texts[i].tokens;
  if (!clip_model_encode_tokens (model, tokens, count, embeddings, NULL, error))
    return FALSE;
  for (guint i = 0; i < count; i++) {
    float *row = job->result->matrix + (gsize) texts[i].label * d;
    for (guint j = 0; j < d; j++)
      row[j] += embeddings[(gsize) i * d + j];
  }
  g_array_set_size (job->window, job->window->len - count);
  return TRUE;
}

/* The sum of unit embeddings points where their mean does: normalising it ends the ensemble. */
static gboolean
normalise (ClipPromptJob *job, GError **error)
{
  const ClipEncodedPrompts *result = job->result;
  guint d = result->embed_dim;
  for (guint p = 0; p < job->rows.n; p++) {
    if (job->rows.known[p])
      continue;
    float *row = result->matrix + (gsize) p * d;
    double sum = 0.0;
    for (guint j = 0; j < d; j++)
      sum += (double) row[j] * row[j];
    if (!isfinite (sum)) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
          "the embedding of prompt \"%.60s\" is not finite; the model's weights are damaged",
          clip_prompt_set_get (result->set, p)->label);
      return FALSE;
    }
    float scale = sum > 0.0 ? (float) (1.0 / sqrt (sum)) : 0.0f;
    for (guint j = 0; j < d; j++)
      row[j] *= scale;
  }
  return TRUE;
}

static void
look_up (ClipPromptJob *job)
{
  job->is_looked_up = TRUE;
  if (job->cache)
    clip_prompt_cache_load (job->cache, &job->rows, job->truncate);
}

static gboolean
finish (ClipPromptJob *job, GError **error)
{
  if (!normalise (job, error))
    return FALSE;
  for (guint p = 0; p < job->rows.n; p++)
    job->result->truncated += job->rows.truncated[p];
  if (job->cache)
    clip_prompt_cache_store (job->cache, &job->rows);
  return TRUE;
}

static void
report (ClipPromptJob *job, const GError *error)
{
  job->func (error ? NULL : job->result, error, job->user_data);
}

gboolean
clip_prompt_job_step (ClipPromptJob *job, ClipModel *model, ClipTokenizer *tokenizer, guint rows)
{
  g_autoptr (GError) error = NULL;
  guint context = clip_model_get_config (model)->context_length;
  gboolean ok = !g_cancellable_set_error_if_cancelled (job->cancellable, &error);
  if (ok && !job->is_looked_up) {
    look_up (job);
    if (has_texts (job))
      return TRUE;
  }
  if (ok && job->window->len == 0 && has_texts (job)) {
    ok = fill_window (job, tokenizer, context, &error);
    if (ok)
      return TRUE;
  }
  if (ok && job->window->len > 0 && !clip_model_has_text (model)) {
    gboolean more;
    ok = clip_model_load_text_step (model, &more, &error);
    if (ok)
      return TRUE;
  }
  ok = ok && (job->window->len == 0 || encode_piece (job, model, rows, &error));
  if (ok && (job->window->len > 0 || has_texts (job)))
    return TRUE;
  if (ok)
    finish (job, &error);
  report (job, error);
  return FALSE;
}

guint
clip_prompt_job_get_label (const ClipPromptJob *job)
{
  return job->label;
}

void
clip_prompt_job_abandon (ClipPromptJob *job)
{
  g_autoptr (GError) error
      = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "the engine was shut down");
  report (job, error);
}

ClipEncodedPrompts *
clip_encoded_prompts_ref (ClipEncodedPrompts *prompts)
{
  g_atomic_ref_count_inc (&prompts->refs);
  return prompts;
}

void
clip_encoded_prompts_unref (ClipEncodedPrompts *prompts)
{
  if (!g_atomic_ref_count_dec (&prompts->refs))
    return;
  clip_prompt_set_unref (prompts->set);
  g_free (prompts->matrix);
  g_free (prompts);
}
