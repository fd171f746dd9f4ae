/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The writer: a bounded queue, and the thread that brings it to the disk in batches. */
#include "clip-index-private.h"

#include <json-glib/json-glib.h>

/* A batch is written when it is this large, or when its first entry has waited so long: a search sees it then. */
#define BATCH 512
#define PATIENCE (G_USEC_PER_SEC / 2)

struct _ClipIndexWriter {
  char *key; /* in the table */
  guint users; /* under the table's lock */
  ClipIndexOptions options;
  ClipIndexFiles files; /* the thread's own */
  GThread *thread;

  GMutex lock;
  GCond work, progress; /* for the thread; for those who wait for room or for the end of it all */
  GQueue queue;         /* of ClipIndexItem */
  gint64 oldest;        /* monotonic time when its first came, us */
  gboolean stop, hurry;
  char *model;          /* NULL: not known yet */
  guint dim;
  gint64 next_run;
  guint64 pushed, written; /* items; what was given up counts as written */
  guint64 stored, dropped; /* entries */
  GError *error;        /* the first one: nothing is written after it */
};

/* path -> ClipIndexWriter: elements that write into one store share its writer */
static GMutex table_lock;
static GHashTable *table;

static void
item_free (gpointer data)
{
  ClipIndexItem *item = data;
  g_free (item->source);
  g_free (item->object_class);
  g_free (item->labels);
  g_clear_pointer (&item->embedding, g_bytes_unref);
  g_free (item);
}

static guint
count_entries (const GQueue *items)
{
  guint n = 0;
  for (const GList *link = items->head; link; link = link->next)
    n += ((const ClipIndexItem *) link->data)->source == NULL;
  return n;
}

/* Call with the lock held. Returns: FALSE when there is nothing to do any more */
static gboolean
wait_for_batch (ClipIndexWriter *writer)
{
  while (!writer->stop && writer->queue.length == 0) {
    /* without new entries the old ones age all the same */
    if (!g_cond_wait_until (&writer->work, &writer->lock, g_get_monotonic_time () + G_USEC_PER_SEC)
        && writer->options.max_age > 0)
      return TRUE;
  }
  while (!writer->stop && !writer->hurry && writer->queue.length < BATCH) {
    if (!g_cond_wait_until (&writer->work, &writer->lock, writer->oldest + PATIENCE))
      break;
  }
  return writer->queue.length > 0 || !writer->stop;
}

static gboolean
write_batch (ClipIndexWriter *writer, GQueue *batch, GError **error)
{
  ClipIndexFiles *files = &writer->files;
  if (batch->length > 0 && !clip_index_files_append (files, batch, error))
    return FALSE;
  return clip_index_files_retain (files, error);
}

/* Call with the lock held. */
static void
note_model (ClipIndexWriter *writer)
{
  ClipIndexMeta *meta = &writer->files.meta;
  if (meta->model || !writer->model)
    return;
  meta->model = g_strdup (writer->model);
  meta->dim = writer->dim;
  meta->segment = writer->options.segment
                      ? MIN (writer->options.segment, CLIP_INDEX_MAX_SEGMENT)
                      : MAX (1u, (32u << 20) / (guint) (writer->dim * sizeof (float)));
}

static void
take_batch (ClipIndexWriter *writer, GQueue *batch)
{
  for (guint i = 0; i < BATCH && writer->queue.length > 0; i++)
    g_queue_push_tail (batch, g_queue_pop_head (&writer->queue));
  writer->oldest = g_get_monotonic_time ();
}

static gpointer
run (gpointer data)
{
  ClipIndexWriter *writer = data;
  g_mutex_lock (&writer->lock);
  while (wait_for_batch (writer)) {
    GQueue batch = G_QUEUE_INIT;
    g_autoptr (GError) error = NULL;
    take_batch (writer, &batch);
    note_model (writer);
    gboolean failed = writer->error != NULL;
    g_mutex_unlock (&writer->lock);
    gboolean ok = !failed && write_batch (writer, &batch, &error);
    guint items = batch.length, entries = count_entries (&batch);
    g_queue_clear_full (&batch, item_free);
    g_mutex_lock (&writer->lock);
    writer->written += items;
    *(ok ? &writer->stored : &writer->dropped) += entries;
    if (error && !writer->error)
      writer->error = g_steal_pointer (&error);
    if (writer->queue.length == 0)
      writer->hurry = FALSE;
    g_cond_broadcast (&writer->progress);
  }
  g_mutex_unlock (&writer->lock);
  return NULL;
}

