#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed.py OUT.c FILE.cl...: the OpenCL sources as a C table of names and texts. A line #include "NAME.cl" is
replaced by that file of the same folder."""
import pathlib
import re
import sys


def read(path):
    text = path.read_text(encoding="utf-8")
    return re.sub(r'^#include "([\w-]+\.cl)"$', lambda found: read(path.parent / found[1]), text, flags=re.M)


def literal(text):
    lines = []
    for line in text.splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'    "{escaped}\\n"')
    return "\n".join(lines) or '    ""'


def main():
    out, *sources = sys.argv[1:]
    with open(out, "w", encoding="utf-8") as f:
        f.write('#include "device/clip-kernels.h"\n\nconst ClipKernelSource clip_kernel_sources[] = {\n')
        for source in sources:
            path = pathlib.Path(source)
            f.write(f'  {{"{path.stem}",\n{literal(read(path))}}},\n')
        f.write("  {NULL, NULL},\n};\n")


if __name__ == "__main__":
    main()
