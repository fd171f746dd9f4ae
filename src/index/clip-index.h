/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A store of what was seen: unit embeddings with when, where and with which labels; and exact search over it. */
#pragma once

#include "clip-error.h"

G_BEGIN_DECLS

/** CLIP_INDEX_NO_TIME: a time that is not known, or a limit that is not set */
#define CLIP_INDEX_NO_TIME G_MININT64

/** ClipIndexLabel: a label that was reported of a picture */
typedef struct {
  const char *label;
  gdouble cosine, confidence;
} ClipIndexLabel;

/** ClipIndexEntry: what was seen: a picture, or a region of it */
typedef struct {
  gint64 time; /* running time, ns */
  gint64 utc;  /* ns since 1970 */
  guint x, y, w, h;
  guint64 tracking_id;      /* 0: none */
  const char *object_class; /* (nullable) */
  const ClipIndexLabel *labels; /* best first */
  guint n_labels;
} ClipIndexEntry;

/**
 * ClipIndexOptions:
 * @max_age: what was stored longer ago is deleted, in seconds; 0: nothing
 * @max_size: the oldest are deleted when the files become larger, in bytes; 0: never. The segment that is being written
 *   stays
 * @queue_size: entries that may wait for the disk
 * @segment: vectors in a file; 0: as many as take 32 MiB. Of a new store only
 */
typedef struct {
  guint64 max_age, max_size;
  guint queue_size, segment;
} ClipIndexOptions;

/** ClipIndexWriter: one a store and process, with a thread of its own. Reference-counted, thread-safe. */
typedef struct _ClipIndexWriter ClipIndexWriter;

/**
 * clip_index_writer_open:
 * @path: a SQLite database, which is made when it does not exist; the vectors lie in the directory PATH.vectors
 *
 * Repairs what a crash has left. A second caller with the same path gets the same writer; its options must be the same.
 * Another process that writes is an error.
 */
ClipIndexWriter *clip_index_writer_open (const char *path, const ClipIndexOptions *options, GError **error);
/** clip_index_writer_unref: the last one writes what waits, and closes the store */
void clip_index_writer_unref (ClipIndexWriter *writer);

/** clip_index_writer_get_repair: (transfer none) (nullable): what was repaired at the opening, for people */
const char *clip_index_writer_get_repair (ClipIndexWriter *writer);

/** clip_index_writer_set_model: the model that all entries come from. A store has one: another is an error */
gboolean clip_index_writer_set_model (ClipIndexWriter *writer, const char *model, guint embed_dim, GError **error);

/** clip_index_writer_add_run: a stretch of one source with one running time. Returns: its number, for entries */
gint64 clip_index_writer_add_run (ClipIndexWriter *writer, const char *source);

/**
 * clip_index_writer_push:
 * @embedding: [embed_dim] float32 of unit length
 * @wait: for room in the queue, as long as the disk works; else the entry is dropped when there is none
 *
 * Returns: FALSE when writing has failed, now or at an earlier entry
 */
gboolean clip_index_writer_push (ClipIndexWriter *writer, gint64 run, const ClipIndexEntry *entry, GBytes *embedding,
    gboolean wait, GError **error);
/** clip_index_writer_flush: waits until all that was pushed is in the store. Returns: FALSE when writing has failed */
gboolean clip_index_writer_flush (ClipIndexWriter *writer, GError **error);
/** clip_index_writer_get_counts: entries of this process that are in the store, and that were dropped */
void clip_index_writer_get_counts (ClipIndexWriter *writer, guint64 *stored, guint64 *dropped);

/** ClipIndex: a store as it was when it was opened; it may be written at the same time. For one thread. */
typedef struct _ClipIndex ClipIndex;

