# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scripts of pipelines/, on encoded video and against a local web server."""
import hashlib
import http.server
import json
import pathlib
import tempfile
import threading
import unittest

from support import REFERENCE, ROOT, run

PIPELINES = ROOT / "pipelines"


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def labelled(frames):
    """A live stream's frames from the first result on."""
    frames = [frame for frame in frames if frame["objects"]]
    assert frames, "no frame has a result"
    return frames


def top(line):
    return max(line["objects"][0]["clip"]["labels"], key=lambda label: label["confidence"])["label"]


class Pipelines(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)

    def test_help(self):
        for name in ("quickstart", "tag-file", "tag-camera", "tag-rtsp", "describe-image", "fetch-model", "train-demo"):
            self.assertEqual(run(PIPELINES / name, "--help").returncode, 0, name)

    def test_read_labels(self):
        # Debian's interpreter has Debian's python3-gst-1.0
        result = run("/usr/bin/python3", PIPELINES / "read-labels.py")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        seen = result.stdout.decode().splitlines()
        self.assertEqual(len(seen), 5)
        self.assertTrue(all(line.endswith("color bars") for line in seen), seen)

    def test_quickstart(self):
        result = run(PIPELINES / "quickstart", "--no-install", "-o", self.path, timeout=300)
        self.assertEqual(result.returncode, 0, result.stdout.decode() + result.stderr.decode())
        labels = self.path / "labels.jsonl"
        frames = lines(labels.read_bytes())
        self.assertEqual(len(frames), 240)
        serials = {frame["objects"][0]["clip"]["prompts_serial"] for frame in labelled(frames)}
        self.assertEqual(len(serials), 2)  # the prompts changed once
        self.assertGreater((self.path / "annotated.webm").stat().st_size, 10000)
        self.check_seen_when(labels)

    def check_seen_when(self, labels):
        expected = "a dog face;-;a pizza;a rocket;the word stop;colour bars;television static;a black screen"
        right = run(PIPELINES / "seen-when.py", labels, "--every", "2", "--expect", expected)
        self.assertEqual(right.returncode, 0, right.stdout.decode())
        wrong = run(PIPELINES / "seen-when.py", labels, "--every", "2", "--expect", expected.replace("pizza", "ghost"))
        self.assertEqual(wrong.returncode, 1)

    def tag(self, encoder, muxer, name):
        video = self.path / name
        run("gst-launch-1.0", "-q", "videotestsrc", "num-buffers=20", "!", "video/x-raw,width=320,height=240", "!",
            encoder, "!", muxer, "!", "filesink", f"location={video}")
        result = run(PIPELINES / "tag-file", video, "colour bars;a ball", "-m", "demo", "-v", self.path / "out.webm")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertEqual([top(line) for line in lines(result.stdout)], ["colour bars"] * 20)
        self.assertGreater((self.path / "out.webm").stat().st_size, 1000)

    def test_tag_file_vp8(self):
        self.tag("vp8enc", "webmmux", "in.webm")

    def test_tag_file_h264(self):
        self.tag("x264enc", "matroskamux", "in.mkv")

    def test_tag_camera_stand_in(self):
        result = run(PIPELINES / "tag-camera", "colour bars;a ball", "-m", "demo", "-d", "/dev/no-camera", "-s", "4")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertIn(b"stands in", result.stderr)
        self.assertEqual({top(line) for line in labelled(lines(result.stdout))}, {"colour bars"})

    def test_wrong_usage(self):
        self.assertEqual(run(PIPELINES / "tag-rtsp").returncode, 2)
        self.assertEqual(run(PIPELINES / "tag-file", "x").returncode, 2)
        self.assertEqual(run(PIPELINES / "tag-file", "/nonexistent", "a").returncode, 1)
        self.assertNotEqual(run(PIPELINES / "tag-rtsp", "rtsp://127.0.0.1:9/x", "a", "-m", "demo").returncode, 0)

    def test_describe_image(self):
        picture = self.path / "ball.png"
        run("gst-launch-1.0", "-q", "videotestsrc", "pattern=ball", "num-buffers=1", "!", "pngenc", "!", "filesink",
            f"location={picture}")
        result = run(PIPELINES / "describe-image", picture, "a ball", "colour bars")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        self.assertIn(b"a ball", result.stdout)


