# SPDX-License-Identifier: LGPL-2.1-or-later
"""gst-clip-1.0 eval against the goldens, against embed, and when it is killed or fed with what is no picture."""
import csv
import fcntl
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest
import zlib

from support import DATA, REFERENCE, TOOL, environment, needs_reference, read_png, run, safetensors, tool, tool_json

TINY = DATA / "vit-tiny"
IMAGES = sorted((DATA / "images").glob("*.png"))
MEAN = 0.48145466, 0.4578275, 0.40821073
STD = 0.26862954, 0.26130258, 0.27577711


def write_png(path, width, height, rgb):
    rows = b"".join(b"\0" + rgb[y * width * 3:(y + 1) * width * 3] for y in range(height))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
                           (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def rows(tensors, name):
    shape, values = tensors[name]
    width = 1
    for side in shape[1:]:
        width *= side
    return [list(values[i:i + width]) for i in range(0, len(values), width)]


def unit_mean(vectors):
    mean = [sum(column) for column in zip(*vectors)]
    norm = sum(value * value for value in mean) ** 0.5
    return [value / norm for value in mean]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def lines(path):
    """-> {file: line} of a file of results, without its head"""
    return {line["file"]: line for line in map(json.loads, pathlib.Path(path).read_text().splitlines()[1:])}


def totals(answer):
    return {key: value for key, value in answer.items() if key not in ("seconds", "resumed")}


class Folder(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.top = pathlib.Path(temporary.name)
        self.data = self.top / "data"
        self.data.mkdir()

    def put(self, name, source):
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)

    def text(self, name, *content):
        path = self.top / name
        path.write_text("".join(line + "\n" for line in content), encoding="utf-8")
        return path

    def evaluate(self, *options, model=TINY):
        return tool_json("eval", "--json", "--model", model, self.data, *options)

    def refuse(self, status, word, *arguments):
        result = tool("eval", *arguments)
        message = result.stderr.decode(errors="replace")
        self.assertEqual(result.returncode, status, message + result.stdout.decode(errors="replace"))
        self.assertIn(word, message)
        self.assertEqual(result.stdout, b"")


@needs_reference
class Parity(Folder):
    """Every picture of a golden in every class: all ranks and totals must be what the golden's embeddings say."""

    def load(self, golden):
        self.tensors, metadata = safetensors(REFERENCE / "models" / golden)
        self.texts = json.loads(metadata["texts"])[:5]
        self.names = metadata["images"].split(",")
        self.images = rows(self.tensors, "image_embeds")
        self.prompts = rows(self.tensors, "text_embeds")[:5]
        size = self.tensors["pixel_values"][0][-1]
        for name, pixels in zip(self.names, rows(self.tensors, "pixel_values")):
            if name != "CLIP":
                shutil.copy(REFERENCE / "images" / f"{name}.png", self.top)
                continue
            # the reference dropped its alpha before resizing, eval does so after; so here is the 8-bit picture
            # that the reference resized to, which preprocessing leaves as it is
            rgb = bytes(round((pixels[c * size * size + i] * STD[c] + MEAN[c]) * 255)
                        for i in range(size * size) for c in range(3))
            write_png(self.top / f"{name}.png", size, size, rgb)

    def place(self, classes):
        """@classes: the pictures of each"""
        for i, names in enumerate(classes):
            for name in names:
                self.put(f"c{i}/{name}.png", self.top / f"{name}.png")

    def check(self, classes, prompts, answer, results):
        ranks = {}
        for i, names in enumerate(classes):
            for name in names:
                cosines = [dot(self.images[self.names.index(name)], prompt) for prompt in prompts]
                self.assertGreater(min(abs(a - b) for a, b in zip(sorted(cosines), sorted(cosines)[1:])), 1e-4)
                line = results[f"c{i}/{name}.png"]
                order = sorted(range(len(cosines)), key=lambda j: -cosines[j])
                ranks[i, name] = order.index(i) + 1
                self.assertEqual((line["rank"], line["best"]), (ranks[i, name], order[0]))
                for entry, index in zip(line["top"], order):
                    self.assertLess(abs(entry["cosine"] - cosines[index]), 2e-5)
        right = [sum(ranks[i, name] == 1 for name in names) for i, names in enumerate(classes)]
        close = sum(rank <= answer["k"] for rank in ranks.values())
        filled = [(count, len(names)) for count, names in zip(right, classes) if names]
        self.assertEqual(answer["evaluated"], len(ranks))
        self.assertAlmostEqual(answer["top_1"], sum(right) / len(ranks), delta=1e-8)
        self.assertAlmostEqual(answer["top_k"], close / len(ranks), delta=1e-8)
        self.assertAlmostEqual(answer["mean_per_class"], sum(a / b for a, b in filled) / len(filled), delta=1e-8)
        self.assertEqual([entry["top_1"] for entry in answer["classes"]], right)

    def compare(self, model, golden):
        self.load(golden)
        classes = [self.names, self.names[:1], self.names[1:], self.names[2:], []]
        self.place(classes)
        names = self.text("names.tsv", *(f"c{i}\t{text}" for i, text in enumerate(self.texts)))
        results = self.top / "results.jsonl"
        answer = self.evaluate("--classes", names, "--top", 2, "--results", results, model=REFERENCE / "models" / model)
        self.assertEqual(answer["errors"], [])
        self.check(classes, self.prompts, answer, lines(results))

    def test_fp32(self):
        self.compare("vit-quickgelu/hf-fp32", "vit-quickgelu/expected-fp32.safetensors")

    def test_fp16(self):
        self.compare("vit-quickgelu/hf-fp16", "vit-quickgelu/expected-fp16.safetensors")

    def test_full_vocabulary(self):
        self.compare("vit-full-vocab/hf-fp16", "vit-full-vocab/expected-fp16.safetensors")

    def test_ensembles(self):
        """phrasings and templates: normalise, mean, normalise"""
        self.load("vit-quickgelu/expected-fp32.safetensors")
        classes = [self.names, self.names]
        self.place(classes)
        prompts = [self.prompts[0], unit_mean([self.prompts[2], self.prompts[3]])]
        model = REFERENCE / "models" / "vit-quickgelu" / "hf-fp32"
        names = self.text("names.tsv", "c0\ta diagram", "c1\ta cat\ta facial photo of a tabby cat")
        answer = self.evaluate("--classes", names, "--results", self.top / "1.jsonl", model=model)
        self.check(classes, prompts, answer, lines(self.top / "1.jsonl"))
        prompts = [unit_mean([self.prompts[1], self.prompts[1]]), unit_mean([self.prompts[2], self.prompts[2]])]
        names, templates = self.text("names.txt", "dog", "cat"), self.text("templates.txt", "a {}", " a  {} ")
        answer = self.evaluate("--classes", names, "--templates", templates, "--results", self.top / "2.jsonl", model=model)
        self.check(classes, prompts, answer, lines(self.top / "2.jsonl"))


class Videos(Folder):
    FRAMES = 7

    def make(self, *tail):
        """a video of 10 frames/s; lossless, so that its frames are also pictures"""
        result = run("gst-launch-1.0", "-q", "videotestsrc", f"num-buffers={self.FRAMES}", "pattern=ball",
                     "animation-mode=frames", "!", "video/x-raw,format=RGB,width=80,height=64,framerate=10/1", "!", *tail)
        self.assertEqual(result.returncode, 0, result.stderr)

    def setUp(self):
        super().setUp()
        (self.data / "a_dog").mkdir()
        (self.data / "a_cat").mkdir()
        self.make("pngenc", "!", "multifilesink", f"location={self.top}/frame%d.png")
        self.make("pngenc", "!", "qtmux", "!", "filesink", f"location={self.data}/a_dog/video.mov")
        items = [option for i in range(self.FRAMES) for option in ("--image", self.top / f"frame{i}.png")]
        self.vectors = [item["embedding"] for item in tool_json(
            "embed", "--json", "--model", TINY, *items, "--text", "a cat", "--text", "a dog")["items"]]

    def check(self, frames, *options):
        results = self.top / f"{len(list(self.top.iterdir()))}.jsonl"
        answer = self.evaluate("--results", results, *options)
        line = lines(results)["a_dog/video.mov"]
        self.assertEqual((answer["evaluated"], line["frames"]), (1, len(frames)))
        video = unit_mean([self.vectors[i] for i in frames])
        expected = {name: dot(video, vector) for name, vector in zip(("a cat", "a dog"), self.vectors[-2:])}
        for entry in line["top"]:
            self.assertAlmostEqual(entry["cosine"], expected[entry["name"]], delta=2e-6)

    def test_frames(self):
        self.check([3])
        self.check([3], "--frames", "middle")
        self.check([3], "--frames", "1")
        self.check([1, 3, 5], "--frames", "3")
        self.check(range(7), "--frames", "all")
        self.check(range(7), "--frames", "100")
        self.check([0, 2, 4, 6], "--every", "0.2")
        self.check([0, 3, 6], "--every", "0.3")
        self.check(range(7), "--every", "0.01")
        self.check([0], "--every", "100")

    def test_frames_differ(self):
        """else the test above would show nothing"""
        self.assertGreater(max(abs(a - b) for a, b in zip(self.vectors[0], self.vectors[3])), 1e-3)

    def test_more_frames_than_a_batch(self):
        run("gst-launch-1.0", "-q", "videotestsrc", "num-buffers=40", "!",
            "video/x-raw,width=80,height=64,framerate=10/1", "!", "vp8enc", "!", "webmmux", "name=mux", "!", "filesink", f"location={self.data}/a_cat/long.webm",
            "audiotestsrc", "num-buffers=100", "!", "vorbisenc", "!", "mux.")
        results = self.top / "results.jsonl"
        self.evaluate("--results", results, "--frames", "all")
        self.assertEqual({name: line["frames"] for name, line in lines(results).items()},
                         {"a_cat/long.webm": 40, "a_dog/video.mov": 7})
        (self.data / "a_cat" / "long.webm").unlink()
        self.check([3])

    def test_bad_videos(self):
        whole = (self.data / "a_dog" / "video.mov").read_bytes()
        (self.data / "a_cat" / "cut.mov").write_bytes(whole[:len(whole) // 2])
        run("gst-launch-1.0", "-q", "audiotestsrc", "num-buffers=20", "!", "vorbisenc", "!", "oggmux", "!", "filesink",
            f"location={self.data}/a_cat/sound.ogg")
        answer = self.evaluate()
        self.assertEqual([error["file"] for error in answer["errors"]], ["a_cat/cut.mov", "a_cat/sound.ogg"])
        self.assertIn("no video in it (", answer["errors"][1]["error"])
        self.assertEqual(answer["evaluated"], 1)


class Resume(Folder):
    COUNT = 400

    def setUp(self):
        super().setUp()
        for i in range(self.COUNT):
            folder = self.data / ("a_dog", "a_cat", "a_diagram")[i % 3]
            folder.mkdir(exist_ok=True)
            (folder / f"{i:03}.png").symlink_to(IMAGES[i % len(IMAGES)])
        (self.data / "a_dog" / "001.txt").write_text("no picture")
        self.results = self.top / "results.jsonl"

    def kill(self):
        """-> lines of a run that was killed in the middle"""
        command = [TOOL, "eval", "--model", TINY, self.data, "--results", self.results]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment()) as process:
            end = time.monotonic() + 60
            while time.monotonic() < end and (not self.results.exists() or self.results.read_bytes().count(b"\n") < 20):
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        return self.results.read_bytes().count(b"\n")

    def test_kill(self):
        whole = self.evaluate()
        done = self.kill()
        self.assertTrue(20 <= done < self.COUNT, done)
        with open(self.results, "ab") as file:
            file.write(b'{"file":"a_dog/')  # as a full disk or a lost power would leave it
        answer = self.evaluate("--results", self.results, "--resume")
        self.assertEqual(totals(answer), totals(whole))
        self.assertTrue(0 < answer["resumed"] < self.COUNT, answer["resumed"])
        written = lines(self.results)
        self.assertEqual(len(written), self.COUNT + 1)
        self.assertEqual(sum("error" in line for line in written.values()), 1)
        again = self.evaluate("--results", self.results, "--resume")
        self.assertEqual((again["resumed"], totals(again)), (self.COUNT, totals(whole)))

    def test_other_settings(self):
        common = "--model", TINY, self.data, "--results", self.results
        self.text("results.jsonl")
        self.results.write_bytes(b"")
        shutil.rmtree(self.data / "a_diagram")
        self.assertEqual(tool("eval", *common).returncode, 0)
        before = self.results.read_bytes()
        names = self.text("names.txt", "cat", "dog")
        self.refuse(1, "--resume", *common)
        self.refuse(1, "templates", *common, "--resume", "--templates", "simple")
        self.refuse(1, "class names", *common, "--resume", "--classes", names)
        self.refuse(1, "frames", *common, "--resume", "--frames", "all")
        self.refuse(1, "another model", *common, "--resume", "--model", "demo")
        self.refuse(1, "another precision", *common, "--resume", "--precision", "bf16")
        self.assertEqual(self.results.read_bytes(), before)

    def test_not_results(self):
        for content in (b"precious text without a line end", b"precious\n", b"[]\n", b'{"gst_clip_eval":2}\n', b"\0" * 100):
            self.results.write_bytes(content)
            self.refuse(1, "is no file of results", "--model", TINY, self.data, "--results", self.results, "--resume")
            self.assertEqual(self.results.read_bytes(), content)
        self.results.write_bytes(b"")
        with open(self.results, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.refuse(1, "another evaluation", "--model", TINY, self.data, "--results", self.results)
        os.mkfifo(self.top / "pipe")
        self.refuse(1, "not a regular file", "--model", TINY, self.data, "--results", self.top / "pipe")

    def test_cut_head(self):
        self.results.write_bytes(b'{"gst_clip_eval":1,"mod')
        shutil.rmtree(self.data / "a_dog")
        self.evaluate("--results", self.results, "--resume")
        self.assertEqual(len(lines(self.results)), sum(path.is_file() for path in self.data.rglob("*")))

    def test_damaged_line(self):
        shutil.rmtree(self.data / "a_dog")
        self.evaluate("--results", self.results)
        text = self.results.read_text().splitlines()
        self.results.write_text("\n".join(text[:3] + ["[" * 100000] + text[3:]) + "\n")
        self.refuse(1, "line 4", "--model", TINY, self.data, "--results", self.results, "--resume")

    def test_lying_line(self):
        """numbers out of range are not believed"""
        shutil.rmtree(self.data / "a_dog")
        whole = self.evaluate("--results", self.results)
        text = self.results.read_text().splitlines()
        for key, value in (("rank", 0), ("rank", 9), ("best", 2), ("best", -1), ("best", 1e30), ("rank", "1")):
            bad = dict(json.loads(text[1]), **{key: value})
            self.results.write_text("\n".join([text[0], json.dumps(bad)] + text[2:]) + "\n")
            answer = self.evaluate("--results", self.results, "--resume")
            self.assertEqual(totals(answer), totals(whole))
            self.assertEqual(answer["resumed"], answer["evaluated"] - 1)


class Files(Folder):
    def test_errors_are_listed(self):
        self.put("a_cat/ok.png", IMAGES[0])
        self.put("a_dog/deep/er/ok.png", IMAGES[1])
        (self.data / "a_dog" / "cut.png").write_bytes(IMAGES[1].read_bytes()[:-60])
        (self.data / "a_dog" / "empty.png").touch()
        (self.data / "a_dog" / "text.txt").write_text("no picture")
        (self.data / "a_dog" / "dangling.png").symlink_to("/nonexistent")
        (self.data / "a_dog" / "loop").symlink_to("..")
        (self.data / "a_dog" / "deep" / "loop").symlink_to("../../a_dog")
        (self.data / "a_dog" / ".hidden").touch()
        os.mkfifo(self.data / "a_dog" / "pipe")
        (self.data / "beside.png").touch()
        (self.data / "nothing").mkdir()
        answer = self.evaluate()
        self.assertEqual(sorted(error["file"] for error in answer["errors"]),
                         ["a_dog/cut.png", "a_dog/dangling.png", "a_dog/deep/loop", "a_dog/empty.png", "a_dog/loop",
                          "a_dog/text.txt", "nothing"])
        self.assertEqual((answer["evaluated"], answer["skipped"]), (2, 2))
        people = tool("eval", "--model", TINY, self.data)
        self.assertEqual(people.returncode, 0)
        self.assertIn(b"errors          7", people.stdout)
        self.assertIn(b"  a_dog/text.txt: is neither a picture nor a video\n", people.stdout)
        self.assertNotIn(b"\r", people.stderr)

    def test_nothing_to_evaluate(self):
        self.refuse(1, "holds no folder", "--model", TINY, self.data)
        self.refuse(1, "/nonexistent", "--model", TINY, "/nonexistent")
        self.refuse(1, "Not a directory", "--model", TINY, IMAGES[0])
        (self.data / "a_dog").mkdir()
        result = tool("eval", "--json", "--model", TINY, self.data)
        self.assertEqual(result.returncode, 1)
        answer = json.loads(result.stdout)
        self.assertEqual((answer["evaluated"], answer["top_1"], answer["errors"]),
                         (0, None, [{"file": "a_dog", "error": "holds no file"}]))

    def test_deep_folders(self):
        self.put("a_dog/ok.png", IMAGES[0])
        path = self.data / "a_dog" / "/".join("d" * 100)
        path.mkdir(parents=True)
        shutil.copy(IMAGES[0], path)
        answer = self.evaluate()
        self.assertEqual((answer["evaluated"], len(answer["errors"])), (1, 1))
        self.assertIn("deep", answer["errors"][0]["error"])

    def test_names_that_are_not_text(self):
        folder = os.fsencode(self.data) + b"/caf\xe9;!_\\x"
        os.mkdir(folder)
        shutil.copy(IMAGES[0], folder + b"/\xff.png")
        results = self.top / "results.jsonl"
        self.assertEqual(self.evaluate("--results", results)["evaluated"], 1)
        answer = self.evaluate("--results", results, "--resume")
        self.assertEqual((answer["evaluated"], answer["resumed"]), (1, 1))

    def test_order_of_names(self):
        """the answer depends on names, not on the order in which the folder was written"""
        for name in ("b_2", "a_10", "a_9"):
            for i in (2, 1, 0):
                self.put(f"{name}/{i}.png", IMAGES[i])
        results = self.top / "results.jsonl"
        answer = self.evaluate("--results", results)
        self.assertEqual([entry["name"] for entry in answer["classes"]], ["a 10", "a 9", "b 2"])
        self.assertEqual(list(lines(results)), [f"{name}/{i}.png" for name in ("a_10", "a_9", "b_2") for i in range(3)])

    def test_confusion(self):
        for i, image in enumerate(IMAGES):
            self.put(f"c{i % 2}/{image.name}", image)
        names = self.text("names.tsv", 'c1\ta "big", red dog', "c0\ta cat", "absent\ta fish")
        table, results, plot = self.top / "confusion.csv", self.top / "results.jsonl", self.top / "confusion.png"
        answer = self.evaluate("--classes", names, "--confusion", table, "--results", results, "--plot", plot)
        with open(table, encoding="utf-8", newline="") as file:
            head, *body = csv.reader(file)
        labels = ['a "big", red dog', "a cat", "a fish"]
        self.assertEqual((head[1:], [row[0] for row in body]), (labels, labels))
        expected = [[0] * 3 for _ in range(3)]
        for line in lines(results).values():
            expected[labels.index(line["class"])][line["best"]] += 1
        self.assertEqual([[int(cell) for cell in row[1:]] for row in body], expected)
        self.assertEqual(sum(map(sum, expected)), answer["evaluated"])
        self.assertEqual(sum(expected[i][i] for i in range(3)), sum(entry["top_1"] for entry in answer["classes"]))
        self.check_plot(plot, expected)

    def check_plot(self, plot, counts):
        """cells of 96 at the right bottom, within a margin of 16; yellow is all of a row, dark violet none"""
        width, height, pixels = read_png(plot)
        for row, line in enumerate(counts):
            for column, count in enumerate(line):
                at = ((height - 16 - (3 - row) * 96 + 4) * width + width - 16 - (3 - column) * 96 + 4) * 3
                colour = tuple(pixels[at:at + 3])
                self.assertEqual(colour == (253, 231, 37), 0 < count == sum(line))
                self.assertEqual(colour == (68, 1, 84), count == 0)

    def test_classes_file(self):
        self.put("c0/a.png", IMAGES[0])
        self.put("c1/a.png", IMAGES[1])
        common = "--model", TINY, self.data, "--classes"
        self.refuse(1, "c1", *common, self.text("n", "c0\ta dog"))
        self.refuse(1, "two lines", *common, self.text("n", "c0\ta", "c1\tb", "c0\tc"))
        self.refuse(1, "3 names for 2", *common, self.text("n", "a", "b", "c"))
        self.refuse(1, "no such folder", *common, self.text("n", "x\ta dog", "y\ta cat"))
        self.refuse(1, "negative", *common, self.text("n", "!c0\ta", "c1\tb"))
        self.refuse(1, "/nonexistent", *common, "/nonexistent")
        answer = self.evaluate("--classes", self.text("n", "a dog", "a cat"))
        self.assertEqual([(entry["folder"], entry["name"]) for entry in answer["classes"]],
                         [("c0", "a dog"), ("c1", "a cat")])

    def test_help(self):
        result = tool("eval", "--help")
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        self.assertIn(b"--resume", result.stdout)

    def test_usage(self):
        self.put("c0/a.png", IMAGES[0])
        self.refuse(2, "one folder")
        self.refuse(2, "one folder", self.data, self.data)
        self.refuse(2, "--resume", self.data, "--resume")
        for option, values in (("--top", ("0", "-1", "1001")), ("--every", ("-1", "1e9", "nan")),
                               ("--frames", ("0", "-3", "few", "", "1e3"))):
            for value in values:
                self.refuse(2, option, self.data, f"{option}={value}")
        self.refuse(2, "--every", self.data, "--every=1", "--frames=2")
        self.refuse(1, "/nonexistent", "--model", TINY, self.data, "--confusion", "/nonexistent/c.csv")
        self.refuse(1, "/nonexistent", "--model", TINY, self.data, "--results", "/nonexistent/r.jsonl")
        self.refuse(1, "templates", "--model", TINY, self.data, "--templates", "nothing like it")

    def test_progress(self):
        self.put("c0/a.png", IMAGES[0])
        result = tool("eval", "--model", TINY, self.data, "--progress")
        self.assertIn(b"1 of 1 files", result.stderr)
        self.assertEqual(tool("eval", "--model", TINY, self.data).stderr, b"")
