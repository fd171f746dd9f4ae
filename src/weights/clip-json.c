/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "weights/clip-json.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* State of the walk over the text that comes before json-glib's parser. That parser recurses once
 * a level, accepts comments, and lets the last of two equal keys win; the walk refuses all three.
 */
typedef struct {
  const char *at, *end;
  guint depth;
  GHashTable *keys[CLIP_JSON_MAX_DEPTH]; /* of each open level; NULL for an array */
} Scan;

static const char *
skip_string (Scan *scan)
{
  const char *p = scan->at + 1;
  while (p < scan->end && *p != '"' && (guchar)*p >= 0x20)
    p += *p == '\\' ? 2 : 1;
  return p < scan->end && *p == '"' ? p : NULL;
}

static gboolean
note_key (Scan *scan, const char *begin, const char *end, GError **error)
{
  GHashTable *keys = scan->depth ? scan->keys[scan->depth - 1] : NULL;
  const char *p = end + 1;
  while (p < scan->end && strchr (" \t\r\n", *p))
    p++;
  if (!keys || p >= scan->end || *p != ':')
    return TRUE;
  char *key = g_strndup (begin, end - begin);
  if (g_hash_table_add (keys, key))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "key \"%.*s\" occurs twice",
      (int)MIN (end - begin, 200), begin);
  return FALSE;
}

static gboolean
open_level (Scan *scan, GError **error)
{
  if (scan->depth == CLIP_JSON_MAX_DEPTH) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "JSON is nested deeper than %d levels",
        CLIP_JSON_MAX_DEPTH);
    return FALSE;
  }
  scan->keys[scan->depth++]
      = *scan->at == '{' ? g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) : NULL;
  return TRUE;
}

static gboolean
scan_one (Scan *scan, GError **error)
{
  char c = *scan->at;
  if (c == '"') {
    const char *end = skip_string (scan);
    if (!end) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "JSON has an unfinished string");
      return FALSE;
    }
    if (!note_key (scan, scan->at + 1, end, error))
      return FALSE;
    scan->at = end;
  } else if (c == '{' || c == '[') {
    if (!open_level (scan, error))
      return FALSE;
  } else if ((c == '}' || c == ']') && scan->depth > 0) {
    g_clear_pointer (&scan->keys[--scan->depth], g_hash_table_unref);
  } else if (!c || !strchr (" \t\r\n,:+-.0123456789eEtrufalsn", c)) {
    g_set_error (
        error, CLIP_ERROR, CLIP_ERROR_MODEL, "not JSON: unexpected byte 0x%02x", (guchar)c);
    return FALSE;
  }
  scan->at++;
  return TRUE;
}

static gboolean
scan_text (const char *data, gsize length, GError **error)
{
  Scan scan = { .at = data, .end = data + length };
  gboolean ok = TRUE;
  while (ok && scan.at < scan.end)
    ok = scan_one (&scan, error);
  while (scan.depth > 0)
    g_clear_pointer (&scan.keys[--scan.depth], g_hash_table_unref);
  return ok;
}

JsonNode *
clip_json_parse (const char *data, gsize length, GError **error)
{
  g_autoptr (GError) local = NULL;
  if (length > G_MAXINT || !g_utf8_validate (data, length, NULL)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "not JSON: invalid UTF-8");
    return NULL;
  }
  if (!scan_text (data, length, error))
    return NULL;
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  if (!json_parser_load_from_data (parser, data, length, &local)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "not JSON: %s", local->message);
    return NULL;
  }
  JsonNode *root = json_parser_get_root (parser);
  if (!root || !JSON_NODE_HOLDS_OBJECT (root)) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "expected a JSON object, found %s",
        root ? json_node_type_name (root) : "nothing");
    return NULL;
  }
  return json_parser_steal_root (parser);
}

