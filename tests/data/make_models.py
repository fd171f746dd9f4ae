# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes vit-tiny/ and vit-gelu-fp16/: small random CLIPModels, and what transformers computes with them, step by step."""
import copy
import importlib.metadata
import json
import pathlib
import platform
import shutil
import sys

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel
from transformers.utils import logging

import make_images
import make_vocab

SEED = 20261124
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGES = ["gradient-160x121", "checker-97x96", "noise-61x47"]
TEXTS = ["a photo of a dog in the rain", "a red car", "", "un café près de la gare, 2025", "🙂 it's a 猫!"]

# sizes that no two of are equal, so that a swapped dimension shows
TINY = dict(name="vit-tiny", act="quick_gelu", dtype=torch.float32, embed=40, image=32, patch=8, files=("vocab.json", "merges.txt"),
            vision=dict(hidden_size=64, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2),
            text=dict(hidden_size=48, intermediate_size=192, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=77))
GELU = dict(name="vit-gelu-fp16", act="gelu", dtype=torch.float16, embed=36, image=42, patch=7, files=("tokenizer.json",),
            vision=dict(hidden_size=72, intermediate_size=200, num_hidden_layers=3, num_attention_heads=3),
            text=dict(hidden_size=40, intermediate_size=150, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=29))


def configuration(shape, vocab_size):
    common = dict(hidden_act=shape["act"], layer_norm_eps=1e-5, projection_dim=shape["embed"], attention_dropout=0.0)
    text = dict(vocab_size=vocab_size, bos_token_id=vocab_size - 2, eos_token_id=vocab_size - 1, pad_token_id=vocab_size - 1,
                **shape["text"], **common)
    vision = dict(image_size=shape["image"], patch_size=shape["patch"], **shape["vision"], **common)
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=shape["embed"], attn_implementation="eager")


def spread(name, shape):
    """-> mean, deviation: no norm is the identity and no bias zero, as in trained weights; the sizes keep activations near 1"""
    leaf = name.rsplit(".", 1)[-1]
    if "position_embedding" in name:
        return 0.0, 0.3
    if "token_embedding" in name:
        return 0.0, 0.7
    if leaf == "class_embedding":
        return 0.0, 0.5
    if leaf == "bias":
        return 0.0, 0.1
    if len(shape) == 1:
        return 1.0, 0.15
    return 0.0, float(np.prod(shape[1:])) ** -0.5


def randomise(model, seed):
    """numpy's generator, since its numbers are the same on every machine"""
    generator = np.random.Generator(np.random.PCG64(seed))
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            if name == "logit_scale":
                parameter.fill_(3.9)
                continue
            mean, deviation = spread(name, parameter.shape)
            values = generator.standard_normal(tuple(parameter.shape)) * deviation + mean
            parameter.copy_(torch.from_numpy(values))


def write_model(folder, vocab, shape, config, seed):
    model = CLIPModel(config).eval()
    randomise(model, seed)
    model.to(shape["dtype"]).save_pretrained(folder)
    side = shape["image"]
    CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(folder)
    for name in shape["files"]:
        shutil.copyfile(vocab / name, folder / name)


def pixel_values(out, size):
    """openai/CLIP's preprocessing in float32"""
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (MEAN, STD))
    rows = [make_images.preprocess(Image.open(out / "images" / f"{name}.png"), size) for name in IMAGES]
    return torch.from_numpy(np.stack([(r.transpose(2, 0, 1).astype(np.float32) / np.float32(255) - mean) / std for r in rows]))


def input_ids(tokenizer, length):
    """padded with 0 as openai/CLIP"""
    ids = torch.zeros(len(TEXTS), length, dtype=torch.int64)
    for row, text in zip(ids, TEXTS):
        tokens = make_vocab.encode(tokenizer, text)
        row[:len(tokens)] = torch.tensor(tokens)
    return ids


