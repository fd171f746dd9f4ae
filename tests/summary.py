#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what meson ran, runs the tests of the tool and of pipelines/, and prints the sum as the last line.

The counts also go to BUILD/counts.json; --sum adds such files of several runs to one table and one last line.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import unittest
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent


def failed_programs(log):
    """-> suites of which meson says that they failed: also when all their tests passed and the end was bad"""
    with open(log, encoding="utf-8") as file:
        tests = [json.loads(line) for line in file]
    return {"gst-clip." + test["name"].split(" / ")[-1] for test in tests if test["result"] not in ("OK", "SKIP")}


def end_of_program(log, name):
    """-> what a failed program wrote last"""
    with open(log, encoding="utf-8") as file:
        test = next(test for test in map(json.loads, file) if name == "gst-clip." + test["name"].split(" / ")[-1])
    lines = (test.get("stdout", "") + test.get("stderr", "")).splitlines()
    return describe(f"{name}: {test['result']}", lines)


def describe(title, lines):
    return "\n".join([title, *("    " + line[:300] for line in lines[-12:])])


def read_meson(build):
    """-> {suite: (passed, failed, skipped)}, [what failed]; a TAP program counts with each of its tests"""
    log = build / "meson-logs" / "testlog.junit.xml"
    if not log.exists():
        return {"meson": (0, 1, 0)}, [f"meson: no {log}"]
    counts, failures = {}, []
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
        failures.append(end_of_program(log.with_name("testlog.json"), name))
    return counts or {"meson": (0, 1, 0)}, failures


def run_scripts(build, patterns):
    os.environ["CLIP_BUILD"] = str(build)
    suite = unittest.TestSuite(unittest.TestLoader().discover(str(HERE / "tool"), pattern=pattern)
                               for pattern in patterns)
    result = unittest.TextTestRunner(verbosity=2, stream=sys.stdout).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    failures = [describe(str(test), text.splitlines()) for test, text in result.failures + result.errors]
    return (max(result.testsRun - failed - skipped, 0), failed, skipped), failures


def print_sum(counts, failures):
    """Prints each failure once more, since what was printed when it happened stands far above. -> exit status"""
    print()
    for failure in failures:
        print(failure + "\n")
    for name, (passed, failed, skipped) in counts.items():
        print(f"{name:40} {passed:5} passed {failed:3} failed {skipped:3} skipped")
    passed, failed, skipped = (sum(column) for column in zip(*counts.values()))
    print(f"{passed} passed, {failed} failed, {skipped} skipped" if skipped else f"{passed} passed, {failed} failed")
    sys.stdout.flush()
    return 1 if failed or not passed else 0


def read_counts(path):
    """A run that began and left no counts is a failed one."""
    try:
        run = json.loads(path.read_text())
        return run["counts"], run["failures"]
    except (OSError, ValueError, KeyError):
        return {f"no counts in {path.name}": (0, 1, 0)}, []


def sum_runs(files):
    counts, failures = {}, []
    for file in files:
        more_counts, more_failures = read_counts(file)
        counts.update(more_counts)
        failures += more_failures
    return print_sum(counts, failures)


def print_names(build, folder):
    """The meson tests whose program lies in @folder of the tree, one a line."""
    tests = json.loads(subprocess.check_output(["meson", "introspect", "--tests", str(build)]))
    for test in tests:
        if any(f"/{folder}/" in part for part in test["cmd"]):
            print(test["name"])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path, nargs="?")
    parser.add_argument("--title", default="", help="put before each name of the table")
    parser.add_argument("--scripts", nargs="+", default=["test_*.py"], help="only these of tests/tool")
    parser.add_argument("--no-scripts", action="store_true", help="only what meson ran")
    parser.add_argument("--names", metavar="FOLDER", help="print the names of the meson tests in FOLDER")
    parser.add_argument("--sum", type=pathlib.Path, nargs="+", metavar="COUNTS")
    arguments = parser.parse_args()
    if not arguments.build and not arguments.sum:
        parser.error("a build folder or --sum is needed")
    return arguments


def main():
    arguments = parse_arguments()
    if arguments.sum:
        sys.exit(sum_runs(arguments.sum))
    build = arguments.build.resolve()
    if arguments.names:
        print_names(build, arguments.names)
        return
    counts, failures = read_meson(build)
    if not arguments.no_scripts:
        counts["tool and pipelines"], more = run_scripts(build, arguments.scripts)
        failures += more
    counts = {arguments.title + name: count for name, count in counts.items()}
    (build / "counts.json").write_text(json.dumps({"counts": counts, "failures": failures}))
    sys.exit(print_sum(counts, failures))


if __name__ == "__main__":
    main()
