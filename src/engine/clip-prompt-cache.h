/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Embeddings of labels that some process has encoded before, $XDG_CACHE_HOME/gst-clip/texts. */
#pragma once

#include "clip-embedding-store.h"
#include "model/clip-model.h"
#include "text/clip-prompts.h"

G_BEGIN_DECLS

/**
 * ClipPromptCache:
 *
 * An entry is a label's unit embedding, the ensemble of its phrasings in the templates. It is found again with the same
 * weights, tokenizer, device, precision and version of this program, the same templates and the same phrasings.
 */
typedef struct _ClipPromptCache ClipPromptCache;

/** clip_prompt_cache_new: (nullable): NULL when caches are switched off (GST_CLIP_CACHE=off, or no-texts for this one), or the weights cannot be identified */
ClipPromptCache *clip_prompt_cache_new (ClipModel *model, ClipTokenizer *tokenizer);
void clip_prompt_cache_free (ClipPromptCache *cache);

/** ClipPromptRows: the labels of a set, as they are looked up and stored */
typedef struct {
  guint n, dim;
  guint8 (*keys)[CLIP_EMBEDDING_KEY]; /* [n] */
  float *matrix;                      /* [n,dim] */
  guint *truncated;                   /* [n]: texts of the label that were cut */
  gboolean *known;                    /* [n]: the row came from the cache */
} ClipPromptRows;

/** clip_prompt_rows_init: of @matrix, which is not copied */
void clip_prompt_rows_init (ClipPromptRows *rows, ClipPromptSet *set, char **templates, float *matrix, guint dim);
void clip_prompt_rows_clear (ClipPromptRows *rows);

/**
 * clip_prompt_cache_load: fills the rows that are known
 * @truncate: whether labels count of which texts were cut
 */
void clip_prompt_cache_load (ClipPromptCache *cache, ClipPromptRows *rows, gboolean truncate);
/** clip_prompt_cache_store: keeps those that were not known; all must be complete */
void clip_prompt_cache_store (ClipPromptCache *cache, const ClipPromptRows *rows);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipPromptCache, clip_prompt_cache_free)

G_END_DECLS
