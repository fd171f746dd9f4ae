/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The tokenizers of SigLIP: a SentencePiece model, the cleaning that its training used, and the
 * names of the end and padding pieces.
 *   SigLIP    spiece.model; lower case, no ASCII punctuation, single spaces (transformers
 *             tokenization_siglip.py, after big_vision's prompt_engineering.py)
 *   SigLIP 2  Gemma's tokenizer.model; lower case only, each letter for itself (transformers
 *             tokenization_siglip2.py)
 * Control pieces that a text spells out ("</s>") are text here, as they are for SentencePiece;
 * transformers takes them for the pieces themselves.
 */
#include "clip-text-private.h"

#include <string.h>

#include "clip-sentencepiece.h"
#include "weights/clip-json.h"

#define MAX_MODEL (32 << 20) /* Gemma's has 4 MB */
#define MAX_CONFIG (16u << 20)
#define SPACE_PIECE 0x2581 /* how pieces write a space */

struct _ClipPieces {
  ClipSentencePiece *model;
  gboolean lower, strip_punctuation;
  gint32 end, pad;
  char *digest;
};

typedef struct {
  const char *file, *end, *pad;
  gboolean strip_punctuation;
} Kind;

static const Kind siglip = { "spiece.model", "</s>", "</s>", TRUE },
                  siglip2 = { "tokenizer.model", "<eos>", "<pad>", FALSE };

void
clip_pieces_free (ClipPieces *pieces)
{
  g_clear_pointer (&pieces->model, clip_sentencepiece_free);
  g_free (pieces->digest);
  g_free (pieces);
}

gint32
clip_pieces_get_end (const ClipPieces *pieces)
{
  return pieces->end;
}

const char *
clip_pieces_get_digest (const ClipPieces *pieces)
{
  return pieces->digest;
}

gint32
clip_pieces_get_pad (const ClipPieces *pieces)
{
  return pieces->pad;
}

/* (transfer full) (nullable): the model file of @directory, and of which kind its name says it is */
static char *
find_model (const char *directory, const Kind **kind, GError **error)
{
  const Kind *const kinds[] = { &siglip, &siglip2 };
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *path = g_build_filename (directory, kinds[i]->file, NULL);
    *kind = kinds[i];
    if (g_file_test (path, G_FILE_TEST_EXISTS))
      return g_steal_pointer (&path);
  }
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s: no tokenizer found; expected spiece.model (SigLIP) or tokenizer.model (SigLIP 2, "
      "the same as Gemma's), which the model's publisher has beside the weights; download it into "
      "this directory",
      directory);
  return NULL;
}

/* The file's class goes before its name: either kind can be stored under any name */
static gboolean
read_class (JsonObject *root, const Kind **kind, GError **error)
{
  const char *name = NULL;
  if (!clip_json_read_string (root, "tokenizer_class", &name, error))
    return FALSE;
  if (name && g_str_has_prefix (name, "SiglipTokenizer"))
    *kind = &siglip;
  else if (name && (g_str_has_prefix (name, "Siglip2") || g_str_has_prefix (name, "Gemma")))
    *kind = &siglip2;
  return TRUE;
}

/* "</s>", or {"content":"</s>",...} */
static gboolean
read_token (JsonObject *root, const char *member, const char **token, GError **error)
{
  JsonObject *object = clip_json_object (root, member);
  return clip_json_read_string (object ? object : root, object ? "content" : member, token, error);
}

static gboolean
find_piece (const ClipPieces *pieces, const char *what, const char *piece, gint32 *id, GError **error)
{
  *id = clip_sentencepiece_find (pieces->model, piece);
  if (*id >= 0)
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
      "%s is “%.64s”, which the SentencePiece model lacks; are the files of one model?", what, piece);
  return FALSE;
}

