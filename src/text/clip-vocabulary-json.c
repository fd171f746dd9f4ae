/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hugging Face's vocabulary files: vocab.json with merges.txt, and tokenizer.json. */
#include "clip-text-private.h"

#include <json-glib/json-glib.h>
#include <string.h>

#define MAX_JSON (64 << 20)
#define MAX_DEPTH 32

static gboolean
fail (GError **error, const char *path, const char *message)
{
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER, "%s: %s", path, message);
  return FALSE;
}

/* json-glib recurses without a limit of its own, so that deep nesting would overflow the stack. */
static gboolean
is_shallow (const char *text, gsize length)
{
  gboolean in_string = FALSE;
  guint depth = 0;

  for (gsize i = 0; i < length; i++) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = FALSE;
    } else if (c == '"') {
      in_string = TRUE;
    } else if (c == '{' || c == '[') {
      if (++depth > MAX_DEPTH)
        return FALSE;
    } else if ((c == '}' || c == ']') && depth > 0) {
      depth--;
    }
  }
  return TRUE;
}

static JsonObject *
get_root (JsonParser *parser, const char *path, GError **error)
{
  g_autoptr (GError) cause = NULL;
  gsize length;
  g_autofree char *text = clip_read_file (path, MAX_JSON, CLIP_ERROR_TOKENIZER, &length, error);

  if (!text)
    return NULL;
  if (!g_utf8_validate (text, (gssize)length, NULL)) {
    fail (error, path, "is not valid UTF-8");
    return NULL;
  }
  if (!is_shallow (text, length)) {
    fail (error, path, "is nested too deeply for a vocabulary");
    return NULL;
  }
  if (!json_parser_load_from_data (parser, text, (gssize)length, &cause)) {
    fail (error, path, cause->message);
    return NULL;
  }
  JsonNode *root = json_parser_get_root (parser);
  if (!root || !JSON_NODE_HOLDS_OBJECT (root)) {
    fail (error, path, "is not a JSON object");
    return NULL;
  }
  return json_node_get_object (root);
}

static JsonObject *
get_object (JsonObject *parent, const char *name)
{
  JsonNode *node = parent ? json_object_get_member (parent, name) : NULL;

  return node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static JsonArray *
get_array (JsonObject *parent, const char *name)
{
  JsonNode *node = parent ? json_object_get_member (parent, name) : NULL;

  return node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

/* NULL unless @node is a string */
static const char *
get_string (JsonNode *node)
{
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : NULL;
}

static gboolean
add_token (
    ClipVocabularySource *source, const char *token, JsonNode *id, guint vocab_size, GError **error)
{
  if (!id || !JSON_NODE_HOLDS_VALUE (id) || json_node_get_value_type (id) != G_TYPE_INT64) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "%s: the id of token “%.64s” is no whole number", source->name, token);
    return FALSE;
  }
  return clip_vocabulary_source_add (source, token, json_node_get_int (id), vocab_size, error);
}

static gboolean
add_vocab (ClipVocabularySource *source, JsonObject *vocab, guint vocab_size, GError **error)
{
  JsonObjectIter iter;
  const char *token;
  JsonNode *id;

  json_object_iter_init (&iter, vocab);
  while (json_object_iter_next (&iter, &token, &id))
    if (!add_token (source, token, id, vocab_size, error))
      return FALSE;
  return TRUE;
}

static gboolean
add_merges_file (ClipVocabularySource *source, const char *path, GError **error)
{
  gsize length;
  g_autofree char *text = clip_read_file (path, MAX_JSON, CLIP_ERROR_TOKENIZER, &length, error);

  if (!text)
    return FALSE;
  if (!g_utf8_validate (text, (gssize)length, NULL))
    return fail (error, path, "is not valid UTF-8");
  for (char *line = text; line;) {
    char *end = strchr (line, '\n');
    gsize size = end ? (gsize)(end - line) : strlen (line);
    if (size > 0 && line[size - 1] == '\r')
      size--;
    if (size > 0 && !g_str_has_prefix (line, "#version"))
      g_ptr_array_add (source->merges, g_strndup (line, size));
    line = end ? end + 1 : NULL;
  }
  return TRUE;
}

/* Older files write a merge as "left right", newer ones as ["left", "right"]. */
static char *
get_merge (JsonNode *node)
{
  if (get_string (node))
    return g_strdup (get_string (node));
  if (!JSON_NODE_HOLDS_ARRAY (node))
    return NULL;
  JsonArray *pair = json_node_get_array (node);
  if (json_array_get_length (pair) != 2)
    return NULL;
  const char *left = get_string (json_array_get_element (pair, 0));
  const char *right = get_string (json_array_get_element (pair, 1));
  return left && right ? g_strjoin (" ", left, right, NULL) : NULL;
}

static gboolean
add_merges (ClipVocabularySource *source, JsonArray *merges, GError **error)
{
  const guint count = json_array_get_length (merges);

  for (guint i = 0; i < count; i++) {
    char *merge = get_merge (json_array_get_element (merges, i));
    if (!merge) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
          "%s: merge %u is neither a string nor a pair of strings", source->name, i + 1);
      return FALSE;
    }
    g_ptr_array_add (source->merges, merge);
  }
  return TRUE;
}

static gboolean
add_added_tokens (ClipVocabularySource *source, JsonArray *tokens, guint vocab_size, GError **error)
{
  const guint count = tokens ? json_array_get_length (tokens) : 0;

  for (guint i = 0; i < count; i++) {
    JsonNode *node = json_array_get_element (tokens, i);
    JsonObject *token = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
    const char *content = token ? get_string (json_object_get_member (token, "content")) : NULL;
    if (!content)
      return fail (error, source->name, "an entry of added_tokens has no content");
    if (!add_token (source, content, json_object_get_member (token, "id"), vocab_size, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_tokenizer (ClipVocabularySource *source, JsonObject *root, guint vocab_size, GError **error)
{
  JsonObject *model = get_object (root, "model");
  JsonNode *type = model ? json_object_get_member (model, "type") : NULL;
  JsonObject *vocab = get_object (model, "vocab");
  JsonArray *merges = get_array (model, "merges");

  if (type && g_strcmp0 (get_string (type), "BPE") != 0)
    return fail (error, source->name, "its model is not of type BPE, as CLIP's is");
  if (!vocab || !merges)
    return fail (error, source->name, "has no model.vocab or no model.merges");
  return add_vocab (source, vocab, vocab_size, error) && add_merges (source, merges, error)
         && add_added_tokens (source, get_array (root, "added_tokens"), vocab_size, error);
}

ClipVocabularySource *
clip_vocabulary_source_read_json (
    const char *path, const char *merges, guint vocab_size, GError **error)
{
  g_autoptr (ClipVocabularySource) source
      = clip_vocabulary_source_new (path, merges ? merges : path);
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  JsonObject *root = get_root (parser, path, error);

  if (!root)
    return NULL;
  if (!merges)
    return add_tokenizer (source, root, vocab_size, error) ? g_steal_pointer (&source) : NULL;
  if (!add_vocab (source, root, vocab_size, error) || !add_merges_file (source, merges, error))
    return NULL;
  return g_steal_pointer (&source);
}
