"""Max pooling: in inference against all peers, in training and backward against PyTorch."""

from __future__ import annotations

from functools import partial

import numpy as np
from suite.shapes import normal

from fastconv import functional

from ..cases import POOL_CASES, Pool
from ..contenders import Contender, compare
from ..libraries.runtimes import NAMES, contenders
from ..settings import Settings
from ..table import Ratio, Row, Table
from . import progress
from .forward import EVERYONE, PYTORCH

TRAINING = "fastconv, with argmax"


def run(settings: Settings) -> list[Table]:
    """Return the table of forward and the table of backward pooling."""
    forward = Table(
        "Max pooling, forward",
        [
            "PyTorch always notes where the maxima were (int64); fastconv does in training "
            "(uint8) and not in inference. fastconv and PyTorch write into new memory.",
        ],
        [
            Ratio("fastconv / best peer", "fastconv", EVERYONE, 0.65),
            Ratio("with argmax / best of PyTorch", TRAINING, PYTORCH),
        ],
    )
    backward = Table(
        "Max pooling, backward",
        ["The positions are those of the forward pass, ahead of the timing."],
        [Ratio("fastconv / best of PyTorch", "fastconv", PYTORCH, 0.70)],
    )
    for name, pool in POOL_CASES.items():
        progress(forward.title, name)
        title = f"{name} ({pool.N},{pool.C},{pool.H}; {pool.R}/{pool.stride},{pool.padding})"
        x = normal(pool.x_shape)
        forward.rows.append(_forward(title, pool, x, settings))
        if "torch" in settings.peers:
            backward.rows.append(_backward(title, pool, x, settings))
    return [forward, backward] if backward.rows else [forward]


def _forward(title: str, pool: Pool, x: np.ndarray, settings: Settings) -> Row:
    infer = partial(functional.max_pool2d, x, pool.R, **pool.options)
    train = partial(functional.max_pool2d_argmax, x, pool.R, **pool.options)
    racing = [Contender("fastconv", infer), Contender(TRAINING, train, lambda both: [both[0]])]
    if "torch" in settings.peers:
        from ..libraries import pytorch

        racing += pytorch.max_pool(pool, x)
    if set(NAMES) & set(settings.peers):
        from ..libraries import onnx_files

        racing += contenders(onnx_files.max_pool(pool), x, settings)
    return Row(title, compare(title, racing, settings.pace))


def _backward(title: str, pool: Pool, x: np.ndarray, settings: Settings) -> Row:
    from ..libraries import pytorch

    y, argmax = functional.max_pool2d_argmax(x, pool.R, **pool.options)
    dy = normal(y.shape, 3)
    call = partial(
        functional.max_pool2d_argmax_backward, dy, argmax, x.shape, pool.R, **pool.options
    )
    racing = [Contender("fastconv", call), *pytorch.max_pool_backward(pool, dy, x)]
    return Row(title, compare(title, racing, settings.pace))