ClipIndex *clip_index_open (const char *path, GError **error);
void clip_index_free (ClipIndex *index);
/** clip_index_get_model: (nullable): NULL while nothing has been stored */
const char *clip_index_get_model (ClipIndex *index);
guint clip_index_get_embed_dim (ClipIndex *index);
/** clip_index_get_bounds: the entries have numbers from @first (included) to @end; some may have been deleted */
void clip_index_get_bounds (ClipIndex *index, guint64 *first, guint64 *end);
/** clip_index_check_model: FALSE with an error when the store holds another model's embeddings, or none */
gboolean clip_index_check_model (ClipIndex *index, const char *model, guint embed_dim, GError **error);

/** ClipIndexFilter: which entries; @from and @to are included, and are UTC with @utc, else running times (ns) */
typedef struct {
  gint64 from, to;
  gboolean utc;
  const char *source; /* (nullable) */
} ClipIndexFilter;

#define CLIP_INDEX_FILTER_INIT { CLIP_INDEX_NO_TIME, CLIP_INDEX_NO_TIME, FALSE, NULL }

/** ClipIndexRange: entries from @first (included) to @end */
typedef struct {
  guint64 first, end;
} ClipIndexRange;

/** clip_index_select: (transfer full) (element-type ClipIndexRange): the entries that pass, in order */
GArray *clip_index_select (ClipIndex *index, const ClipIndexFilter *filter, GError **error);

typedef struct {
  guint64 id;
  gdouble score; /* cosine */
} ClipIndexHit;

/**
 * clip_index_search:
 * @query: [embed_dim] of unit length
 * @ranges: see clip_index_select()
 *
 * Exact: every vector is compared, products and sums in double precision. Equal scores: the older first.
 *
 * Returns: (transfer full) (element-type ClipIndexHit): the @top best, best first
 */
GArray *clip_index_search (ClipIndex *index, const float *query, GArray *ranges, guint top, GError **error);

/** ClipIndexRow: an entry as it is stored */
typedef struct {
  guint64 id;
  gint64 run;
  gint64 time, utc; /* ns */
  guint x, y, w, h;
  guint64 tracking_id; /* 0: none */
  char *source, *object_class; /* object_class: (nullable) */
  char *labels; /* JSON: [{"label":,"cosine":,"confidence":}], best first */
} ClipIndexRow;

void clip_index_row_clear (ClipIndexRow *row);
/** clip_index_read_row: @row: (out): with @id's fields, after its vector's checksum was found right */
gboolean clip_index_read_row (ClipIndex *index, guint64 id, ClipIndexRow *row, GError **error);
/** clip_index_get_vector: (transfer none): [embed_dim]; not checked */
const float *clip_index_get_vector (ClipIndex *index, guint64 id);

/** ClipIndexSpan: hits of one source that lie close together */
typedef struct {
  ClipIndexRow best;
  gdouble score; /* of the best */
  gint64 start, end;         /* running times */
  gint64 utc_start, utc_end;
  guint hits;
} ClipIndexSpan;

/**
 * clip_index_merge:
 * @hits: see clip_index_search()
 * @gap: hits of one run that lie no further apart become one span, ns; negative: none do
 *
 * Returns: (transfer full) (element-type ClipIndexSpan): the best first
 */
GPtrArray *clip_index_merge (ClipIndex *index, GArray *hits, gint64 gap, GError **error);

/**
 * clip_index_export:
 * @npy: (nullable): receives the vectors as a NumPy array [count,embed_dim] of float32
 * @jsonl: (nullable): receives the rest, a line an entry, in the same order
 *
 * Files appear complete or not at all. Checks every vector.
 */
gboolean clip_index_export (ClipIndex *index, GArray *ranges, const char *npy, const char *jsonl, GError **error);

/** clip_index_row_to_json: appends the row's members, without braces. FALSE when its labels are damaged */
gboolean clip_index_row_to_json (ClipIndex *index, const ClipIndexRow *row, GString *out, GError **error);
/** clip_index_format_utc: (transfer full): "2026-11-24T22:05:01.250Z" */
char *clip_index_format_utc (gint64 utc);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipIndex, clip_index_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ClipIndexWriter, clip_index_writer_unref)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ClipIndexRow, clip_index_row_clear)

G_END_DECLS
