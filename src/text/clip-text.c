/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cleaning before tokenizing (openai/CLIP simple_tokenizer.py: basic_clean, whitespace_clean,
 * lower). Two classes of white space are in use there: str.strip() also takes the separators U+001C
 * to U+001F, the regular expression's \s does not.
 */
#include "clip-text-private.h"

#include <stdlib.h>
#include <string.h>

#define CAPITAL_SIGMA 0x3a3
#define FINAL_SIGMA 0x3c2
#define CAPITAL_DOTTED_I 0x130

gboolean
clip_text_validate (const char *text, gsize length, gsize *offset)
{
  const char *p = text;
  const char *end = text + length;

  while (p < end) {
    const char *stop;
    if (!g_utf8_validate_len (p, (gsize)(end - p), &stop) && *stop != '\0') {
      *offset = (gsize)(stop - text);
      return FALSE;
    }
    p = stop < end ? stop + 1 : end;
  }
  return TRUE;
}

/* Unicode's White_Space */
static gboolean
is_white_space (gunichar c)
{
  return (c >= 0x9 && c <= 0xd) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680
         || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f
         || c == 0x3000;
}

gboolean
clip_text_is_space (gunichar c)
{
  return is_white_space (c) || (c >= 0x1c && c <= 0x1f);
}

static GString *
strip_and_collapse (const GString *text)
{
  const char *p = text->str;
  const char *end = p + text->len;
  GString *out = g_string_sized_new (text->len);

  while (p < end && clip_text_is_space (g_utf8_get_char (p)))
    p = g_utf8_next_char (p);
  while (end > p && clip_text_is_space (g_utf8_get_char (g_utf8_prev_char (end))))
    end = g_utf8_prev_char (end);
  for (gboolean in_space = FALSE; p < end; p = g_utf8_next_char (p)) {
    const gboolean space = is_white_space (g_utf8_get_char (p));
    if (!space)
      g_string_append_len (out, p, g_utf8_next_char (p) - p);
    else if (!in_space)
      g_string_append_c (out, ' ');
    in_space = space;
  }
  return out;
}

static int
compare_range (const void *key, const void *element)
{
  const gunichar c = *(const gunichar *)key;
  const ClipRange *range = element;

  return c < range->first ? -1 : c > range->last;
}

static gboolean
is_in (gunichar c, const ClipRange *ranges, guint size)
{
  return bsearch (&c, ranges, size, sizeof (ClipRange), compare_range) != NULL;
}

static gboolean
is_cased (gunichar c)
{
  return is_in (c, clip_cased, clip_cased_size);
}

static gboolean
is_ignorable (gunichar c)
{
  return is_in (c, clip_case_ignorable, clip_case_ignorable_size);
}

/* Unicode's Final_Sigma: a cased letter stands before and none after, ignorable characters aside.
 */
static gboolean
is_final_sigma (const GString *text, const char *sigma)
{
  const char *end = text->str + text->len;
  const char *p = sigma;
  gboolean before = FALSE;

  while (p > text->str) {
    p = g_utf8_prev_char (p);
    if (is_ignorable (g_utf8_get_char (p)))
      continue;
    before = is_cased (g_utf8_get_char (p));
    break;
  }
  if (!before)
    return FALSE;
  for (p = g_utf8_next_char (sigma); p < end; p = g_utf8_next_char (p))
    if (!is_ignorable (g_utf8_get_char (p)))
      return !is_cased (g_utf8_get_char (p));
  return TRUE;
}

static int
compare_lower (const void *key, const void *element)
{
  const gunichar c = *(const gunichar *)key;
  const gunichar code = ((const ClipLower *)element)->code;

  return (c > code) - (c < code);
}

static gunichar
lower_one (gunichar c)
{
  const ClipLower *found
      = c < 0x80 ? NULL
                 : bsearch (&c, clip_lower, clip_lower_size, sizeof (ClipLower), compare_lower);

  return found ? found->lower : c < 0x80 ? (gunichar)g_ascii_tolower ((char)c) : c;
}

/*
 * As Python's str.lower(). Not g_utf8_strdown(), which follows the locale (Turkish, Lithuanian);
 * not g_unichar_tolower(), which leaves Roman numerals and circled letters as they are.
 */
GString *
clip_text_lower (const GString *text, gboolean final_sigma)
{
  const char *end = text->str + text->len;
  GString *out = g_string_sized_new (text->len);

  for (const char *p = text->str; p < end; p = g_utf8_next_char (p)) {
    const gunichar c = g_utf8_get_char (p);
    if (c == CAPITAL_DOTTED_I)
      g_string_append (out, "i\xcc\x87");
    else if (c == CAPITAL_SIGMA && final_sigma && is_final_sigma (text, p))
      g_string_append_unichar (out, FINAL_SIGMA);
    else
      g_string_append_unichar (out, lower_one (c));
  }
  return out;
}

static void
replace (GString **text, GString *replacement)
{
  g_string_free (*text, TRUE);
  *text = replacement;
}

GString *
clip_text_clean (const char *text, gsize length)
{
  GString *clean = g_string_new_len (text, (gssize)length);

  replace (&clean, clip_html_unescape (clean));
  replace (&clean, clip_html_unescape (clean));
  replace (&clean, strip_and_collapse (clean));
  replace (&clean, clip_text_lower (clean, TRUE));
  return clean;
}
