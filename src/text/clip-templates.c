/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Templates. The lists imagenet, ucf101 and kinetics700 are those that openai/CLIP publishes (MIT;
 * notebooks/Prompt_Engineering_for_ImageNet.ipynb and data/prompts.md), spelling included ("a
 * example"): other wording gives other scores. simple is the subset of seven that the same notebook
 * recommends, as in OpenCLIP's SIMPLE_IMAGENET_TEMPLATES.
 */
#include "text/clip-prompts.h"

#include "clip-text-private.h"

#include <string.h>

#define MAX_FILE (1 << 20)
#define MAX_TEMPLATES 1000
#define PLACE "{}"

static const char *const none[] = { PLACE, NULL };

static const char *const simple[] = {
  "itap of a {}.",
  "a bad photo of the {}.",
  "a origami {}.",
  "a photo of the large {}.",
  "a {} in a video game.",
  "art of the {}.",
  "a photo of the small {}.",
  NULL,
};

static const char *const imagenet[] = {
  "a bad photo of a {}.",
  "a photo of many {}.",
  "a sculpture of a {}.",
  "a photo of the hard to see {}.",
  "a low resolution photo of the {}.",
  "a rendering of a {}.",
  "graffiti of a {}.",
  "a bad photo of the {}.",
  "a cropped photo of the {}.",
  "a tattoo of a {}.",
  "the embroidered {}.",
  "a photo of a hard to see {}.",
  "a bright photo of a {}.",
  "a photo of a clean {}.",
  "a photo of a dirty {}.",
  "a dark photo of the {}.",
  "a drawing of a {}.",
  "a photo of my {}.",
  "the plastic {}.",
  "a photo of the cool {}.",
  "a close-up photo of a {}.",
  "a black and white photo of the {}.",
  "a painting of the {}.",
  "a painting of a {}.",
  "a pixelated photo of the {}.",
  "a sculpture of the {}.",
  "a bright photo of the {}.",
  "a cropped photo of a {}.",
  "a plastic {}.",
  "a photo of the dirty {}.",
  "a jpeg corrupted photo of a {}.",
  "a blurry photo of the {}.",
  "a photo of the {}.",
  "a good photo of the {}.",
  "a rendering of the {}.",
  "a {} in a video game.",
  "a photo of one {}.",
  "a doodle of a {}.",
  "a close-up photo of the {}.",
  "a photo of a {}.",
  "the origami {}.",
  "the {} in a video game.",
  "a sketch of a {}.",
  "a doodle of the {}.",
  "a origami {}.",
  "a low resolution photo of a {}.",
  "the toy {}.",
  "a rendition of the {}.",
  "a photo of the clean {}.",
  "a photo of a large {}.",
  "a rendition of a {}.",
  "a photo of a nice {}.",
  "a photo of a weird {}.",
  "a blurry photo of a {}.",
  "a cartoon {}.",
  "art of a {}.",
  "a sketch of the {}.",
  "a embroidered {}.",
  "a pixelated photo of a {}.",
  "itap of the {}.",
  "a jpeg corrupted photo of the {}.",
  "a good photo of a {}.",
  "a plushie {}.",
  "a photo of the nice {}.",
  "a photo of the small {}.",
  "a photo of the weird {}.",
  "the cartoon {}.",
  "art of the {}.",
  "a drawing of the {}.",
  "a photo of the large {}.",
  "a black and white photo of a {}.",
  "the plushie {}.",
  "a dark photo of a {}.",
  "itap of a {}.",
  "graffiti of the {}.",
  "a toy {}.",
  "itap of my {}.",
  "a photo of a cool {}.",
  "a photo of a small {}.",
  "a tattoo of the {}.",
  NULL,
};

static const char *const ucf101[] = {
  "a photo of a person {}.",
  "a video of a person {}.",
  "a example of a person {}.",
  "a demonstration of a person {}.",
  "a photo of the person {}.",
  "a video of the person {}.",
  "a example of the person {}.",
  "a demonstration of the person {}.",
  "a photo of a person using {}.",
  "a video of a person using {}.",
  "a example of a person using {}.",
  "a demonstration of a person using {}.",
  "a photo of the person using {}.",
  "a video of the person using {}.",
  "a example of the person using {}.",
  "a demonstration of the person using {}.",
  "a photo of a person doing {}.",
  "a video of a person doing {}.",
  "a example of a person doing {}.",
  "a demonstration of a person doing {}.",
  "a photo of the person doing {}.",
  "a video of the person doing {}.",
  "a example of the person doing {}.",
  "a demonstration of the person doing {}.",
  "a photo of a person during {}.",
  "a video of a person during {}.",
  "a example of a person during {}.",
  "a demonstration of a person during {}.",
  "a photo of the person during {}.",
  "a video of the person during {}.",
  "a example of the person during {}.",
  "a demonstration of the person during {}.",
  "a photo of a person performing {}.",
  "a video of a person performing {}.",
  "a example of a person performing {}.",
  "a demonstration of a person performing {}.",
  "a photo of the person performing {}.",
  "a video of the person performing {}.",
  "a example of the person performing {}.",
  "a demonstration of the person performing {}.",
  "a photo of a person practicing {}.",
  "a video of a person practicing {}.",
  "a example of a person practicing {}.",
  "a demonstration of a person practicing {}.",
  "a photo of the person practicing {}.",
  "a video of the person practicing {}.",
  "a example of the person practicing {}.",
  "a demonstration of the person practicing {}.",
  NULL,
};

static const char *const kinetics700[] = {
  "a photo of {}.",
  "a photo of a person {}.",
  "a photo of a person using {}.",
  "a photo of a person doing {}.",
  "a photo of a person during {}.",
  "a photo of a person performing {}.",
  "a photo of a person practicing {}.",
  "a video of {}.",
  "a video of a person {}.",
  "a video of a person using {}.",
  "a video of a person doing {}.",
  "a video of a person during {}.",
  "a video of a person performing {}.",
  "a video of a person practicing {}.",
  "a example of {}.",
  "a example of a person {}.",
  "a example of a person using {}.",
  "a example of a person doing {}.",
  "a example of a person during {}.",
  "a example of a person performing {}.",
  "a example of a person practicing {}.",
  "a demonstration of {}.",
  "a demonstration of a person {}.",
  "a demonstration of a person using {}.",
  "a demonstration of a person doing {}.",
  "a demonstration of a person during {}.",
  "a demonstration of a person performing {}.",
  "a demonstration of a person practicing {}.",
  NULL,
};

static const struct {
  const char *name;
  const char *const *templates;
} lists[] = {
  { "none", none },
  { "simple", simple },
  { "imagenet", imagenet },
  { "ucf101", ucf101 },
  { "kinetics700", kinetics700 },
};

static gboolean
has_one_place (const char *text)
{
  const char *place = strstr (text, PLACE);

  return place && !strstr (place + strlen (PLACE), PLACE);
}

static gboolean
fail_line (GError **error, const char *path, guint number, const char *message)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "%s:%u: %s", path, number, message);
  return FALSE;
}

