"""ncnn: a network of one convolution, whose weights are packed and transformed when it is loaded.

The image is read in place. The call packs its channels, and unpacks the result, which `extract`
gives as plain planes in new memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from peers.cases import Case, pair
from peers.contenders import Contender

__all__ = ["DIRECT", "NAME", "convolution"]

NAME = "ncnn"
DIRECT = f"{NAME}, direct"
MAGIC = 7767517  # the first line of every file of layers
PLAIN = bytes(4)  # before weights that are float32
#: Narrower numbers, which some processors would take by default.
NARROW = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
    "use_int8_inference",
)
OPTIONS_OFF = {NAME: NARROW, DIRECT: (*NARROW, "use_winograd_convolution")}


def convolution(
    layer: Case,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    threads: int,
    names: Sequence[str],
) -> list[Contender]:
    """Return ncnn as it comes, or without Winograd's algorithm, as `names` ask for."""
    image, found = _image(x), []
    for name in names:
        net = _net(layer, weight, bias, threads, OPTIONS_OFF[name])
        call = partial(_run, net, image, x)
        found.append(Contender(name, call, lambda result: [result.numpy("f", 0)]))
    return found


def _net(layer: Case, weight: np.ndarray, bias: np.ndarray, threads: int, off: tuple) -> Any:
    """Return the loaded network, without the options `off`."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for option in off:
        if hasattr(net.opt, option):  # options differ from version to version
            setattr(net.opt, option, False)
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.bin"
        weights.write_bytes(PLAIN + weight.tobytes() + bias.tobytes())
        if net.load_param_mem(_described(layer, weight)) or net.load_model(str(weights)):
            raise ValueError(f"ncnn refuses the layer {layer}")
    return net


def _described(layer: Case, weight: np.ndarray) -> str:
    """Return the layers as ncnn writes them: settings have numbers, y and x have separate ones."""
    filters, _, rows, columns = weight.shape
    (down, right), (top, left) = pair(layer.stride), pair(layer.padding)
    numbers = {
        0: filters,
        1: columns,
        11: rows,
        3: right,
        13: down,
        4: left,
        14: top,
        5: 1,
        6: weight.size,
    }
    kind = "Convolution"
    if layer.groups > 1:
        kind, numbers[7] = "ConvolutionDepthWise", layer.groups
    words = " ".join(f"{number}={value}" for number, value in numbers.items())
    return f"{MAGIC}\n2 2\nInput x 0 1 x\n{kind} y 1 1 x y {words}\n"


def _image(x: np.ndarray) -> Any:
    import ncnn

    return ncnn.Mat(x, 0)  # the first axis is that of the batch


def _run(net: Any, image: Any, x: np.ndarray) -> Any:
    """Run the network; `x` owns the memory of `image`, and is kept alive for it."""
    extractor = net.create_extractor()
    extractor.input("x", image)
    failed, result = extractor.extract("y")
    if failed:
        raise ValueError("ncnn could not run the layer")
    return result
