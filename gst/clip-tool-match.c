/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gst-clip-1.0 match: pictures against texts, scored as clipclassify scores frames. */
#include <stdio.h>

#include "classify/clip-classify.h"
#include "clip-plot.h"
#include "clip-tool.h"
#include "engine/clip-engine.h"

static char *templates_name, *scoring_name, *prompts_file, *plot_file;
static GPtrArray *images, *texts;
static gboolean images_first;

/* With a picture before the first --text, what follows is texts; else --text takes one each. */
static gboolean
on_remaining (const char *name, const char *value, gpointer data, GError **error)
{
  if (texts->len == 0)
    images_first = TRUE;
  g_ptr_array_add (texts->len > 0 && images_first ? texts : images, g_strdup (value));
  return TRUE;
}

static gboolean
on_text (const char *name, const char *value, gpointer data, GError **error)
{
  g_ptr_array_add (texts, g_strdup (value));
  return TRUE;
}

static const GOptionEntry entries[] = {
  /* texts are raw bytes, as file names are: they must be UTF-8 whatever the locale is */
  { "text", 't', G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, on_text,
      "A text, or several after the pictures", "TEXT..." },
  { "prompts-file", 'f', 0, G_OPTION_ARG_FILENAME, &prompts_file,
      "Labels from FILE: a prompt a line, or label<TAB>prompt<TAB>...", "FILE" },
  { "templates", 0, 0, G_OPTION_ARG_STRING, &templates_name,
      "none, simple, imagenet, ucf101, kinetics700, or a file with a '{}' line each", "NAME" },
  { "scoring", 0, 0, G_OPTION_ARG_STRING, &scoring_name,
      "auto (default: sigmoid for SigLIP, else softmax), softmax, sigmoid or cosine", "NAME" },
  { "plot", 'p', 0, G_OPTION_ARG_FILENAME, &plot_file,
      "Draw the cosines as a heat map: texts at the left, pictures at the top", "FILE.png" },
  { G_OPTION_REMAINING, 0, G_OPTION_FLAG_FILENAME, G_OPTION_ARG_CALLBACK, on_remaining, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

static void
prepare (void)
{
  images = g_ptr_array_new_with_free_func (g_free);
  texts = g_ptr_array_new_with_free_func (g_free);
}

/* The texts as they are: what the one-line form of the prompts would read as signs is escaped. */
ClipPromptSet *
tool_set_from_texts (GPtrArray *list, GError **error)
{
  g_autoptr (GString) line = g_string_new (NULL);
  for (guint i = 0; i < list->len; i++) {
    g_autofree char *text = g_strstrip (g_strdup (g_ptr_array_index (list, i)));
    if (!*text) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "text %u is empty", i + 1);
      return NULL;
    }
    if (i > 0)
      g_string_append_c (line, ';');
    for (const char *c = text; *c; c++)
      g_string_append_printf (line, *c == ';' || *c == '\\' || (*c == '!' && c == text) ? "\\%c" : "%c", *c);
  }
  return clip_prompt_set_parse (line->str, error);
}

static void
print_people (const char *file, const ClipEncodedPrompts *prompts, const ClipScore *scores)
{
  const guint n = clip_prompt_set_get_size (prompts->set);
  g_autofree char *name = g_filename_display_name (file);
  printf ("%s\n  %10s  %7s\n", name, "confidence", "cosine");
  for (guint i = 0; i < n; i++)
    printf ("  %10.5f  %7.4f  %s\n", (double) scores[i].confidence, (double) scores[i].cosine,
        clip_prompt_set_get (prompts->set, i)->label);
}

static void
append_image (GString *out, const char *file, const ClipEncodedPrompts *prompts, const ClipScore *scores)
{
  const guint n = clip_prompt_set_get_size (prompts->set);
  g_string_append (out, "{\"file\":");
  tool_json_string (out, file);
  g_string_append (out, ",\"labels\":[");
  for (guint i = 0; i < n; i++) {
    g_string_append (out, i == 0 ? "{\"label\":" : ",{\"label\":");
    tool_json_string (out, clip_prompt_set_get (prompts->set, i)->label);
    g_string_append (out, ",\"cosine\":");
    tool_json_float (out, scores[i].cosine);
    g_string_append (out, ",\"confidence\":");
    tool_json_float (out, scores[i].confidence);
    g_string_append_c (out, '}');
  }
  g_string_append (out, "]}");
}

static void
append_head (GString *out, const ClipModelConfig *config, ClipPromptSet *set)
{
  g_string_append (out, "{\"model\":");
  tool_json_string (out, config->name);
  g_string_append (out, ",\"logit_scale\":");
  tool_json_float (out, config->logit_scale);
  if (config->family == CLIP_FAMILY_SIGLIP) {
    g_string_append (out, ",\"logit_bias\":");
    tool_json_float (out, config->logit_bias);
  }
  g_string_append (out, ",\"texts\":[");
  for (guint i = 0; i < clip_prompt_set_get_size (set); i++) {
    g_string_append (out, i == 0 ? "" : ",");
    tool_json_string (out, clip_prompt_set_get (set, i)->label);
  }
  g_string_append (out, "],\"images\":[");
}

