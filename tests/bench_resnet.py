# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ModifiedResNet of an OpenCLIP directory as an ONNX graph, for tests/bench: batch norms folded, attention pooling
with one query, as openai/CLIP's model.py computes it."""
import json


def fold(t, conv, norm):
    import numpy as np
    scale = t[norm + ".weight"] / np.sqrt(t[norm + ".running_var"] + np.float32(1e-5))
    return t[conv + ".weight"] * scale[:, None, None, None], t[norm + ".bias"] - scale * t[norm + ".running_mean"]


def conv(g, x, t, name, norm, stride=1, relu=True):
    weight, bias = fold(t, name, norm)
    pad = weight.shape[2] // 2
    x = g.node("Conv", x, g.constant(weight), g.constant(bias), strides=[stride, stride], pads=[pad] * 4)
    return g.node("Relu", x) if relu else x


def pool(g, x, stride):
    return x if stride == 1 else g.node("AveragePool", x, kernel_shape=[stride, stride], strides=[stride, stride])


def bottleneck(g, x, t, p, stride):
    y = conv(g, x, t, p + "conv1", p + "bn1")
    y = pool(g, conv(g, y, t, p + "conv2", p + "bn2"), stride)
    y = conv(g, y, t, p + "conv3", p + "bn3", relu=False)
    if p + "downsample.0.weight" in t:
        x = conv(g, pool(g, x, stride), t, p + "downsample.0", p + "downsample.1", relu=False)
    return g.node("Relu", g.node("Add", y, x))


def attention_pool(g, x, t, batch, side, width, heads):
    import numpy as np
    p, tokens, dim = "visual.attnpool.", side * side + 1, width // heads
    x = g.node("Transpose", g.node("Reshape", x, g.shape(batch, width, tokens - 1)), perm=[0, 2, 1])
    mean = g.node("ReduceMean", x, axes=[1], keepdims=1)
    x = g.node("Add", g.node("Concat", mean, x, axis=1), g.constant(t[p + "positional_embedding"]))
    first = g.node("Slice", x, g.shape(0), g.shape(1), g.shape(1))
    parts = {}
    for part, rows, order in (("q", 1, [0, 2, 1, 3]), ("k", tokens, [0, 2, 3, 1]), ("v", tokens, [0, 2, 1, 3])):
        y = g.linear(first if part == "q" else x, t[f"{p}{part}_proj.weight"], t[f"{p}{part}_proj.bias"])
        parts[part] = g.node("Transpose", g.node("Reshape", y, g.shape(batch, rows, heads, dim)), perm=order)
    scores = g.node("Mul", g.node("MatMul", parts["q"], parts["k"]), g.constant(np.float32(dim ** -0.5)))
    y = g.node("MatMul", g.node("Softmax", scores, axis=-1), parts["v"])
    return g.linear(g.node("Reshape", y, g.shape(batch, width)), t[p + "c_proj.weight"], t[p + "c_proj.bias"])


def build(g, directory, batch, read):
    """-> (output, picture size); @read: reads a safetensors file, @g: a Graph of tests/bench with the input "pixels\""""
    config = json.loads((directory / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"]["vision_cfg"]
    t = read(directory / "open_clip_model.safetensors")
    x = conv(g, "pixels", t, "visual.conv1", "visual.bn1", stride=2)
    x = conv(g, x, t, "visual.conv2", "visual.bn2")
    x = pool(g, conv(g, x, t, "visual.conv3", "visual.bn3"), 2)
    for stage, blocks in enumerate(config["layers"], 1):
        for i in range(blocks):
            x = bottleneck(g, x, t, f"visual.layer{stage}.{i}.", 2 if stage > 1 and i == 0 else 1)
    size, width = config["image_size"], 32 * config["width"]
    return attention_pool(g, x, t, batch, size // 32, width, width // 64), size