class Publisher(http.server.BaseHTTPRequestHandler):
    """Any file; cuts the first answer for the weights in the middle, and may lie about the checksum."""
    content = {}
    cut = False
    lie = False
    ranges = []

    def log_message(self, *arguments):
        pass

    def body(self):
        return self.content.setdefault(self.path.rsplit("/", 1)[1], self.path.encode() * 5000)

    def do_HEAD(self):
        data = b"other" if self.lie else self.body()
        self.send_response(302)
        self.send_header("Location", self.path)
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(self.body())))
        self.end_headers()

    def do_GET(self):
        data, begin = self.body(), 0
        if wanted := self.headers.get("Range"):
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            Publisher.ranges.append(begin)
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        end = len(data)
        if Publisher.cut and self.path.endswith("model.safetensors"):
            Publisher.cut, end = False, len(data) // 2
        self.wfile.write(data[begin:end])


class FetchModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        Publisher.cut = Publisher.lie = False
        Publisher.ranges = []
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.base = f"http://127.0.0.1:{server.server_port}"
        self.model = self.path / "gst-clip" / "models" / "ViT-B-32"

    def fetch(self, *options):
        return run(PIPELINES / "fetch-model", "ViT-B/32", *options, GST_CLIP_FETCH_BASE=self.base,
                   XDG_DATA_HOME=str(self.path), no_proxy="127.0.0.1")

    def test_all_files(self):
        result = self.fetch()
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        names = sorted(file.name for file in self.model.iterdir())
        self.assertEqual(names, ["config.json", "merges.txt", "model.safetensors", "preprocessor_config.json",
                                 "tokenizer.json", "vocab.json"])
        for name in names:
            self.assertEqual((self.model / name).read_bytes(), Publisher.content[name])

    def test_cut_is_resumed(self):
        Publisher.cut = True
        result = self.fetch()
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        weights = Publisher.content["model.safetensors"]
        self.assertEqual(Publisher.ranges, [len(weights) // 2])
        self.assertEqual((self.model / "model.safetensors").read_bytes(), weights)

    def test_wrong_checksum(self):
        Publisher.lie = True
        result = self.fetch()
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"wrong checksum", result.stderr)
        self.assertEqual(list(self.model.iterdir()), [])

    def fetch_vocabulary(self, content, *options):
        Publisher.content["bpe_simple_vocab_16e6.txt.gz"] = content
        self.addCleanup(Publisher.content.pop, "bpe_simple_vocab_16e6.txt.gz")
        return run(PIPELINES / "fetch-model", "--vocabulary", *options, GST_CLIP_FETCH_BASE=self.base,
                   XDG_DATA_HOME=str(self.path), no_proxy="127.0.0.1")

    def test_vocabulary(self):
        source = REFERENCE / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz"
        if not source.is_file():
            self.skipTest("reference absent")
        result = self.fetch_vocabulary(source.read_bytes())
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        path = self.path / "gst-clip" / source.name
        self.assertEqual(result.stdout.decode().strip(), str(path))
        self.assertEqual(path.read_bytes(), source.read_bytes())

    def test_vocabulary_of_another(self):
        result = self.fetch_vocabulary(b"another file")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"wrong checksum", result.stderr)
        self.assertEqual(list((self.path / "gst-clip").iterdir()), [])

    def test_archive_of_another(self):
        result = run(PIPELINES / "fetch-model", "RN50", GST_CLIP_FETCH_BASE=self.base, XDG_DATA_HOME=str(self.path),
                     no_proxy="127.0.0.1")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"RN50.pt: wrong checksum", result.stderr)
        self.assertEqual(list((self.path / "gst-clip" / "models" / "RN50").iterdir()), [])

    def test_archive_is_found(self):
        archive = REFERENCE / "models" / "vit-quickgelu" / "openai" / "ViT-tiny.pt"
        vocabulary = REFERENCE / "models" / "vit-quickgelu" / "hf-fp32"
        if not archive.is_file():
            self.skipTest("reference absent")
        folder = self.path / "gst-clip" / "models" / "RN50"
        folder.mkdir(parents=True)
        for name in ("vocab.json", "merges.txt"):
            (folder / name).write_bytes((vocabulary / name).read_bytes())
        (folder / "RN50.pt.part").write_bytes(archive.read_bytes())
        # half a download is none: the demo model takes its place
        self.assertEqual(self.found_model(), "demo")
        (folder / "RN50.pt.part").rename(folder / "RN50.pt")
        self.assertEqual(self.found_model(), "RN50")

    def found_model(self):
        result = run("gst-clip-1.0", "info", "--json", XDG_DATA_HOME=str(self.path))
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return json.loads(result.stdout)["model"]["name"]

    def test_wrong_checksum_given(self):
        result = self.fetch("--sha256", "0" * 64)
        self.assertEqual(result.returncode, 1)
        self.assertFalse((self.model / "model.safetensors").exists())
        self.assertFalse((self.model / "config.json").exists())
