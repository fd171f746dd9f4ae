# SPDX-License-Identifier: LGPL-2.1-or-later
"""gst-clip-1.0 convert: what it writes, and that it writes all or nothing."""
import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import numpy

from support import DATA, REFERENCE, TOOL, environment, needs_reference, run, tool, tool_json

MODELS = REFERENCE / "models"
TINY = DATA / "vit-tiny"
TYPES = {"F32": numpy.dtype("<f4"), "F16": numpy.dtype("<f2"), "BF16": numpy.dtype("<u2"), "I64": numpy.dtype("<i8")}


def tensors(path):
    """name -> (type, array) of a safetensors file"""
    raw = path.read_bytes()
    length, = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], numpy.frombuffer(raw, TYPES[entry["dtype"]], offset=8 + length + entry["data_offsets"][0],
                                                    count=int(numpy.prod(entry["shape"]))).reshape(entry["shape"]))
            for name, entry in header.items()}


def to_bf16(values):
    """by adding half of the last kept bit, and one less where that bit is even: nearest, ties to even"""
    bits = values.astype("<f4").view("<u4").astype(numpy.int64)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype("<u2")


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)
        self.out = self.path / "out"

    def convert(self, source, *options):
        result = tool("convert", source, self.out, *options)
        self.assertEqual(result.returncode, 0, result.stderr.decode())
        return self.out

    def refuse(self, text, *arguments, status=1, **changes):
        result = run("gst-clip-1.0", "convert", *arguments, **changes)
        self.assertEqual(result.returncode, status)
        self.assertIn(text, result.stderr.decode())

    def embed(self, model, *texts):
        options = [option for text in texts for option in ("--text", text)]
        image = DATA / "images" / "noise-61x47.png"
        items = tool_json("embed", "--json", "--model", model, "--image", image, *options)["items"]
        return [item["embedding"] for item in items]


