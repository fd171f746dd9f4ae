# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image encoder in PyTorch, for tests/bench-gpu: eager and compiled, in fp32 and fp16."""
import bench_torch


def peers(directory, batch, precision, device, compiled):
    """-> {name: function that encodes one batch and waits}; each is held to eager fp32"""
    import torch
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    dtype = {"fp32": torch.float32, "fp16": torch.float16}[precision]
    exact, encoder = bench_torch.load(directory, torch.float32, device), bench_torch.load(directory, dtype, device)
    pixels = torch.randn(batch, 3, exact.size, exact.size, generator=torch.Generator().manual_seed(1)).to(device)
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
