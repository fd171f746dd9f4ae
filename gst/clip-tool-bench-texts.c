/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 bench --texts: prompts per second of the text encoder, and how much it computes for
 * them. */
#include <stdio.h>

#include "clip-tool.h"
#include "device/clip-profile.h"
#include "engine/clip-prompt-job.h"
#include "gemm/clip-gemm.h"
#include "model/clip-text.h"

#define ROWS 1024 /* tokens encoded in one step */
#define WARM_UP "a picture;a somewhat longer line that has a good number of words in it"

typedef struct {
  guint texts;
  double seconds, flops,
      padded_flops; /* padded: as if each text had all positions of the context */
  double peak;      /* the device's, of fused multiply-adds, in GFLOP/s */
} Texts;

static void
on_prompts (ClipEncodedPrompts *prompts, const GError *problem, gpointer error)
{
  if (problem)
    g_propagate_error (error, g_error_copy (problem));
}

/* Without the cache of embeddings. */
static gboolean
encode (ClipModel *model, ClipTokenizer *tokenizer, ClipPromptSet *set, char **templates,
    GError **error)
{
  GError *problem = NULL;
  ClipPromptJob *job = clip_prompt_job_new (set, templates,
      clip_model_get_config (model)->embed_dim, FALSE, NULL, on_prompts, &problem, NULL);
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
measure (ClipQueue *queue, ClipModel *model, ClipPromptSet *set, char **templates, Texts *result,
    GError **error)
{
  const ClipModelConfig *config = clip_model_get_config (model);
  g_autoptr (ClipTokenizer) tokenizer = clip_model_open_tokenizer (config, error);
  g_autoptr (ClipPromptSet) warm_up = tokenizer ? clip_prompt_set_parse (WARM_UP, error) : NULL;
  if (!warm_up || !encode (model, tokenizer, warm_up, templates, error))
    return FALSE;
  g_autoptr (GPtrArray) warmed
      = clip_queue_is_profiled (queue) ? clip_queue_take_profile (queue, error) : NULL;
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

static void
print_text (ClipQueue *queue, ClipModel *model, const Texts *t)
{
  printf ("%s on %s, %s\n  %u texts in %.2f s, tokenized too: %.1f texts/s\n"
          "  %.1f GFLOP, %.1f GFLOP/s: %.0f %% of the peak of fp32\n  with all %u positions of "
          "each text %.1f GFLOP, %.1f times as much\n",
      clip_model_get_config (model)->name, clip_device_get_name (clip_queue_get_device (queue)),
      clip_precision_get_name (clip_model_get_precision (model)), t->texts, t->seconds,
      t->texts / t->seconds, t->flops / 1e9, t->flops / t->seconds / 1e9,
      100 * t->flops / t->seconds / 1e9 / t->peak, clip_model_get_config (model)->context_length,
      t->padded_flops / 1e9, t->padded_flops / t->flops);
}

static void
print_json (ClipQueue *queue, ClipModel *model, const Texts *t)
{
  g_autoptr (GString) out = g_string_new ("{\"model\":");
  tool_json_string (out, clip_model_get_config (model)->name);
  g_string_append (out, ",\"device\":");
  tool_json_string (out, clip_device_get_name (clip_queue_get_device (queue)));
  g_string_append_printf (out, ",\"precision\":\"%s\",\"texts\":%u",
      clip_precision_get_name (clip_model_get_precision (model)), t->texts);
  tool_json_field (out, "seconds", t->seconds);
  tool_json_field (out, "texts_per_second", t->texts / t->seconds);
  tool_json_field (out, "gflop", t->flops / 1e9);
  tool_json_field (out, "gflop_all_positions", t->padded_flops / 1e9);
  tool_json_field (out, "peak_gflops", t->peak);
  tool_json_field (out, "of_peak", t->flops / t->seconds / 1e9 / t->peak);
  puts (g_string_append (out, "}")->str);
}

gboolean
tool_bench_texts (ClipQueue *queue, const char *path, const char *prompts,
    const char *template_name, GError **error)
{
  Texts t = { 0 };
  g_autoptr (ClipPromptSet) set = clip_prompt_set_load (prompts, error);
  g_auto (GStrv) templates = set ? clip_templates_load (template_name, error) : NULL;
  g_autoptr (ClipModel) model
      = templates ? clip_model_load (queue, path, tool_options.precision, error) : NULL;
  if (!model || !measure (queue, model, set, templates, &t, error))
    return FALSE;
  if (clip_queue_is_profiled (queue))
    return tool_bench_profile (queue, model, t.texts, 1, t.seconds, error);
  if ((t.peak = clip_linear_measure_peak (queue, error)) < 0)
    return FALSE;
  (tool_options.json ? print_json : print_text) (queue, model, &t);
  return TRUE;
}
