/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON of strangers: strict, of limited depth, typed access with messages. */
#pragma once

#include <json-glib/json-glib.h>

#include "clip-error.h"

G_BEGIN_DECLS

#define CLIP_JSON_MAX_DEPTH 32

/**
 * clip_json_parse:
 * @data: (array length=length): need not end with NUL
 *
 * Refuses what JSON does not know (comments, control characters in strings), invalid UTF-8,
 * keys that occur twice in one object, and nesting deeper than CLIP_JSON_MAX_DEPTH.
 *
 * Returns: (transfer full): an object
 */
JsonNode *clip_json_parse (const char *data, gsize length, GError **error);

/** clip_json_load: as clip_json_parse(), from a regular file of at most @limit bytes; errors begin
 * with its base name */
JsonNode *clip_json_load (const char *path, gsize limit, GError **error);

/** clip_json_has: whether @member exists and is not null */
gboolean clip_json_has (JsonObject *object, const char *member);
/** clip_json_object: (transfer none) (nullable): @member when it is an object */
JsonObject *clip_json_object (JsonObject *object, const char *member);

/* Each leaves *value alone when the member is absent or null, and fails when it has another type or
 * is out of range. */
gboolean clip_json_read_uint (
    JsonObject *object, const char *member, guint min, guint max, guint *value, GError **error);
gboolean clip_json_read_float (
    JsonObject *object, const char *member, double min, double max, float *value, GError **error);
gboolean clip_json_read_bool (
    JsonObject *object, const char *member, gboolean *value, GError **error);
gboolean clip_json_read_string (
    JsonObject *object, const char *member, const char **value, GError **error);
gboolean clip_json_read_rgb (
    JsonObject *object, const char *member, double min, double max, float value[3], GError **error);

/** clip_json_node_uint: a node that is an integer in 0..G_MAXINT64 */
gboolean clip_json_node_uint (JsonNode *node, guint64 *value);

G_END_DECLS
