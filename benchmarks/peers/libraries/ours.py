"""fastconv's contenders for a convolution."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import fastconv
from peers.cases import Case
from peers.contenders import Contender
from peers.settings import Settings

__all__ = ["ARRAYS", "ONE_THREAD", "choice", "column", "convolutions"]

ARRAYS = "conv2d on arrays"
ONE_THREAD = "one thread"


def column(algorithm: str, precision: str) -> str:
    """Return the name of an algorithm's column; the default precision is not named."""
    return algorithm if precision == "standard" else f"{algorithm} {precision}"


def convolutions(
    layer: Case, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, settings: Settings
) -> list[Contender]:
    """Return a contender with packed weights for each column, then one that packs in the call."""
    found = []
    for algorithm in settings.algorithms:
        # only auto looks at the precision; a named algorithm is taken in any case
        for precision in settings.precisions if algorithm == "auto" else ("standard",):
            if algorithm != "auto" and algorithm not in _costs(layer, precision):
                continue
            options = _options(layer, algorithm, precision)
            packed = fastconv.prepare_conv2d(weight, **options)
            call = partial(fastconv.conv2d, x, packed, bias, **options)
            if settings.keep_output:
                call = partial(call, out=call())
            found.append(Contender(column(algorithm, precision), call))
    options = _options(layer, "auto", "standard")
    found.append(Contender(ARRAYS, partial(fastconv.conv2d, x, weight, bias, **options)))
    if settings.threads > 1:
        # beside the first column
        found.append(Contender(ONE_THREAD, partial(_on_one_thread, found[0].call)))
    return found


def choice(layer: Case, precision: str) -> str:
    """Return the algorithm that `auto` takes."""
    return _costs(layer, precision).choice


def _options(layer: Case, algorithm: str, precision: str) -> dict[str, Any]:
    return {**layer.options, "algorithm": algorithm, "precision": precision}


def _costs(layer: Case, precision: str) -> Any:
    return fastconv.conv2d_costs(
        layer.x_shape, layer.weight_shape, **layer.options, precision=precision
    )


def _on_one_thread(call: Any) -> Any:
    threads = fastconv.get_num_threads()
    fastconv.set_num_threads(1)
    try:
        return call()
    finally:
        fastconv.set_num_threads(threads)
