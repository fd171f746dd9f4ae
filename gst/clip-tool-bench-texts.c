/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 bench --texts: prompts per second of the text encoder, and how much it computes for them. */
#include <stdio.h>

#include "clip-tool.h"
#include "engine/clip-prompt-job.h"
#include "model/clip-text.h"

#define ROWS 1024 /* tokens encoded in one step */
#define WARM_UP "a picture;a somewhat longer line that has a good number of words in it"

typedef struct {
  guint texts;
  double seconds, flops, padded_flops; /* padded: as if each text had all positions of the context */
} Texts;

static void
on_prompts (ClipEncodedPrompts *prompts, const GError *problem, gpointer error)
{
  if (problem)
    g_propagate_error (error, g_error_copy (problem));
}

/* Without the cache of embeddings. */
static gboolean
encode (ClipModel *model, ClipTokenizer *tokenizer, ClipPromptSet *set, char **templates, GError **error)
{
  GError *problem = NULL;
  ClipPromptJob *job = clip_prompt_job_new (
      set, templates, clip_model_get_config (model)->embed_dim, FALSE, NULL, on_prompts, &problem, NULL);
  while (clip_prompt_job_step (job, model, tokenizer, ROWS))
    ;
  clip_prompt_job_free (job);
  if (problem)
    g_propagate_error (error, problem);
  return problem == NULL;
}

static guint
count_texts (ClipPromptSet *set, char **templates)
{
  guint phrasings = 0;
  for (guint i = 0; i < clip_prompt_set_get_size (set); i++)
    phrasings += g_strv_length (clip_prompt_set_get (set, i)->phrasings);
  return phrasings * g_strv_length (templates);
}

static gboolean
measure (ClipModel *model, ClipPromptSet *set, char **templates, Texts *result, GError **error)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  g_autoptr (ClipTokenizer) tokenizer = clip_model_open_tokenizer (config, error);
  g_autoptr (ClipPromptSet) warm_up = tokenizer ? clip_prompt_set_parse (WARM_UP, error) : NULL;
  if (!warm_up || !encode (model, tokenizer, warm_up, templates, error))
    return FALSE;
  const gint64 start = g_get_monotonic_time ();
  const double flops = clip_model_get_text_flops (model);
  if (!encode (model, tokenizer, set, templates, error))
    return FALSE;
  result->seconds = (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC;
  result->flops = clip_model_get_text_flops (model) - flops;
  result->texts = count_texts (set, templates);
  result->padded_flops = result->texts * clip_text_get_flops (config, 1, config->context_length, FALSE);
  return TRUE;
}

gboolean
tool_bench_texts (
    ClipQueue *queue, const char *path, const char *prompts, const char *template_name, GError **error)
{
  Texts t = { 0 };
  g_autoptr (ClipPromptSet) set = clip_prompt_set_load (prompts, error);
  g_auto (GStrv) templates = set ? clip_templates_load (template_name, error) : NULL;
  g_autoptr (ClipModel) model = templates ? clip_model_load (queue, path, tool_options.precision, error) : NULL;
  if (!model || !measure (model, set, templates, &t, error))
    return FALSE;
  if (!tool_options.json) {
    printf ("%u texts in %.2f s, tokenized too: %.1f texts/s\n"
            "  %.1f GFLOP; with all %u positions of each %.1f, %.1f times as much\n",
        t.texts, t.seconds, t.texts / t.seconds, t.flops / 1e9, clip_model_get_config (model)->context_length,
        t.padded_flops / 1e9, t.padded_flops / t.flops);
    return TRUE;
  }
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, clip_model_get_config (model)->name);
  g_string_append_printf (out, ",\"texts\":%u,\"seconds\":", t.texts);
  tool_json_float (out, t.seconds);
  g_string_append (out, ",\"gflop\":");
  tool_json_float (out, t.flops / 1e9);
  g_string_append (out, ",\"gflop_all_positions\":");
  tool_json_float (out, t.padded_flops / 1e9);
  puts (g_string_append (out, "}")->str);
  return TRUE;
}