static gboolean
add_line (GPtrArray *templates, char *line, const char *path, guint number, GError **error)
{
  if (!g_utf8_validate (line, -1, NULL))
    return fail_line (error, path, number, "is not valid UTF-8 text");
  g_strstrip (line);
  if (*line == '\0' || *line == '#')
    return TRUE;
  if (!has_one_place (line))
    return fail_line (error, path, number,
        "expected exactly one “{}”, where the label goes, as in “a photo of a {}.”");
  if (templates->len == MAX_TEMPLATES)
    return fail_line (error, path, number, "more than " G_STRINGIFY (MAX_TEMPLATES) " templates");
  g_ptr_array_add (templates, g_strdup (line));
  return TRUE;
}

static char **
load_file (const char *path, GError **error)
{
  g_autoptr (GPtrArray) templates = g_ptr_array_new_with_free_func (g_free);
  gsize length;
  g_autofree char *text = clip_read_file (path, MAX_FILE, CLIP_ERROR_PROMPT, &length, error);

  if (!text) {
    g_prefix_error (
        error, "templates: expected none, simple, imagenet, ucf101, kinetics700 or a file: ");
    return NULL;
  }
  if (strlen (text) != length) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "%s: is no text file", path);
    return NULL;
  }
  const gsize mark = g_str_has_prefix (text, "\xef\xbb\xbf") ? 3 : 0; /* a byte order mark */
  g_auto (GStrv) lines = g_strsplit (text + mark, "\n", -1);
  for (guint i = 0; lines[i]; i++)
    if (!add_line (templates, lines[i], path, i + 1, error))
      return NULL;
  if (templates->len == 0) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_PROMPT, "%s: holds no template", path);
    return NULL;
  }
  g_ptr_array_add (templates, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&templates), FALSE);
}

char **
clip_templates_load (const char *name, GError **error)
{
  const char *wanted = name && *name != '\0' ? name : "none";

  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    if (g_str_equal (wanted, lists[i].name))
      return g_strdupv ((char **)lists[i].templates);
  return load_file (wanted, error);
}

char *
clip_template_apply (const char *template_, const char *phrasing)
{
  g_return_val_if_fail (template_ != NULL && phrasing != NULL, NULL);

  const char *place = strstr (template_, PLACE);
  if (!place)
    return g_strdup (template_);
  return g_strdup_printf (
      "%.*s%s%s", (int)(place - template_), template_, phrasing, place + strlen (PLACE));
}
