/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The database: how it is opened, told from others, and what it says of itself. */
#include "clip-index-private.h"

#define APPLICATION_ID 0x434c4950 /* "CLIP" */
#define VERSION_OF_SCHEMA 1
/* How long a statement waits for a lock: only the first opening and the last closing of a store take one. */
#define BUSY_MS 10000

static const char schema[]
    = "CREATE TABLE store (name TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID;"
      "INSERT INTO store VALUES ('next', 0);"
      "CREATE TABLE runs (id INTEGER PRIMARY KEY, source TEXT NOT NULL, started INTEGER NOT NULL);"
      "CREATE TABLE frames (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, time INTEGER, utc INTEGER,"
      " stored INTEGER NOT NULL, x INTEGER NOT NULL, y INTEGER NOT NULL, w INTEGER NOT NULL, h INTEGER NOT NULL,"
      " track INTEGER, class TEXT, labels TEXT NOT NULL, crc INTEGER NOT NULL);"
      "CREATE INDEX frames_time ON frames (run, time);"
      "CREATE INDEX frames_utc ON frames (run, utc);"
      "PRAGMA application_id = 1129072976;" /* APPLICATION_ID */
      "PRAGMA user_version = 1;";

gboolean
clip_index_fail (GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, CLIP_ERROR, CLIP_ERROR_INDEX, message);
  return FALSE;
}

gboolean
clip_index_database_fail (sqlite3 *db, GError **error)
{
  const char *hint = "";
  switch (sqlite3_errcode (db)) {
    case SQLITE_CORRUPT:
      hint = "; the file is damaged, restore a copy of it or begin a new store";
      break;
    case SQLITE_NOTADB:
      hint = "; expected a store that clipindex wrote";
      break;
    default:
      break;
  }
  return clip_index_fail (error, "%s%s", sqlite3_errmsg (db), hint);
}

gboolean
clip_index_database_run (sqlite3 *db, const char *sql, GError **error)
{
  return sqlite3_exec (db, sql, NULL, NULL, NULL) == SQLITE_OK || clip_index_database_fail (db, error);
}

sqlite3_stmt *
clip_index_database_prepare (sqlite3 *db, const char *sql, GError **error)
{
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2 (db, sql, -1, &statement, NULL) != SQLITE_OK)
    clip_index_database_fail (db, error);
  return statement;
}

gboolean
clip_index_database_get_int (sqlite3 *db, const char *sql, gint64 fallback, gint64 *value, GError **error)
{
  g_autoptr (sqlite3_stmt) statement = clip_index_database_prepare (db, sql, error);
  if (!statement)
    return FALSE;
  *value = fallback;
  int code = sqlite3_step (statement);
  if (code == SQLITE_ROW && sqlite3_column_type (statement, 0) != SQLITE_NULL)
    *value = sqlite3_column_int64 (statement, 0);
  return code == SQLITE_ROW || code == SQLITE_DONE || clip_index_database_fail (db, error);
}

/* A database of nothing is made a store; one of something else is left alone. */
static gboolean
make_schema (sqlite3 *db, GError **error)
{
  gint64 tables = 0;
  if (!clip_index_database_run (db, "BEGIN IMMEDIATE", error)
      || !clip_index_database_get_int (db, "SELECT count(*) FROM sqlite_schema", 0, &tables, error))
    return FALSE;
  if (tables > 0)
    return clip_index_database_run (db, "ROLLBACK", error);
  return clip_index_database_run (db, schema, error) && clip_index_database_run (db, "COMMIT", error);
}

static gboolean
check_kind (sqlite3 *db, GError **error)
{
  gint64 application = 0, version = 0, tables = 0;
  if (!clip_index_database_get_int (db, "PRAGMA application_id", 0, &application, error)
      || !clip_index_database_get_int (db, "PRAGMA user_version", 0, &version, error)
      || !clip_index_database_get_int (db, "SELECT count(*) FROM sqlite_schema", 0, &tables, error))
    return FALSE;
  if (application == 0 && tables == 0)
    return clip_index_fail (error, "is empty; expected a store that clipindex wrote");
  if (application != APPLICATION_ID)
    return clip_index_fail (error, "is a SQLite database of something else; expected a store that clipindex wrote");
  if (version != VERSION_OF_SCHEMA)
    return clip_index_fail (error,
        "is a store of version %" G_GINT64_FORMAT ", this program reads version %d; use the program that wrote it",
        version, VERSION_OF_SCHEMA);
  return TRUE;
}

