# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the tool and of pipelines/ share."""
import json
import os
import pathlib
import struct
import subprocess
import unittest
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CLIP_BUILD", ROOT / "build"))
DATA = ROOT / "tests" / "data"
TOOL = BUILD / "gst" / "gst-clip-1.0"
REFERENCE = pathlib.Path(os.environ.get("CLIP_REFERENCE", ROOT.parent / "shared" / "reference"))
needs_reference = unittest.skipUnless(REFERENCE.is_dir(), "reference data absent")


def environment(**changes):
    result = dict(os.environ, GST_PLUGIN_PATH=str(BUILD / "gst"), GST_CLIP_DEMO_MODEL=str(ROOT / "models" / "demo"),
                  GST_CLIP_CACHE="no-texts", GST_CLIP_BUILD=str(BUILD), PATH=f"{BUILD / 'gst'}:{os.environ['PATH']}")
    result.pop("GST_CLIP_MODEL", None)
    result.update(changes)
    return result


def run(*command, timeout=120, **changes):
    return subprocess.run([str(part) for part in command], capture_output=True, stdin=subprocess.DEVNULL,
                          timeout=timeout, env=environment(**changes), check=False)


def tool(*arguments, **changes):
    return run(TOOL, *arguments, **changes)


def tool_json(*arguments):
    result = tool(*arguments)
    assert result.returncode == 0, result.stderr.decode()
    return json.loads(result.stdout)


def safetensors(path):
    """-> ({name: (shape, values)}, metadata); F32, I32 and U8 only"""
    raw = pathlib.Path(path).read_bytes()
    length = struct.unpack_from("<Q", raw)[0]
    header = json.loads(raw[8:8 + length])
    metadata = header.pop("__metadata__", {})
    kinds = {"F32": "f", "I32": "i", "I64": "q", "U8": "B", "F64": "d"}
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] in kinds:
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            kind = kinds[entry["dtype"]]
            tensors[name] = entry["shape"], memoryview(raw)[begin:end].cast("B").cast(kind)
    return tensors, metadata


def read_png(path):
    """-> (width, height, RGB bytes) of an 8-bit RGB file"""
    raw, at, data = pathlib.Path(path).read_bytes(), 8, b""
    while at < len(raw):
        size, kind = struct.unpack_from(">I4s", raw, at)
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack_from(">IIBB", raw, at + 8)
            assert (depth, colour) == (8, 2), "not RGB"
        data += raw[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    raw, row, rows = zlib.decompress(data), bytearray(width * 3), bytearray()
    for y in range(height):
        start = y * (width * 3 + 1)
        row = unfilter(raw[start], bytearray(raw[start + 1:start + 1 + width * 3]), row)
        rows += row
    return width, height, bytes(rows)


def unfilter(kind, line, above):
    for i in range(len(line)):
        a, b, c = line[i - 3] if i >= 3 else 0, above[i], above[i - 3] if i >= 3 else 0
        distance = sorted((abs(b - c), 0, a) if k == 0 else (abs(a - c), 1, b) if k == 1 else (abs(a + b - 2 * c), 2, c)
                          for k in range(3))[0][2]
        line[i] = (line[i] + (0, a, b, (a + b) // 2, distance)[kind]) & 255
    return line
