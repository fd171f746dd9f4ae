# SPDX-License-Identifier: LGPL-2.1-or-later
"""gst-clip-1.0 against the goldens, and its errors."""
import json
import math
import pathlib
import tempfile
import unittest

from support import DATA, REFERENCE, needs_reference, read_png, run, safetensors, tool, tool_json

MODEL = DATA / "vit-tiny"
IMAGES = [DATA / "images" / f"{name}.png" for name in ("gradient-160x121", "checker-97x96", "noise-61x47")]


def golden(name):
    tensors, metadata = safetensors(DATA / "vit-tiny" / "expected.safetensors")
    shape, values = tensors[name]
    width = shape[-1]
    return [list(values[i:i + width]) for i in range(0, len(values), width)], json.loads(metadata["texts"])


def golden_logits():
    """-> ([image][text], texts) of the texts that match takes: an empty one is an error"""
    logits, texts = golden("logits_per_image")
    kept = [i for i, text in enumerate(texts) if text]
    return [[row[i] for i in kept] for row in logits], [texts[i] for i in kept]


class Parity(unittest.TestCase):
    def check(self, kind, inputs, name):
        options = [option for value in inputs for option in (f"--{kind}", value)]
        items = tool_json("embed", "--json", "--model", MODEL, *options)["items"]
        expected = golden(name)[0]
        self.assertEqual([item["kind"] for item in items], [kind] * len(expected))
        for item, row in zip(items, expected):
            self.assertLessEqual(max(abs(a - b) for a, b in zip(item["embedding"], row)), 2e-5)
            self.assertGreaterEqual(sum(a * b for a, b in zip(item["embedding"], row)), 0.999999)
            self.assertGreater(item["norm"], 0)

    def test_embed_images(self):
        self.check("image", IMAGES, "image_embeds")

    def test_embed_texts(self):
        self.check("text", golden("text_embeds")[1], "text_embeds")

    def test_match(self):
        logits, texts = golden_logits()
        answer = tool_json("match", "--json", "--model", MODEL, *IMAGES, "--text", *texts)
        self.assertEqual(list(answer), ["model", "logit_scale", "texts", "images"])
        self.assertEqual(answer["texts"], texts)
        for image, file, row in zip(answer["images"], IMAGES, logits):
            self.assertEqual(image["file"], str(file))
            self.assertEqual([label["label"] for label in image["labels"]], texts)
            total = sum(math.exp(value - max(row)) for value in row)
            for label, value in zip(image["labels"], row):
                self.assertLess(abs(label["cosine"] * answer["logit_scale"] - value), 2e-3)
                self.assertLess(abs(label["confidence"] - math.exp(value - max(row)) / total), 2e-3)

    def test_swapped_rows_are_noticed(self):
        logits, texts = golden_logits()
        answer = tool_json("match", "--json", "--model", MODEL, *reversed(IMAGES), "--text", *texts)
        worst = max(abs(label["cosine"] * answer["logit_scale"] - value)
                    for image, row in zip(answer["images"], logits) for label, value in zip(image["labels"], row))
        self.assertGreater(worst, 2e-3)

    def tokenize(self, model, cases):
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="") as file:
            file.write("".join(case["text"] + "\n" for case in cases))
            file.flush()
            result = tool("tokenize", "--json", "--model", model, "--lines", file.name)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(len(lines), len(cases))
        for case, ids in zip(cases, lines):
            self.assertEqual(ids, case["ids"], case["text"])

    def test_tokenize(self):
        with open(DATA / "vocab" / "tokens.jsonl", encoding="utf-8") as file:
            cases = [json.loads(line) for line in file]
        self.tokenize(MODEL, [case for case in cases if "\n" not in case["text"]])

    @needs_reference
    def test_tokenize_full_vocabulary(self):
        with open(REFERENCE / "tokenizer" / "strings.jsonl", encoding="utf-8") as file:
            cases = [json.loads(line) for line in file]
        cases = [case for case in cases if "\n" not in case["text"] and "ids_without_ftfy" not in case]
        self.tokenize(REFERENCE / "models" / "vit-full-vocab" / "hf-fp16", cases)

    def test_preprocess(self):
        tensors, _ = safetensors(DATA / "preprocess.safetensors")
        checked = 0
        for file in sorted((DATA / "images").glob("*.png")):
            # transparent pictures in openai/CLIP's order: resized with their alpha, which is dropped after
            stem = file.stem + (".openai-order" if file.stem.startswith("alpha") else "")
            for name, (shape, values) in tensors.items():
                if name.rpartition("-")[0] != stem:
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    out = pathlib.Path(folder) / "out.png"
                    result = tool("preprocess", "--size", shape[0], file, "-o", out)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    width, height, pixels = read_png(out)
                self.assertEqual([height, width, 3], list(shape))
                self.assertEqual(pixels, bytes(values), name)
                checked += 1
        self.assertEqual(checked, 18)

    def test_pipeline_scores_equal_match(self):
        for file in sorted((DATA / "images").glob("*.png")):
            result = run("gst-launch-1.0", "-q", "filesrc", f"location={file}", "!", "decodebin", "!", "clipclassify",
                         f"model={MODEL}", "prompts=a dog;a cat", "!", "clipjson", "!", "fdsink")
            self.assertEqual(result.returncode, 0, result.stderr)
            seen = json.loads(result.stdout.splitlines()[0])["objects"][0]["clip"]["labels"]
            labels = tool_json("match", "--json", "--model", MODEL, file, "--text", "a dog", "a cat")["images"][0]["labels"]
            for a, b in zip(seen, labels):
                self.assertEqual(a["label"], b["label"])
                self.assertAlmostEqual(a["cosine"], b["cosine"], delta=1e-6)
                self.assertAlmostEqual(a["confidence"], b["confidence"], delta=1e-6)


