/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CLIP's regular expression (simple_tokenizer.py), with PCRE2 in Unicode mode. */
#include "clip-text-private.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/*
 * Unicode's White_Space, spelled out: PCRE2's \s has U+180E too, the reference's has not.
 */
#define SPACE                                                                                      \
  "\\x09-\\x0d\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"              \
  "\\x{205f}\\x{3000}"

/*
 * Letters and numbers that Unicode 15 to 18 added. The reference knows them; PCRE2 10.42 has the
 * properties of Unicode 14. Spelled out, so that a prompt has the same ids with every PCRE2.
 */
#define NEW_LETTERS                                                                                \
  "\\x{558}\\x{58b}-\\x{58c}\\x{88f}\\x{c5c}\\x{cdc}\\x{1c89}-\\x{1c8a}\\x{208f}"                  \
  "\\x{209d}-\\x{209f}\\x{a7cb}-\\x{a7cf}\\x{a7d2}\\x{a7d4}\\x{a7da}-\\x{a7dd}\\x{a7e2}"           \
  "\\x{a7f1}\\x{ab6c}-\\x{ab6d}\\x{105c0}-\\x{105f3}\\x{107bb}-\\x{107bf}"                         \
  "\\x{10940}-\\x{10959}\\x{10d4a}-\\x{10d65}\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec7}"           \
  "\\x{10ed9}-\\x{10eee}\\x{1123f}-\\x{11240}\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}"            \
  "\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}\\x{113d3}\\x{11b0a}\\x{11bc0}-\\x{11be0}"             \
  "\\x{11db0}-\\x{11ddb}\\x{11df1}\\x{11f02}\\x{11f04}-\\x{11f10}\\x{11f12}-\\x{11f33}"            \
  "\\x{1342f}\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}"                      \
  "\\x{16d40}-\\x{16d6c}\\x{16ea0}-\\x{16eb8}\\x{16ebb}-\\x{16ed3}\\x{16ff2}-\\x{16ff3}"           \
  "\\x{187f8}-\\x{187ff}\\x{18cd6}-\\x{18cda}\\x{18cff}\\x{18d09}-\\x{18d20}"                      \
  "\\x{18d80}-\\x{18df2}\\x{18e00}-\\x{19191}\\x{191a0}-\\x{191d2}\\x{1b123}-\\x{1b128}"           \
  "\\x{1b132}\\x{1b155}\\x{1b168}\\x{1d6a6}\\x{1df1f}-\\x{1df81}\\x{1df90}-\\x{1df96}"             \
  "\\x{1dfcd}-\\x{1dfff}\\x{1e030}-\\x{1e06d}\\x{1e4d0}-\\x{1e4eb}\\x{1e5d0}-\\x{1e5ed}"           \
  "\\x{1e5f0}\\x{1e6c0}-\\x{1e6de}\\x{1e6e0}-\\x{1e6e2}\\x{1e6e4}-\\x{1e6e5}"                      \
  "\\x{1e6e7}-\\x{1e6ed}\\x{1e6f0}-\\x{1e6f4}\\x{1e6fe}-\\x{1e6ff}\\x{2b739}-\\x{2b73f}"           \
  "\\x{2b81e}\\x{2cea2}-\\x{2cead}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{33479}"                      \
  "\\x{3d000}-\\x{3fc3f}"
#define NEW_NUMBERS                                                                                \
  "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11de0}-\\x{11de9}"           \
  "\\x{11f50}-\\x{11f59}\\x{1246f}\\x{12475}-\\x{1247f}\\x{12550}-\\x{12686}"                      \
  "\\x{16130}-\\x{16139}\\x{16d70}-\\x{16d79}\\x{16ff4}-\\x{16ff6}\\x{1ccf0}-\\x{1ccf9}"           \
  "\\x{1d2c0}-\\x{1d2d3}\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}"

/*
 * U+0345, a combining mark, matches nothing and is dropped: ignoring case it equals the letter
 * iota, so that the reference's last, negated class rejects it too.
 */
#define IOTA_SUBSCRIPT "\\x{345}"

#define LETTER "\\p{L}" NEW_LETTERS
#define NUMBER "\\p{N}" NEW_NUMBERS
#define PATTERN                                                                                    \
  "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[" LETTER "]++|"                  \
  "[" NUMBER "]|[^" SPACE LETTER NUMBER IOTA_SUBSCRIPT "]++"

struct _ClipWords {
  pcre2_code *code;
};

ClipWords *
clip_words_new (GError **error)
{
  int status;
  PCRE2_SIZE offset;
  pcre2_code *code = pcre2_compile ((PCRE2_SPTR)PATTERN, PCRE2_ZERO_TERMINATED,
      PCRE2_UTF | PCRE2_UCP | PCRE2_CASELESS, &status, &offset, NULL);

  if (!code) {
    g_set_error (error, CLIP_ERROR, CLIP_ERROR_TOKENIZER,
        "the PCRE2 library refuses the tokenizer's pattern (error %d at %" G_GSIZE_FORMAT
        "); is it built with Unicode support?",
        status, (gsize)offset);
    return NULL;
  }
  ClipWords *words = g_new (ClipWords, 1);
  words->code = code;
  return words;
}

void
clip_words_free (ClipWords *words)
{
  if (!words)
    return;
  pcre2_code_free (words->code);
  g_free (words);
}

gboolean
clip_words_split (
    const ClipWords *words, const GString *text, ClipWordFunc each, gpointer data, GError **error)
{
  pcre2_match_data *match = pcre2_match_data_create (1, NULL);
  PCRE2_SIZE start = 0;
  int found;

  while ((found = pcre2_match (words->code, (PCRE2_SPTR)text->str, text->len, start,
              PCRE2_NO_UTF_CHECK, match, NULL))
         >= 0) {
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer (match);
    each (text->str + span[0], span[1] - span[0], data);
    start = span[1];
  }
  pcre2_match_data_free (match);
  if (found == PCRE2_ERROR_NOMATCH)
    return TRUE;
  g_set_error (
      error, CLIP_ERROR, CLIP_ERROR_PROMPT, "the prompt cannot be split (PCRE2 error %d)", found);
  return FALSE;
}
