#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make_gguf.py HF-DIRECTORY FILE.gguf TYPE [--patch-f32] [--version N] [--expected DIRECTORY]

Writes a Hugging Face CLIPModel directory as clip.cpp's conversion does (two towers, TYPE f32 or f16), and then as its
quantisation does (q8_0, q5_1, q5_0, q4_1, q4_0). Needs numpy only. The conversion stores the patch embedding as f16
whatever the type; --patch-f32 does not. --expected receives the model again in Hugging Face's layout, with the float32 values that the file
means, by numpy's own dequantisation.
"""
import argparse
import json
import pathlib
import shutil
import struct

import numpy as np

# ggml's numbers: type of a tensor, and of a file
TYPES = {"f32": (0, 0), "f16": (1, 1), "q4_0": (2, 2), "q4_1": (3, 3), "q5_0": (6, 6), "q5_1": (7, 7), "q8_0": (8, 8)}
U32, F32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
ALIGNMENT = 32
NAMES = [("text_model.", "t."), ("vision_model.", "v."), ("encoder.layers", "blk"), ("embeddings.", ""), ("_proj.", "."),
         ("self_attn.", "attn_"), ("layer_norm", "ln"), ("layernorm", "ln"), ("mlp.fc1", "ffn_down"), ("mlp.fc2", "ffn_up"),
         ("embedding", "embd"), ("final", "post"), ("layrnorm", "ln")]


def read_safetensors(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, info in json.loads(data[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in info["data_offsets"])
        kind = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}[info["dtype"]]
        tensors[name] = np.frombuffer(data[begin:end], kind).reshape(info["shape"])
    return tensors


def write_directory(source, directory, tensors):
    directory.mkdir(exist_ok=True)
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copy(source / name, directory / name)
    header, offset = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [offset, offset + 4 * values.size]}
        offset += 4 * values.size
    head = json.dumps(header).encode()
    data = b"".join(values.astype("<f4").tobytes() for values in tensors.values())
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)


def stored_name(name):
    if "projection" not in name:
        for old, new in NAMES:
            name = name.replace(old, new)
    return name


def blocks(values):
    return values.astype(np.float32).reshape(-1, 32)


def inverse(scale):
    return np.where(scale == 0, np.float32(0), np.float32(1) / np.where(scale == 0, np.float32(1), scale))


def quantise(values, kind):
    """-> bytes, the float32 values that they mean"""
    x = blocks(values)
    bits = int(kind[1])
    if kind == "q8_0":
        d = np.abs(x).max(1, keepdims=True) / np.float32(127)
        q = np.rint(x * inverse(d)).astype(np.int8)
        d = d.astype(np.float16)
        return np.hstack([d.view(np.uint8), q.view(np.uint8)]).tobytes(), q.astype(np.float32) * d.astype(np.float32)
    if kind.endswith("_0"):
        zero = 1 << (bits - 1)
        extreme = np.take_along_axis(x, np.abs(x).argmax(1)[:, None], 1)
        d, m = extreme / np.float32(-zero), None
        q = np.clip(np.floor(x * inverse(d) + np.float32(zero + 0.5)), 0, 2 * zero - 1).astype(np.uint32)
    else:
        m, zero = x.min(1, keepdims=True), 0
        d = (x.max(1, keepdims=True) - m) / np.float32((1 << bits) - 1)
        q = np.clip(np.floor((x - m) * inverse(d) + np.float32(0.5)), 0, (1 << bits) - 1).astype(np.uint32)
    d = d.astype(np.float16)
    parts = [d.view(np.uint8)]
    meant = (q.astype(np.int32) - zero).astype(np.float32) * d.astype(np.float32)
    if m is not None:
        m = m.astype(np.float16)
        parts.append(m.view(np.uint8))
        meant = meant + m.astype(np.float32)
    if bits == 5:
        fifths = ((q >> 4) << np.arange(32, dtype=np.uint32)).sum(1, dtype=np.uint32)[:, None]
        parts.append(np.ascontiguousarray(fifths).view(np.uint8))
    low = (q & 15).astype(np.uint8)
    parts.append(low[:, :16] | low[:, 16:] << 4)
    return np.hstack(parts).tobytes(), meant


def encode(name, values, kind, patch_f32):
    """-> ggml type, bytes, float32 values"""
    is_matrix = values.ndim == 2 and name.endswith(".weight")
    if values.ndim == 4:
        kind = "f32" if patch_f32 else "f16"
    elif not is_matrix or (kind.startswith("q") and values.shape[-1] % 32):
        kind = "f32"
    if kind.startswith("q"):
        data, meant = quantise(values, kind)
        return TYPES[kind][0], data, meant
    stored = values.astype({"f32": "<f4", "f16": "<f2"}[kind])
    return TYPES[kind][0], stored.tobytes(), stored.astype(np.float32)


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


PACK = {U32: lambda v: struct.pack("<I", v), F32: lambda v: struct.pack("<f", v), BOOL: lambda v: struct.pack("<B", v),
        STRING: text}


def value(key, kind, content):
    if isinstance(content, list):
        return (text(key) + struct.pack("<IIQ", ARRAY, kind, len(content)) + b"".join(PACK[kind](v) for v in content))
    return text(key) + struct.pack("<I", kind) + PACK[kind](content)


def read_tokens(directory):
    """The vocabulary in the order of its file, as clip.cpp takes it"""
    if (directory / "vocab.json").exists():
        return list(json.loads((directory / "vocab.json").read_text(encoding="utf-8")))
    return list(json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])


def tower(name, config, projection):
    prefix = f"clip.{name}."
    return [(prefix + "embedding_length", U32, config["hidden_size"]),
            (prefix + "feed_forward_length", U32, config["intermediate_size"]),
            (prefix + "projection_dim", U32, projection),
            (prefix + "attention.head_count", U32, config["num_attention_heads"]),
            (prefix + "attention.layer_norm_epsilon", F32, config["layer_norm_eps"]),
            (prefix + "block_count", U32, config["num_hidden_layers"])]


def metadata(directory, kind):
    config = json.loads((directory / "config.json").read_text())
    pixels = json.loads((directory / "preprocessor_config.json").read_text())
    vision, words = config["vision_config"], config["text_config"]
    dim = config["projection_dim"]
    return ([("general.architecture", STRING, "clip"), ("clip.has_text_encoder", BOOL, True),
             ("clip.has_vision_encoder", BOOL, True), ("general.file_type", U32, TYPES[kind][1]),
             ("general.name", STRING, directory.name), ("general.description", STRING, "two-tower CLIP model"),
             ("clip.text.context_length", U32, words["max_position_embeddings"])]
            + tower("text", words, dim) + [("tokenizer.ggml.tokens", STRING, read_tokens(directory)),
                                           ("clip.vision.image_size", U32, vision["image_size"]),
                                           ("clip.vision.patch_size", U32, vision["patch_size"])]
            + tower("vision", vision, dim) + [("clip.vision.image_mean", F32, pixels["image_mean"]),
                                              ("clip.vision.image_std", F32, pixels["image_std"]),
                                              ("clip.use_gelu", BOOL, vision["hidden_act"] == "gelu")])


def write(directory, path, kind, patch_f32, version, expected):
    values = metadata(directory, kind)
    infos, data, meant, offset = [], [], {}, 0
    for name, tensor in read_safetensors(directory / "model.safetensors").items():
        if name == "logit_scale" or name.endswith("position_ids"):
            meant[name] = tensor
            continue
        number, content, floats = encode(name, tensor.squeeze(), kind, patch_f32)
        meant[name] = floats.reshape(tensor.shape)
        name = stored_name(name)
        shape = tensor.squeeze().shape[::-1]
        infos.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, number, offset))
        content += bytes(-len(content) % ALIGNMENT)
        data.append(content)
        offset += len(content)
    head = (b"GGUF" + struct.pack("<IQQ", version, len(infos), len(values)) + b"".join(value(*v) for v in values)
            + b"".join(infos))
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + b"".join(data))
    if expected:
        write_directory(directory, expected, meant)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("type", choices=TYPES)
    parser.add_argument("--patch-f32", action="store_true")
    parser.add_argument("--version", type=int, default=3)
    parser.add_argument("--expected", type=pathlib.Path)
    options = parser.parse_args()
    write(options.directory, options.file, options.type, options.patch_f32, options.version, options.expected)


if __name__ == "__main__":
    main()
