# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two towers (Radford et al. 2021, section 2.4), their loss (figure 3), and the Hugging Face form of the weights."""
import json
import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SIZE, PATCH = 96, 12
VISION = dict(width=192, layers=4, heads=3)
TEXT = dict(width=128, layers=3, heads=2)
EMBED, CONTEXT = 192, 32


def attention(q, k, v, causal):
    """softmax(q k^T / sqrt(d)) v. On a CPU the fused operator's backward pass takes half of a training step."""
    if q.is_cuda:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    scores = q @ (k * q.shape[-1] ** -.5).transpose(-2, -1)
    if causal:
        length = q.shape[-2]
        scores = scores + torch.full((length, length), -1e4, dtype=scores.dtype).triu(1)
    return scores.softmax(-1) @ v


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, causal):
        n, length, width = x.shape
        qkv = self.qkv(self.ln_1(x)).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = attention(*qkv.unbind(0), causal)
        x = x + self.out(attended.transpose(1, 2).reshape(n, length, width))
        return x + self.fc2(F.gelu(self.fc1(self.ln_2(x))))


class Transformer(nn.Module):
    def __init__(self, width, layers, heads):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))

    def forward(self, x, causal=False):
        for block in self.blocks:
            x = block(x, causal)
        return x


class Clip(nn.Module):
    """encode_image: uint8 [N,S,S,3], S a multiple of PATCH -> [N,EMBED]; encode_text: ids [N,L], end positions [N] -> [N,EMBED]."""

    def __init__(self, vocabulary):
        super().__init__()
        wide, narrow = VISION["width"], TEXT["width"]
        self.patch = nn.Linear(3 * PATCH * PATCH, wide, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(wide) * .02)
        self.image_positions = nn.Parameter(torch.randn((SIZE // PATCH) ** 2 + 1, wide) * .02)
        self.ln_pre, self.ln_post = nn.LayerNorm(wide), nn.LayerNorm(wide)
        self.vision = Transformer(**VISION)
        self.image_projection = nn.Linear(wide, EMBED, bias=False)
        self.tokens = nn.Embedding(vocabulary, narrow)
        self.text_positions = nn.Parameter(torch.randn(CONTEXT, narrow) * .02)
        self.text = Transformer(**TEXT)
        self.ln_final = nn.LayerNorm(narrow)
        self.text_projection = nn.Linear(narrow, EMBED, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / .07)))
        self.initialise()
        self.register_buffer("mean", torch.tensor(MEAN) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(STD) * 255, persistent=False)

    def initialise(self):
        for name, parameter in self.named_parameters():
            if name == "tokens.weight":
                nn.init.normal_(parameter, std=.03)
            elif parameter.ndim == 2 and "positions" not in name:
                gain = .5 if name.endswith(("out.weight", "fc2.weight")) else 1
                nn.init.normal_(parameter, std=gain * parameter.shape[1] ** -.5)

    def positions(self, side):
        """Position embeddings of side x side patches, interpolated where the picture is smaller than the model's."""
        grid = self.image_positions[1:]
        if side == SIZE // PATCH:
            return grid
        grid = grid.T.reshape(1, -1, SIZE // PATCH, SIZE // PATCH)
        return F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)[0].flatten(1).T

    def encode_image(self, pictures):
        n, side = len(pictures), pictures.shape[1] // PATCH
        x = pictures.view(n, side, PATCH, side, PATCH, 3).permute(0, 1, 3, 5, 2, 4).reshape(n, side * side, 3, -1)
        x = ((x - self.mean[:, None]) / self.std[:, None]).flatten(2)
        x = self.patch(x) + self.positions(side)
        first = (self.class_embedding + self.image_positions[0]).expand(n, 1, -1).to(x.dtype)
        x = self.vision(self.ln_pre(torch.cat([first, x], 1)))
        return self.image_projection(self.ln_post(x[:, 0]))

    def encode_text(self, ids, ends):
        x = self.text(self.tokens(ids) + self.text_positions[:ids.shape[1]], causal=True)
        return self.text_projection(self.ln_final(x[torch.arange(len(ids), device=ids.device), ends]))


def contrastive_loss(images, texts, concepts, scale):
    """CLIP's symmetric cross entropy; two captions of one concept are no negatives of each other.

    @images, @texts: unit vectors [N,D]; @concepts: [N] numbers. Returns the loss and the share of pictures whose
    own caption comes first.
    """
    logits = scale * images @ texts.T
    same = (concepts[:, None] == concepts[None]).fill_diagonal_(False)
    logits = logits.masked_fill(same, -1e4)
    own = torch.arange(len(logits), device=logits.device)
    loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    return loss, (logits.argmax(1) == own).float().mean()


def hugging_face_tensors(model):
    """transformers' names -> fp16 tensors."""
    state = {k: v.detach().float().cpu() for k, v in model.state_dict().items()}
    tensors = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["image_projection.weight"],
        "text_projection.weight": state["text_projection.weight"],
        "vision_model.embeddings.class_embedding": state["class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["patch.weight"].view(-1, 3, PATCH, PATCH),
        "vision_model.embeddings.position_embedding.weight": state["image_positions"],
        "text_model.embeddings.token_embedding.weight": state["tokens.weight"],
        "text_model.embeddings.position_embedding.weight": state["text_positions"],
    }
    for kind in ("weight", "bias"):
        tensors[f"vision_model.pre_layrnorm.{kind}"] = state[f"ln_pre.{kind}"]  # the spelling is transformers' own
        tensors[f"vision_model.post_layernorm.{kind}"] = state[f"ln_post.{kind}"]
        tensors[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
        for tower, layers in (("vision", VISION["layers"]), ("text", TEXT["layers"])):
            for i in range(layers):
                source, target = f"{tower}.blocks.{i}.", f"{tower}_model.encoder.layers.{i}."
                for name, part in zip("qkv", state[f"{source}qkv.{kind}"].chunk(3)):
                    tensors[f"{target}self_attn.{name}_proj.{kind}"] = part
                for ours, theirs in (("out", "self_attn.out_proj"), ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"),
                                     ("fc1", "mlp.fc1"), ("fc2", "mlp.fc2")):
                    tensors[f"{target}{theirs}.{kind}"] = state[f"{source}{ours}.{kind}"]
    return {k: v.half().contiguous() for k, v in tensors.items()}


def config(vocabulary):
    def tower(kind, sizes, **more):
        return dict(model_type=f"clip_{kind}_model", hidden_size=sizes["width"], intermediate_size=4 * sizes["width"],
                    num_hidden_layers=sizes["layers"], num_attention_heads=sizes["heads"], hidden_act="gelu",
                    projection_dim=EMBED, **more)
    return dict(
        architectures=["CLIPModel"], model_type="clip", projection_dim=EMBED, torch_dtype="float16",
        text_config=tower("text", TEXT, vocab_size=vocabulary, max_position_embeddings=CONTEXT, bos_token_id=vocabulary - 2,
                          eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1),
        vision_config=tower("vision", VISION, image_size=SIZE, patch_size=PATCH, num_channels=3))


def save(model, tokenizer, folder):
    """Write a Hugging Face CLIPModel directory: config, weights in fp16, preprocessing, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(hugging_face_tensors(model), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config(tokenizer.size), indent=1) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_processor_type": "CLIPImageProcessor", "do_resize": True, "size": {"shortest_edge": SIZE}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": SIZE, "width": SIZE}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": MEAN, "image_std": STD, "do_convert_rgb": True}, indent=1) + "\n")
    tokenizer.save(folder)