static gboolean
configure (ClipPieces *pieces, const Kind *kind, JsonObject *root, GError **error)
{
  if (!read_class (root, &kind, error))
    return FALSE;
  const char *end = kind->end, *pad = kind->pad;
  pieces->lower = TRUE;
  pieces->strip_punctuation = kind->strip_punctuation;
  /* SigLIP 2 was trained on lower case whatever its file says: transformers ignores it there too */
  return (kind != &siglip || clip_json_read_bool (root, "do_lower_case", &pieces->lower, error))
         && read_token (root, "eos_token", &end, error) && read_token (root, "pad_token", &pad, error)
         && find_piece (pieces, "eos_token", end, &pieces->end, error)
         && find_piece (pieces, "pad_token", pad, &pieces->pad, error);
}

static gboolean
read_config (ClipPieces *pieces, const Kind *kind, const char *directory, GError **error)
{
  g_autofree char *path = g_build_filename (directory, "tokenizer_config.json", NULL);
  g_autoptr (JsonObject) empty = json_object_new ();
  g_autoptr (JsonNode) root = NULL;
  if (g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_autoptr (GError) cause = NULL;
    root = clip_json_load (path, MAX_CONFIG, &cause);
    if (!root) {
      g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER, "%s", cause->message);
      return FALSE;
    }
  }
  g_autoptr (GError) cause = NULL;
  if (configure (pieces, kind, root ? json_node_get_object (root) : empty, &cause))
    return TRUE;
  g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER, "%s: %s",
      root ? "tokenizer_config.json" : kind->file, cause->message);
  return FALSE;
}

static gboolean
open_model (ClipPieces *pieces, const char *path, guint vocab_size, GError **error)
{
  gsize size = 0;
  g_autofree char *data = clip_read_file (path, MAX_MODEL, CLIP_ERROR_TOKENIZER, &size, error);
  if (!data)
    return FALSE;
  if (clip_sentencepiece_check ((const guint8 *) data, size, vocab_size, error))
    pieces->model = clip_sentencepiece_new (data, size, error);
  if (!pieces->model)
    g_prefix_error (error, "%s: ", path);
  pieces->digest = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) data, size);
  return pieces->model != NULL;
}

ClipPieces *
clip_pieces_new (const char *directory, guint vocab_size, GError **error)
{
  g_autoptr (ClipPieces) pieces = g_new0 (ClipPieces, 1);
  const Kind *kind = NULL;
  g_autofree char *path = find_model (directory, &kind, error);
  if (!path || !open_model (pieces, path, vocab_size, error)
      || !read_config (pieces, kind, directory, error))
    return NULL;
  g_autofree char *model = pieces->digest;
  pieces->digest = g_strdup_printf (
      "%s %d %d %d %d", model, pieces->lower, pieces->strip_punctuation, pieces->end, pieces->pad);
  return g_steal_pointer (&pieces);
}

/* Without ASCII punctuation, stripped, each run of what Python calls white space one space */
static GString *
canonicalize (const GString *text)
{
  const char *end = text->str + text->len;
  GString *out = g_string_sized_new (text->len);
  gboolean space = FALSE;
  for (const char *p = text->str; p < end; p = g_utf8_next_char (p)) {
    const gunichar c = g_utf8_get_char (p);
    if (c < 0x80 && g_ascii_ispunct ((char) c))
      continue;
    if (c == SPACE_PIECE || clip_text_is_space (c)) {
      space = TRUE;
      continue;
    }
    if (space && out->len > 0)
      g_string_append_c (out, ' ');
    space = FALSE;
    g_string_append_unichar (out, c);
  }
  return out;
}

static void
replace (GString **text, GString *replacement)
{
  g_string_free (*text, TRUE);
  *text = replacement;
}

gboolean
clip_pieces_encode (
    const ClipPieces *pieces, const char *text, gsize length, GArray *ids, GError **error)
{
  GString *clean = g_string_new_len (text, (gssize) length);
  if (pieces->lower)
    replace (&clean, clip_text_lower (clean, pieces->strip_punctuation));
  if (pieces->strip_punctuation)
    replace (&clean, canonicalize (clean));
  const gboolean ok
      = clip_sentencepiece_encode (pieces->model, clean->str, clean->len, ids, error);
  g_string_free (clean, TRUE);
  if (ok)
    g_array_append_val (ids, pieces->end);
  return ok;
}
