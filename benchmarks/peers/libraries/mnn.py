"""MNN: it converts an ONNX file ahead, packs and transforms the weights, and runs a module.

Input and result are plain NCHW in MNN's own memory. Reordering into blocks of channels and back is
part of the call, and so is new memory for the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from peers.contenders import TOLERANCE, Contender
from peers.libraries.quiet import quiet

__all__ = ["DIRECT", "NAME", "SMALL_TILES", "contenders"]

NAME = "MNN"
SMALL_TILES = f"{NAME}, small tiles"
DIRECT = f"{NAME}, direct"
#: A value of MNN's Interpreter::HintMode: how much memory, and so which tiles, Winograd may take.
WINOGRAD_MEMORY_LEVEL = 3
LEVELS = {NAME: 3, SMALL_TILES: 1, DIRECT: 0}  # tiles of up to 6x6 results, of 2x2, and none
#: Large tiles need more: with 6x6 results, the error is 1e-3 of the largest element.
TOLERANCES = {NAME: 1e-2, SMALL_TILES: TOLERANCE, DIRECT: TOLERANCE}


def contenders(file: bytes, x: np.ndarray, threads: int, names: Sequence[str]) -> list[Contender]:
    """Return MNN as it comes, with only small tiles, or without tiles, as `names` ask for."""
    return [
        Contender(name, *_loaded(file, x, threads, LEVELS[name]), TOLERANCES[name])
        for name in names
    ]


def _loaded(file: bytes, x: np.ndarray, threads: int, level: int) -> tuple:
    """Return what runs the file, and what makes arrays of its result."""
    with quiet():
        # This is the converter itself: to import MNN.tools installs packages and calls a server.
        import _tools
        import MNN.expr
        import MNN.nn

        manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "numThread": threads},))
        manager.set_hint(WINOGRAD_MEMORY_LEVEL, level)
        with TemporaryDirectory() as folder:
            given, made = Path(folder) / "case.onnx", Path(folder) / "case.mnn"
            given.write_bytes(file)
            _tools.mnnconvert(
                [
                    "mnnconvert",
                    "-f",
                    "ONNX",
                    "--modelFile",
                    str(given),
                    "--MNNModel",
                    str(made),
                    "--bizCode",
                    "peers",
                ]
            )
            module = MNN.nn.load_module_from_file(str(made), ["x"], ["y"], runtime_manager=manager)
        image = MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)
        module.forward(image)
    # the manager has to live as long as the module
    return partial(_forward, module, image, manager), lambda result: [result.read()]


def _forward(module, image, manager):
    return module.forward(image)
