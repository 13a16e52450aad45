"""Pooling: in training and backward against PyTorch, in inference also against the runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from suite.shapes import normal

from fastconv import functional
from peers.cases import POOL_CASES, WIDE_POOLS, Pool
from peers.contenders import Contender, compare
from peers.libraries.runtimes import NAMES, contenders
from peers.settings import Settings
from peers.table import Ratio, Row, Table
from peers.tables import progress
from peers.tables.forward import PYTORCH

OURS, TRAINING = "fastconv", "fastconv, with argmax"
EVERYONE = (*PYTORCH, *NAMES.values())
WIDE = ", 5x5 to 13x13 of stride 1"


def run(settings: Settings) -> list[Table]:
    """Return the tables of maxima and of averages, forward and backward."""
    return [
        *_maxima("", POOL_CASES, settings),
        *_maxima(WIDE, WIDE_POOLS, settings),
        *_averages(WIDE, WIDE_POOLS, settings),
    ]


def _maxima(which: str, cases: Mapping[str, Pool], settings: Settings) -> list[Table]:
    forward = Table(
        f"Max pooling{which}, forward",
        [
            "PyTorch always notes where the maxima were (int64); fastconv does in training "
            "(uint8) and not in inference. fastconv and PyTorch write into new memory."
        ],
        [
            Ratio("fastconv / best peer", OURS, EVERYONE),
            Ratio("with argmax / best of PyTorch", TRAINING, PYTORCH),
        ],
    )
    backward = Table(
        f"Max pooling{which}, backward",
        ["The positions are those of the forward pass, ahead of the timing."],
        [Ratio("fastconv / best of PyTorch", OURS, PYTORCH)],
    )
    return _filled(forward, backward, cases, settings, _max_forward, _max_backward)


def _averages(which: str, cases: Mapping[str, Pool], settings: Settings) -> list[Table]:
    forward = Table(
        f"Average pooling{which}, forward",
        ["What is padded does not count. fastconv and PyTorch write into new memory."],
        [Ratio("fastconv / best peer", OURS, EVERYONE)],
    )
    backward = Table(
        f"Average pooling{which}, backward",
        ["PyTorch's operator `avg_pool2d_backward`, without autograd."],
        [Ratio("fastconv / best of PyTorch", OURS, PYTORCH)],
    )
    return _filled(forward, backward, cases, settings, _average_forward, _average_backward)


def _filled(
    forward: Table,
    backward: Table,
    cases: Mapping[str, Pool],
    settings: Settings,
    racing: Callable[[Pool, Settings], list[Contender]],
    racing_back: Callable[[Pool], list[Contender]],
) -> list[Table]:
    """Measure each case forward and backward, and return the tables that have rows."""
    for name, pool in cases.items():
        progress(forward.title, name)
        forward.rows.append(_row(name, pool, racing(pool, settings), settings))
        if "torch" in settings.peers:
            backward.rows.append(_row(name, pool, racing_back(pool), settings))
    return [table for table in (forward, backward) if table.rows]


def _row(name: str, pool: Pool, racing: list[Contender], settings: Settings) -> Row:
    title = f"{name} ({pool.N},{pool.C},{pool.H}; {pool.R}/{pool.stride},{pool.padding})"
    return Row(title, compare(title, racing, settings.pace))


def _max_forward(pool: Pool, settings: Settings) -> list[Contender]:
    x = normal(pool.x_shape)
    infer = partial(functional.max_pool2d, x, pool.R, **pool.options)
    train = partial(functional.max_pool2d_argmax, x, pool.R, **pool.options)
    racing = [Contender(OURS, infer), Contender(TRAINING, train, lambda both: [both[0]])]
    if "torch" in settings.peers:
        from peers.libraries import pytorch

        racing += pytorch.max_pool(pool, x)
    return racing + _runtimes(pool, "MaxPool", x, settings)


def _max_backward(pool: Pool) -> list[Contender]:
    from peers.libraries import pytorch

    x = normal(pool.x_shape)
    y, argmax = functional.max_pool2d_argmax(x, pool.R, **pool.options)
    dy = normal(y.shape, 3)
    call = partial(
        functional.max_pool2d_argmax_backward, dy, argmax, x.shape, pool.R, **pool.options
    )
    return [Contender(OURS, call), *pytorch.max_pool_backward(pool, dy, x)]


def _average_forward(pool: Pool, settings: Settings) -> list[Contender]:
    x = normal(pool.x_shape)
    racing = [Contender(OURS, partial(functional.avg_pool2d, x, pool.R, **pool.options))]
    if "torch" in settings.peers:
        from peers.libraries import pytorch

        racing += pytorch.average_pool(pool, x)
    return racing + _runtimes(pool, "AveragePool", x, settings)


def _average_backward(pool: Pool) -> list[Contender]:
    from peers.libraries import pytorch

    x = normal(pool.x_shape)
    dy = normal(functional.avg_pool2d(x, pool.R, **pool.options).shape, 3)
    call = partial(functional.avg_pool2d_backward, dy, x.shape, pool.R, **pool.options)
    return [Contender(OURS, call), *pytorch.average_pool_backward(pool, dy, x)]


def _runtimes(pool: Pool, operator: str, x: np.ndarray, settings: Settings) -> list[Contender]:
    if not set(NAMES) & set(settings.peers):
        return []
    from peers.libraries import onnx_files

    return contenders(onnx_files.pool(pool, operator), x, settings)
