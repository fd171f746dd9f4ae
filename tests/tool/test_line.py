# SPDX-License-Identifier: LGPL-2.1-or-later
"""The line of clipjson: every line that a pipeline writes against the schema that is installed."""
import json
import pathlib
import tempfile
import unittest

from support import ROOT, run

try:
    import jsonschema
except ImportError:
    jsonschema = None

SCHEMA = json.loads((ROOT / "docs" / "clip-line.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema and jsonschema.Draft202012Validator(SCHEMA)
PICTURE = "videotestsrc num-buffers={} pattern={} ! video/x-raw,format=RGB,width=64,height=48,framerate=10/1".format


def launch(description, **changes):
    return run("gst-launch-1.0", "-q", *description.split(), **changes)


def check(line):
    for error in VALIDATOR.iter_errors(line):
        raise AssertionError(f"{error.json_path}: {error.message} in {line}")


@unittest.skipUnless(jsonschema, "python3-jsonschema absent")
class Line(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.prompts = pathlib.Path(folder.name) / "prompts.txt"

    def lines(self, labels, elements="", frames=3, classify="", pattern="smpte"):
        self.prompts.write_text("".join(label + "\n" for label in labels), encoding="utf-8")
        result = launch(f"{PICTURE(frames, pattern)} ! {elements} clipclassify model=demo prompts-file={self.prompts} "
                        f"{classify} ! clipjson source=cam0 ! fdsink")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertTrue(result.stdout.endswith(b"\n"))
        lines = [json.loads(line) for line in result.stdout.decode().split("\n")[:-1]]
        for line in lines:
            check(line)
        return lines

    def test_schema_is_valid_and_refuses(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)
        line = self.lines(["snow"], frames=1)[0]
        for path, value in (("timestamp", "0"), ("timestamp", -1), ("utc", "today"), ("objects", {}), ("other", 1)):
            self.assertFalse(VALIDATOR.is_valid({**line, path: value}), path)
        for name in ("timestamp", "resolution", "objects"):
            self.assertFalse(VALIDATOR.is_valid({key: line[key] for key in line if key != name}), name)

    def test_members(self):
        lines = self.lines(["color bars", "!snow"], frames=3)
        self.assertEqual([line["timestamp"] for line in lines], [0, 100000000, 200000000])
        self.assertEqual([line["running_time"] for line in lines], [0, 100000000, 200000000])
        self.assertNotIn("utc", lines[0])  # gst-launch's clock knows no date
        self.assertEqual(lines[0]["resolution"], {"width": 64, "height": 48})
        thing = lines[0]["objects"][0]
        self.assertEqual([thing[key] for key in "xywh"], [0, 0, 64, 48])
        self.assertEqual(thing["classification/demo"]["label"], "color bars")
        self.assertEqual([label["negative"] for label in thing["clip"]["labels"]], [False, True])

    def test_nothing_passed(self):
        for line in self.lines(["color bars"], classify="min-cosine=1"):
            self.assertNotIn("classification/demo", line["objects"][0])
            self.assertFalse(line["objects"][0]["clip"]["labels"][0]["passed"])

    def test_pooling(self):
        line = self.lines(["color bars", "snow"], classify="pooling=mean")[-1]
        self.assertEqual(line["objects"][0]["clip"]["window"], {"pooling": "mean", "frames": 3, "span_ms": 200})

    def test_regions(self):
        # no detector is at hand: a stream without regions has no objects
        self.assertEqual([line["objects"] for line in self.lines(["snow"], classify="inference-region=roi-list")], [[]] * 3)

    def test_labels_of_every_kind(self):
        labels = ['a "quoted" word', "back\\slash", "a\u2028line", "caf\u00e9", "\u4e00\u53ea\u72d7",
                  "\U0001f436\U0001f468\u200d\U0001f469\u200d\U0001f467", "</script>", "a\u0001b\u007fc", "long " * 4000]
        # a label beside a phrasing of its own, as not all of them are prompts
        lines = self.lines([f"{label}\tthing {index}" for index, label in enumerate(labels)], frames=1)
        seen = [label["label"] for label in lines[0]["objects"][0]["clip"]["labels"]]
        self.assertEqual([label.strip() for label in seen], [label.strip() for label in labels])

    def test_newline_in_a_prompt(self):
        result = run("gst-launch-1.0", "-q", *PICTURE(1, "snow").split(), "!", "clipclassify", "model=demo",
                     'prompts="one\ntwo;\\"three\\""', "!", "clipjson", "!", "fdsink")
        self.assertEqual(result.stdout.count(b"\n"), 1)
        labels = json.loads(result.stdout)["objects"][0]["clip"]["labels"]
        self.assertEqual([label["label"] for label in labels], ["one\ntwo", '"three"'])

    def test_invalid_utf8_is_refused(self):
        result = run("gst-launch-1.0", "-q", *PICTURE(1, "snow").split(), "!", "clipclassify", "model=demo",
                     b"prompts=caf\xe9".decode("utf-8", "surrogateescape"), "!", "clipjson", "!", "fdsink")
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(result.stdout, b"")
        self.prompts.write_bytes(b"a dog\ncaf\xe9\n")
        result = launch(f"{PICTURE(1, 'snow')} ! clipclassify model=demo prompts-file={self.prompts} ! clipjson ! fdsink")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"not valid UTF-8", result.stderr)

    def test_interval(self):
        self.prompts.write_text("snow\n", encoding="utf-8")
        result = launch(f"{PICTURE(20, 'snow')} ! clipclassify model=demo prompts-file={self.prompts} "
                        "! clipjson interval=500000000 ! fdsink")
        times = [json.loads(line)["timestamp"] for line in result.stdout.splitlines()]
        self.assertEqual(times, [0, 500000000, 1000000000, 1500000000])