class Precision(unittest.TestCase):
    """the small model; the full-size ones are in tests/model"""

    def rows(self, *precision):
        inputs = [part for file in IMAGES for part in ("--image", file)] + ["--text", "a dog"]
        return [item["embedding"] for item in tool_json("embed", "--json", "--model", MODEL, *inputs, *precision)["items"]]

    def test_embed(self):
        exact = self.rows("--precision", "fp32")
        self.assertEqual(exact, self.rows())  # the default
        for precision, bar in (("bf16", 0.9995), ("int8", 0.995)):
            rows = self.rows("--precision", precision)
            self.assertNotEqual(rows, exact)
            for a, b in zip(exact, rows):
                self.assertGreaterEqual(sum(x * y for x, y in zip(a, b)), bar, precision)

    def test_info(self):
        for precision in ("fp32", "bf16", "int8"):
            info = tool_json("info", "--json", "--model", MODEL, "--precision", precision)
            self.assertEqual(info["precision"], precision)
        self.assertIn(tool_json("info", "--json", "--model", MODEL, "--precision", "auto")["precision"], ("fp32", "bf16", "int8"))

    def test_element(self):
        for precision in ("bf16", "int8"):
            result = run("gst-launch-1.0", "-q", "filesrc", f"location={IMAGES[0]}", "!", "decodebin", "!", "clipclassify",
                         f"model={MODEL}", "prompts=a dog;a cat", f"precision={precision}", "!", "clipjson", "!", "fdsink")
            self.assertEqual(result.returncode, 0, result.stderr)
            seen = [label["cosine"] for label in json.loads(result.stdout)["objects"][0]["clip"]["labels"]]
            for wanted, digits in ((precision, 6), ("fp32", 2)):
                labels = tool_json("match", "--json", "--model", MODEL, IMAGES[0], "--precision", wanted, "--text",
                                   "a dog", "a cat")["images"][0]["labels"]
                distance = max(abs(cosine - label["cosine"]) for cosine, label in zip(seen, labels))
                self.assertLess(distance, 10 ** -digits)
                self.assertTrue(wanted == precision or distance > 1e-5, distance)

    def test_shared(self):
        for precisions, agree in ((("int8", "int8"), True), (("int8", "fp32"), False)):
            branches = [part for precision in precisions for part in
                        ("t.", "!", "queue", "!", "clipclassify", f"model={MODEL}", "prompts=a dog", "model-instance-id=one",
                         f"precision={precision}", "!", "fakesink")]
            result = run("gst-launch-1.0", "-q", "videotestsrc", "num-buffers=2", "!", "tee", "name=t", *branches)
            self.assertEqual(result.returncode == 0, agree, result.stderr)
            if not agree:
                self.assertIn(b"same model, device and precision", result.stderr)


