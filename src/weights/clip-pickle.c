/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opcodes are those of Python's Lib/pickletools.py. Every value costs at least a byte of the file and lives in one arena,
 * so that cycles and depth need no care when it is freed. */
#include "weights/clip-pickle-private.h"

#include <string.h>

#define MAX_STRING 65536

/* What torch's own files name. The storages' types say how large an element is; the rest either makes a dictionary, a
 * tensor or a list, or is of no account */
static const char *const globals[] = { "collections.OrderedDict", "torch._utils._rebuild_tensor_v2",
  "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.FloatStorage",
  "torch.HalfStorage", "torch.BFloat16Storage", "torch.DoubleStorage", "torch.LongStorage", "torch.IntStorage",
  "torch.ShortStorage", "torch.CharStorage", "torch.ByteStorage", "torch.BoolStorage", "torch.float32", "torch.float16",
  "torch.bfloat16", "torch.float64", "torch.int64", "torch.int32", "torch.device", "torch.Size",
  "torch.jit._pickle.build_intlist", "torch.jit._pickle.build_doublelist", "torch.jit._pickle.build_boollist",
  "torch.jit._pickle.build_tensorlist", "torch.jit._pickle.restore_type_tag", NULL };

static void
value_free (gpointer data)
{
  ClipPickleValue *value = data;
  g_free (value->string);
  g_clear_pointer (&value->items, g_ptr_array_unref);
  g_free (value);
}

void
clip_pickle_free (ClipPickle *pickle)
{
  if (!pickle)
    return;
  g_ptr_array_unref (pickle->values);
  g_free (pickle);
}

static gboolean
push_string (ClipPickleMachine *machine, guint length_bytes)
{
  guint64 length = 0;
  const guint8 *bytes = NULL;
  if (!clip_pickle_take_number (machine, length_bytes, &length))
    return FALSE;
  if (length > MAX_STRING)
    return clip_pickle_fail (machine, "has a text of %" G_GUINT64_FORMAT " bytes, expected at most %d", length, MAX_STRING);
  if (!clip_pickle_take_bytes (machine, length, &bytes))
    return FALSE;
  if (!g_utf8_validate_len ((const char *)bytes, length, NULL))
    return clip_pickle_fail (machine, "has a name that is not UTF-8");
  ClipPickleValue *value = clip_pickle_new_value (machine, CLIP_PICKLE_STRING);
  if (value)
    value->string = g_strndup ((const char *)bytes, length);
  return clip_pickle_push (machine, value);
}

/* Two's complement of up to eight bytes */
static gboolean
push_long (ClipPickleMachine *machine)
{
  guint64 count = 0, number = 0;
  if (!clip_pickle_take_number (machine, 1, &count))
    return FALSE;
  if (count > 8)
    return clip_pickle_fail (machine, "has a number of %" G_GUINT64_FORMAT " bytes, expected at most 8", count);
  if (!clip_pickle_take_number (machine, count, &number))
    return FALSE;
  if (count > 0 && count < 8 && (number >> (8 * count - 1)) & 1)
    number |= G_MAXUINT64 << (8 * count);
  return clip_pickle_push_integer (machine, (gint64)number);
}

static gboolean
push_fixed (ClipPickleMachine *machine, guint bytes)
{
  guint64 number = 0;
  if (!clip_pickle_take_number (machine, bytes, &number))
    return FALSE;
  return clip_pickle_push_integer (machine, bytes == 4 ? (gint32)(guint32)number : (gint64)number);
}

static gboolean
take_line (ClipPickleMachine *machine, char **line)
{
  const guint8 *end = memchr (machine->at, '\n', MIN (machine->end - machine->at, MAX_STRING));
  if (!end)
    return clip_pickle_fail (machine, "ends in the middle of a name; it was cut, download it again");
  *line = g_utf8_make_valid ((const char *)machine->at, end - machine->at);
  machine->at = end + 1;
  return TRUE;
}

static gboolean
push_global (ClipPickleMachine *machine)
{
  g_autofree char *module = NULL, *name = NULL;
  if (!take_line (machine, &module) || !take_line (machine, &name))
    return FALSE;
  g_autofree char *full = g_strconcat (module, ".", name, NULL);
  if (!g_str_has_prefix (full, "__torch__.") && !g_strv_contains (globals, full))
    return clip_pickle_fail (machine, "asks for %.200s, which no weights need; it is refused and not run", full);
  ClipPickleValue *value = clip_pickle_new_value (machine, CLIP_PICKLE_GLOBAL);
  if (value)
    value->string = g_steal_pointer (&full);
  return clip_pickle_push (machine, value);
}

