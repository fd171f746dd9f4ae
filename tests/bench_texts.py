# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text encoder beside PyTorch's encode_text, for tests/bench --texts: class names with the ImageNet templates."""
import json
import pathlib
import random
import statistics
import subprocess
import time
import unicodedata

TEMPLATES = 80  # of imagenet
CONTEXT = 77


def class_names(count):
    """names of things in one to four words: what Unicode calls its pictures"""
    names = []
    for code in (*range(0x1F300, 0x1F650), *range(0x1F680, 0x1F700), *range(0x1F900, 0x1FAFF)):
        name = unicodedata.name(chr(code), "").lower()
        if name and len(name.split()) <= 4 and name.replace(" ", "").isalpha():
            names.append(name)
    random.Random(1).shuffle(names)
    return names[:count]


class Encoder:
    """encode_text of openai/CLIP's model.py, in fp32, from a Hugging Face directory: all positions of every text"""

    def __init__(self, tensors, config):
        import torch
        from torch import nn
        self.t, self.c, width, heads = tensors, config, config["hidden_size"], config["num_attention_heads"]
        self.layers = []
        for i in range(config["num_hidden_layers"]):
            p = f"text_model.encoder.layers.{i}."
            attention = nn.MultiheadAttention(width, heads)
            parts = [[tensors[f"{p}self_attn.{x}_proj.{kind}"] for x in "qkv"] for kind in ("weight", "bias")]
            with torch.no_grad():
                attention.in_proj_weight.copy_(torch.cat(parts[0]))
                attention.in_proj_bias.copy_(torch.cat(parts[1]))
                attention.out_proj.weight.copy_(tensors[p + "self_attn.out_proj.weight"])
                attention.out_proj.bias.copy_(tensors[p + "self_attn.out_proj.bias"])
            self.layers.append((p, attention.eval()))
        self.mask = torch.full((CONTEXT, CONTEXT), float("-inf")).triu_(1)

    def norm(self, x, name):
        import torch
        return torch.nn.functional.layer_norm(x, x.shape[-1:], self.t[name + ".weight"], self.t[name + ".bias"], 1e-5)

    def linear(self, x, name):
        import torch
        return torch.nn.functional.linear(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def encode(self, ids):
        import torch
        with torch.inference_mode():
            x = self.t["text_model.embeddings.token_embedding.weight"][ids]
            x = (x + self.t["text_model.embeddings.position_embedding.weight"]).permute(1, 0, 2)
            for p, attention in self.layers:
                y = self.norm(x, p + "layer_norm1")
                x = x + attention(y, y, y, need_weights=False, attn_mask=self.mask)[0]
                y = self.linear(self.norm(x, p + "layer_norm2"), p + "mlp.fc1")
                x = x + self.linear(y * torch.sigmoid(1.702 * y), p + "mlp.fc2")
            x = self.norm(x.permute(1, 0, 2), "text_model.final_layer_norm")
            x = self.linear(x[torch.arange(len(ids)), ids.argmax(-1)], "text_projection")
            return x / x.norm(dim=-1, keepdim=True)


def tokenize(tool, model, texts, folder):
    import torch
    lines = pathlib.Path(folder, "lines.txt")
    lines.write_text("".join(text + "\n" for text in texts))
    out = subprocess.run([tool, "tokenize", "--json", "--model", model, "--lines", lines], check=True, capture_output=True)
    ids = torch.zeros(len(texts), CONTEXT, dtype=torch.long)
    for row, line in zip(ids, out.stdout.decode().splitlines()):
        tokens = json.loads(line)
        row[:len(tokens)] = torch.tensor(tokens)
    return ids


def check_same(tool, model, encoder, texts, ids):
    """the two compute the same"""
    import torch
    out = subprocess.run([tool, "embed", "--json", "--precision", "fp32", "--model", model, *(x for text in texts for x in ("--text", text))],
                         check=True, capture_output=True)
    ours = torch.tensor([item["embedding"] for item in json.loads(out.stdout)["items"]])
    difference = (ours - encoder.encode(ids)).abs().max().item()
    assert difference < 2e-5, f"the embeddings differ by {difference}"


def compare(tool, model, folder, pairs, prompts, sample):
    """-> figures; in each round ours encodes @prompts texts, then PyTorch a piece of @sample of them"""
    names = class_names(prompts // TEMPLATES)
    templates = read_templates(pathlib.Path(__file__).resolve().parents[1] / "src" / "text" / "clip-templates.c")
    texts = [template.replace("{}", name) for name in names for template in templates]
    labels = pathlib.Path(folder, "labels.txt")
    labels.write_text("".join(name + "\n" for name in names))
    config = json.loads(pathlib.Path(model, "config.json").read_text())["text_config"]
    encoder = Encoder(read_safetensors(pathlib.Path(model, "model.safetensors")), config)
    ids = tokenize(tool, model, texts, folder)
    check_same(tool, model, encoder, texts[:3], ids[:3])
    encoder.encode(ids[:TEMPLATES])
    ours, theirs = [], []
    for i in range(pairs):
        out = subprocess.run([tool, "bench", "--json", "--precision", "fp32", "--model", model, "--texts", labels, "--templates", "imagenet"],
                             check=True, capture_output=True)
        result = json.loads(out.stdout)
        ours.append(result["texts"] / result["seconds"])
        begin, first = time.perf_counter(), i * sample % len(texts)
        for batch in range(first, first + sample, TEMPLATES):  # a class at a time, as OpenAI's notebook does
            encoder.encode(ids[batch:min(batch + TEMPLATES, first + sample)])
        theirs.append(sample / (time.perf_counter() - begin))
    return {"texts": len(texts), "texts_per_second": statistics.median(ours), "pytorch_texts_per_second":
            statistics.median(theirs), "ours_over_it": statistics.median(a / b for a, b in zip(ours, theirs)),
            "gflop": result["gflop"], "gflop_all_positions": result["gflop_all_positions"]}


def print_figures(f):
    print(f"{f['texts']} texts  ours {f['texts_per_second']:.1f} texts/s, PyTorch {f['pytorch_texts_per_second']:.1f}: "
          f"{f['ours_over_it']:.1f}x;  {f['gflop']:.0f} GFLOP of {f['gflop_all_positions']:.0f}: "
          f"{f['gflop_all_positions'] / f['gflop']:.1f} times fewer")


def read_templates(source):
    """the imagenet list as the program has it"""
    import re
    text = source.read_text()
    block = re.search(r"imagenet\[\] = \{(.*?)\};", text, re.DOTALL).group(1)
    return re.findall(r'"((?:[^"\\]|\\.)*)"', block)


def read_safetensors(path):
    import struct
    import numpy as np
    import torch
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    data = np.memmap(path, mode="r", offset=8 + size)
    return {name: torch.from_numpy(np.frombuffer(data[slice(*entry["data_offsets"])].tobytes(), np.float32)
                                   .reshape(entry["shape"]).copy())
            for name, entry in header.items() if name.startswith("text") and entry.get("dtype") == "F32"}