class Bench(unittest.TestCase):
    def test_precisions(self):
        answer = tool_json("bench", "--all-precisions", "--json", "--model", MODEL, "--seconds", "0.1")
        self.assertEqual(list(answer["precisions"]), ["fp32", "bf16", "int8"])
        self.assertEqual(answer["precisions"]["fp32"]["over_fp32"], 1)
        for row in answer["precisions"].values():
            self.assertGreater(row["encode_fps"], 0)
        text = tool("bench", "--all-precisions", "--model", MODEL, "--seconds", "0.1").stdout.decode()
        self.assertRegex(text, r"int8 +[0-9.]+ frames/s +[0-9.]+x of fp32")

    def test_frames(self):
        answer = tool_json("bench", "--json", "--model", MODEL, "--seconds", "0.1", "--batch", "2")
        self.assertEqual(answer["frame"], {"width": 1920, "height": 1080, "format": "NV12"})
        self.assertEqual((answer["batch"], answer["precision"]), (2, "fp32"))
        self.assertTrue(answer["device"])
        self.assertAlmostEqual(answer["preprocess_over_encode"], answer["encode_fps"] / answer["preprocess_fps"], delta=1e-6)
        self.assertAlmostEqual(1 / answer["fps"], 1 / answer["encode_fps"] + 1 / answer["preprocess_fps"], delta=1e-6)
        text = tool("bench", "--model", MODEL, "--seconds", "0.1", "--frame", "64x48", "--format", "RGB").stdout.decode()
        self.assertRegex(text, r"preprocessing +[0-9.]+ ms a frame, [0-9.]+ % of the encoder's, of 64x48 RGB\n")
        alone = tool_json("bench", "--encoder", "--json", "--model", MODEL, "--seconds", "0.1")
        self.assertGreater(alone["encode_fps"], 0)
        self.assertNotIn("preprocess_fps", alone)

    def test_profile(self):
        answer = tool_json("bench", "--profile", "--json", "--model", MODEL, "--seconds", "0.2")
        stages = {stage["stage"]: stage for stage in answer["stages"]}
        for name in ("upload", "preprocess", "patch", "attention", "layernorm", "other"):
            self.assertGreater(stages[name]["ms"], 0)
        products = [stage for stage in answer["stages"] if stage["stage"].startswith("product ")]
        for stage in products:
            m, n, k = map(int, stage["stage"].split()[1].split("x"))
            flop = 2 * m * n * k * stage["calls"]
            self.assertAlmostEqual(stage["gflops"] * stage["ms"] * 1e6 / flop, 1, delta=0.01)
            self.assertAlmostEqual(stage["of_peak"], stage["gflops"] / answer["peak_gflops"], delta=0.01)
        self.assertTrue(products)
        self.assertLessEqual(sum(stage["ms"] for stage in answer["stages"]), answer["ms"])
        self.assertLessEqual(sum(stage["share"] for stage in answer["stages"]), 1)
        for stage in answer["stages"]:
            self.assertAlmostEqual(stage["share"], stage["ms"] / answer["ms"], delta=1e-6)
        operations = sum(stage["gflops"] * stage["ms"] for stage in products)
        self.assertAlmostEqual(answer["of_peak"], operations / answer["ms"] / answer["peak_gflops"], delta=1e-6)
        self.assertAlmostEqual(answer["per_second"] * answer["ms"], 1000 * answer["batch"], delta=0.1)
        text = tool("bench", "--profile", "--model", MODEL, "--seconds", "0.2").stdout.decode()
        self.assertRegex(text, r"layernorm +[0-9]+ +[0-9.]+ ms +[0-9.]+ %")

    def test_load(self):
        load = tool_json("bench", "--load", "--json", "--model", MODEL)
        parameters = sum(math.prod(shape) for shape, _ in safetensors(MODEL / "model.safetensors")[0].values())
        # fp32 on the device, in panels whose width may pad each matrix
        self.assertGreaterEqual(load["device_bytes"], 4 * (parameters - 1))
        self.assertLess(load["device_bytes"], 8 * parameters + 65536)
        self.assertGreater(load["resident_bytes"], load["device_bytes"])
        self.assertEqual([phase["after"] for phase in load["phases"]],
                         ["device", "image encoder", "text encoder", "first picture", "text encoder dropped"])
        for phase in load["phases"]:
            self.assertLess(phase["file_bytes"], phase["resident_bytes"])
            self.assertLessEqual(phase["resident_bytes"], load["peak_bytes"])
        self.assertEqual(load["phases"][2]["resident_bytes"], load["resident_bytes"])
        self.assertGreater(load["cold_seconds"], 0)
        self.assertGreater(load["warm_seconds"], 0)
        self.assertGreater(load["text_step_seconds"], 0)
        self.assertLess(load["text_step_seconds"], 10)


    def test_texts(self):
        with tempfile.TemporaryDirectory() as folder:
            labels = pathlib.Path(folder, "labels.txt")
            labels.write_text("a dog\ncat\tcat\ttom cat\n")
            figures = tool_json("bench", "--json", "--model", MODEL, "--texts", labels, "--templates", "simple")
            self.assertEqual(figures["texts"], 3 * 7)
            self.assertGreater(figures["seconds"], 0)
            self.assertLess(0, figures["gflop"])
            self.assertLess(figures["gflop"], figures["gflop_all_positions"])
            self.assertAlmostEqual(figures["texts_per_second"], 21 / figures["seconds"], delta=0.01)
            self.assertAlmostEqual(figures["of_peak"], figures["gflop"] / figures["seconds"] / figures["peak_gflops"], delta=1e-6)
            self.assertEqual((figures["precision"], bool(figures["device"])), ("fp32", True))
            stages = tool_json("bench", "--json", "--model", MODEL, "--texts", labels, "--profile")["stages"]
            self.assertTrue({"attention", "layernorm"} <= {stage["stage"] for stage in stages})
            labels.write_text("")
            self.assertEqual(tool("bench", "--model", MODEL, "--texts", labels).returncode, 1)