def watch(model, steps):
    """hooks that keep item 0 of each step"""
    def keep(module, name):
        def hook(_module, _inputs, output):
            value = output[0] if isinstance(output, tuple) else output
            if value.dim() == 4:
                value = value.flatten(2).transpose(1, 2)
            steps[name] = value[:1].detach().clone()
        module.register_forward_hook(hook)

    vision, text = model.vision_model, model.text_model
    keep(vision.embeddings.patch_embedding, "vision.patch_embed")
    keep(vision.embeddings, "vision.embeddings")
    keep(vision.pre_layrnorm, "vision.ln_pre")
    keep(vision.post_layernorm, "vision.pooled")
    keep(text.embeddings, "text.embeddings")
    keep(text.final_layer_norm, "text.ln_final")
    # what is projected: the normalised end token
    model.text_projection.register_forward_pre_hook(lambda _m, inputs: steps.update({"text.pooled": inputs[0][:1].clone()}))
    for tower, prefix in ((vision, "vision"), (text, "text")):
        for i, layer in enumerate(tower.encoder.layers):
            keep(layer, f"{prefix}.block.{i}")
        first = tower.encoder.layers[0]
        for module, name in ((first.layer_norm1, "ln_1"), (first.self_attn, "attn"), (first.layer_norm2, "ln_2"), (first.mlp, "mlp")):
            keep(module, f"{prefix}.block.0.{name}")


def compute(model, pixels, ids):
    with torch.no_grad():
        out = model(input_ids=ids, pixel_values=pixels)
    results = {"image_embeds": out.image_embeds, "text_embeds": out.text_embeds, "logits_per_image": out.logits_per_image,
               "logit_scale": model.logit_scale.detach().exp().reshape(1)}
    return results


def check(model, results, pixels, ids):
    """float32 agrees with float64, and no two rows are so alike that swapping them would pass"""
    exact = compute(copy.deepcopy(model).double(), pixels.double(), ids)
    for name, bound in (("image_embeds", 2e-6), ("text_embeds", 2e-6), ("logits_per_image", 2e-4)):
        assert (results[name] - exact[name]).abs().max() < bound, name
        a = results[name]
        assert min((a[i] - a[j]).abs().max() for i in range(len(a)) for j in range(i)) > 1e-2, name


def write_expected(out, folder, tokenizer, shape):
    """weights as stored, arithmetic in float32"""
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    pixels = pixel_values(out, shape["image"])
    ids = input_ids(tokenizer, shape["text"]["max_position_embeddings"])
    check(model, compute(model, pixels, ids), pixels, ids)
    steps = {}
    watch(model, steps)
    results = compute(model, pixels, ids)
    end = ids[0].tolist().index(len(tokenizer.encoder) - 1)
    assert torch.equal(steps["text.pooled"], steps["text.ln_final"][:, end])
    every = {**results, **steps, "pixel_values": pixels, "input_ids": ids.to(torch.int32)}
    # safetensors writes the memory as it lies: a transposed view would come out scrambled
    tensors = {k: np.ascontiguousarray(v.numpy()) for k, v in every.items()}
    # one key only: safetensors promises no order of several, and the bytes are to be the same each time
    save_file(tensors, folder / "expected.safetensors", metadata={"texts": json.dumps(TEXTS)})
    assert all((v == tensors[k]).all() for k, v in load_file(folder / "expected.safetensors").items())
    print(f"{shape['name']}: {len(tensors)} tensors")


def write_versions(out):
    names = ["torch", "torchvision", "transformers", "tokenizers", "pillow", "numpy", "safetensors", "regex", "ftfy", "open_clip_torch"]
    versions = {"python": platform.python_version(), **{n: importlib.metadata.version(n) for n in names}}
    (out / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


def main(out):
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    tokenizer = make_vocab.reference(out / "vocab-gz" / "bpe_simple_vocab_16e6.txt.gz")
    for i, shape in enumerate((TINY, GELU)):
        folder = out / shape["name"]
        folder.mkdir(parents=True, exist_ok=True)
        write_model(folder, out / "vocab", shape, configuration(shape, len(tokenizer.encoder)), SEED + i)
        write_expected(out, folder, tokenizer, shape)
    write_versions(out)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
