#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ptx.py KERNELS: compiles the kernels for NVIDIA's GPUs with clang and has ptxas assemble them: the inline PTX is accepted,
the products use the tensor cores, and nothing that should live in registers lies in memory. Prints TAP; skips where clang,
its OpenCL library (Debian: libclc-14) or ptxas is absent."""
import glob
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ARCHITECTURES = ("sm_80", "sm_90")
# options of gemm-half.cl beside the tile and the type: fp32 rows, a split sum, rows of any stride, packed rows
KINDS = ("-DA=1 -DC_PACKED=0 -DSPLIT=0", "-DA=1 -DC_PACKED=0 -DSPLIT=1", "-DA=2 -DC_PACKED=0 -DSPLIT=0",
         "-DA=0 -DC_PACKED=1 -DSPLIT=0")


def cases():
    """-> (name, file, kernel, options, instruction, how often)"""
    for rows, products in ((64, 16), (128, 32)):
        for bf16, kind in ((0, "f16"), (1, "bf16")):
            for options in KINDS:
                yield (f"gemm-half {rows} {kind} {options}", "gemm-half", "gemm_half",
                       f"-DBM={rows} -DBN=64 -DBF16={bf16} -DHOW=1 {options}",
                       f"mma.sync.aligned.m16n8k16.row.col.f32.{kind}.{kind}.f32", products)
    for options in ("-DQUERIES=16 -DPARTS=4", "-DQUERIES=64 -DPARTS=1"):
        yield (f"attention-group {options}", "attention-group", "attention_group", f"-DHD=64 -DKEYS=32 {options}", None, 0)


def find_tools():
    """-> (clang, library, ptxas), or why not"""
    clang = shutil.which("clang-14") or shutil.which("clang")
    ptxas = shutil.which("ptxas") or shutil.which("/usr/local/cuda/bin/ptxas")
    library = sorted(glob.glob("/usr/lib/clc/nvptx64--nvidiacl.bc"))
    for tool, name in ((clang, "clang"), (library, "libclc for nvptx64 (Debian: libclc-14)"), (ptxas, "ptxas (CUDA)")):
        if not tool:
            return f"{name} is absent"
    return clang, library[0], ptxas


def check(case, folder, source, tools):
    """-> what is wrong, or None"""
    _, _, kernel, options, instruction, count = case
    clang, library, ptxas = tools
    ptx = os.path.join(folder, "kernel.ptx")
    done = subprocess.run([clang, "-x", "cl", "-cl-std=CL1.2", "-target", "nvptx64--nvidiacl", "-O3", "-S", "-o", ptx,
                           *(part for option in ("-finclude-default-header", "-target-feature", "+ptx70", "-target-cpu",
                                                 "sm_80", "-mlink-builtin-bitcode", library)
                             for part in ("-Xclang", option)), *options.split(), source], capture_output=True, text=True)
    if done.returncode:
        return done.stderr
    if instruction and pathlib.Path(ptx).read_text().count(instruction) != count:
        return f"{instruction} is not there {count} times"
    for architecture in ARCHITECTURES:
        done = subprocess.run([ptxas, "-v", f"-arch={architecture}", ptx, "-o", os.path.join(folder, "kernel.cubin")],
                              capture_output=True, text=True)
        report = re.search(rf"Function properties for {kernel}\n(.*)\n.*Used (\d+) registers", done.stderr)
        if done.returncode or not report:
            return done.stderr
        print(f"# {architecture}: {report[2]} registers, {report[1].strip()}")
        if report[1].strip() != "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads":
            return f"{architecture}: not all in registers"
    return None


def main():
    kernels = pathlib.Path(sys.argv[1])
    tools = find_tools()
    if isinstance(tools, str):
        print(f"1..0 # SKIP {tools}")
        return 0
    sys.path.insert(0, str(kernels))
    sys.dont_write_bytecode = True
    import embed  # puts included files in their places, as the build does
    listed, failed = list(cases()), False
    print(f"1..{len(listed)}")
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(listed, 1):
            source = os.path.join(folder, "kernel.cl")
            pathlib.Path(source).write_text(embed.read(kernels / f"{case[1]}.cl"), encoding="utf-8")
            wrong = check(case, folder, source, tools)
            for line in (wrong or "").splitlines()[:20]:
                print("# " + line)
            failed |= wrong is not None
            print(f"{'not ok' if wrong else 'ok'} {number} {case[0]}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
