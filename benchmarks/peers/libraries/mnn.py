"""MNN: it converts an ONNX file ahead, packs and transforms the weights, and runs a module.

Input and result are plain NCHW in memory of MNN's own; what it reorders into blocks of channels
and back is part of the call, and so is the result's new memory.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..contenders import Contender
from .quiet import quiet

__all__ = ["NAME", "SMALL_TILES", "contenders"]

NAME = "MNN"
SMALL_TILES = f"{NAME}, small tiles"
#: Of MNN's Interpreter::HintMode: how much memory, and so which tiles, Winograd may take.
WINOGRAD_MEMORY_LEVEL = 3
SMALL = 1  # tiles of 2x2 results; by default up to 6x6
#: Of tiles of 6x6 results, whose error is 1e-3 of the largest element; it is shown in the report.
TOLERANCE = 1e-2


def contenders(file: bytes, x: np.ndarray, threads: int, *, tiles: bool) -> list[Contender]:
    """Return MNN as it comes and, if it may choose `tiles`, also kept to small ones."""
    found = [Contender(NAME, *_loaded(file, x, threads, None), TOLERANCE)]
    if tiles:
        found.append(Contender(SMALL_TILES, *_loaded(file, x, threads, SMALL)))
    return found


def _loaded(file: bytes, x: np.ndarray, threads: int, level: int | None) -> tuple:
    """Return what runs the file, and what makes arrays of its result."""
    with quiet():
        # The converter itself: importing MNN.tools installs packages and asks for a server.
        import _tools
        import MNN.expr
        import MNN.nn

        manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": threads},))
        if level is not None:
            manager.set_hint(WINOGRAD_MEMORY_LEVEL, level)
        with TemporaryDirectory() as folder:
            given, made = Path(folder) / "case.onnx", Path(folder) / "case.mnn"
            given.write_bytes(file)
            _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", str(given),
                               "--MNNModel", str(made), "--bizCode", "peers"])  # fmt: skip
            module = MNN.nn.load_module_from_file(
                str(made), ["x"], ["y"], runtime_manager=manager
            )
        image = MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)
        module.forward(image)
    # the manager has to live as long as the module
    return partial(_forward, module, image, manager), lambda result: [result.read()]


def _forward(module, image, manager):
    return module.forward(image)
