# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text encoder beside PyTorch's encode_text, for tests/bench --texts: class names with the ImageNet templates."""
import json
import os
import pathlib
import random
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
        torch.set_num_threads(len(os.sched_getaffinity(0)))
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


def make_prompts(names):
    """@names class names in each of the templates"""
    templates = read_templates(pathlib.Path(__file__).resolve().parents[1] / "src" / "text" / "clip-templates.c")
    return [template.replace("{}", name) for name in class_names(names) for template in templates]


def encode_ours(tool, model, texts, folder):
    """-> what bench --texts --json prints of @texts"""
    lines = pathlib.Path(folder, "prompts.txt")
    lines.write_text("".join(text + "\n" for text in texts))
    out = subprocess.run([tool, "bench", "--json", "--precision", "fp32", "--model", model, "--texts", lines, "--templates", "none"],
                         check=True, capture_output=True)
    return json.loads(out.stdout)


def encode_theirs(encoder, ids):
    """-> texts per second; as many at a time as a class has templates, as OpenAI's notebook does"""
    begin = time.perf_counter()
    for batch in ids.split(TEMPLATES):
        encoder.encode(batch)
    return len(ids) / (time.perf_counter() - begin)


def compare(tool, model, folder, pairs, names, sample, seed):
    """-> a row of results; in each round both encode the same @sample prompts, no prompt in two rounds"""
    prompts = make_prompts(names)
    texts = random.Random(seed).sample(prompts, pairs * sample)
    config = json.loads(pathlib.Path(model, "config.json").read_text())["text_config"]
    encoder = Encoder(read_safetensors(pathlib.Path(model, "model.safetensors")), config)
    ids = tokenize(tool, model, texts, folder)
    check_same(tool, model, encoder, texts[:3], ids[:3])
    encoder.encode(ids[:TEMPLATES])
    row = {"texts": len(texts), "of_texts": len(prompts), "ours": [], "theirs": [], "gflop": 0, "theirs_gflop": 0}
    for first in range(0, len(texts), sample):
        result = encode_ours(tool, model, texts[first:first + sample], folder)
        row["ours"].append(result["texts_per_second"])
        row["gflop"] += result["gflop"]
        row["theirs_gflop"] += result["gflop_all_positions"]  # of PyTorch, which computes them all
        row["theirs"].append(encode_theirs(encoder, ids[first:first + sample]))
    return row


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
