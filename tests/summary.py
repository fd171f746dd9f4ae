#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""summary.py BUILD [--no-scripts]: counts what meson ran, runs the tests of the tool and of pipelines/, and prints the sum
as the last line."""
import json
import os
import pathlib
import sys
import unittest
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent


def failed_programs(log):
    """-> suites of which meson says that they failed: also when all their tests passed and the end was bad"""
    with open(log, encoding="utf-8") as file:
        tests = [json.loads(line) for line in file]
    return {"gst-clip." + test["name"].split(" / ")[-1] for test in tests if test["result"] not in ("OK", "SKIP")}


def read_meson(build):
    """-> {suite: (passed, failed, skipped)}; a TAP program counts with each of its tests"""
    log = build / "meson-logs" / "testlog.junit.xml"
    if not log.exists():
        return {"meson": (0, 1, 0)}
    counts = {}
    for suite in ElementTree.parse(log).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = suite.get("name")
            passed, failed, skipped = counts.get(name, (0, 0, 0))
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif case.find("skipped") is not None:
                skipped += 1
            else:
                passed += 1
            counts[name] = passed, failed, skipped
    for name in failed_programs(log.with_name("testlog.json")):
        passed, failed, skipped = counts.get(name, (0, 0, 0))
        counts[name] = passed, max(failed, 1), skipped
    return counts or {"meson": (0, 1, 0)}


def run_scripts(build):
    os.environ["CLIP_BUILD"] = str(build)
    suite = unittest.defaultTestLoader.discover(str(HERE / "tool"), pattern="test_*.py")
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    return max(result.testsRun - failed - skipped, 0), failed, skipped


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    counts = read_meson(build)
    if "--no-scripts" not in sys.argv[2:]:
        counts["tool and pipelines"] = run_scripts(build)
    print()
    for name, (passed, failed, skipped) in counts.items():
        print(f"{name:40} {passed:5} passed {failed:3} failed {skipped:3} skipped")
    passed, failed, skipped = (sum(column) for column in zip(*counts.values()))
    print(f"{passed} passed, {failed} failed, {skipped} skipped" if skipped else f"{passed} passed, {failed} failed")
    sys.stdout.flush()
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