class SecondStart(unittest.TestCase):
    """a set that some process has encoded is not encoded again, and gives the same"""

    def match(self, *options, **changes):
        changes = {"GST_CLIP_CACHE": "on", **changes}
        result = tool("match", "--json", "--model", MODEL, IMAGES[0], *options, **changes)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return result

    def test_same_answer(self):
        with tempfile.TemporaryDirectory() as cache:
            texts = ("--text", "a dog", "a cat")
            first, second = (self.match(*texts, XDG_CACHE_HOME=cache) for _ in range(2))
            self.assertEqual(first.stdout, second.stdout)
            files = list(pathlib.Path(cache, "gst-clip", "texts").iterdir())
            self.assertEqual(len(files), 1)
            self.assertEqual(files[0].stat().st_mode & 0o077, 0)
            files[0].write_bytes(b"rubbish" * 1000)
            self.assertEqual(self.match(*texts, XDG_CACHE_HOME=cache).stdout, first.stdout)
            self.assertEqual(self.match(*texts, XDG_CACHE_HOME=cache, GST_CLIP_CACHE="no-texts").stdout, first.stdout)


class Errors(unittest.TestCase):
    def refuse(self, status, word, *arguments, **changes):
        result = tool(*arguments, **changes)
        message = result.stderr.decode(errors="replace")
        self.assertEqual(result.returncode, status, message)
        self.assertIn(word, message)
        self.assertEqual(result.stdout, b"")

    def test_usage(self):
        self.refuse(2, "expected a picture", "match")
        self.refuse(2, "--text", "match", IMAGES[0])
        self.refuse(2, "no command", "guess")
        self.refuse(2, "--size", "preprocess", IMAGES[0], "-o", "x.png")
        self.refuse(2, "Unknown option", "embed", "--loud")
        self.refuse(2, "not two of them", "bench", "--load", "--all-precisions")
        self.refuse(2, "--frame 3x0: expected WIDTHxHEIGHT", "bench", "--frame", "3x0")
        self.refuse(2, "--format NV99: expected one of { RGB", "bench", "--format", "NV99")
        self.refuse(2, "--format I420_10LE: expected one of { RGB", "bench", "--format", "I420_10LE")
        self.refuse(2, "expected fp32, bf16, int8", "embed", "--precision", "int3", "--text", "a")
        self.refuse(1, "fp16 needs a GPU", "embed", "--precision", "fp16", "--text", "a")
        self.refuse(2, "Unknown option", "tokenize", "--precision", "bf16", "a")

    def test_help(self):
        for command in ("match", "embed", "tokenize", "preprocess", "info", "bench"):
            result = tool(command, "--help")
            self.assertEqual((result.returncode, result.stderr), (0, b""))
            self.assertIn(b"--device", result.stdout)

    def test_device(self):
        common = "match", "--model", MODEL, IMAGES[0], "--text", "a"
        self.refuse(1, "pocl-opencl-icd", *common, OCL_ICD_VENDORS="/nonexistent")
        self.refuse(1, "no OpenCL device fits", *common, "--device", "nothing like it")

    def test_pictures(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "empty.png").touch()
            (folder / "text.png").write_text("not a picture")
            (folder / "cut.png").write_bytes(IMAGES[2].read_bytes()[:-900])
            for file in ("empty.png", "text.png", "cut.png", "missing.png", "."):
                self.refuse(1, str(folder), "match", "--model", MODEL, folder / file, "--text", "a")

    def test_cut_jpeg(self):
        with tempfile.TemporaryDirectory() as name:
            whole, cut = pathlib.Path(name) / "whole.jpg", pathlib.Path(name) / "cut.jpg"
            run("gst-launch-1.0", "-q", "videotestsrc", "num-buffers=1", "!", "jpegenc", "!", "filesink", f"location={whole}")
            cut.write_bytes(whole.read_bytes()[:-1000])
            self.assertEqual(tool("match", "--model", MODEL, whole, "--text", "a").returncode, 0)
            self.refuse(1, "no end marker", "match", "--model", MODEL, cut, "--text", "a")

    def test_prompts(self):
        common = "match", "--model", MODEL, IMAGES[0]
        self.refuse(1, "empty", *common, "--text", "")
        self.refuse(1, "UTF-8", *common, "--text", b"\xff".decode(errors="surrogateescape"))
        self.refuse(1, "/nonexistent", *common, "--prompts-file", "/nonexistent")
        self.refuse(1, "token", *common, "--text", "dog " * 400)

    def test_ten_thousand_prompts(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("".join(f"thing {i}\n" for i in range(10000)))
            file.flush()
            answer = tool_json("match", "--json", "--model", MODEL, IMAGES[0], "--prompts-file", file.name)
        self.assertEqual(len(answer["images"][0]["labels"]), 10000)
        self.assertAlmostEqual(sum(label["confidence"] for label in answer["images"][0]["labels"]), 1, delta=1e-3)

    def test_models(self):
        self.refuse(1, "/nonexistent", "info", "--model", "/nonexistent")

    @needs_reference
    def test_bad_models(self):
        folder = REFERENCE / "models" / "bad"
        for case in json.loads((folder / "manifest.json").read_text()):
            if case["format"] == "huggingface" and case["expected"] == "error":
                with self.subTest(case["dir"]):
                    self.refuse(1, "", "embed", "--json", "--model", folder / case["dir"], "--image", IMAGES[0])
