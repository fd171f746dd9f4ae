/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prompt sets and templates. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

/** ClipLabel: what is reported, and the phrasings whose embeddings are averaged for it */
typedef struct {
  char *label;
  char **phrasings; /* NULL-terminated, at least one */
  gboolean negative; /* takes probability, is never reported */
} ClipLabel;

/** ClipPromptSet: an ordered list of labels. Immutable, reference-counted (atomic). */
typedef struct _ClipPromptSet ClipPromptSet;

#define CLIP_MAX_PROMPTS 100000 /* labels in a set; more is an error */

/**
 * clip_prompt_set_parse: "a dog;a cat": `;` separates, `\;` and `\\` escape, spaces around a
 * prompt are dropped, empty entries too, leading `!` makes a negative (`\!` is the character). No
 * prompt at all is an error.
 */
ClipPromptSet *clip_prompt_set_parse (const char *prompts, GError **error);
/**
 * clip_prompt_set_load: a file, one line a label: label<TAB>prompt<TAB>..., or only a prompt; `#` starts
 * a comment line, `!` a negative label, `\#` and `\!` are the characters. Errors name the line.
 */
ClipPromptSet *clip_prompt_set_load (const char *path, GError **error);
ClipPromptSet *clip_prompt_set_ref (ClipPromptSet *set);
void clip_prompt_set_unref (ClipPromptSet *set);
guint clip_prompt_set_get_size (ClipPromptSet *set);
const ClipLabel *clip_prompt_set_get (ClipPromptSet *set, guint index);

/**
 * clip_templates_load:
 * @name: NULL or "none" ("{}"), "simple", "imagenet", "ucf101", "kinetics700", or the path of a
 *   file with one template a line, "{}" where the label goes; `#` starts a comment line
 *
 * Returns: (transfer full): NULL-terminated templates, each with "{}" exactly once
 */
char **clip_templates_load (const char *name, GError **error);
/** clip_template_apply: (transfer full) */
char *clip_template_apply (const char *template_, const char *phrasing);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipPromptSet, clip_prompt_set_unref)

G_END_DECLS
