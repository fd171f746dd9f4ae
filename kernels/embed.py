#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""embed.py OUT.c FILE.cl...: the OpenCL sources as a C table of names and texts."""
import pathlib
import sys


def literal(text):
    lines = []
    for line in text.splitlines():
        escaped = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'    "{escaped}\\n"')
    return "\n".join(lines) or '    ""'


out, *sources = sys.argv[1:]
with open(out, "w", encoding="utf-8") as f:
    f.write('#include "device/clip-kernels.h"\n\nconst ClipKernelSource clip_kernel_sources[] = {\n')
    for source in sources:
        path = pathlib.Path(source)
        f.write(f'  {{"{path.stem}",\n{literal(path.read_text(encoding="utf-8"))}}},\n')
    f.write("  {NULL, NULL},\n};\n")
