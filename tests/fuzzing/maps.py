"""Transposed convolution, up-sampling, padding with zeros, and windows as columns."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastconv
from fastconv import functional, memory, reference
from fuzzing.case import Case, plain
from fuzzing.compare import close, same
from fuzzing.geometries import AROUND_LANES, draw_convolution

ALGORITHMS = ("auto", "direct", "im2col", "im2col_tiled")


def check(case: Case) -> None:
    """One of the operations on maps."""
    case.pick(_transposed, _transposed, _transposed, _resampled, _resampled, _padded, _windows)(
        case
    )


def _wide(case: Case, array: np.ndarray | None) -> Any:
    if array is None:
        return None
    return plain(array).astype(np.float64) if case.values == "real" else plain(array)


def _compare(case: Case, name: str, found: Any, right: Any, sizes: Any, roundings: int) -> None:
    if case.values == "real":
        close(name, found, right, case.bound(roundings, sizes), case.dtype)
    else:
        same(name, found, right)


def _transposed(case: Case) -> None:
    # where a convolution goes, this one comes from
    x_shape, weight_shape, options = draw_convolution(case.rng, 10 ** case.rng.uniform(3, 5.5))
    stride, dilation = options["stride"], options["dilation"]
    span = [(k - 1) * d + 1 for k, d in zip(weight_shape[2:], dilation, strict=True)]
    sides = options["padding"]
    if not isinstance(sides, str):
        options["padding"] = tuple(
            tuple(int(case.rng.integers(0, 1 + (n - 1) // 2)) for _ in range(2)) for n in span
        )
    more = tuple(int(case.rng.integers(0, n)) for n in stride)
    options["output_padding"] = 0 if isinstance(sides, str) and sides == "same" else more
    images = 0 if case.chance(0.03) else min(x_shape[0], 3)
    shape = (images, weight_shape[0], *(min(n, 12) for n in x_shape[2:]))
    case.notes |= {"x": shape, "weight": weight_shape, **options}
    x, weight = case.array(shape), case.array(weight_shape)
    filters = weight_shape[1] * options["groups"]
    bias = case.array((filters,)) if case.chance(0.6) else None
    algorithm = case.pick(*ALGORITHMS)
    chosen = {**options, "algorithm": algorithm, "precision": "strict"}
    case.notes |= {"algorithm": algorithm}
    activation = case.pick(None, None, "relu")
    wide = [_wide(case, a) for a in (x, weight, bias)]
    sizes = [None if a is None else np.abs(a) for a in wide]
    products = weight.shape[0] * weight.shape[2] * weight.shape[3] + 2
    with np.errstate(all="ignore"):
        right = reference.conv2d_transpose(*wide, activation=activation, **options)
        most = reference.conv2d_transpose(*sizes, **options)
    out = case.output(right.shape) if case.chance(0.4) else None
    y = case.call(
        fastconv.conv2d_transpose, x, weight, bias, activation=activation, out=out, **chosen
    )
    _compare(case, "y", y, right, most, 2 * products)
    dy = case.array(right.shape)
    needs = case.pick(("x", "weight", "bias"), ("weight",), ("x",), ("bias", "x"))
    wide = [_wide(case, a) for a in (dy, x, weight)]
    with np.errstate(all="ignore"):
        right = reference.conv2d_transpose_backward(*wide, needs=needs, **options)
        most = reference.conv2d_transpose_backward(*map(np.abs, wide), needs=needs, **options)
    found = case.call(fastconv.conv2d_transpose_backward, dy, x, weight, needs=needs, **chosen)
    for name, one, due, size in zip(("x", "weight", "bias"), found, right, most, strict=True):
        if (one is None) != (name not in needs):
            raise AssertionError(f"d{name} is {one!r:.20} where {needs} is needed")
        if one is not None:
            _compare(case, f"d{name}", one, due, size, 2 * products + 2 * dy.size)


def _resampled(case: Case) -> None:
    pick, mode = case.pick, case.pick("nearest", "bilinear")
    scale = pick(1, 2, 2, 2, 3, 4, 4, 5, 8, (pick(1, 2, 3, 4), pick(1, 2, 3, 4, 7)))
    width = pick(*AROUND_LANES) if case.chance(0.3) else int(case.rng.integers(1, 24))
    if case.chance(0.05):
        width += 250
    shape = (pick(0, *[1, 2] * 10), pick(1, 2, 3), int(case.rng.integers(1, 8)), width)
    case.notes |= {"x": shape, "scale": scale, "mode": mode}
    # weights of other scales are rounded, and those of a power of two are not
    exact = mode == "nearest" or (case.values == "whole" and scale in (1, 2, 4, 8))
    rows, columns = scale if isinstance(scale, tuple) else (scale, scale)
    if case.values == "special" and not exact:
        case.values = "whole"
    x = case.array(shape)
    right = reference.upsample2d(plain(x).astype(np.float64), scale, mode)
    out = case.output(right.shape) if case.chance(0.4) else None
    y = case.call(fastconv.upsample2d, x, scale, mode, out=out)
    back = case.array(right.shape)
    with np.errstate(all="ignore"):
        due = reference.upsample2d_backward(plain(back).astype(np.float64), scale, mode)
    dx = case.call(fastconv.upsample2d_backward, back, scale, mode)
    if exact and case.values != "real":
        same("y", y, right.astype(case.dtype))
        with np.errstate(all="ignore"):
            same("dx", dx, due.astype(case.dtype))
        return
    sizes = reference.upsample2d(np.abs(plain(x)).astype(np.float64), scale, mode)
    close("y", y, right, case.bound(8, sizes), case.dtype)
    sizes = reference.upsample2d_backward(np.abs(plain(back)).astype(np.float64), scale, mode)
    close("dx", dx, due, case.bound(8 * (rows + columns) + 2 * rows * columns, sizes), case.dtype)


def _padded(case: Case) -> None:
    sides = tuple(tuple(map(int, case.rng.integers(0, 5, 2))) for _ in range(2))
    shape = (case.pick(0, 1, 2, 3), case.pick(1, 2, 3), *map(int, case.rng.integers(1, 40, 2)))
    case.notes |= {"x": shape, "padding": sides}
    x = case.array(shape)
    right = reference.zero_padding2d(plain(x), sides)
    out = case.output(right.shape) if case.chance(0.4) else None
    same("y", case.call(functional.zero_padding2d, x, sides, out=out), right)
    dy = case.array(right.shape)
    due = reference.zero_padding2d_backward(plain(dy), sides)
    same("dx", case.call(functional.zero_padding2d_backward, dy, sides), due)


def _windows(case: Case) -> None:
    x_shape, weight_shape, options = draw_convolution(case.rng, 1e5)
    del options["groups"]
    kernel = weight_shape[2:]
    case.notes |= {"x": x_shape, "kernel": kernel, **options}
    x = case.array(x_shape)
    right = reference.unfold2d(plain(x), kernel, **options)
    same("columns", case.call(functional.unfold2d, x, kernel, **options), right)
    columns = case.array(right.shape)
    size = x_shape[2:]
    wide = _wide(case, columns)
    with np.errstate(all="ignore"):
        due = reference.fold2d(wide, size, kernel, **options)
        most = reference.fold2d(np.abs(wide), size, kernel, **options)
    with memory.track() as used:
        found = case.call(functional.fold2d, columns, size, kernel, **options)
    if used.workspace_peak:
        raise AssertionError("fold2d takes workspace")
    _compare(case, "maps", found, due, most, 2 * kernel[0] * kernel[1])
