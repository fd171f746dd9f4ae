# SPDX-License-Identifier: LGPL-2.1-or-later
"""Results as other programs read them: GstAnalytics from Python, GstClipMeta from C."""
import json
import pathlib
import struct
import tempfile
import unittest

from support import BUILD, ROOT, run, tool_json

FRAME = "videotestsrc num-buffers=1 pattern=smpte ! video/x-raw,format=RGB,width=320,height=240"


def read_frames(launch):
    result = run("/usr/bin/python3", ROOT / "tests" / "tool" / "read-analytics.py", launch)
    if result.returncode == 77:
        raise unittest.SkipTest(f"GStreamer has no analytics metadata: {result.stderr.decode().strip()}")
    assert result.returncode == 0, result.stderr.decode()
    return [json.loads(line) for line in result.stdout.splitlines()]


class Analytics(unittest.TestCase):
    def test_labels(self):
        frames = read_frames(f"{FRAME} ! clipclassify model=demo top-k=2 prompts=\"snow;color bars;a black picture\" ! "
                             "queue ! videoconvert ! video/x-raw,format=NV12 ! fakesink name=sink")
        (labels,), = (frame["labels"] for frame in frames)
        self.assertEqual(len(labels), 2)
        self.assertEqual(labels[0][0], "color bars")
        self.assertGreater(labels[0][1], labels[1][1])

    def test_nothing_passed(self):
        frames = read_frames(f"{FRAME} ! clipclassify model=demo min-cosine=1 prompts=snow ! fakesink name=sink")
        self.assertEqual([frame["labels"] for frame in frames], [[]])

    def test_tensor_equals_embed(self):
        """to the last bit: the same frame, one as a PNG file"""
        with tempfile.TemporaryDirectory() as folder:
            picture = pathlib.Path(folder) / "frame.png"
            frames = read_frames(f"{FRAME} ! tee name=t ! queue ! pngenc ! filesink location={picture} t. ! queue ! "
                                 "clipclassify model=demo prompts=snow tensor-meta=true ! fakesink name=sink")
            embedded = tool_json("embed", "--model", "demo", "--json", "--image", picture)
        dims, kind, data = frames[0]["tensors"]["clip-image-embedding-out"]
        expected = embedded["items"][0]["embedding"]
        self.assertEqual((dims, kind), ([1, len(expected)], "float32"))
        self.assertEqual(data, struct.pack(f"<{len(expected)}f", *expected).hex())


class InC(unittest.TestCase):
    def test_read_labels(self):
        result = run(BUILD / "pipelines" / "read-labels")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        seen = result.stdout.decode().splitlines()
        self.assertEqual(len(seen), 5)
        self.assertTrue(all(line.endswith("color bars") for line in seen), seen)

    def test_same_as_in_python(self):
        prompts = "a ball;snow;a red circle"
        with tempfile.TemporaryDirectory() as folder:
            video = pathlib.Path(folder) / "ball.mkv"
            run("gst-launch-1.0", "-q", "videotestsrc", "num-buffers=8", "pattern=ball", "!", "vp8enc", "!",
                "matroskamux", "!", "filesink", f"location={video}")
            in_c = run(BUILD / "pipelines" / "read-labels", video, prompts)
            in_python = run("/usr/bin/python3", ROOT / "pipelines" / "read-labels.py", video, prompts)
        self.assertEqual(in_c.returncode, 0, in_c.stderr.decode())
        self.assertEqual(len(in_c.stdout.splitlines()), 8)
        self.assertEqual(in_c.stdout, in_python.stdout)

    def test_errors(self):
        result = run(BUILD / "pipelines" / "read-labels", "/nonexistent.mkv")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"/nonexistent.mkv", result.stderr)


class TensorMetaWithout(unittest.TestCase):
    def test_warning(self):
        """where GStreamer has no tensors tensor-meta=true says so, and the labels come all the same"""
        version = run("gst-launch-1.0", "--version").stdout.decode().split()[2].split(".")
        result = run("gst-launch-1.0", "videotestsrc", "num-buffers=2", "!", "clipclassify", "model=demo",
                     "prompts=snow", "tensor-meta=true", "!", "clipjson", "!", "filesink", "location=/dev/stderr")
        self.assertEqual(result.returncode, 0, result.stdout.decode())
        self.assertEqual(result.stderr.count(b'"label":"snow"'), 4)
        warned = b"tensor-meta has no effect" in result.stdout + result.stderr
        self.assertEqual(warned, int(version[1]) < 26)


if __name__ == "__main__":
    unittest.main()
