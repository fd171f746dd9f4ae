/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of engines that elements share by name (model-instance-id). */
#include "clip-engine-private.h"

/* id -> Entry. An engine leaves it with its last reference. */
static GMutex table_lock;
static GCond table_changed;
static GHashTable *table;

typedef struct {
  char *model, *device;
  ClipPrecision precision; /* as asked for */
  ClipEngine *engine; /* NULL while it is loaded */
} Entry;

static void
entry_free (gpointer data)
{
  Entry *entry = data;
  g_free (entry->model);
  g_free (entry->device);
  g_free (entry);
}

static gboolean
check_same (const char *id, const Entry *entry, const char *model, const char *device, ClipPrecision precision,
    GError **error)
{
  if (g_strcmp0 (entry->model, model) == 0 && g_strcmp0 (entry->device, device) == 0
      && entry->precision == precision)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
      "model-instance-id \"%s\" is in use with model %s on device %s in %s, and this element asks for model %s on device "
      "%s in %s; give both the same model, device and precision, or this one another id",
      id, entry->model, entry->device ? entry->device : "auto", clip_precision_get_name (entry->precision), model,
      device ? device : "auto", clip_precision_get_name (precision));
  return FALSE;
}

/* (nullable): the entry, when its engine is loaded; waits while somebody loads it. Call with the lock held. */
static Entry *
lookup (const char *id)
{
  Entry *entry;
  while ((entry = g_hash_table_lookup (table, id)) && !entry->engine)
    g_cond_wait (&table_changed, &table_lock);
  return entry;
}

/* Call with the lock held; it is released while the model is loaded. */
static ClipEngine *
load (const char *id, const char *model, const char *device, ClipPrecision precision, GError **error)
{
  Entry *entry = g_new0 (Entry, 1);
  entry->model = g_strdup (model);
  entry->device = g_strdup (device);
  entry->precision = precision;
  g_hash_table_insert (table, g_strdup (id), entry);
  g_mutex_unlock (&table_lock);
  ClipEngine *engine = clip_engine_new (model, device, precision, error);
  g_mutex_lock (&table_lock);
  if (engine) {
    engine->id = g_strdup (id);
    entry->engine = engine;
  } else {
    g_hash_table_remove (table, id);
  }
  g_cond_broadcast (&table_changed);
  return engine;
}

ClipEngine *
clip_engine_open_shared (const char *id, const char *model, const char *device, ClipPrecision precision,
    GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table_lock);
  (void) locker;
  if (!table)
    table = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, entry_free);
  Entry *entry = lookup (id);
  if (!entry)
    return load (id, model, device, precision, error);
  return check_same (id, entry, model, device, precision, error) ? clip_engine_ref (entry->engine) : NULL;
}

gboolean
clip_share_forget (ClipEngine *engine)
{
  g_mutex_lock (&table_lock);
  gboolean last = g_atomic_ref_count_dec (&engine->refs);
  if (last)
    g_hash_table_remove (table, engine->id);
  g_mutex_unlock (&table_lock);
  return last;
}
