#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""generate-tables.py OUT.c: HTML5's named character references, and lower case.

The names come from the standard library's html.entities. The simple lower-case mappings and the two
classes that the final-sigma rule of Unicode's SpecialCasing needs are observed in str.lower() itself.
"""
import html.entities
import sys


def literal(text):
    return '"' + "".join(f"\\{byte:03o}" for byte in text.encode("utf-8")) + '"'


def ranges(members):
    result = []
    for code in members:
        if result and result[-1][1] == code - 1:
            result[-1][1] = code
        else:
            result.append([code, code])
    return result


def has_final_sigma(prefix):
    return (prefix + "\u03a3").lower().endswith("\u03c2")


def write_ranges(out, name, members):
    out.write(f"const ClipRange {name}[] = {{\n")
    found = ranges(members)
    out.writelines(f"  {{0x{first:x}, 0x{last:x}}},\n" for first, last in found)
    out.write(f"}};\nconst guint {name}_size = {len(found)};\n\n")


characters = [code for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
cased = [code for code in characters if has_final_sigma(chr(code))]
cased_set = set(cased)
ignorable = [code for code in characters
             if code not in cased_set and has_final_sigma("A" + chr(code))]
lower = [(code, ord(chr(code).lower())) for code in characters
         if chr(code).lower() != chr(code) and len(chr(code).lower()) == 1]
entities = sorted((name.encode("ascii"), text) for name, text in html.entities.html5.items())

with open(sys.argv[1], "w", encoding="utf-8") as out:
    out.write('#include "text/clip-text-private.h"\n\n')
    out.write("const ClipEntity clip_entities[] = {\n")
    out.writelines(f'  {{"{name.decode()}", {literal(text)}}},\n' for name, text in entities)
    out.write(f"}};\nconst guint clip_entities_size = {len(entities)};\n\n")
    out.write("const ClipLower clip_lower[] = {\n")
    out.writelines(f"  {{0x{code:x}, 0x{to:x}}},\n" for code, to in lower)
    out.write(f"}};\nconst guint clip_lower_size = {len(lower)};\n\n")
    write_ranges(out, "clip_cased", cased)
    write_ranges(out, "clip_case_ignorable", ignorable)