/* O_NONBLOCK: a named pipe must give an error, not wait for a writer */
static char *
read_text (const char *path, gsize limit, gsize *length, GError **error)
{
  struct stat info;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "cannot be read: %s", g_strerror (errno));
    return NULL;
  }
  gboolean ok = fstat (fd, &info) == 0 && S_ISREG (info.st_mode) && (guint64)info.st_size <= limit;
  g_autofree char *text = ok ? g_malloc (info.st_size + 1) : NULL;
  gsize have = 0;
  gssize n = 1;
  while (ok && n > 0 && have < (gsize)info.st_size) {
    n = read (fd, text + have, info.st_size - have);
    have += MAX (n, 0);
  }
  close (fd);
  if (!ok || n < 0) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL,
        "cannot be read: expected a file of at most %" G_GSIZE_FORMAT " bytes", limit);
    return NULL;
  }
  *length = have;
  return g_steal_pointer (&text);
}

JsonNode *
clip_json_load (const char *path, gsize limit, GError **error)
{
  g_autofree char *base = g_filename_display_basename (path);
  gsize length = 0;
  g_autofree char *text = read_text (path, limit, &length, error);
  JsonNode *root = text ? clip_json_parse (text, length, error) : NULL;
  if (!root)
    g_prefix_error (error, "%s: ", base);
  return root;
}

static JsonNode *
member_or_null (JsonObject *object, const char *member)
{
  JsonNode *node = json_object_get_member (object, member);
  return node && !JSON_NODE_HOLDS_NULL (node) ? node : NULL;
}

gboolean
clip_json_has (JsonObject *object, const char *member)
{
  return member_or_null (object, member) != NULL;
}

JsonObject *
clip_json_object (JsonObject *object, const char *member)
{
  JsonNode *node = member_or_null (object, member);
  return node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static gboolean
wrong (GError **error, const char *member, JsonNode *node, const char *expected)
{
  g_autofree char *found = json_to_string (node, FALSE);
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_MODEL, "%s is %.100s, expected %s", member,
      found ? found : "nothing", expected);
  return FALSE;
}

gboolean
clip_json_node_uint (JsonNode *node, guint64 *value)
{
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64)
    return FALSE;
  gint64 number = json_node_get_int (node);
  *value = number;
  return number >= 0;
}

gboolean
clip_json_read_uint (
    JsonObject *object, const char *member, guint min, guint max, guint *value, GError **error)
{
  JsonNode *node = member_or_null (object, member);
  guint64 number;
  if (!node)
    return TRUE;
  if (!clip_json_node_uint (node, &number) || number < min || number > max) {
    g_autofree char *expected = g_strdup_printf ("a whole number from %u to %u", min, max);
    return wrong (error, member, node, expected);
  }
  *value = number;
  return TRUE;
}

static gboolean
node_double (JsonNode *node, double min, double max, float *value)
{
  GType type = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;
  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
    return FALSE;
  double number = json_node_get_double (node);
  if (!isfinite (number) || number < min || number > max)
    return FALSE;
  *value = number;
  return TRUE;
}

gboolean
clip_json_read_float (
    JsonObject *object, const char *member, double min, double max, float *value, GError **error)
{
  JsonNode *node = member_or_null (object, member);
  if (!node || node_double (node, min, max, value))
    return TRUE;
  g_autofree char *expected = g_strdup_printf ("a number from %g to %g", min, max);
  return wrong (error, member, node, expected);
}

gboolean
clip_json_read_bool (JsonObject *object, const char *member, gboolean *value, GError **error)
{
  JsonNode *node = member_or_null (object, member);
  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_BOOLEAN)
    return wrong (error, member, node, "true or false");
  *value = json_node_get_boolean (node);
  return TRUE;
}

gboolean
clip_json_read_string (JsonObject *object, const char *member, const char **value, GError **error)
{
  JsonNode *node = member_or_null (object, member);
  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return wrong (error, member, node, "a string");
  *value = json_node_get_string (node);
  return TRUE;
}

gboolean
clip_json_read_rgb (
    JsonObject *object, const char *member, double min, double max, float value[3], GError **error)
{
  JsonNode *node = member_or_null (object, member);
  if (!node)
    return TRUE;
  JsonArray *array = JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  gboolean ok = array && json_array_get_length (array) == 3;
  for (guint i = 0; ok && i < 3; i++)
    ok = node_double (json_array_get_element (array, i), min, max, &value[i]);
  if (ok)
    return TRUE;
  g_autofree char *expected = g_strdup_printf ("three numbers from %g to %g", min, max);
  return wrong (error, member, node, expected);
}
