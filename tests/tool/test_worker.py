# SPDX-License-Identifier: LGPL-2.1-or-later
"""pipelines/worker: several processes share videos, one dies in the middle of its work, nothing is missing."""
import collections
import json
import pathlib
import signal
import subprocess
import tempfile
import threading
import unittest

import kafka
from publishing import wait_until
from support import ROOT, environment, run

WORKER = ROOT / "pipelines" / "worker"
VIDEOS, FRAMES = 12, 150


class Process:
    def __init__(self, cluster, *options):
        self.log = []
        self.process = subprocess.Popen(
            ["/usr/bin/python3", WORKER, "--brokers", cluster.address, "--prompts", "colour bars;snow", "--model", "demo",
             "--kafka-option", "session.timeout.ms=3000", "--kafka-option", "heartbeat.interval.ms=300", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment())
        self.reader = threading.Thread(target=lambda: self.log.extend(iter(self.process.stderr.readline, "")))
        self.reader.start()

    def said(self, word):
        return [line for line in self.log if word in line]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()


@unittest.skipUnless(kafka.available, "built without librdkafka, or python3-confluent-kafka absent")
class Worker(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.cluster = kafka.Cluster(1, 6, "videos", "labels")
        self.addCleanup(self.cluster.stop)

    def process(self, *options):
        process = Process(self.cluster, *options)
        self.addCleanup(process.stop)
        return process

    def video(self, name, frames):
        path = self.path / name
        made = run("gst-launch-1.0", "-q", "videotestsrc", f"num-buffers={frames}", "!", "video/x-raw,width=160,height=120", "!", "vp8enc",
                   "deadline=1", "!", "webmmux", "!", "filesink", f"location={path}")
        self.assertEqual(made.returncode, 0)
        return str(path)

    def results(self, locations):
        """-> {location: {frame or "end": value}}, when the end of each has come"""
        def enough(messages):
            return len({key for key, _ in messages if key.endswith("#end")}) == len(locations)
        seen = collections.defaultdict(dict)
        for key, value in self.cluster.read("labels", enough, seconds=120):
            location, _, frame = key.rpartition("#")
            seen[location][frame] = json.loads(value)
        return seen

    def test_one_of_three_is_killed(self):
        first = pathlib.Path(self.video("0.webm", FRAMES))
        locations = [str(first)]
        for index in range(1, VIDEOS):
            path = self.path / f"{index}.webm"
            path.symlink_to(first)
            locations.append(str(path))
        workers = [self.process() for _ in range(3)]
        self.cluster.produce("videos", locations)
        victim = wait_until(lambda: next((w for w in workers if len(w.said(" tagging ")) > len(w.said(" tagged "))), None), 60,
                            "no worker began")
        victim.process.send_signal(signal.SIGKILL)
        victim.stop()
        self.assertGreater(len(victim.said(" tagging ")), len(victim.said(" tagged ")), "it was not in the middle of its work")
        seen = self.results(locations)
        self.assertEqual(sorted(seen), sorted(locations))
        for location, values in seen.items():
            self.assertEqual(values["end"], {"source": location, "frames": FRAMES})
            self.assertEqual(sorted(values), sorted([*map(str, range(FRAMES)), "end"]))
            self.assertEqual(values["7"]["source"], location)
        others = [worker for worker in workers if worker is not victim]
        self.assertTrue(all(worker.process.poll() is None for worker in others))
        self.assertTrue(any(worker.said(" tagged ") for worker in others))

    def test_what_cannot_be_tagged(self):
        """A broken video is an answer and holds up none of the others; all of them are committed."""
        (self.path / "broken.webm").write_bytes(b"no video")
        bad = [str(self.path / "broken.webm"), str(self.path / "absent.webm"), "http://127.0.0.1:9/x.webm", ""]
        good = self.video("good.webm", 5)
        self.cluster.produce("videos", [*bad, good])
        process = self.process()
        seen = self.results([*bad, good])
        self.assertEqual(seen[good]["end"]["frames"], 5)
        for location in bad:
            self.assertEqual(list(seen[location]), ["end"])
            self.assertIn("error", seen[location]["end"])
        self.assertIn("scheme 'http' is not allowed", seen[bad[2]]["end"]["error"])
        wait_until(lambda: len(process.said(" tagged ")) == 5)
        self.assertEqual(self.cluster.committed("clip-workers", "videos"), 5)
        process.process.terminate()
        self.assertEqual(process.process.wait(60), 0)

    def test_usage(self):
        self.assertEqual(run("/usr/bin/python3", WORKER, "--help").returncode, 0)
        self.assertEqual(run("/usr/bin/python3", WORKER, "--brokers", "127.0.0.1:9").returncode, 2)
        wrong = run("/usr/bin/python3", WORKER, "--brokers", "127.0.0.1:9", "--prompts", "a", "--model", "/absent")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn(b"/absent", wrong.stderr)