static void
writer_free (ClipIndexWriter *writer)
{
  if (writer->thread) {
    g_mutex_lock (&writer->lock);
    writer->stop = TRUE;
    g_cond_signal (&writer->work);
    g_mutex_unlock (&writer->lock);
    g_thread_join (writer->thread);
  }
  clip_index_files_close (&writer->files);
  g_queue_clear_full (&writer->queue, item_free);
  g_mutex_clear (&writer->lock);
  g_cond_clear (&writer->work);
  g_cond_clear (&writer->progress);
  g_clear_error (&writer->error);
  g_free (writer->model);
  g_free (writer->key);
  g_free (writer);
}

static ClipIndexWriter *
writer_new (const char *path, const ClipIndexOptions *options, GError **error)
{
  ClipIndexWriter *writer = g_new0 (ClipIndexWriter, 1);
  writer->key = g_strdup (path);
  writer->options = *options;
  g_mutex_init (&writer->lock);
  g_cond_init (&writer->work);
  g_cond_init (&writer->progress);
  g_queue_init (&writer->queue);
  if (!clip_index_files_open (&writer->files, path, options, error)) {
    g_autofree char *name = g_filename_display_name (path);
    g_prefix_error (error, "%s: ", name);
    writer_free (writer);
    return NULL;
  }
  writer->model = g_strdup (writer->files.meta.model);
  writer->dim = writer->files.meta.dim;
  writer->next_run = writer->files.next_run;
  writer->thread = g_thread_new ("clip-index", run, writer);
  return writer;
}

static gboolean
check_same (const ClipIndexWriter *writer, const ClipIndexOptions *options, GError **error)
{
  if (writer->options.max_age == options->max_age && writer->options.max_size == options->max_size
      && writer->options.queue_size == options->queue_size)
    return TRUE;
  return clip_index_fail (error,
      "%s: is in use with max-age %" G_GUINT64_FORMAT " s, max-size %" G_GUINT64_FORMAT " and queue-size %u; those who "
      "share a store must ask for the same", writer->key, writer->options.max_age, writer->options.max_size,
      writer->options.queue_size);
}

ClipIndexWriter *
clip_index_writer_open (const char *path, const ClipIndexOptions *options, GError **error)
{
  g_autofree char *key = g_canonicalize_filename (path, NULL);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table_lock);
  (void) locker;
  if (!table)
    table = g_hash_table_new (g_str_hash, g_str_equal);
  ClipIndexWriter *writer = g_hash_table_lookup (table, key);
  if (writer && !check_same (writer, options, error))
    return NULL;
  if (!writer) {
    writer = writer_new (key, options, error);
    if (!writer)
      return NULL;
    g_hash_table_insert (table, writer->key, writer);
  }
  writer->users++;
  return writer;
}

void
clip_index_writer_unref (ClipIndexWriter *writer)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&table_lock);
  (void) locker;
  if (!writer || --writer->users > 0)
    return;
  g_hash_table_remove (table, writer->key);
  writer_free (writer);
}

const char *
clip_index_writer_get_repair (ClipIndexWriter *writer)
{
  return writer->files.repair;
}

gboolean
clip_index_writer_set_model (ClipIndexWriter *writer, const char *model, guint embed_dim, GError **error)
{
  g_return_val_if_fail (embed_dim > 0 && embed_dim <= CLIP_INDEX_MAX_DIM, FALSE);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&writer->lock);
  (void) locker;
  if (!writer->model) {
    writer->model = g_strdup (model);
    writer->dim = embed_dim;
  }
  if (g_str_equal (writer->model, model) && writer->dim == embed_dim)
    return TRUE;
  return clip_index_fail (error,
      "%s: holds embeddings of the model %s (%u values), these are of %s (%u values); give each model a store of its own",
      writer->key, writer->model, writer->dim, model, embed_dim);
}

