# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image encoder of a directory of weights in PyTorch, for tests/bench and bench-gpu: openai/CLIP's model.py with PyTorch's fused
attention, the linear layers of q, k and v as one, batch norms folded, convolutions in channels_last."""
import json
import os

import bench_onnx
import bench_resnet


class Vit:
    def __init__(self, directory):
        self.c = json.loads((directory / "config.json").read_text(encoding="utf-8"))["vision_config"]
        self.size = self.c["image_size"]
        self.t = bench_onnx.read_safetensors(directory / "model.safetensors")
        for i in range(self.c["num_hidden_layers"]):
            self.join(f"vision_model.encoder.layers.{i}.self_attn.")

    def join(self, p):
        import numpy as np
        for kind in ("weight", "bias"):
            self.t[f"{p}qkv.{kind}"] = np.concatenate([self.t.pop(f"{p}{part}_proj.{kind}") for part in "qkv"])

    def linear(self, x, name):
        from torch.nn import functional
        return functional.linear(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def norm(self, x, name):
        from torch.nn import functional
        return functional.layer_norm(x, x.shape[-1:], self.t[name + ".weight"], self.t[name + ".bias"], self.c["layer_norm_eps"])

    def attention(self, x, p):
        from torch.nn import functional
        n, tokens, width = x.shape
        heads = self.c["num_attention_heads"]
        q, k, v = self.linear(x, p + "qkv").view(n, tokens, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.linear(y.transpose(1, 2).reshape(n, tokens, width), p + "out_proj")

    def encode(self, pixels):
        import torch
        from torch.nn import functional
        root, patch = "vision_model.", self.c["patch_size"]
        x = functional.conv2d(pixels, self.t[root + "embeddings.patch_embedding.weight"], stride=patch).flatten(2).transpose(1, 2)
        token = self.t[root + "embeddings.class_embedding"].expand(len(x), 1, -1)
        x = torch.cat([token, x], 1) + self.t[root + "embeddings.position_embedding.weight"]
        x = self.norm(x, root + "pre_layrnorm")
        for i in range(self.c["num_hidden_layers"]):
            p = f"{root}encoder.layers.{i}."
            x = x + self.attention(self.norm(x, p + "layer_norm1"), p + "self_attn.")
            y = self.linear(self.norm(x, p + "layer_norm2"), p + "mlp.fc1")
            x = x + self.linear(y * torch.sigmoid(1.702 * y), p + "mlp.fc2")
        return self.linear(self.norm(x[:, 0], root + "post_layernorm"), "visual_projection")


class Resnet:
    def __init__(self, directory):
        self.c = json.loads((directory / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]["vision_cfg"]
        self.size = self.c["image_size"]
        tensors = bench_onnx.read_safetensors(directory / "open_clip_model.safetensors")
        self.t = {name: value for name, value in tensors.items() if name.startswith("visual.attnpool")}
        for name in [name[:-len(".weight")] for name, value in tensors.items() if value.ndim == 4]:
            norm = name.replace("conv", "bn") if "conv" in name else name[:-1] + "1"  # downsample.0 has downsample.1
            self.t[name + ".weight"], self.t[name + ".bias"] = bench_resnet.fold(tensors, name, norm)

    def conv(self, x, name, stride=1, relu=True):
        from torch.nn import functional
        weight = self.t[name + ".weight"]
        x = functional.conv2d(x, weight, self.t[name + ".bias"], stride=stride, padding=weight.shape[2] // 2)
        return functional.relu(x, inplace=True) if relu else x

    def bottleneck(self, x, p, stride):
        from torch.nn import functional
        y = self.conv(self.conv(x, p + "conv1"), p + "conv2")
        y = self.conv(functional.avg_pool2d(y, stride) if stride > 1 else y, p + "conv3", relu=False)
        if p + "downsample.0.weight" in self.t:
            x = self.conv(functional.avg_pool2d(x, stride) if stride > 1 else x, p + "downsample.0", relu=False)
        return functional.relu(y + x, inplace=True)

    def pool(self, x):
        import torch
        from torch.nn import functional
        p, heads = "visual.attnpool.", x.shape[1] // 64
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.t[p + "positional_embedding"]
        parts = [functional.linear(y, self.t[f"{p}{part}_proj.weight"], self.t[f"{p}{part}_proj.bias"])
                 .unflatten(2, (heads, 64)).transpose(1, 2) for part, y in (("q", x[:, :1]), ("k", x), ("v", x))]
        y = functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(1)
        return functional.linear(y, self.t[p + "c_proj.weight"], self.t[p + "c_proj.bias"])

    def encode(self, pixels):
        import torch
        from torch.nn import functional
        x = pixels.contiguous(memory_format=torch.channels_last)
        x = self.conv(self.conv(self.conv(x, "visual.conv1", 2), "visual.conv2"), "visual.conv3")
        x = functional.avg_pool2d(x, 2)
        for stage, blocks in enumerate(self.c["layers"], 1):
            for i in range(blocks):
                x = self.bottleneck(x, f"visual.layer{stage}.{i}.", 2 if stage > 1 and i == 0 else 1)
        return self.pool(x)


def load(directory, kind, device="cpu"):
    """-> Vit or Resnet with weights of the type @kind"""
    import torch
    model = (Resnet if (directory / "open_clip_config.json").exists() else Vit)(directory)
    for name, value in model.t.items():
        value = torch.from_numpy(value.copy()).to(device, kind)
        model.t[name] = value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value
    return model


def open_encoder(directory, precision):
    """-> function of pixels [N,3,S,S] to embeddings [N,D], NumPy both; the weights are of @precision: fp32 or bf16"""
    import torch
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    model = load(directory, kind)

    def run(pixels):
        with torch.inference_mode():
            return model.encode(torch.from_numpy(pixels).to(kind)).float().numpy()
    return run
