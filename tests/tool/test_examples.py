# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two examples of OpenAI, their download, and the heat map of match --plot."""
import http.server
import pathlib
import tempfile
import threading
import unittest

from support import DATA, REFERENCE, ROOT, needs_reference, read_png, run, safetensors, tool, tool_json

PIPELINES = ROOT / "pipelines"
MODEL = DATA / "vit-tiny"
IMAGES = [DATA / "images" / f"{name}.png" for name in ("gradient-160x121", "checker-97x96")]
FULL_VOCABULARY = REFERENCE / "models" / "vit-quickgelu" / "hf-fp32"
FIRST, LAST = (68, 1, 84), (253, 231, 37)  # the ends of viridis


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)


class Plot(Folder):
    def plot(self, *images, texts=("a cat", "a dog", "a bird")):
        file = self.path / "map.png"
        result = tool_json("match", "--json", "--model", MODEL, "--plot", file, *images, "--text", *texts)
        return result, read_png(file)

    def test_colours(self):
        result, (width, height, pixels) = self.plot(*IMAGES)
        # two columns and three rows of cells of 96, their pictures above, and margins of 16
        self.assertEqual(height, 16 + 96 + 3 * 96 + 16)
        left = width - 16 - 2 * 96
        self.assertGreater(left, 16)
        cosines = [[label["cosine"] for label in image["labels"]] for image in result["images"]]
        flat = sorted(value for row in cosines for value in row)
        for column, row in ((c, r) for c in range(2) for r in range(3)):
            at = ((16 + 96 + row * 96 + 5) * width + left + column * 96 + 5) * 3
            colour = tuple(pixels[at:at + 3])
            value = cosines[column][row]
            self.assertEqual(colour == FIRST, value == flat[0], (column, row, colour))
            self.assertEqual(colour == LAST, value == flat[-1], (column, row, colour))

    def test_one_value(self):
        _, (width, height, _) = self.plot(IMAGES[0], texts=["a cat"])
        self.assertEqual(height, 16 + 96 + 96 + 16)

    def test_cannot_be_written(self):
        result = tool("match", "--model", MODEL, "--plot", self.path / "no" / "map.png", IMAGES[0], "--text", "a cat")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"map.png", result.stderr)
        self.assertEqual(list(self.path.iterdir()), [])


@needs_reference
class Examples(Folder):
    def test_first(self):
        options = ("--pictures", REFERENCE / "images", "-m", FULL_VOCABULARY)
        result = run(PIPELINES / "example-1", *options)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        values = [float(line.split()[-1]) for line in result.stdout.decode().splitlines()[1:4]]
        self.assertAlmostEqual(sum(values), 1, places=5)
        self.assertIn("Not compared", result.stdout.decode())
        # random weights cannot give what OpenAI's give: the check can fail
        self.assertEqual(run(PIPELINES / "example-1", *options, "--check").returncode, 1)

    def test_second(self):
        result = run(PIPELINES / "example-2", "--pictures", REFERENCE / "images", "-m", FULL_VOCABULARY, "-o",
                     self.path / "map.png")
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        rows = result.stdout.decode().splitlines()[1:9]
        shown = [[float(value) for value in row.split()[-8:]] for row in rows]
        expected, _ = safetensors(REFERENCE / "models" / "vit-quickgelu" / "expected-fp32.safetensors")
        self.assertIn("image_embeds", expected)
        again = tool_json("match", "--json", "--model", FULL_VOCABULARY, REFERENCE / "images" / "coffee.png", "--text",
                          "This is a cup of coffee on a saucer")
        self.assertAlmostEqual(shown[7][7], again["images"][0]["labels"][0]["cosine"], places=4)
        width, height, _ = read_png(self.path / "map.png")
        self.assertEqual(height, 16 + 9 * 96 + 16)
        self.assertGreater(width, 8 * 96)


class Missing(Folder):
    def test_pictures_missing(self):
        for example in ("example-1", "example-2"):
            result = run(PIPELINES / example, XDG_DATA_HOME=str(self.path))
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"pipelines/fetch-examples", result.stderr)

    def test_help(self):
        for name in ("example-1", "example-2", "fetch-examples"):
            self.assertEqual(run(PIPELINES / name, "--help").returncode, 0, name)


class Publisher(http.server.BaseHTTPRequestHandler):
    """Has CLIP.png, and something else under every other name."""

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        self.answer(self.body())

    def body(self):
        return (REFERENCE / "images" / "CLIP.png").read_bytes() if self.path.endswith("/CLIP.png") else b"other"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body())))
        self.end_headers()
        self.wfile.write(body)


@needs_reference
class FetchExamples(Folder):
    def test_checksums(self):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        result = run(PIPELINES / "fetch-examples", GST_CLIP_FETCH_BASE=f"http://127.0.0.1:{server.server_port}",
                     XDG_DATA_HOME=str(self.path), no_proxy="127.0.0.1")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"astronaut.png: wrong checksum", result.stderr)
        files = {file.name for file in (self.path / "gst-clip" / "examples").iterdir()}
        self.assertEqual(files, {"CLIP.png"})


if __name__ == "__main__":
    unittest.main()