/* @item: (transfer full). Call with the lock held. */
static void
enqueue (ClipIndexWriter *writer, ClipIndexItem *item)
{
  item->stored = g_get_real_time ();
  if (writer->queue.length == 0)
    writer->oldest = g_get_monotonic_time ();
  g_queue_push_tail (&writer->queue, item);
  writer->pushed++;
  if (writer->queue.length == 1 || writer->queue.length == BATCH)
    g_cond_signal (&writer->work);
}

gint64
clip_index_writer_add_run (ClipIndexWriter *writer, const char *source)
{
  ClipIndexItem *item = g_new0 (ClipIndexItem, 1);
  item->source = g_utf8_make_valid (source, -1);
  g_mutex_lock (&writer->lock);
  gint64 id = item->run = writer->next_run++;
  enqueue (writer, item);
  g_mutex_unlock (&writer->lock);
  return id;
}

/* (transfer full): invalid text is made valid */
static char *
labels_to_json (const ClipIndexLabel *labels, guint n)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  json_builder_begin_array (builder);
  for (guint i = 0; i < n; i++) {
    g_autofree char *label = g_utf8_make_valid (labels[i].label, -1);
    json_builder_begin_object (builder);
    json_builder_set_member_name (builder, "label");
    json_builder_add_string_value (builder, label);
    json_builder_set_member_name (builder, "cosine");
    json_builder_add_double_value (builder, labels[i].cosine);
    json_builder_set_member_name (builder, "confidence");
    json_builder_add_double_value (builder, labels[i].confidence);
    json_builder_end_object (builder);
  }
  json_builder_end_array (builder);
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  return json_to_string (root, FALSE);
}

static ClipIndexItem *
make_item (gint64 run, const ClipIndexEntry *entry, GBytes *embedding)
{
  ClipIndexItem *item = g_new0 (ClipIndexItem, 1);
  item->run = run;
  item->entry = *entry;
  item->entry.object_class = NULL;
  item->entry.labels = NULL;
  item->object_class = entry->object_class ? g_utf8_make_valid (entry->object_class, -1) : NULL;
  item->labels = labels_to_json (entry->labels, entry->n_labels);
  item->embedding = g_bytes_ref (embedding);
  return item;
}

/* Call with the lock held. */
static gboolean
has_failed (ClipIndexWriter *writer, GError **error)
{
  if (!writer->error)
    return FALSE;
  g_propagate_error (error, g_error_copy (writer->error));
  g_prefix_error (error, "%s: ", writer->key);
  return TRUE;
}

gboolean
clip_index_writer_push (ClipIndexWriter *writer, gint64 run, const ClipIndexEntry *entry, GBytes *embedding,
    gboolean wait, GError **error)
{
  if (g_bytes_get_size (embedding) != writer->dim * sizeof (float))
    return clip_index_fail (error, "an embedding has %" G_GSIZE_FORMAT " bytes, expected %u values of 4",
        g_bytes_get_size (embedding), writer->dim);
  ClipIndexItem *item = make_item (run, entry, embedding);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&writer->lock);
  (void) locker;
  while (wait && !writer->error && writer->queue.length >= writer->options.queue_size)
    g_cond_wait (&writer->progress, &writer->lock);
  if (writer->error || writer->queue.length >= writer->options.queue_size) {
    item_free (item);
    writer->dropped++;
    return !has_failed (writer, error);
  }
  enqueue (writer, item);
  return TRUE;
}

gboolean
clip_index_writer_flush (ClipIndexWriter *writer, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&writer->lock);
  (void) locker;
  const guint64 goal = writer->pushed;
  writer->hurry = writer->queue.length > 0;
  g_cond_signal (&writer->work);
  while (!writer->error && writer->written < goal)
    g_cond_wait (&writer->progress, &writer->lock);
  return !has_failed (writer, error);
}

void
clip_index_writer_get_counts (ClipIndexWriter *writer, guint64 *stored, guint64 *dropped)
{
  g_mutex_lock (&writer->lock);
  *stored = writer->stored;
  *dropped = writer->dropped;
  g_mutex_unlock (&writer->lock);
}
