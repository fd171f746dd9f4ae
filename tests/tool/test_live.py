# SPDX-License-Identifier: LGPL-2.1-or-later
"""clipclassify in gst-launch-1.0 on live streams: what GStreamer's latency tracer measures, and what the debug log tells."""
import re
import shlex
import statistics
import unittest

from support import ROOT, run

LIVE = ("videotestsrc", "pattern=smpte75", "is-live=true", "num-buffers=60", "!", "video/x-raw,width=160,height=120,framerate=30/1", "!")
CLASSIFY = ("clipclassify", "name=clip", "model=demo", "prompts=color bars;snow")


def launch(*parts, **changes):
    result = run("gst-launch-1.0", "-q", *parts, GST_DEBUG_NO_COLOR="1", **changes)
    assert result.returncode == 0, result.stderr.decode()
    return result.stderr.decode()


class Tracer(unittest.TestCase):
    def latencies(self, *properties):
        """Milliseconds that each frame stayed in the element, by GStreamer's own tracer"""
        log = launch(*LIVE, *CLASSIFY, *properties, "!", "fakesink", GST_TRACERS="latency(flags=element)", GST_DEBUG="GST_TRACER:7")
        times = re.findall(r"element-latency, .*element=\(string\)clip, .*time=\(guint64\)(\d+)", log)
        self.assertGreater(len(times), 10)
        return [int(time) / 1e6 for time in times]

    def test_held_for_a_batch(self):
        times = self.latencies("async=never", "batch-size=4", "batch-timeout=60000")
        self.assertGreater(max(times), 2.5 * 1000 / 30)  # the first of four waits for three others

    def test_does_not_wait(self):
        self.assertLess(statistics.median(self.latencies()), 1000 / 30)


class Story(unittest.TestCase):
    def test_debug_log(self):
        log = launch(*LIVE, *CLASSIFY, "change-threshold=3", "!", "fakesink", GST_DEBUG="clip*:5")
        story = (r"INFO .*<clip> model demo on .*matrix products by",
                 r"INFO .*<clip> pictures are \w+, 160x120",
                 r"INFO .*<clip> the stream is live: frames do not wait",
                 r"DEBUG .*<clip> result of .* after [\d.]+ ms",
                 r"INFO .*<clip> label \(null\) -> color bars",
                 r"DEBUG .*<clip> the picture differs by [\d.]+ levels",
                 r"INFO .*<clip> label color bars -> \(null\)",
                 r"INFO .*<clip> 60 frames \([\d.]+/s\): \d+ encoded, \d+ stood still")
        at = 0
        for sentence in story:
            found = re.compile(sentence).search(log, at)
            self.assertIsNotNone(found, f"{sentence}\nis not in what follows:\n{log[at:]}")
            at = found.end() if "differs" not in sentence else at
        encoded, still = (int(n) for n in re.search(r"(\d+) encoded, (\d+) stood still", log).groups())
        self.assertLess(encoded, 10)
        self.assertGreater(still, 50)


class Readme(unittest.TestCase):
    def test_two_streams_on_one_engine(self):
        text = (ROOT / "README.md").read_text().partition("    gst-launch-1.0 \\\n      videotestsrc is-live")[2].partition("\n\n")[0]
        command = ("videotestsrc is-live" + text).replace("\\\n", " ").replace("is-live=true", "is-live=true num-buffers=20")
        log = launch(*shlex.split(command), GST_DEBUG="clip*:4")
        self.assertIn("label (null) -> colour bars", log)
        self.assertIn("label (null) -> snow", log)
        self.assertEqual(log.count(" 20 frames "), 2)


if __name__ == "__main__":
    unittest.main()
