"""Layers of maps and signals that have tables nowhere else, forward and backward, beside PyTorch.

Transposed convolution, up-sampling, zeros around maps, convolution of signals, global maxima, and
windows as columns.  Depthwise convolutions stand among those of MobileNet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from suite.shapes import normal

from fastconv import functional
from peers.contenders import Contender, compare
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress

OURS = "fastconv"
PEER = "PyTorch"
Both = tuple[Callable[[], Any], Callable[[], Any]]

#: (N, C, H), filters, and the options: DCGAN's second, U-Net's last, one of stride 1.
TRANSPOSED = {
    "256,8->128,4/2,1": ((16, 256, 8), 128, 4, {"stride": 2, "padding": 1}),
    "128,56->64,2/2,0": ((1, 128, 56), 64, 2, {"stride": 2}),
    "64,28->64,3/1,1": ((4, 64, 28), 64, 3, {"padding": 1}),
}
#: (N, C, H) and the scale.
SCALED = {
    "64,56 x2": ((1, 64, 56), 2),
    "256,28 x2": ((4, 256, 28), 2),
    "21,32 x8": ((1, 21, 32), 8),
}
#: (N, C, H) and the zeros on each side.
PADDED = {"3,224 +3": ((8, 3, 224), 3), "64,56 +1": ((8, 64, 56), 1), "512,7 +1": ((32, 512, 7), 1)}
#: (N, C, L), filters, and the options: WaveNet's, a sensor's first, a wide kernel.
SIGNALS = {
    "64,4096->64,2, dilation 8": ((1, 64, 4096), 64, 2, {"dilation": 8}),
    "9,128->64,3": ((64, 9, 128), 64, 3, {"padding": 1}),
    "128,512->128,9": ((4, 128, 512), 128, 9, {"padding": 4}),
}
WHOLE = {"512,7": (32, 512, 7), "1280,7": (8, 1280, 7), "64,56": (4, 64, 56)}


def run(settings: Settings) -> list[Table]:
    """Return a table for each operation and direction."""
    if "torch" not in settings.peers:
        return []
    modes = ("nearest", "bilinear")
    return [
        *_tables("Transposed convolution", TRANSPOSED, _transposed, settings),
        *(
            table
            for mode in modes
            for table in _tables(
                f"Up-sampling, {mode}", SCALED, partial(_scaled, mode=mode), settings
            )
        ),
        *_tables("Zeros around maps", PADDED, _padded, settings),
        *_tables("Convolution of signals", SIGNALS, _signals, settings),
        *_tables("Maxima of whole maps", WHOLE, _whole, settings),
    ]


def _tables(
    title: str,
    cases: Mapping[str, Any],
    make: Callable[[Any], tuple[Both, Both]],
    settings: Settings,
) -> list[Table]:
    """Return the tables of an operation, forward and backward.

    `make` gives ours, forward and backward, and PyTorch's.
    """
    tables = [
        Table(
            f"{title}, {direction}",
            ["fastconv and PyTorch write into new memory; both have all gradients of the call."],
            [Ratio("fastconv / PyTorch", OURS, (PEER,))],
        )
        for direction in ("forward", "backward")
    ]
    for name, case in cases.items():
        progress(title, name)
        for table, ours, peer in zip(tables, *make(case), strict=True):
            racing = [Contender(OURS, ours), Contender(PEER, peer)]
            table.rows.append(Row(name, compare(f"{title} {name}", racing, settings.pace)))
    return tables


def _square(shape: tuple[int, int, int]) -> np.ndarray:
    return normal((*shape, shape[-1]))


def _transposed(case: Any) -> tuple[Both, Both]:
    from peers.libraries import pytorch_spatial

    shape, filters, side, options = case
    x, weight = _square(shape), normal((shape[1], filters, side, side), 1)
    bias = normal((filters,), 2)
    forward = partial(functional.conv2d_transpose, x, weight, bias, **options)
    dy = normal(forward().shape, 3)
    backward = partial(functional.conv2d_transpose_backward, dy, x, weight, **options)
    return (forward, backward), pytorch_spatial.transposed(x, weight, bias, dy, options)


def _scaled(case: Any, mode: str) -> tuple[Both, Both]:
    from peers.libraries import pytorch_spatial

    shape, scale = case
    x = _square(shape)
    dy = normal((*shape[:2], shape[2] * scale, shape[2] * scale), 3)
    ours = (
        partial(functional.upsample2d, x, scale, mode),
        partial(functional.upsample2d_backward, dy, scale, mode),
    )
    return ours, pytorch_spatial.scaled(x, dy, scale, mode)


def _padded(case: Any) -> tuple[Both, Both]:
    from peers.libraries import pytorch_spatial

    shape, zeros = case
    x = _square(shape)
    dy = normal((*shape[:2], shape[2] + 2 * zeros, shape[2] + 2 * zeros), 3)
    ours = (
        partial(functional.zero_padding2d, x, zeros),
        partial(functional.zero_padding2d_backward, dy, zeros),
    )
    return ours, pytorch_spatial.padded(x, dy, zeros)


def _signals(case: Any) -> tuple[Both, Both]:
    from peers.libraries import pytorch_spatial

    shape, filters, taps, options = case
    x, weight, bias = normal(shape), normal((filters, shape[1], taps), 1), normal((filters,), 2)
    # as the layer sees them: maps of one row
    row = {"padding": (0, options.get("padding", 0)), "dilation": (1, options.get("dilation", 1))}
    maps, filters_of_one_row = x[:, :, None], weight[:, :, None]
    y = functional.conv2d(maps, filters_of_one_row, bias, **row)
    dy = normal((*y.shape[:2], y.shape[3]), 3)

    def forward() -> np.ndarray:
        return functional.conv2d(maps, filters_of_one_row, bias, **row)[:, :, 0]

    def backward() -> list[np.ndarray]:
        given = dy[:, :, None], maps, filters_of_one_row
        dx, dweight, dbias = functional.conv2d_backward(*given, **row)
        return [dx[:, :, 0], dweight[:, :, 0], dbias]  # type: ignore[index, list-item]

    return (forward, backward), pytorch_spatial.signals(x, weight, bias, dy, options)


def _whole(shape: tuple[int, int, int]) -> tuple[Both, Both]:
    from peers.libraries import pytorch_spatial

    x, size = _square(shape), (shape[2], shape[2])
    y, argmax = functional.max_pool2d_argmax(x, size)
    dy = normal(y.shape, 3)
    ours = (
        partial(functional.max_pool2d, x, size),
        partial(functional.max_pool2d_argmax_backward, dy, argmax, x.shape, size),
    )
    return ours, pytorch_spatial.whole(x, dy)