static gboolean
memo_put (ClipPickleMachine *machine, guint bytes)
{
  guint64 number = 0;
  if (!clip_pickle_take_number (machine, bytes, &number))
    return FALSE;
  ClipPickleValue *value = clip_pickle_top (machine);
  if (value)
    g_hash_table_insert (machine->memo, GUINT_TO_POINTER ((guint)number), value);
  return value != NULL;
}

static gboolean
memo_get (ClipPickleMachine *machine, guint bytes)
{
  guint64 number = 0;
  if (!clip_pickle_take_number (machine, bytes, &number))
    return FALSE;
  ClipPickleValue *value = g_hash_table_lookup (machine->memo, GUINT_TO_POINTER ((guint)number));
  if (!value)
    return clip_pickle_fail (machine, "asks for value %" G_GUINT64_FORMAT ", which it never stored; the file is damaged", number);
  return clip_pickle_push (machine, value);
}

/* The values from @first on become the items of @list and leave the stack */
static void
move_items (ClipPickleMachine *machine, guint first, GPtrArray *list)
{
  for (guint i = first; i < machine->stack->len; i++)
    g_ptr_array_add (list, machine->stack->pdata[i]);
  g_ptr_array_set_size (machine->stack, first);
}

static gboolean
push_tuple (ClipPickleMachine *machine, guint count)
{
  ClipPickleValue *tuple = clip_pickle_new_value (machine, CLIP_PICKLE_LIST);
  GPtrArray *stack = machine->stack;
  for (guint i = 0; tuple && i < count; i++)
    if (stack->len < count || !stack->pdata[stack->len - count + i])
      return clip_pickle_fail (machine, "takes more from the stack than is there; the file is damaged");
  if (tuple)
    move_items (machine, stack->len - count, tuple->items);
  return clip_pickle_push (machine, tuple);
}

static gboolean
push_marked_tuple (ClipPickleMachine *machine)
{
  guint first = 0;
  ClipPickleValue *tuple = clip_pickle_new_value (machine, CLIP_PICKLE_LIST);
  if (!tuple || !clip_pickle_find_mark (machine, &first))
    return FALSE;
  move_items (machine, first, tuple->items);
  g_ptr_array_set_size (machine->stack, first - 1);
  return clip_pickle_push (machine, tuple);
}

/* Items after the mark into the list or dictionary below it; @per: values an item has */
static gboolean
add_marked (ClipPickleMachine *machine, ClipPickleKind kind, guint per)
{
  guint first = 0;
  if (!clip_pickle_find_mark (machine, &first))
    return FALSE;
  ClipPickleValue *target = first >= 2 ? machine->stack->pdata[first - 2] : NULL;
  if (!target || target->kind != kind || (machine->stack->len - first) % per)
    return clip_pickle_fail (machine, "adds to something that is no %s; the file is damaged",
        kind == CLIP_PICKLE_DICT ? "dictionary" : "list");
  move_items (machine, first, target->items);
  g_ptr_array_set_size (machine->stack, first - 1);
  return TRUE;
}

static gboolean
add_one (ClipPickleMachine *machine, ClipPickleKind kind, guint per)
{
  GPtrArray *stack = machine->stack;
  ClipPickleValue *target = stack->len > per ? stack->pdata[stack->len - per - 1] : NULL;
  for (guint i = 0; target && i < per; i++)
    if (!stack->pdata[stack->len - 1 - i])
      target = NULL;
  if (!target || target->kind != kind)
    return clip_pickle_fail (machine, "adds to something that is no %s; the file is damaged",
        kind == CLIP_PICKLE_DICT ? "dictionary" : "list");
  move_items (machine, stack->len - per, target->items);
  return TRUE;
}

static gboolean
is_named (const ClipPickleValue *value, const char *prefix)
{
  return g_str_has_prefix (value->string, prefix);
}

