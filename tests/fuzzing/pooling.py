"""Maximum and average pooling, their gradients, and what training keeps of a maximum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import fastconv
from fastconv import functional, reference
from fastconv.geometry import Window2D
from fastconv.reference.pooling import cell_counts
from fuzzing.case import Case, plain
from fuzzing.compare import close, same
from fuzzing.geometries import draw_pooling

#: The largest whole number up to which float32 holds every other.
WHOLE = 2**24


def _draw(case: Case) -> tuple[tuple[int, ...], Any, dict[str, Any]]:
    size, pool_size, options = draw_pooling(case.rng, 18 if case.chance(0.05) else 5)
    shape = (0 if case.chance(0.03) else case.pick(1, 1, 2, 3), case.pick(1, 2, 3, 5), *size)
    case.notes |= {"x": shape, "pool_size": pool_size, **options}
    return shape, pool_size, options


def check_max(case: Case) -> None:
    """Maxima, their places as flat indices and in the window, and the gradients by both."""
    shape, pool_size, options = _draw(case)
    x = case.array(shape)
    y, places = reference.max_pool2d(plain(x), pool_size, **options, return_indices=True)
    out = case.output(y.shape) if case.chance(0.4) else None
    same("y", case.call(fastconv.max_pool2d, x, pool_size, **options, out=out), y)
    found = case.call(fastconv.max_pool2d, x, pool_size, **options, return_indices=True)
    same("y with indices", found[0], y)
    same("indices", found[1], places)
    case.values = "whole" if case.values == "real" else case.values  # sums in any order
    dy = case.array(y.shape)
    with np.errstate(all="ignore"):
        dx = reference.max_pool2d_backward(plain(dy), places, shape)
    indices = case.lay(places)
    same("dx", case.call(fastconv.max_pool2d_backward, dy, indices, shape), dx)
    _check_argmax(case, x, pool_size, options, y, places, dy)


def _check_argmax(case, x, pool_size, options, y, places, dy):
    activation = case.pick(None, "relu")
    found, argmax = case.call(
        functional.max_pool2d_argmax, x, pool_size, **options, activation=activation
    )
    kept = plain(dy)
    if activation:
        with np.errstate(all="ignore"):
            kept[~(y > 0)] = 0
            y = np.maximum(y, y.dtype.type(0))
    same("y with argmax", found, y)
    with np.errstate(all="ignore"):
        dx = reference.max_pool2d_backward(kept, places, x.shape)
    back = functional.max_pool2d_argmax_backward
    given = case.lay(argmax, native=True)
    same("dx by argmax", case.call(back, dy, given, x.shape, pool_size, **options), dx)
    hostile = case.rng.integers(0, 256, argmax.shape).astype(argmax.dtype)
    case.call(back, dy, case.lay(hostile, native=True), x.shape, pool_size, **options)


def check_scatter(case: Case) -> None:
    """max_pool2d_backward of indices that no pooling gave."""
    case.values = "whole" if case.values == "real" else case.values
    shape = (case.pick(0, 1, 2, 3), case.pick(1, 2, 3), *map(int, case.rng.integers(1, 40, 2)))
    output = (*shape[:2], *map(int, case.rng.integers(1, 40, 2)))
    case.notes |= {"x": shape, "dy": output}
    indices = case.rng.integers(0, shape[2] * shape[3], output)
    dy = case.array(output)
    with np.errstate(all="ignore"):
        dx = reference.max_pool2d_backward(plain(dy), indices, shape)
    same("dx", case.call(fastconv.max_pool2d_backward, dy, case.lay(indices), shape), dx)


def check_average(case: Case) -> None:
    """Averages and their gradient; with shares that are whole the sums are exact."""
    shape, pool_size, options = _draw(case)
    del options["dilation"]
    options["count_include_pad"] = case.chance(0.5)
    case.notes |= options
    window = Window2D.make(
        "fuzz", pool_size, options["stride"], options["padding"], 1, options["ceil_mode"]
    )
    output = window.output_size("fuzz", shape[2:])
    x = case.array(shape)
    exact = case.values != "real"
    values = plain(x) if exact else plain(x).astype(np.float64)
    out = case.output((*shape[:2], *output)) if case.chance(0.4) else None
    y = case.call(fastconv.avg_pool2d, x, pool_size, **options, out=out)
    with np.errstate(all="ignore"):
        right = reference.avg_pool2d(values, pool_size, **options)
    if exact:
        same("y", y, right)
    else:
        sizes = reference.avg_pool2d(np.abs(values), pool_size, **options)
        close("y", y, right, case.bound(2 * window.taps + 2, sizes), case.dtype)
    counts = cell_counts(window, shape[2:], output, options["count_include_pad"])
    _check_average_gradient(case, shape, pool_size, options, counts)


def _check_average_gradient(case, shape, pool_size, options, counts):
    whole = math.lcm(*np.unique(counts).tolist())  # multiples of it have shares that are whole
    exact = case.values != "real" and whole * 4 * pool_size[0] * pool_size[1] < WHOLE
    values = case.numbers((*shape[:2], *counts.shape))
    dy = case.lay(values * values.dtype.type(whole) if exact else values)
    values = plain(dy) if exact else plain(dy).astype(np.float64)
    with np.errstate(all="ignore"):
        right = reference.avg_pool2d_backward(values, shape, pool_size, **options)
    dx = case.call(fastconv.avg_pool2d_backward, dy, shape, pool_size, **options)
    if exact:
        same("dx", dx, right)
        return
    sizes = np.where(np.isfinite(values), np.abs(values), 0)
    sizes = reference.avg_pool2d_backward(sizes, shape, pool_size, **options)
    close("dx", dx, right, case.bound(2 * counts.max() + 2, sizes), case.dtype)
