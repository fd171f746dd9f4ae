/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside the store: the database, and the files of vectors beside it. */
#pragma once

#include <sqlite3.h>

#include "clip-index.h"

G_BEGIN_DECLS

#define CLIP_INDEX_MAX_DIM 65536
#define CLIP_INDEX_MAX_SEGMENT (1u << 24)

/** ClipIndexMeta: what a store says of itself */
typedef struct {
  char *model;    /* NULL: nothing has been stored yet; then the others are 0 */
  guint dim;      /* floats in a vector */
  guint segment;  /* vectors in a file */
  guint64 next;   /* number of the next entry; numbers are never used again */
} ClipIndexMeta;

gboolean clip_index_fail (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* clip-index-database.c */
/** clip_index_database_open: (transfer full): checks that it is a store; with @writable makes it when it is new */
sqlite3 *clip_index_database_open (const char *path, gboolean writable, GError **error);
/** clip_index_database_fail: sets @error from the connection's last one. Returns: FALSE */
gboolean clip_index_database_fail (sqlite3 *db, GError **error);
gboolean clip_index_database_run (sqlite3 *db, const char *sql, GError **error);
/** clip_index_database_prepare: (transfer full) */
sqlite3_stmt *clip_index_database_prepare (sqlite3 *db, const char *sql, GError **error);
/** clip_index_database_get_int: the first column of the first row, @fallback where that is NULL */
gboolean clip_index_database_get_int (sqlite3 *db, const char *sql, gint64 fallback, gint64 *value, GError **error);
/** clip_index_database_read_meta: @meta: cleared before */
gboolean clip_index_database_read_meta (sqlite3 *db, ClipIndexMeta *meta, GError **error);
gboolean clip_index_database_set_int (sqlite3 *db, const char *name, gint64 value, GError **error);
gboolean clip_index_database_set_model (sqlite3 *db, const ClipIndexMeta *meta, GError **error);

/* clip-index-segment.c: files of vectors, dim floats each after a header of a page */
#define CLIP_INDEX_HEADER 4096

/** clip_index_segment_directory: (transfer full) */
char *clip_index_segment_directory (const char *path);
char *clip_index_segment_path (const char *directory, guint64 number);
/** clip_index_segment_open: for writing, at the vector @id: what lies behind is cut off; a new file where there is none */
int clip_index_segment_open (const char *directory, const ClipIndexMeta *meta, guint64 id, GError **error);
/** clip_index_segment_count: vectors that the file @number has whole; 0 when it does not exist */
gboolean clip_index_segment_count (
    const char *directory, const ClipIndexMeta *meta, guint64 number, guint64 *count, GError **error);
/** clip_index_segment_map: (transfer full) (nullable): at least @count vectors; NULL without an error: no such file */
GMappedFile *clip_index_segment_map (
    const char *directory, const ClipIndexMeta *meta, guint64 number, guint64 count, GError **error);
/** clip_index_segment_prune: removes files of numbers outside [first,last]; @removed: (out): how many */
gboolean clip_index_segment_prune (
    const char *directory, guint64 first, guint64 last, guint *removed, GError **error);
/** clip_index_segment_usage: bytes of all files; @files: (out): how many */
guint64 clip_index_segment_usage (const char *directory, guint *files);
guint32 clip_index_checksum (const void *vector, guint dim);

/* clip-index-append.c: the writer thread's work; nothing here is called by two threads at once */
typedef struct {
  char *path, *directory;
  ClipIndexOptions options;
  int lock; /* file descriptor that holds the writer's lock */
  sqlite3 *db;
  sqlite3_stmt *insert_row, *insert_run;
  ClipIndexMeta meta;
  gboolean model_stored;
  int segment; /* file descriptor of the segment that is written, or -1 */
  guint64 first;   /* oldest entry */
  gint64 next_run;
  gint64 retained; /* monotonic time of the last retention, us */
  char *repair;    /* (nullable) */
} ClipIndexFiles;

/** ClipIndexItem: what waits: an entry, or with @source a run */
typedef struct {
  gint64 run;
  char *source; /* (nullable) */
  ClipIndexEntry entry; /* without its pointers */
  char *object_class, *labels;
  GBytes *embedding;
  gint64 stored; /* when it came, us since 1970 */
} ClipIndexItem;

gboolean clip_index_files_open (ClipIndexFiles *files, const char *path, const ClipIndexOptions *options, GError **error);
void clip_index_files_close (ClipIndexFiles *files);
/** clip_index_files_append: all of @items (element-type ClipIndexItem) or nothing */
gboolean clip_index_files_append (ClipIndexFiles *files, GQueue *items, GError **error);

/* clip-index-repair.c */
gboolean clip_index_files_repair (ClipIndexFiles *files, GError **error);

/* clip-index-retention.c */
/** clip_index_files_retain: deletes what is too old or too much */
gboolean clip_index_files_retain (ClipIndexFiles *files, GError **error);

/* clip-index-score.c */
/** clip_index_dot: of floats and doubles, summed in double in an order that depends on @n only; @query: 64-byte aligned */
gdouble clip_index_dot (const float *vector, const gdouble *query, guint n);

struct _ClipIndex {
  char *path;
  sqlite3 *db;
  sqlite3_stmt *select_row;
  ClipIndexMeta meta;
  guint64 first, end;
  gboolean dense; /* no entry between is missing */
  guint64 first_segment;
  GPtrArray *segments; /* GMappedFile */
};

static inline void
clip_index_statement_free (sqlite3_stmt *statement)
{
  sqlite3_finalize (statement);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (sqlite3_stmt, clip_index_statement_free)

G_END_DECLS