/* function (arguments...) of the few functions that the whitelist has */
static gboolean
reduce (ClipPickleMachine *machine)
{
  ClipPickleValue *arguments = clip_pickle_pop_kind (machine, CLIP_PICKLE_LIST, "a tuple of arguments");
  ClipPickleValue *function = arguments ? clip_pickle_pop_kind (machine, CLIP_PICKLE_GLOBAL, "a function") : NULL;
  if (!function)
    return FALSE;
  const guint n = arguments->items->len;
  if (is_named (function, "collections.OrderedDict") && n == 0)
    return clip_pickle_push (machine, clip_pickle_new_value (machine, CLIP_PICKLE_DICT));
  if (is_named (function, "torch._utils._rebuild_tensor_v2") && n >= 4) {
    ClipPickleValue *tensor = clip_pickle_new_value (machine, CLIP_PICKLE_TENSOR);
    for (guint i = 0; tensor && i < 4; i++)
      g_ptr_array_add (tensor->items, arguments->items->pdata[i]);
    return clip_pickle_push (machine, tensor);
  }
  if (n >= 1
      && (is_named (function, "torch._utils._rebuild_parameter") || is_named (function, "torch.jit._pickle.")))
    return clip_pickle_push (machine, arguments->items->pdata[0]);
  if (is_named (function, "torch.device") || is_named (function, "torch.Size"))
    return clip_pickle_push (machine, clip_pickle_new_value (machine, CLIP_PICKLE_NONE));
  return clip_pickle_fail (machine, "calls %.100s with %u arguments, which is refused", function->string, n);
}

static gboolean
new_object (ClipPickleMachine *machine)
{
  ClipPickleValue *arguments = clip_pickle_pop_kind (machine, CLIP_PICKLE_LIST, "a tuple of arguments");
  ClipPickleValue *class = arguments ? clip_pickle_pop_kind (machine, CLIP_PICKLE_GLOBAL, "a class") : NULL;
  if (!class)
    return FALSE;
  if (!is_named (class, "__torch__."))
    return clip_pickle_fail (machine, "makes an object of %.100s, which is refused", class->string);
  return clip_pickle_push (machine, clip_pickle_new_value (machine, CLIP_PICKLE_OBJECT));
}

/* Attributes. Those of an ordered dictionary (its versions) are of no account */
static gboolean
build (ClipPickleMachine *machine)
{
  ClipPickleValue *state = clip_pickle_pop (machine);
  ClipPickleValue *object = state ? clip_pickle_top (machine) : NULL;
  if (!object)
    return FALSE;
  if (object->kind == CLIP_PICKLE_OBJECT)
    object->state = state;
  else if (object->kind != CLIP_PICKLE_DICT)
    return clip_pickle_fail (machine, "sets attributes of something that has none; the file is damaged");
  return TRUE;
}

static gboolean
push_storage (ClipPickleMachine *machine)
{
  ClipPickleValue *id = clip_pickle_pop_kind (machine, CLIP_PICKLE_LIST, "a storage");
  ClipPickleValue *storage = id ? clip_pickle_new_value (machine, CLIP_PICKLE_STORAGE) : NULL;
  if (storage)
    storage->items = g_ptr_array_ref (id->items);
  return clip_pickle_push (machine, storage);
}

static gboolean
skip_float (ClipPickleMachine *machine)
{
  const guint8 *bytes = NULL;
  return clip_pickle_take_bytes (machine, 8, &bytes) && clip_pickle_push (machine, clip_pickle_new_value (machine, CLIP_PICKLE_FLOAT));
}

static gboolean
check_protocol (ClipPickleMachine *machine)
{
  guint64 protocol;
  return clip_pickle_take_number (machine, 1, &protocol)
         && (protocol <= 3 || clip_pickle_fail (machine, "has pickle protocol %" G_GUINT64_FORMAT ", expected 2", protocol));
}

