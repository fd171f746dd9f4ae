# SPDX-License-Identifier: LGPL-2.1-or-later
"""A SigLIP directory, whole: the reference's weights with a tokenizer of our own beside them."""
import math
import pathlib
import struct
import tempfile
import unittest

from support import DATA, REFERENCE, needs_reference, safetensors, tool, tool_json

SOURCE = REFERENCE / "models" / "siglip"
PICTURES = ["CLIP", "chelsea", "astronaut", "gen_noise_301x199"]


def logistic(x):
    return 1 / (1 + math.exp(-x))


@needs_reference
class Siglip(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.model = pathlib.Path(folder.name)
        for path in (SOURCE / "hf").iterdir():
            (self.model / path.name).symlink_to(path)

    def add_tokenizer(self):
        for name in ("spiece.model", "tokenizer_config.json"):
            (self.model / name).symlink_to(DATA / "siglip-pieces" / name)
        if b"built without that library" in tool("tokenize", "--model", self.model, "a").stderr:
            self.skipTest("built without SentencePiece")

    def test_pictures(self):
        """squashed to a square and scaled to [-1, 1]; the tokenizer is not asked for"""
        golden, _ = safetensors(SOURCE / "expected.safetensors")
        (count, width), values = golden["image_embeds"]
        # CLIP.png is transparent: the reference drops alpha first, and the tool does not
        for index in range(1, count):
            picture = REFERENCE / "images" / f"{PICTURES[index]}.png"
            got = tool_json("embed", "--json", "--model", self.model, "--image", picture)["items"][0]["embedding"]
            worst = max(abs(a - b) for a, b in zip(got, values[index * width:(index + 1) * width], strict=True))
            self.assertLess(worst, 2e-5, picture.name)

    def test_match(self):
        self.add_tokenizer()
        picture, texts = REFERENCE / "images" / "chelsea.png", ["a photo of a black cat", "a red car."]
        answer = tool_json("match", "--json", "--model", self.model, picture, "--text", *texts)
        bias, scale = answer["logit_bias"], answer["logit_scale"]
        golden, _ = safetensors(SOURCE / "expected.safetensors")
        self.assertAlmostEqual(scale, golden["logit_scale"][1][0], 4)
        self.assertAlmostEqual(bias, golden["logit_bias"][1][0], 5)
        for label in answer["images"][0]["labels"]:
            self.assertAlmostEqual(label["confidence"], logistic(scale * label["cosine"] + bias), 5)
        asked = tool_json("match", "--json", "--model", self.model, "--scoring", "softmax", picture, "--text", *texts)
        self.assertAlmostEqual(sum(label["confidence"] for label in asked["images"][0]["labels"]), 1, 5)

    def test_embed_and_match_agree(self):
        """both pad the text to the context"""
        self.add_tokenizer()
        picture, text = REFERENCE / "images" / "chelsea.png", "a dog in the rain"
        items = tool_json("embed", "--json", "--model", self.model, "--image", picture, "--text", text)["items"]
        cosine = sum(a * b for a, b in zip(items[0]["embedding"], items[1]["embedding"], strict=True))
        answer = tool_json("match", "--json", "--model", self.model, picture, "--text", text)
        self.assertAlmostEqual(answer["images"][0]["labels"][0]["cosine"], cosine, 5)

    def test_too_long(self):
        self.add_tokenizer()
        result = tool("match", "--model", self.model, REFERENCE / "images" / "chelsea.png", "--text", "x y z " * 20)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"the model takes 16", result.stderr)

    def test_no_tokenizer(self):
        result = tool("tokenize", "--model", self.model, "a dog")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"spiece.model", result.stderr)

    def damage(self, old, new):
        """the weights, with bytes of the header or of a value replaced by as many"""
        path = self.model / "model.safetensors"
        raw = path.read_bytes()
        self.assertEqual(raw.count(old), 1)
        path.unlink()
        path.write_bytes(raw.replace(old, new))
        result = tool("tokenize", "--model", self.model, "a dog")
        self.assertEqual(result.returncode, 1)
        return result.stderr.decode()

    def test_damaged(self):
        golden, _ = safetensors(SOURCE / "hf" / "model.safetensors")
        bias = struct.pack("<f", golden["logit_bias"][1][0])
        scale = struct.pack("<f", golden["logit_scale"][1][0])
        for old, new, words in [(b'"logit_bias"', b'"logit_b1as"', "logit_bias is missing"),
                                (b"head.attention.in_proj_bias", b"head.attention.in_proj_bi4s", "in_proj_bias is missing"),
                                (b"[216,72]", b"[432,36]", "in_proj_weight"),
                                (bias + scale, struct.pack("<f", float("nan")) + scale, "logit_bias is nan")]:
            with self.subTest(words):
                self.setUp()
                self.assertIn(words, self.damage(old, new))

    def test_naflex(self):
        config = (self.model / "config.json").read_text()
        (self.model / "config.json").unlink()
        (self.model / "config.json").write_text(config.replace('"model_type": "siglip"', '"model_type": "siglip2"'))
        result = tool("tokenize", "--model", self.model, "a dog")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"NaFlex", result.stderr)


if __name__ == "__main__":
    unittest.main()
