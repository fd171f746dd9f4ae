# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image encoder of a ViT in PyTorch, for tests/bench-gpu: eager and compiled, in fp32 and fp16."""


class Encoder:
    """encode_image of a Hugging Face directory (QuickGELU), not normalised"""

    def __init__(self, tensors, config, device, dtype):
        import torch
        self.t = {name: torch.from_numpy(value).to(device, dtype) for name, value in tensors.items()}
        self.c = config

    def linear(self, x, name):
        import torch
        return torch.nn.functional.linear(x, self.t[name + ".weight"], self.t.get(name + ".bias"))

    def norm(self, x, name):
        import torch
        return torch.nn.functional.layer_norm(x, x.shape[-1:], self.t[name + ".weight"], self.t[name + ".bias"],
                                              self.c["layer_norm_eps"])

    def attention(self, x, prefix):
        import torch
        batch, tokens, width = x.shape
        q, k, v = (self.linear(x, f"{prefix}.{part}_proj").view(batch, tokens, self.c["num_attention_heads"], -1).transpose(1, 2)
                   for part in "qkv")
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
        return self.linear(y, prefix + ".out_proj")

    def encode(self, pixels):
        import torch
        root = "vision_model."
        x = torch.nn.functional.conv2d(pixels, self.t[root + "embeddings.patch_embedding.weight"], stride=self.c["patch_size"])
        x = x.flatten(2).transpose(1, 2)
        token = self.t[root + "embeddings.class_embedding"].reshape(1, 1, -1).expand(x.shape[0], 1, -1)
        x = torch.cat((token, x), 1) + self.t[root + "embeddings.position_embedding.weight"]
        x = self.norm(x, root + "pre_layrnorm")
        for i in range(self.c["num_hidden_layers"]):
            prefix = f"{root}encoder.layers.{i}"
            x = x + self.attention(self.norm(x, prefix + ".layer_norm1"), prefix + ".self_attn")
            y = self.linear(self.norm(x, prefix + ".layer_norm2"), prefix + ".mlp.fc1")
            x = x + self.linear(y * torch.sigmoid(1.702 * y), prefix + ".mlp.fc2")
        return self.linear(self.norm(x[:, 0], root + "post_layernorm"), "visual_projection")


def peers(tensors, config, batch, precision, device, compiled):
    """-> {name: function that encodes one batch and waits}; each is held to eager fp32"""
    import torch
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    size, dtype = config["image_size"], {"fp32": torch.float32, "fp16": torch.float16}[precision]
    pixels = torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1)).to(device)
    exact = Encoder(tensors, config, device, torch.float32)
    encoder = Encoder(tensors, config, device, dtype)
    calls = {"torch eager": encoder.encode}
    if compiled:
        calls["torch compiled"] = torch.compile(encoder.encode, mode="max-autotune" if device == "cuda" else "default")
    runs = {}
    with torch.inference_mode():
        wanted = exact.encode(pixels)
    for name, call in calls.items():
        def run(call=call):
            with torch.inference_mode():
                # back on the host, as ours are
                return call(pixels.to(dtype)).float().cpu()
        cosine = torch.nn.functional.cosine_similarity(run(), wanted.cpu()).min().item()
        assert cosine > (0.999999 if precision == "fp32" else 0.999), f"{name} computes something else: cosine {cosine}"
        runs[name] = run
    return runs
