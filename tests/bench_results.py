# SPDX-License-Identifier: LGPL-2.1-or-later
"""The results of tests/bench: where they were measured, joining runs, ratios, the table."""
import os
import statistics
import sys
from importlib import metadata

PACKAGES = ("onnxruntime", "openvino", "torch", "nncf")
SUMS = ("ours", "theirs", "texts", "gflop", "theirs_gflop")  # of the rounds
KEY = ("model", "precision", "batch", "peer", "unit")


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")]
    return {"cpu": names[0] if names else os.uname().machine, "cores": len(os.sched_getaffinity(0))}


def versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            pass
    return found


def join(runs):
    """one result of several; rounds of the same row follow one another"""
    for run in runs[1:]:
        for what in ("machine", "versions"):
            if run[what] != runs[0][what]:
                sys.exit(f"bench: these runs cannot be joined: {what} {run[what]}, expected {runs[0][what]} as in the first file")
    rows, absent = {}, {}
    for run in runs:
        absent.update(run["absent"])
        for row in run["rows"]:
            key = tuple(row[name] for name in KEY)
            if key not in rows:
                rows[key] = {**row, **{what: type(row[what])() for what in SUMS if what in row}}
            for what in SUMS:
                if what in row:
                    rows[key][what] += row[what]
    return {**runs[0], "rows": list(rows.values()), "absent": absent}


def summarise(figures):
    for row in figures["rows"]:
        ratios = [a / b for a, b in zip(row["ours"], row["theirs"])]
        row.update(pairs=len(ratios), ours_median=statistics.median(row["ours"]), theirs_median=statistics.median(row["theirs"]),
                   ratio=statistics.median(ratios), ratio_min=min(ratios), ratio_max=max(ratios))


def print_figures(figures):
    where, packages = figures["machine"], ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    print(f"{where['cores']} cores of {where['cpu']}; {packages}")
    for row in figures["rows"]:
        print(f"{row['model']}  {row['precision']}  batch {row['batch']:<2}  ours {row['ours_median']:7.1f}  {row['peer']:12} "
              f"{row['theirs_median']:7.1f} {row['unit']}   ours is {row['ratio']:.2f}x of it "
              f"({row['ratio_min']:.2f} to {row['ratio_max']:.2f}, {row['pairs']} pairs)")
        if "gflop" in row:
            print(f"    {row['texts']} texts: {row['gflop']:.0f} GFLOP, PyTorch's {row['theirs_gflop']:.0f}: "
                  f"{row['theirs_gflop'] / row['gflop']:.1f} times fewer")


def print_markdown(figures):
    """the table of README.md"""
    peers = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "pytorch": "PyTorch"}
    found = {}
    for row in figures["rows"]:
        found.setdefault((row["model"], row["precision"], row["batch"], row["unit"]), {})[row["peer"]] = row
    print("| | ours | " + " | ".join(f"to {name}" for name in peers.values()) + " |")
    print("|---|---|" + "---|" * len(peers))
    for (model, precision, batch, unit), rows in found.items():
        cells = [f"{rows[name]['ratio']:.2f}x ({rows[name]['ratio_min']:.2f} to {rows[name]['ratio_max']:.2f})" if name in rows else ""
                 for name in peers]
        ours = statistics.median(value for row in rows.values() for value in row["ours"])
        what = "texts" if unit == "texts/s" else f"batch {batch}"
        print(f"| {model}, {precision}, {what} | {ours:.3g} {unit} | " + " | ".join(cells) + " |")
