# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image encoder of a directory of weights as an ONNX graph, for tests/bench."""
import json
import struct

import bench_resnet


def read_safetensors(path):
    import numpy as np
    types = {"F32": np.float32, "F16": np.float16}
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    data = np.memmap(path, mode="r", offset=8 + size)
    return {name: np.frombuffer(data[entry["data_offsets"][0]:entry["data_offsets"][1]].tobytes(), types[entry["dtype"]])
            .reshape(entry["shape"]).astype(np.float32)
            for name, entry in header.items() if entry.get("dtype") in types and name.startswith("vis")}


class Graph:
    """an ONNX graph under construction; every method adds a node and gives its output's name"""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value):
        from onnx import numpy_helper
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind, *inputs, **attributes):
        from onnx import helper
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def linear(self, x, weight, bias=None):
        import numpy as np
        y = self.node("MatMul", x, self.constant(np.ascontiguousarray(weight.T)))
        return y if bias is None else self.node("Add", y, self.constant(bias))

    def norm(self, x, tensors, name, eps):
        return self.node("LayerNormalization", x, self.constant(tensors[name + ".weight"]),
                         self.constant(tensors[name + ".bias"]), axis=-1, epsilon=eps)

    def shape(self, *dims):
        import numpy as np
        return self.constant(np.array(dims, np.int64))


def attention(g, x, t, prefix, batch, tokens, width, heads):
    import numpy as np
    dim = width // heads
    parts = {}
    for part in "qkv":
        y = g.linear(x, t[f"{prefix}.self_attn.{part}_proj.weight"], t[f"{prefix}.self_attn.{part}_proj.bias"])
        y = g.node("Reshape", y, g.shape(batch, tokens, heads, dim))
        parts[part] = g.node("Transpose", y, perm=[0, 2, 3, 1] if part == "k" else [0, 2, 1, 3])
    scores = g.node("Mul", g.node("MatMul", parts["q"], parts["k"]), g.constant(np.float32(dim ** -0.5)))
    y = g.node("MatMul", g.node("Softmax", scores, axis=-1), parts["v"])
    y = g.node("Reshape", g.node("Transpose", y, perm=[0, 2, 1, 3]), g.shape(batch, tokens, width))
    return g.linear(y, t[prefix + ".self_attn.out_proj.weight"], t[prefix + ".self_attn.out_proj.bias"])


def block(g, x, t, prefix, batch, tokens, config):
    import numpy as np
    eps, width = config["layer_norm_eps"], config["hidden_size"]
    y = g.norm(x, t, prefix + ".layer_norm1", eps)
    x = g.node("Add", x, attention(g, y, t, prefix, batch, tokens, width, config["num_attention_heads"]))
    y = g.norm(x, t, prefix + ".layer_norm2", eps)
    y = g.linear(y, t[prefix + ".mlp.fc1.weight"], t[prefix + ".mlp.fc1.bias"])
    y = g.node("Mul", y, g.node("Sigmoid", g.node("Mul", y, g.constant(np.float32(1.702)))))
    return g.node("Add", x, g.linear(y, t[prefix + ".mlp.fc2.weight"], t[prefix + ".mlp.fc2.bias"]))


def build_vit(g, directory, batch):
    """the image encoder of a Hugging Face directory (QuickGELU) -> (output, picture size)"""
    import numpy as np
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))["vision_config"]
    t = read_safetensors(directory / "model.safetensors")
    size, patch, width = config["image_size"], config["patch_size"], config["hidden_size"]
    tokens = (size // patch) ** 2 + 1
    root = "vision_model."
    x = g.node("Conv", "pixels", g.constant(t[root + "embeddings.patch_embedding.weight"]), strides=[patch, patch])
    x = g.node("Transpose", g.node("Reshape", x, g.shape(batch, width, tokens - 1)), perm=[0, 2, 1])
    token = np.tile(t[root + "embeddings.class_embedding"].reshape(1, 1, width), (batch, 1, 1))
    x = g.node("Add", g.node("Concat", g.constant(token), x, axis=1),
               g.constant(t[root + "embeddings.position_embedding.weight"]))
    x = g.norm(x, t, root + "pre_layrnorm", config["layer_norm_eps"])
    for i in range(config["num_hidden_layers"]):
        x = block(g, x, t, f"{root}encoder.layers.{i}", batch, tokens, config)
    x = g.node("Gather", x, g.constant(np.int64(0)), axis=1)
    x = g.linear(g.norm(x, t, root + "post_layernorm", config["layer_norm_eps"]), t["visual_projection.weight"])
    return x, size


def write_onnx(directory, path, batch):
    """the image encoder, [batch,3,S,S] -> [batch,D], not normalised"""
    import onnx
    from onnx import helper, TensorProto
    g = Graph()
    if (directory / "open_clip_config.json").exists():
        x, size = bench_resnet.build(g, directory, batch, read_safetensors)
    else:
        x, size = build_vit(g, directory, batch)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, size, size])
    out = helper.make_tensor_value_info(x, TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph(g.nodes, "image encoder", [pixels], [out], g.constants),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return size