class Convert(Folder):
    def test_same_bits(self):
        before = tensors(TINY / "model.safetensors")
        after = tensors(self.convert(TINY, "--precision", "fp32") / "model.safetensors")
        self.assertEqual(set(after), set(before))
        for name, (kind, values) in after.items():
            self.assertEqual(kind, "F32")
            self.assertEqual(values.reshape(-1).tobytes(), before[name][1].reshape(-1).tobytes(), name)
        self.assertEqual(self.embed(self.out, "a cat"), self.embed(TINY, "a cat"))
        self.assertEqual({path.name for path in self.path.iterdir()}, {"out"})

    def test_rounding(self):
        before = tensors(TINY / "model.safetensors")
        for precision, kind, rounded in (("fp16", "F16", lambda x: x.astype("<f2")), ("bf16", "BF16", to_bf16)):
            after = tensors(self.convert(TINY, "--precision", precision, "--force") / "model.safetensors")
            for name, (found, values) in after.items():
                self.assertEqual(found, kind)
                self.assertEqual(values.reshape(-1).tobytes(), rounded(before[name][1]).reshape(-1).tobytes(), name)
            self.assertEqual(len(self.embed(self.out, "a cat")), 2)

    def rewrite(self, values):
        """The tiny model with another vision_model.post_layernorm.weight"""
        source = self.path / "source"
        source.mkdir()
        for file in TINY.iterdir():
            if file.suffix in (".json", ".txt"):
                (source / file.name).write_bytes(file.read_bytes())
        raw = bytearray((TINY / "model.safetensors").read_bytes())
        length, = struct.unpack_from("<Q", raw)
        begin, end = json.loads(raw[8:8 + length])["vision_model.post_layernorm.weight"]["data_offsets"]
        array = numpy.resize(numpy.array(values, "<f4"), (end - begin) // 4)
        raw[8 + length + begin:8 + length + end] = array.tobytes()
        (source / "model.safetensors").write_bytes(raw)
        return source, array

    def test_rounding_of_hard_values(self):
        """ties, subnormals, the largest, signed zeros"""
        source, array = self.rewrite([1 + 2**-11, 1 + 3 * 2**-11, 65503.9, 65519.99, 2**-24, 2**-25, 3 * 2**-26, 2**-14 - 2**-26,
                                      -0.0, 1e-10, -2**-14 * (1 - 2**-12), 0.1, 1 + 2**-8, 1 + 3 * 2**-8, 3e38, 2048.5])
        array = numpy.where(array > 65520, numpy.float32(1), array)
        source2 = source / "model.safetensors"
        raw = source2.read_bytes().replace(numpy.float32(3e38).tobytes(), numpy.float32(1).tobytes())
        source2.write_bytes(raw)
        for precision, rounded in (("fp16", array.astype("<f2")), ("bf16", to_bf16(array))):
            after = tensors(self.convert(source, "--precision", precision, "--force") / "model.safetensors")
            self.assertEqual(after["vision_model.post_layernorm.weight"][1].tobytes(), rounded.tobytes(), precision)

    def test_too_large(self):
        source, _ = self.rewrite([1, 65520])
        self.refuse("vision_model.post_layernorm.weight has the value 65520, too large for fp16; choose bf16 or fp32", source,
                    self.out, "--precision", "fp16")
        self.assertEqual({path.name for path in self.path.iterdir()}, {"source"})

    def test_refusals(self):
        self.refuse("expected IN and OUT", TINY, status=2)
        self.refuse("--precision fp32", TINY, self.out, "--precision", "int3", status=2)
        self.refuse("no such file", self.path / "absent", self.out)
        self.out.mkdir()
        self.refuse("exists", TINY, self.out)
        self.refuse("not a model's directory", TINY, self.out, "--force")
        self.assertEqual(list(self.out.iterdir()), [])
        self.refuse("No such file", TINY, self.path / "no" / "out")

    def test_file_size_limit(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
        done = subprocess.run([TOOL, "convert", TINY, self.out], capture_output=True, env=environment(), preexec_fn=limit,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot be written", done.stderr)
        self.assertEqual(list(self.path.iterdir()), [])

    def stop(self, number):
        """Sends a signal as soon as the temporary directory is there"""
        process = subprocess.Popen([TOOL, "convert", os.environ.get("CLIP_CONVERT_LARGE", TINY), self.out],
                                   env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while process.poll() is None and not list(self.path.iterdir()) and time.monotonic() < end:
            pass
        process.send_signal(number)
        process.wait()
        if self.out.exists():  # it was faster: then it is complete
            self.assertEqual(self.embed(self.out), self.embed(TINY))
            return
        rest = [path.name for path in self.path.iterdir()]
        if number == signal.SIGTERM:
            self.assertEqual(rest, [])
        else:
            self.assertTrue(all(name.startswith("out.") for name in rest), rest)

    def test_terminated(self):
        self.stop(signal.SIGTERM)

    def test_killed(self):
        self.stop(signal.SIGKILL)


@needs_reference
class References(Folder):
    def same_model(self, source, out, texts=()):
        before, after = (tool_json("info", "--json", "--model", model)["model"] for model in (source, out))
        for key in ("name", "directory", "stored"):
            before.pop(key), after.pop(key)
        self.assertEqual(before, after)
        self.assertEqual(self.embed(source, *texts), self.embed(out, *texts))

    def test_half(self):
        """its rounding is that with which the reference's fp16 model was made"""
        stored = tensors(MODELS / "vit-quickgelu" / "hf-fp16" / "model.safetensors")
        after = tensors(self.convert(MODELS / "vit-quickgelu" / "hf-fp32", "--precision", "fp16") / "model.safetensors")
        for name, (_, values) in after.items():
            self.assertEqual(values.reshape(-1).tobytes(), stored[name][1].reshape(-1).tobytes(), name)

    def with_vocabulary(self, source):
        """A copy of a model's directory or file beside the vocabulary of the reference's"""
        folder = self.path / "in"
        folder.mkdir()
        for file in [source] if source.is_file() else source.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        merges = REFERENCE / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz"
        (folder / merges.name).write_bytes(merges.read_bytes())
        return folder

    def test_layouts(self):
        for index, model in enumerate(("vit-quickgelu/openclip", "openclip-gelu/openclip", "openclip-widths/openclip",
                                       "openclip-custom-text/openclip", "resnet/openclip", "vit-quickgelu/openai/ViT-tiny.pt",
                                       "resnet/openai/RN-tiny.pt")):
            with self.subTest(model):
                source = self.with_vocabulary(MODELS / model)
                # mixed archives have matrices in fp16 and the rest in fp32
                precision = ["--precision", "fp32"] if "openai" in model else []
                out = self.convert(source, *precision)
                layout = "open_clip_config.json" if "resnet" in model else "config.json"
                self.assertTrue((out / layout).exists())
                self.same_model(source, out, ["a cat", "a dog"])
                source.rename(self.path / f"in{index}")
                out.rename(self.path / f"out{index}")

    def test_siglip(self):
        source = MODELS / "siglip" / "hf"
        before = tensors(source / "model.safetensors")
        after = tensors(self.convert(source) / "model.safetensors")
        self.assertEqual(set(after), set(before))
        for name, (_, values) in after.items():
            self.assertEqual(values.reshape(-1).tobytes(), before[name][1].reshape(-1).tobytes(), name)


if __name__ == "__main__":
    unittest.main()
