"""Activations, and what multiplies each channel, against PyTorch: forward and gradient."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from suite.shapes import normal

from fastconv import activations, functional
from peers.contenders import Contender, compare
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress

OURS = "fastconv"
#: Maps of a network's beginning and end, and vectors.
SHAPES: list[tuple[int, ...]] = [(32, 64, 56, 56), (100, 16, 14, 14), (100, 1000)]
FUNCTIONS: dict[str, dict[str, Any]] = {
    "relu6": {},
    "leaky_relu": {},
    "elu": {},
    "gelu": {},
    "gelu, tanh": {"approximate": "tanh"},
    "silu": {},
    "softplus": {},
    "hard_sigmoid": {},
    "hard_swish": {},
}
SCALE = 1 / 255


def run(settings: Settings) -> list[Table]:
    """Return the tables forward and backward, or none without PyTorch."""
    if "torch" not in settings.peers:
        return []
    from peers.libraries.pytorch_activations import PLAIN

    ratio = Ratio("fastconv / PyTorch", OURS, (PLAIN,))
    forward = Table("Activations, forward", ["Into new memory."], [ratio])
    backward = Table(
        "Activations, backward",
        ["PyTorch's operators, without autograd, from the output or the input that it keeps."],
        [ratio],
    )
    for shape in SHAPES:
        for name, racing, racing_back in _contenders(shape):
            case = f"{name} {shape}"
            progress("Activations", case)
            forward.rows.append(Row(case, compare(case, racing, settings.pace)))
            if racing_back:
                backward.rows.append(Row(case, compare(case, racing_back, settings.pace)))
    return [forward, backward]


def _contenders(shape: tuple[int, ...]) -> Iterator[tuple[str, list[Contender], list[Contender]]]:
    """Yield (case, contenders forward, contenders backward)."""
    from peers.libraries import pytorch_activations as peer

    x, dy = 4 * normal(shape), normal(shape, 1)
    for name, settings in FUNCTIONS.items():
        function = activations.resolve((name.partition(",")[0], settings), "peers")
        assert function is not None
        y = function(x)
        kept = y if function.reads == "output" else x
        yield (
            name,
            [Contender(OURS, partial(function, x)), peer.forward(name, x)],
            [Contender(OURS, partial(function.gradient, dy, kept)), peer.backward(name, dy, x, y)],
        )
    slopes = normal(shape[1:2], 2)
    yield (
        "prelu",
        [Contender(OURS, partial(functional.prelu, x, slopes)), peer.prelu(x, slopes)],
        [
            Contender(OURS, partial(functional.prelu_backward, dy, x, slopes)),
            peer.prelu_backward(dy, x, slopes),
        ],
    )
    pixels = np.clip(64 * x + 128, 0, 255).astype(np.uint8)
    ours = Contender(OURS, partial(functional.rescale, pixels, SCALE))
    yield "rescale, of bytes", [ours, peer.rescale(pixels, SCALE)], []