static gboolean
step (ClipPickleMachine *machine, guint8 opcode)
{
  switch (opcode) {
  case 0x80: /* PROTO */
    return check_protocol (machine);
  case '(': /* MARK */
    g_ptr_array_add (machine->stack, NULL);
    return TRUE;
  case 'N': /* NONE */
    return clip_pickle_push (machine, clip_pickle_new_value (machine, CLIP_PICKLE_NONE));
  case 0x88: /* NEWTRUE */
  case 0x89: /* NEWFALSE */
    return clip_pickle_push_integer (machine, opcode == 0x88);
  case 'K': /* BININT1 */
    return push_fixed (machine, 1);
  case 'M': /* BININT2 */
    return push_fixed (machine, 2);
  case 'J': /* BININT */
    return push_fixed (machine, 4);
  case 0x8a: /* LONG1 */
    return push_long (machine);
  case 'G': /* BINFLOAT */
    return skip_float (machine);
  case 'X': /* BINUNICODE */
  case 'T': /* BINSTRING, of Python 2 */
    return push_string (machine, 4);
  case 'U': /* SHORT_BINSTRING */
    return push_string (machine, 1);
  case 'c': /* GLOBAL */
    return push_global (machine);
  case 'q': /* BINPUT */
    return memo_put (machine, 1);
  case 'r': /* LONG_BINPUT */
    return memo_put (machine, 4);
  case 'h': /* BINGET */
    return memo_get (machine, 1);
  case 'j': /* LONG_BINGET */
    return memo_get (machine, 4);
  case '}': /* EMPTY_DICT */
    return clip_pickle_push (machine, clip_pickle_new_value (machine, CLIP_PICKLE_DICT));
  case ']': /* EMPTY_LIST */
    return clip_pickle_push (machine, clip_pickle_new_value (machine, CLIP_PICKLE_LIST));
  case ')': /* EMPTY_TUPLE */
    return push_tuple (machine, 0);
  case 0x85: /* TUPLE1 */
  case 0x86: /* TUPLE2 */
  case 0x87: /* TUPLE3 */
    return push_tuple (machine, opcode - 0x84);
  case 't': /* TUPLE */
    return push_marked_tuple (machine);
  case 'a': /* APPEND */
    return add_one (machine, CLIP_PICKLE_LIST, 1);
  case 'e': /* APPENDS */
    return add_marked (machine, CLIP_PICKLE_LIST, 1);
  case 's': /* SETITEM */
    return add_one (machine, CLIP_PICKLE_DICT, 2);
  case 'u': /* SETITEMS */
    return add_marked (machine, CLIP_PICKLE_DICT, 2);
  case 'R': /* REDUCE */
    return reduce (machine);
  case 0x81: /* NEWOBJ */
    return new_object (machine);
  case 'b': /* BUILD */
    return build (machine);
  case 'Q': /* BINPERSID */
    return push_storage (machine);
  default:
    return clip_pickle_fail (machine, "has the opcode 0x%02x, which torch does not write; the file is damaged", opcode);
  }
}

static gboolean
run (ClipPickleMachine *machine)
{
  while (machine->at < machine->end) {
    const guint8 opcode = *machine->at++;
    if (opcode == '.') /* STOP */
      return (machine->pickle->root = clip_pickle_top (machine)) != NULL;
    if (!step (machine, opcode))
      return FALSE;
    if (machine->stack->len > CLIP_PICKLE_MAX_VALUES)
      return clip_pickle_fail (machine, "has more than %d values, which no CLIP model needs", CLIP_PICKLE_MAX_VALUES);
  }
  return clip_pickle_fail (machine, "ends before its end mark; it was cut, download it again");
}

ClipPickle *
clip_pickle_read (const guint8 *bytes, gsize length, GError **error)
{
  g_autoptr (ClipPickle) pickle = g_new0 (ClipPickle, 1);
  g_autoptr (GPtrArray) stack = g_ptr_array_new ();
  g_autoptr (GHashTable) memo = g_hash_table_new (NULL, NULL);
  pickle->values = g_ptr_array_new_with_free_func (value_free);
  ClipPickleMachine machine = { bytes, bytes + length, pickle, stack, memo, error };
  return run (&machine) ? g_steal_pointer (&pickle) : NULL;
}

const ClipPickleValue *
clip_pickle_get_root (ClipPickle *pickle)
{
  return pickle->root;
}

const ClipPickleValue *
clip_pickle_get (const ClipPickleValue *dict, const char *key)
{
  for (guint i = 0; i + 1 < dict->items->len; i += 2) {
    const ClipPickleValue *name = dict->items->pdata[i];
    if (name->kind == CLIP_PICKLE_STRING && g_str_equal (name->string, key))
      return dict->items->pdata[i + 1];
  }
  return NULL;
}
