#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""eval-against-transformers.py MODEL FOLDER: the same folder of class folders through gst-clip-1.0 eval and through
transformers' CLIPModel with Pillow; every number must be the same. Needs torch, transformers and Pillow: not run by CI."""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer


def pixels(path, size, mean, std):
    """openai/CLIP clip.py _transform: resize the shortest side, crop the centre, normalise"""
    picture = Image.open(path).convert("RGB")
    scale = size / min(picture.size)
    picture = picture.resize([size if v == min(picture.size) else int(v * scale) for v in picture.size], Image.BICUBIC)
    left, top = (round((v - size) / 2) for v in picture.size)
    array = np.asarray(picture.crop((left, top, left + size, top + size)), np.float32) / 255
    return torch.from_numpy(((array - mean) / std).transpose(2, 0, 1))


def direct(folder, model_path, classes):
    """-> {file: its classes, best first}"""
    model = CLIPModel.from_pretrained(model_path, dtype=torch.float32).eval()
    tokenizer = CLIPTokenizer.from_pretrained(model_path)
    settings = json.loads((model_path / "preprocessor_config.json").read_text())
    mean, std = (np.array(settings[key], np.float32) for key in ("image_mean", "image_std"))
    files = sorted(folder.glob("*/*.png"))
    with torch.no_grad():
        ids = tokenizer(classes, padding=True, return_tensors="pt")
        texts = model.text_projection(model.text_model(**ids).pooler_output)
        pictures = torch.stack([pixels(f, model.config.vision_config.image_size, mean, std) for f in files])
        images = torch.cat([model.visual_projection(model.vision_model(pixel_values=part).pooler_output)
                            for part in pictures.split(100)])
        scores = F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    return {str(f.relative_to(folder)): [classes[i] for i in row.argsort(descending=True)] for f, row in zip(files, scores)}


def main():
    model, folder = (pathlib.Path(path) for path in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as temporary:
        results = pathlib.Path(temporary) / "results.jsonl"
        done = subprocess.run(["gst-clip-1.0", "eval", "--json", "--model", model, "--results", results, folder], check=True,
                              stdout=subprocess.PIPE)
        answer = json.loads(done.stdout)
        lines = [json.loads(line) for line in results.read_text().splitlines()]
    classes = [entry["name"] for entry in answer["classes"]]
    ranked = direct(folder, model, classes)
    ours = {line["file"]: line for line in lines if "file" in line}
    assert set(ours) == set(ranked), "other files"
    different = [name for name in ranked if [x["name"] for x in ours[name]["top"]] != ranked[name][:len(ours[name]["top"])]]
    ranks = {name: order.index(pathlib.Path(name).parts[0].replace("_", " ")) for name, order in ranked.items()}
    top1 = np.mean([rank == 0 for rank in ranks.values()])
    top5 = np.mean([rank < 5 for rank in ranks.values()])
    print(f"{len(ranked)} files, {len(classes)} classes: top-1 {answer['top_1']} and {top1}, top-5 {answer['top_k']} and {top5}; "
          f"{len(different)} files differ")
    return 0 if not different and abs(answer["top_1"] - top1) < 1e-6 and abs(answer["top_k"] - top5) < 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