/* @scores: room for all labels; @thumbnails: (nullable): receives the picture */
static gboolean
score_file (ClipEngine *engine, const ClipEncodedPrompts *prompts, const char *file, ClipScoring scoring,
    ClipScore *scores, GPtrArray *thumbnails, GError **error)
{
  g_autoptr (ToolImage) image = tool_image_read (file, error);
  if (!image)
    return FALSE;
  if (thumbnails) {
    cairo_surface_t *thumbnail = tool_image_thumbnail (image, file, error);
    if (!thumbnail)
      return FALSE;
    g_ptr_array_add (thumbnails, thumbnail);
  }
  g_autofree float *embedding = g_new (float, prompts->embed_dim);
  if (!clip_engine_encode_frame (engine, &image->frame, embedding, NULL, error)) {
    g_prefix_error (error, "%s: ", file);
    return FALSE;
  }
  const ClipModelConfig *config = clip_engine_get_config (engine);
  clip_score (embedding, prompts->matrix, clip_prompt_set_get_size (prompts->set), prompts->embed_dim,
      config->logit_scale, config->logit_bias,
      clip_scoring_resolve (scoring, config->family == CLIP_FAMILY_SIGLIP), scores);
  return TRUE;
}

/* The table of all pictures: drawn when it is complete */
typedef struct {
  GPtrArray *thumbnails; /* cairo_surface_t, one a picture; NULL: no plot is asked for */
  float *cosines;        /* [texts,pictures] */
} Plot;

static void
plot_clear (Plot *plot)
{
  g_clear_pointer (&plot->thumbnails, g_ptr_array_unref);
  g_clear_pointer (&plot->cosines, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Plot, plot_clear)

static gboolean
draw_plot (const Plot *plot, ClipPromptSet *set, GError **error)
{
  const guint n = clip_prompt_set_get_size (set);
  g_autofree const char **labels = g_new (const char *, n);
  for (guint i = 0; i < n; i++)
    labels[i] = clip_prompt_set_get (set, i)->label;
  ClipHeatMap map = { .rows = n, .columns = images->len, .values = plot->cosines, .low = plot->cosines[0],
    .high = plot->cosines[0], .row_labels = labels,
    .column_images = (cairo_surface_t *const *) plot->thumbnails->pdata };
  for (gsize i = 0; i < (gsize) n * images->len; i++) {
    map.low = MIN (map.low, plot->cosines[i]);
    map.high = MAX (map.high, plot->cosines[i]);
  }
  return clip_plot_heat_map (plot_file, &map, error);
}

static gboolean
match (ClipEngine *engine, const ClipEncodedPrompts *prompts, ClipScoring scoring, GError **error)
{
  const guint n = clip_prompt_set_get_size (prompts->set);
  g_autofree ClipScore *scores = g_new (ClipScore, n);
  g_autoptr (GString) out = g_string_new (NULL);
  g_auto (Plot) plot = { plot_file ? g_ptr_array_new_with_free_func ((GDestroyNotify) cairo_surface_destroy) : NULL,
    g_new (float, (gsize) n * images->len) };
  append_head (out, clip_engine_get_config (engine), prompts->set);
  for (guint i = 0; i < images->len; i++) {
    const char *file = g_ptr_array_index (images, i);
    if (!score_file (engine, prompts, file, scoring, scores, plot.thumbnails, error))
      return FALSE;
    for (guint k = 0; k < n; k++)
      plot.cosines[(gsize) k * images->len + i] = scores[k].cosine;
    if (!tool_options.json)
      print_people (file, prompts, scores);
    g_string_append (out, i == 0 ? "" : ",");
    append_image (out, file, prompts, scores);
  }
  if (tool_options.json)
    printf ("%s]}\n", out->str);
  return !plot_file || draw_plot (&plot, prompts->set, error);
}

static int
run (GError **error)
{
  ClipScoring scoring;
  if (images->len == 0)
    return tool_usage (&tool_match, "expected a picture");
  if ((texts->len == 0) == !prompts_file)
    return tool_usage (&tool_match, "expected either --text TEXT... or --prompts-file FILE");
  if (!clip_scoring_from_name (scoring_name, &scoring))
    return tool_usage (&tool_match, "expected --scoring auto, softmax, sigmoid or cosine");
  g_autoptr (ClipPromptSet) set =
      prompts_file ? clip_prompt_set_load (prompts_file, error) : tool_set_from_texts (texts, error);
  g_auto (GStrv) templates = set ? clip_templates_load (templates_name, error) : NULL;
  g_autofree char *path = templates ? tool_find_model (error) : NULL;
  g_autoptr (ClipEngine) engine = path ? clip_engine_new (path, tool_options.device, tool_options.precision, error) : NULL;
  g_autoptr (ClipEncodedPrompts) prompts =
      engine ? clip_engine_encode_prompts (engine, set, templates, FALSE, error) : NULL;
  if (!prompts)
    return TOOL_FAILED;
  return match (engine, prompts, scoring, error) ? 0 : TOOL_FAILED;
}

const ToolCommand tool_match = { "match", "IMAGE... --text TEXT...", "Score pictures against texts",
  "Cosines and confidences in the order of the texts.\n"
  "  gst-clip-1.0 match a.png b.jpg --text \"a dog\" \"a cat\"",
  entries, prepare, run, TRUE };
