/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The encoding of a prompt set, in steps that a worker can put between frames. */
#pragma once

#include <gio/gio.h>

#include "clip-engine.h"
#include "clip-prompt-cache.h"
#include "model/clip-model.h"
#include "text/clip-tokenizer.h"

G_BEGIN_DECLS

typedef struct _ClipPromptJob ClipPromptJob;

ClipPromptJob *clip_prompt_job_new (ClipPromptSet *set, char **templates, guint embed_dim,
    gboolean truncate, GCancellable *cancellable, ClipPromptsFunc func, gpointer user_data,
    GDestroyNotify destroy);

/**
 * clip_prompt_job_step:
 * @rows: tokens to encode in one step
 *
 * Tokenizes or encodes a piece. When the set is done, has failed or is cancelled, calls the function.
 *
 * Returns: TRUE while there is more to do
 */
gboolean clip_prompt_job_step (ClipPromptJob *job, ClipModel *model, ClipTokenizer *tokenizer, guint rows);

/** clip_prompt_job_set_cache: labels that @cache knows are not encoded; before the first step. @cache outlives the job */
void clip_prompt_job_set_cache (ClipPromptJob *job, ClipPromptCache *cache);

/** clip_prompt_job_get_label: how many labels have all their texts tokenized, for a display of progress */
guint clip_prompt_job_get_label (const ClipPromptJob *job);

/** clip_prompt_job_abandon: reports G_IO_ERROR_CANCELLED; for the end of the engine */
void clip_prompt_job_abandon (ClipPromptJob *job);
void clip_prompt_job_free (ClipPromptJob *job);

G_END_DECLS
