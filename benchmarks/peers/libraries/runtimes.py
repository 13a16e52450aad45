"""ONNX Runtime, OpenVINO and MNN: all read an ONNX file before the timing, and pack its weights."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial

import numpy as np

from peers.contenders import Contender
from peers.libraries import mnn
from peers.settings import Settings
from peers.timing import fastest

__all__ = ["NAMES", "contenders", "networks"]

NAMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}


def contenders(file: bytes, x: np.ndarray, settings: Settings) -> list[Contender]:
    """Return those of the two runtimes that take part."""
    makers = {"onnxruntime": onnx_runtime, "openvino": openvino}
    chosen = [makers[name] for name in makers if name in settings.peers]
    return [make(file, x, settings.threads) for make in chosen]


def networks(
    file: bytes,
    x: np.ndarray,
    settings: Settings,
    variants: Sequence[str] = (mnn.NAME, mnn.SMALL_TILES),
) -> list[Contender]:
    """Return the same for networks with convolutions, and also `variants` of MNN."""
    found = contenders(file, x, settings)
    if "mnn" in settings.peers:
        found += mnn.contenders(file, x, settings.threads, variants)
    return found


def onnx_runtime(file: bytes, x: np.ndarray, threads: int) -> Contender:
    """Return a session, run plainly or with bound inputs and outputs, whichever is faster."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    plain = partial(session.run, None, {"x": x})
    y = ort.OrtValue.ortvalue_from_numpy(plain()[0])
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", ort.OrtValue.ortvalue_from_numpy(x))
    binding.bind_ortvalue_output("y", y)
    bound = partial(session.run_with_iobinding, binding)
    if fastest({"plain": plain, "bound": bound}) == "plain":
        return Contender(NAMES["onnxruntime"], plain)
    return Contender(NAMES["onnxruntime"], bound, lambda _: [y.numpy()])


def openvino(file: bytes, x: np.ndarray, threads: int) -> Contender:
    """Return one request that is used again and again, with its input and output in place."""
    import openvino as ov

    core = ov.Core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
    }
    compiled = core.compile_model(core.read_model(io.BytesIO(file)), "CPU", options)
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(x, shared_memory=True))
    call = partial(request.infer, share_outputs=True)
    return Contender(NAMES["openvino"], call, lambda _: [request.get_output_tensor().data])
