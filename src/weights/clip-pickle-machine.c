/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all opcodes stand on: values, the stack, bytes of the file. */
#include "weights/clip-pickle-private.h"

gboolean
clip_pickle_fail (ClipPickleMachine *machine, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (machine->error, CLIP_ERROR, CLIP_ERROR_MODEL, message);
  return FALSE;
}

ClipPickleValue *
clip_pickle_new_value (ClipPickleMachine *machine, ClipPickleKind kind)
{
  if (machine->pickle->values->len == CLIP_PICKLE_MAX_VALUES) {
    clip_pickle_fail (machine, "has more than %d values, which no CLIP model needs", CLIP_PICKLE_MAX_VALUES);
    return NULL;
  }
  ClipPickleValue *value = g_new0 (ClipPickleValue, 1);
  value->kind = kind;
  if (kind == CLIP_PICKLE_LIST || kind == CLIP_PICKLE_DICT || kind == CLIP_PICKLE_TENSOR)
    value->items = g_ptr_array_new ();
  g_ptr_array_add (machine->pickle->values, value);
  return value;
}

gboolean
clip_pickle_push (ClipPickleMachine *machine, ClipPickleValue *value)
{
  if (value)
    g_ptr_array_add (machine->stack, value);
  return value != NULL;
}

gboolean
clip_pickle_push_integer (ClipPickleMachine *machine, gint64 integer)
{
  ClipPickleValue *value = clip_pickle_new_value (machine, CLIP_PICKLE_INT);
  if (value)
    value->integer = integer;
  return clip_pickle_push (machine, value);
}

ClipPickleValue *
clip_pickle_top (ClipPickleMachine *machine)
{
  GPtrArray *stack = machine->stack;
  if (stack->len > 0 && stack->pdata[stack->len - 1])
    return stack->pdata[stack->len - 1];
  clip_pickle_fail (machine, "takes more from the stack than is there; the file is damaged");
  return NULL;
}

ClipPickleValue *
clip_pickle_pop (ClipPickleMachine *machine)
{
  ClipPickleValue *value = clip_pickle_top (machine);
  if (value)
    g_ptr_array_set_size (machine->stack, machine->stack->len - 1);
  return value;
}

ClipPickleValue *
clip_pickle_pop_kind (ClipPickleMachine *machine, ClipPickleKind kind, const char *what)
{
  ClipPickleValue *value = clip_pickle_pop (machine);
  if (!value || value->kind == kind)
    return value;
  clip_pickle_fail (machine, "has something else where %s is expected; the file is damaged", what);
  return NULL;
}

gboolean
clip_pickle_find_mark (ClipPickleMachine *machine, guint *first)
{
  for (guint i = machine->stack->len; i-- > 0;)
    if (!machine->stack->pdata[i]) {
      *first = i + 1;
      return TRUE;
    }
  return clip_pickle_fail (machine, "has no mark where one is expected; the file is damaged");
}

gboolean
clip_pickle_take_bytes (ClipPickleMachine *machine, gsize count, const guint8 **bytes)
{
  if (count > (gsize)(machine->end - machine->at))
    return clip_pickle_fail (machine, "ends in the middle of a value; it was cut, download it again");
  *bytes = machine->at;
  machine->at += count;
  return TRUE;
}

gboolean
clip_pickle_take_number (ClipPickleMachine *machine, guint count, guint64 *number)
{
  const guint8 *bytes = NULL;
  if (!clip_pickle_take_bytes (machine, count, &bytes))
    return FALSE;
  *number = 0;
  for (guint i = count; i-- > 0;)
    *number = *number << 8 | bytes[i];
  return TRUE;
}
