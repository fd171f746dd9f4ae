#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""full-size.py TEST_PROGRAM [ARCH...]: writes full-size models with the reference's generator, one at a
time, into a temporary directory, and runs the test program on each. Prints TAP. Without ARCH: a ViT and a
ResNet, or with CLIP_FULL_SIZE=all every one that has a golden (some minutes, 2 GB on disk). Those of fp32 weights
are computed in bf16 and int8, too, and on a device that is treated as a GPU in fp16."""
import os
import pathlib
import subprocess
import sys
import tempfile


SOME = [("ViT-B/32", "fp32"), ("ViT-B/32", "fp16"), ("RN50", "fp32")]
HALF = {"GST_CLIP_DEVICE_TYPE": "gpu", "GST_CLIP_DOT": "portable", "GST_CLIP_GEMM": "panel"}
ALL = [(arch, dtype) for arch in ("ViT-B/32", "ViT-B/16", "ViT-L/14", "RN50", "RN101", "RN50x4")
       for dtype in ("fp32", "fp16")]


def main():
    program, archs = sys.argv[1], sys.argv[2:]
    reference = pathlib.Path(os.environ["CLIP_REFERENCE"])
    writer = reference / "full" / "make_random_model.py"
    cases = ALL if os.environ.get("CLIP_FULL_SIZE") == "all" else SOME
    if archs:
        cases = [case for case in ALL if case[0] in archs]
    print(f"1..{len(cases)}")
    failed = False
    for number, (arch, dtype) in enumerate(cases, 1):
        name = f"full size {arch} {dtype}"
        if not writer.exists():
            print(f"ok {number} {name} # SKIP reference absent")
            continue
        slug = arch.replace("/", "-").replace("@", "-")
        golden = f"full/expected/{slug}-{dtype}.safetensors"
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["/usr/bin/python3", writer, arch, folder, "--dtype", dtype], check=True)
            kinds = ["", "reduced", "half"] if dtype == "fp32" else [""]
            done = [subprocess.run([program, "--verbose", folder, golden, *kind.split()], capture_output=True, text=True,
                                   env=os.environ | (HALF if kind == "half" else {})) for kind in kinds]
        for line in "".join(run.stdout + run.stderr for run in done).splitlines():
            print("# " + line)
        bad = any(run.returncode for run in done)
        failed |= bad
        print(f"{'not ok' if bad else 'ok'} {number} {name}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
