# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of clippublish share: real pipelines, and what arrived of their lines."""
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from support import environment, run

LONG = 10 if os.environ.get("CLIP_LONG") else 1  # times as many messages and failures
RATE = 1000  # frames a second of stream time


def video(frames, live=False, rate=RATE):
    return (f"videotestsrc num-buffers={frames} is-live={str(live).lower()} pattern=black "
            f"! video/x-raw,format=GRAY8,width=16,height=16,framerate={rate}/1")


def command(description):
    return ["gst-launch-1.0", *description.split()]


def launch(description, **changes):
    return run(*command(description), **changes)


def start(description, **changes):
    return subprocess.Popen(command(description), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env=environment(**changes))


def is_built(method):
    return b"this build has no" not in launch(f"{video(1)} ! clippublish method={method} ! fakesink").stderr


def frame(line, rate=RATE):
    """A line's number in its stream"""
    return round(json.loads(line)["timestamp"] * rate / 1e9)


def wait_until(condition, seconds=30, what="nothing happened"):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} within {seconds} s")
        time.sleep(.02)
    return value


def check_order(numbers, count):
    """Each of count numbers arrived, the first times of each in order. -> how many came twice"""
    numbers = [number - min(numbers) for number in numbers]  # a live stream need not begin at 0
    expected, twice = 0, 0
    for number in numbers:
        assert number <= expected, f"{number} came before {expected}"
        twice += number < expected
        expected += number == expected
    assert expected == count, f"{expected} of {count} arrived"
    return twice


class Publishing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def assertRuns(self, result):
        self.assertEqual(result.returncode, 0, result.stdout.decode() + result.stderr.decode())

    def assertErrors(self, result, *words):
        """One error of the element, which says what is wrong"""
        errors = [line for line in result.stderr.decode().splitlines() if line.startswith("ERROR: from") and "ClipPublish" in line]
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(len(errors), 1, result.stderr.decode())
        for word in words:
            self.assertIn(word, errors[0])

    def stop(self, process):
        """Ends a process that may have ended. -> what it printed"""
        process.kill()
        return process.communicate()[0].decode()
