/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * HTML character references, as Python's html.unescape(): the rules of HTML5's tokenizer, except
 * that code points which HTML calls invalid vanish.
 */
#include "clip-text-private.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NAME 32 /* characters; the longest name has 31 */

/* Numbers from 0x80 on mean windows-1252, whatever the page's encoding: HTML's numeric-reference
 * table. */
static const gunichar windows_1252[32] = { 0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020,
  0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c,
  0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178 };

static gboolean
is_dropped (gunichar code)
{
  return (code < 0x20 && code != '\t' && code != '\n' && code != '\f' && code != '\r')
         || code == 0x7f || (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) == 0xfffe;
}

static void
append_number (GString *out, guint32 code)
{
  if (code == 0 || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
    g_string_append_unichar (out, 0xfffd);
  else if (code >= 0x80 && code <= 0x9f)
    g_string_append_unichar (out, windows_1252[code - 0x80]);
  else if (!is_dropped (code))
    g_string_append_unichar (out, code);
}

/* text is after `&#`; returns the bytes taken, 0 when this is no reference */
static gsize
unescape_number (GString *out, const char *text, const char *end)
{
  const char *p = text;
  guint base = 10;
  guint32 code = 0;

  if (p < end && (*p == 'x' || *p == 'X')) {
    base = 16;
    p++;
  }
  const char *digits = p;
  for (; p < end && (base == 16 ? g_ascii_isxdigit (*p) : g_ascii_isdigit (*p)); p++)
    code = MIN (code * base + (guint32)g_ascii_xdigit_value (*p), 0x110000);
  if (p == digits)
    return 0;
  append_number (out, code);
  if (p < end && *p == ';')
    p++;
  return (gsize)(p - text);
}

typedef struct {
  const char *text;
  gsize length;
} Name;

static int
compare_name (const void *key, const void *element)
{
  const Name *name = key;
  const ClipEntity *entity = element;
  int order = strncmp (name->text, entity->name, name->length);

  return order != 0 ? order : (entity->name[name->length] == '\0' ? 0 : -1);
}

static const ClipEntity *
find_entity (const char *text, gsize length)
{
  const Name name = { text, length };

  if (memchr (text, '\0', length))
    return NULL;
  return bsearch (&name, clip_entities, clip_entities_size, sizeof (ClipEntity), compare_name);
}

/* how many bytes after `&` may be a name, its `;` included */
static gsize
measure_name (const char *text, const char *end)
{
  const char *p = text;

  for (guint count = 0; p < end && count < MAX_NAME; count++) {
    if (*p != '\0' && strchr ("\t\n\f <&#;", *p))
      break;
    p = g_utf8_next_char (p);
  }
  if (p > text && p < end && *p == ';')
    p++;
  return (gsize)(p - text);
}

static gsize
unescape_name (GString *out, const char *text, const char *end)
{
  const gsize whole = measure_name (text, end);

  for (gsize length = whole; length >= 2; length--) {
    const ClipEntity *entity = find_entity (text, length);
    if (entity) {
      g_string_append (out, entity->text);
      return length;
    }
  }
  return 0;
}

/* The rest of a name whose prefix was replaced is text, and is not looked at again. */
static void
append_rest (GString *out, const char *text, const char *end, gsize taken)
{
  g_string_append_len (out, text + taken, (gssize)(measure_name (text, end) - taken));
}

GString *
clip_html_unescape (const GString *text)
{
  GString *out = g_string_sized_new (text->len);
  const char *p = text->str;
  const char *end = p + text->len;

  while (p < end) {
    const char *reference = memchr (p, '&', (size_t)(end - p));
    g_string_append_len (out, p, (reference ? reference : end) - p);
    if (!reference)
      break;
    p = reference + 1;
    gsize taken;
    if (p < end && *p == '#') {
      taken = unescape_number (out, p + 1, end);
      taken += taken > 0;
    } else {
      taken = unescape_name (out, p, end);
      if (taken > 0) {
        append_rest (out, p, end, taken);
        taken = measure_name (p, end);
      }
    }
    if (taken == 0)
      g_string_append_c (out, '&');
    p += taken;
  }
  return out;
}
