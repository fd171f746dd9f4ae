/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Python pickles as data: a whitelist of what torch.save and torch.jit.save write. Nothing is ever run. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

typedef enum {
  CLIP_PICKLE_NONE,
  CLIP_PICKLE_INT,     /* numbers and truth values; integer */
  CLIP_PICKLE_FLOAT,   /* not needed, and not kept */
  CLIP_PICKLE_STRING,  /* string */
  CLIP_PICKLE_LIST,    /* items; tuples as well */
  CLIP_PICKLE_DICT,    /* items: key, value, key, value, ... */
  CLIP_PICKLE_GLOBAL,  /* string: "module.name", one of the known ones */
  CLIP_PICKLE_OBJECT,  /* of a TorchScript class; state */
  CLIP_PICKLE_STORAGE, /* items: of the persistent id */
  CLIP_PICKLE_TENSOR,  /* items: storage, offset, shape, strides */
} ClipPickleKind;

typedef struct _ClipPickleValue ClipPickleValue;
/** ClipPickleValue: belongs to its ClipPickle; values may be shared and may form cycles */
struct _ClipPickleValue {
  ClipPickleKind kind;
  gint64 integer;
  char *string;
  GPtrArray *items;       /* (element-type ClipPickleValue) */
  ClipPickleValue *state; /* (nullable) */
};

typedef struct _ClipPickle ClipPickle;

/**
 * clip_pickle_read:
 *
 * Interprets the opcodes of protocol 2. Any opcode or global beyond the whitelist, and more than a bounded number of
 * values, is an error that names it.
 */
ClipPickle *clip_pickle_read (const guint8 *bytes, gsize length, GError **error);
void clip_pickle_free (ClipPickle *pickle);
/** clip_pickle_get_root: (transfer none) */
const ClipPickleValue *clip_pickle_get_root (ClipPickle *pickle);
/** clip_pickle_get: (transfer none) (nullable): the value of a dictionary's string key */
const ClipPickleValue *clip_pickle_get (const ClipPickleValue *dict, const char *key);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipPickle, clip_pickle_free)

G_END_DECLS
