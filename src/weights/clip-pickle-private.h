/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stack machine that reads a pickle. Every function that fails sets the machine's error. */
#pragma once

#include "weights/clip-pickle.h"

G_BEGIN_DECLS

#define CLIP_PICKLE_MAX_VALUES 400000 /* the largest CLIP needs some 40,000 */

struct _ClipPickle {
  GPtrArray *values; /* all of them; owned */
  ClipPickleValue *root;
};

typedef struct {
  const guint8 *at, *end;
  ClipPickle *pickle;
  GPtrArray *stack; /* NULL is a mark */
  GHashTable *memo; /* number -> value */
  GError **error;
} ClipPickleMachine;

gboolean clip_pickle_fail (ClipPickleMachine *machine, const char *format, ...) G_GNUC_PRINTF (2, 3);
/** clip_pickle_new_value: (transfer none) (nullable): NULL when there are too many */
ClipPickleValue *clip_pickle_new_value (ClipPickleMachine *machine, ClipPickleKind kind);
/** clip_pickle_push: @value: (nullable): NULL is an error that is set already */
gboolean clip_pickle_push (ClipPickleMachine *machine, ClipPickleValue *value);
gboolean clip_pickle_push_integer (ClipPickleMachine *machine, gint64 integer);
/** clip_pickle_top: (transfer none) (nullable): the topmost value, which must not be a mark */
ClipPickleValue *clip_pickle_top (ClipPickleMachine *machine);
/** clip_pickle_pop: (transfer none) (nullable) */
ClipPickleValue *clip_pickle_pop (ClipPickleMachine *machine);
/** clip_pickle_pop_kind: (transfer none) (nullable): @what it should be, for the message */
ClipPickleValue *clip_pickle_pop_kind (ClipPickleMachine *machine, ClipPickleKind kind, const char *what);
/** clip_pickle_find_mark: @first: (out): the place after the topmost mark */
gboolean clip_pickle_find_mark (ClipPickleMachine *machine, guint *first);
/** clip_pickle_take_bytes: @bytes: (out) (transfer none): the next @count ones */
gboolean clip_pickle_take_bytes (ClipPickleMachine *machine, gsize count, const guint8 **bytes);
/** clip_pickle_take_number: little endian, without sign, of @count bytes */
gboolean clip_pickle_take_number (ClipPickleMachine *machine, guint count, guint64 *number);

G_END_DECLS
