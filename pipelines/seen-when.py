#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints what was seen when in the JSON lines of clipjson."""
import argparse
import collections
import json
import sys


def best(line):
    """-> (label, confidence) of the full frame, ("-", 0) where nothing passed"""
    for thing in line["objects"]:
        passed = [label for label in thing["clip"]["labels"] if label["passed"] and not label["negative"]]
        if passed:
            top = max(passed, key=lambda label: label["confidence"])
            return top["label"], top["confidence"]
    return "-", 0.0


def read(path):
    """-> [(seconds, label, confidence)]"""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(text) for text in file if text.strip()]
    return [(line["timestamp"] / 1e9, *best(line)) for line in lines]


def rows(frames, every):
    """-> (from, to, frames, most frequent label, its share, mean confidence) for each span of `every` seconds"""
    spans = collections.defaultdict(list)
    for seconds, label, confidence in frames:
        spans[int(seconds / every)].append((label, confidence))
    for span in sorted(spans):
        label, count = collections.Counter(name for name, _ in spans[span]).most_common(1)[0]
        mean = sum(value for name, value in spans[span] if name == label) / count
        yield span, len(spans[span]), label, count, mean


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels")
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--expect", metavar="A;B", help="what each span should show; a difference is exit status 1")
    options = parser.parse_args()
    frames = read(options.labels)
    expected = options.expect.split(";") if options.expect else None
    print(f"{'time':>13}  {'expected':22}" if expected else f"{'time':>13}", f"{'seen':22} frames  confidence", sep="  ")
    right = 0
    for span, total, label, count, mean in rows(frames, options.every):
        time = f"{span * options.every:5.1f}-{(span + 1) * options.every:5.1f} s"
        wanted = expected[span] if expected and span < len(expected) else ""
        right += label == wanted
        print(time, *([f"{wanted:22}"] if expected else []), f"{label:22} {count:3}/{total:<3} {mean:9.3f}", sep="  ")
    if not frames:
        sys.exit("seen-when.py: there is no frame in " + options.labels)
    if expected and right != len(expected):
        sys.exit(f"seen-when.py: {right} of {len(expected)} spans show what was expected")


if __name__ == "__main__":
    main()