static gboolean
set_up (sqlite3 *db, gboolean writable, GError **error)
{
  sqlite3_busy_timeout (db, BUSY_MS);
  sqlite3_extended_result_codes (db, FALSE);
  /* a foreign file may hold anything: nothing of its schema is run, and its pages are looked at twice */
  if (!clip_index_database_run (db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON", error))
    return FALSE;
  if (!writable)
    return check_kind (db, error);
  /* WAL: readers do not hold up the writer, nor it them; a commit need not wait for the disk */
  return make_schema (db, error) && check_kind (db, error)
         && clip_index_database_run (db,
             "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216", error);
}

sqlite3 *
clip_index_database_open (const char *path, gboolean writable, GError **error)
{
  sqlite3 *db = NULL;
  if (!writable && !g_file_test (path, G_FILE_TEST_EXISTS)) {
    clip_index_fail (error, "there is no such file");
    return NULL;
  }
  if (g_file_test (path, G_FILE_TEST_EXISTS) && !g_file_test (path, G_FILE_TEST_IS_REGULAR)) {
    clip_index_fail (error, "is not a regular file; expected a store that clipindex wrote");
    return NULL;
  }
  int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  int code = sqlite3_open_v2 (path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
  if (code != SQLITE_OK && db)
    clip_index_database_fail (db, error);
  else if (code != SQLITE_OK)
    clip_index_fail (error, "%s", sqlite3_errstr (code));
  if (code == SQLITE_OK && set_up (db, writable, error))
    return db;
  sqlite3_close (db);
  return NULL;
}

static gboolean
take_value (ClipIndexMeta *meta, const char *name, sqlite3_stmt *statement)
{
  gint64 value = sqlite3_column_int64 (statement, 1);
  if (g_str_equal (name, "model")) {
    g_free (meta->model);
    meta->model = g_utf8_make_valid ((const char *) sqlite3_column_text (statement, 1), -1);
    return TRUE;
  }
  if (g_str_equal (name, "dim")) {
    meta->dim = value > 0 && value <= CLIP_INDEX_MAX_DIM ? (guint) value : 0;
    return meta->dim > 0;
  }
  if (g_str_equal (name, "segment")) {
    meta->segment = value > 0 && value <= CLIP_INDEX_MAX_SEGMENT ? (guint) value : 0;
    return meta->segment > 0;
  }
  if (g_str_equal (name, "next"))
    meta->next = (guint64) MAX (value, 0);
  return value >= 0;
}

gboolean
clip_index_database_read_meta (sqlite3 *db, ClipIndexMeta *meta, GError **error)
{
  g_autoptr (sqlite3_stmt) statement
      = clip_index_database_prepare (db, "SELECT name, value FROM store WHERE value IS NOT NULL", error);
  int code = SQLITE_DONE;
  g_clear_pointer (&meta->model, g_free);
  *meta = (ClipIndexMeta){ 0 };
  while (statement && (code = sqlite3_step (statement)) == SQLITE_ROW) {
    const char *name = (const char *) sqlite3_column_text (statement, 0);
    if (!name || !take_value (meta, name, statement))
      return clip_index_fail (error, "says of itself what cannot be (%s); the file is damaged", name ? name : "nothing");
  }
  if (!statement || code != SQLITE_DONE)
    return statement ? clip_index_database_fail (db, error) : FALSE;
  if (meta->model ? !meta->dim || !meta->segment || meta->next > (guint64) meta->segment << 20
                  : meta->dim || meta->segment || meta->next)
    return clip_index_fail (error, "does not say of which model and size its vectors are; the file is damaged");
  return TRUE;
}

gboolean
clip_index_database_set_int (sqlite3 *db, const char *name, gint64 value, GError **error)
{
  g_autoptr (sqlite3_stmt) statement
      = clip_index_database_prepare (db, "INSERT OR REPLACE INTO store VALUES (?, ?)", error);
  if (!statement)
    return FALSE;
  sqlite3_bind_text (statement, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_int64 (statement, 2, value);
  return sqlite3_step (statement) == SQLITE_DONE || clip_index_database_fail (db, error);
}

gboolean
clip_index_database_set_model (sqlite3 *db, const ClipIndexMeta *meta, GError **error)
{
  g_autoptr (sqlite3_stmt) statement
      = clip_index_database_prepare (db, "INSERT OR REPLACE INTO store VALUES ('model', ?)", error);
  if (!statement)
    return FALSE;
  sqlite3_bind_text (statement, 1, meta->model, -1, SQLITE_STATIC);
  if (sqlite3_step (statement) != SQLITE_DONE)
    return clip_index_database_fail (db, error);
  return clip_index_database_set_int (db, "dim", meta->dim, error)
         && clip_index_database_set_int (db, "segment", meta->segment, error);
}
