# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes images/ and preprocess.safetensors: generated pictures, and what Pillow and torchvision make of them."""
import pathlib
import sys

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

SIZES = (32, 96)
SEED = 20261124


def grid(width, height):
    y, x = np.mgrid[0:height, 0:width]
    return x, y


def noise(width, height, channels, seed):
    return np.random.Generator(np.random.PCG64(SEED + seed)).integers(0, 256, (height, width, channels), dtype=np.uint8)


def gradient(width, height):
    x, y = grid(width, height)
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) * 255 // (width + height - 2)], -1).astype(np.uint8)


def checker(width, height, cell):
    """sharp edges: the filter overshoots and is clipped"""
    x, y = grid(width, height)
    on = (x // cell + y // cell) % 2
    return np.stack([on * 255, (1 - on) * 255, on * 200 + 20], -1).astype(np.uint8)


def stripes(width, height):
    """fine lines that grow wider, slanted, with a little noise: every row and column differs"""
    x, y = grid(width, height)
    base = (x * x // 7 + y * 5 + x * y // 11) % 256
    return np.stack([base, (base * 3 + y) % 256, 255 - base], -1).astype(np.uint8)


def alpha(width, height):
    """transparent in a corner, half transparent in the middle; the colours under it go on"""
    x, y = grid(width, height)
    a = np.clip((x * 3 + y * 4) - 120, 0, 255)
    a[(x // 9 + y // 9) % 3 == 0] = 0
    return np.concatenate([noise(width, height, 3, 9), a[..., None].astype(np.uint8)], -1)


def pictures():
    """name -> picture; the sizes include odd differences (the crop rounds half to even) and no resampling at all"""
    return {
        "noise-61x47": noise(61, 47, 3, 1),
        "gradient-160x121": gradient(160, 121),
        "checker-97x96": checker(97, 96, 5),
        "alpha-90x70": alpha(90, 70),
        "gray-74x50": noise(74, 50, 1, 2)[..., 0],
        "tall-70x260": stripes(70, 260),
        "wide-200x24": stripes(200, 24),
        "same-32x32": noise(32, 32, 3, 3),
        "one-1x1": np.array([[[200, 100, 50]]], np.uint8),
    }


def preprocess(image, size):
    """openai/CLIP's order: resize and crop in the picture's own mode, to RGB after"""
    image = Resize(size, interpolation=InterpolationMode.BICUBIC)(image)
    return np.asarray(CenterCrop(size)(image).convert("RGB"))


def main(out):
    folder = out / "images"
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, pixels in pictures().items():
        Image.fromarray(pixels).save(folder / f"{name}.png", optimize=True)
        image = Image.open(folder / f"{name}.png")
        for size in SIZES:
            expected[f"{name}-{size}"] = preprocess(image.convert("RGB"), size)
            if image.mode == "RGBA":
                other = preprocess(image, size)
                assert (other != expected[f"{name}-{size}"]).any()
                expected[f"{name}.openai-order-{size}"] = other
    save_file({k: np.ascontiguousarray(v) for k, v in expected.items()}, out / "preprocess.safetensors")
    print(f"images: {len(pictures())} pictures, {len(expected)} results")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
