# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image encoder's peers, for tests/bench: what each offers in fp32, bf16 and int8, on the same weights."""
import contextlib
import logging
import os
import sys

import bench_torch

PRECISIONS = {"fp32": ("onnxruntime", "openvino", "pytorch"), "bf16": ("openvino", "pytorch"), "int8": ("onnxruntime", "openvino")}
NAMES = ("onnxruntime", "openvino", "pytorch")
CALIBRATION = 8  # batches of noise


def open_onnxruntime(path, precision):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(quantize(path) if precision == "int8" else path, options,
                                           providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"pixels": pixels})[0]


def quantize(path):
    """weights of eight bits with a scale for each output; activations are quantised as they come"""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    quantized = path.replace(".onnx", "-int8.onnx")
    if not os.path.exists(quantized):
        quantize_dynamic(path, quantized, weight_type=QuantType.QInt8, per_channel=True)
    return quantized


def open_openvino(path, precision):
    import openvino
    core = openvino.Core()
    model = core.read_model(calibrate(core, path) if precision == "int8" else path)
    hint = {"PERFORMANCE_HINT": "LATENCY"}
    if precision != "int8":
        hint["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[precision]
    compiled = core.compile_model(model, "CPU", hint)
    request = compiled.create_infer_request()
    return lambda pixels: request.infer({0: pixels})[compiled.output(0)]


def calibrate(core, path):
    """weights and activations of eight bits; NNCF takes the ranges of the activations from noise"""
    import nncf
    import numpy as np
    import openvino
    quantized = path.replace(".onnx", "-int8.xml")
    if os.path.exists(quantized):
        return quantized
    model, random = core.read_model(path), np.random.default_rng(2)
    shape = list(model.input(0).shape)
    is_transformer = sum(node.get_type_name() == "Convolution" for node in model.get_ops()) == 1
    nncf.set_log_level(logging.ERROR)
    samples = nncf.Dataset([random.standard_normal(shape, dtype=np.float32) for _ in range(CALIBRATION)])
    with contextlib.redirect_stdout(sys.stderr):
        model = nncf.quantize(model, samples, subset_size=CALIBRATION,
                              model_type=nncf.ModelType.TRANSFORMER if is_transformer else None)
    openvino.save_model(model, quantized)
    return quantized


def check(name, precision, got, wanted):
    """the peer computes what ONNX Runtime does in fp32"""
    import numpy as np
    if precision == "fp32":
        assert np.abs(got - wanted).max() < 1e-3 * np.abs(wanted).max(), f"{name} disagrees with onnxruntime"
    cosine = (got * wanted).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosine.min() > 0.99, f"{name} computes something else in {precision}: cosine {cosine.min():.4f}"


def open_peers(directory, path, batch, size, precision, names):
    """-> ({name: function that encodes one batch}, {name: why it is not there}); @path: the encoder as an ONNX file"""
    import numpy as np
    pixels = np.random.default_rng(1).standard_normal((batch, 3, size, size), dtype=np.float32)
    wanted = open_onnxruntime(path, "fp32")(pixels).copy()
    openers = {"onnxruntime": lambda: open_onnxruntime(path, precision), "openvino": lambda: open_openvino(path, precision),
               "pytorch": lambda: bench_torch.open_encoder(directory, precision)}
    runs, absent = {}, {}
    for name in PRECISIONS[precision]:
        if name not in names:
            continue
        try:
            run = openers[name]()
        except ImportError as error:
            absent[name] = str(error)
            continue
        check(name, precision, run(pixels), wanted)
        runs[name] = lambda run=run: run(pixels)
    return runs, absent
