#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Makes everything in this folder anew, from nothing but the texts, formulas and seeds in these scripts.

    python3 tests/data/make.py [FOLDER]

The answers come from the reference implementations (PyTorch, transformers, torchvision, Pillow, open_clip),
which are installed into a virtual environment of their own under the user's cache folder.
"""
import os
import pathlib
import subprocess
import sys
import venv

# Pillow 13 changed the order of its passes; openai/CLIP's published numbers come from the older one
PACKAGES = ["torch", "torchvision", "transformers", "pillow<13", "numpy", "safetensors", "regex", "ftfy", "open_clip_torch",
            "sentencepiece", "protobuf"]
HERE = pathlib.Path(__file__).resolve().parent


def environment():
    """-> the python of the virtual environment, made at the first call"""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    home = cache / "clip-test-data" / "venv"
    python, complete = home / "bin" / "python3", home / "complete"
    if not complete.exists():
        print(f"installing {', '.join(PACKAGES)} into {home}", flush=True)
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        complete.write_text("\n".join(PACKAGES) + "\n")
    return python


def main():
    python = environment()
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE).resolve()
    settings = dict(os.environ, HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1", OMP_NUM_THREADS="1", PYTHONHASHSEED="0",
                    PYTHONDONTWRITEBYTECODE="1")
    for script in ("make_vocab.py", "make_images.py", "make_models.py", "make_pieces.py"):
        subprocess.run([python, HERE / script, out], check=True, env=settings)
    for path in out.rglob("*.safetensors"):
        path.chmod(0o644)  # as written, only their owner may read them


if __name__ == "__main__":
    main()
