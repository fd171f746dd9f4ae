# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the two examples share: where their pictures lie, and a call of the tool."""
import json
import os
import pathlib
import subprocess
import sys

from download import data_folder

ROOT = pathlib.Path(__file__).resolve().parent.parent


def environment():
    """The build tree beside the scripts where there is one, else what is installed."""
    build = pathlib.Path(os.environ.get("GST_CLIP_BUILD", ROOT / "build"))
    result = dict(os.environ)
    if (build / "gst" / "libgstclip.so").exists():
        result["PATH"] = f"{build / 'gst'}:{result['PATH']}"
        result["GST_PLUGIN_PATH"] = str(build / "gst")
        result.setdefault("GST_CLIP_DEMO_MODEL", str(ROOT / "models" / "demo"))
    return result


def find_pictures(folder, names):
    """The files of @names, which have no extension, in @folder or where fetch-examples puts them."""
    where = folder or data_folder() / "examples"
    files = {path.stem: path for path in sorted(where.glob("*")) if path.suffix.lower() in (".png", ".jpg", ".jpeg")}
    missing = [name for name in names if name not in files]
    if missing:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {', '.join(missing)} (.png or .jpg) not found in {where}; run "
                 "pipelines/fetch-examples, or name a folder with --pictures")
    return [files[name] for name in names]


def match(pictures, texts, model, *more):
    """gst-clip-1.0 match as the dictionary of its JSON."""
    options = ["--model", model] if model else []
    done = subprocess.run(["gst-clip-1.0", "match", "--json", *options, *more, *map(str, pictures), "--text", *texts],
                          env=environment(), stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return json.loads(done.stdout)
