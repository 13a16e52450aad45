"""What group and layer normalisation share: checks, and the calls of their kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_real, check_rounding
from fastconv.errors import ShapeError
from fastconv.functional import checks

__all__ = [
    "POSITIONS",
    "SAMPLES",
    "Gradients",
    "Normalized",
    "as_parameter",
    "both_statistics",
    "normalized",
    "of_one_shape",
    "slopes",
]

WIDE = np.dtype(np.float64)
#: How many samples, or positions of an image, a partial sum of a gradient is of.
SAMPLES = POSITIONS = 32
Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]
#: A result, and its means and inverse deviations where they are wanted.
Normalized = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


def of_one_shape(operation: str, x: Any, dy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return x and dy as arrays of one shape and dtype.

    Raises
    ------
    ArgumentTypeError, ShapeError
        If dtypes or shapes do not fit.
    """
    x, dy = checks.as_array(operation, "x", x), checks.as_array(operation, "dy", dy)
    if not checks.are_of_one_dtype(x, dy):
        checks.of_one_dtype(operation, x=x, dy=dy)
    if dy.shape != x.shape:
        raise ShapeError(operation, "dy", f"must have the shape of x, {x.shape}", dy.shape)
    return x, dy


def both_statistics(
    operation: str, mean: Any, inverse: Any, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return both statistics as float64 of this shape; float32 is right too."""
    wide = (
        checks.as_array(operation, name, value).astype(WIDE, copy=False)
        for name, value in (("mean", mean), ("inverse", inverse))
    )
    return (
        as_parameter(operation, "mean", next(wide), shape, WIDE),
        as_parameter(operation, "inverse", next(wide), shape, WIDE),
    )


def as_parameter(
    operation: str, parameter: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> np.ndarray:
    """Return a contiguous array of this shape and dtype, that of x."""
    array = checks.as_array(operation, parameter, value)
    if array.dtype != dtype:
        checks.of_one_dtype(operation, **{"x": np.empty(0, dtype), parameter: array})
    if array.shape != shape:
        raise ShapeError(operation, parameter, f"must have shape {shape}", array.shape)
    return checks.contiguous(array)


def normalized(
    kernel: str,
    operation: str,
    x: np.ndarray,
    view: tuple[int, ...],
    weight: np.ndarray,
    bias: np.ndarray,
    epsilon: Any,
    rows: tuple[int, ...] | None,
) -> Normalized:
    """Run a kernel over x seen in the shape `view`; return y, and a mean and inverse for each of
    the `rows`."""
    epsilon = as_real(operation, "epsilon", epsilon, "positive and finite", math.ulp(0.0), math.inf)
    check_rounding(operation, "epsilon", epsilon, x.dtype)
    y = memory.empty(x.shape, x.dtype)
    mean, inverse = (None, None) if rows is None else (np.empty(rows), np.empty(rows))
    if x.size:
        threads.run(
            getattr(kernels.module(x.dtype), kernel),
            checks.contiguous(x).reshape(view),
            y.reshape(view),
            weight.reshape(-1),
            bias.reshape(-1),
            *(None if array is None else array.reshape(-1) for array in (mean, inverse)),
            epsilon,
            work=2 * threads.MOVE * x.size,
        )
    return y, mean, inverse


def slopes(
    kernel: str,
    dy: np.ndarray,
    x: np.ndarray,
    view: tuple[int, ...],
    weight: np.ndarray,
    statistics: tuple[np.ndarray, np.ndarray],
    wanted: frozenset[str],
    items: int,
) -> Gradients:
    """Run the kernel of the gradients; `items` is how many partial sums there are."""
    dx = memory.empty(x.shape, x.dtype) if "x" in wanted else None
    learned = bool(wanted & {"weight", "bias"})
    if not learned and dx is None:
        return None, None, None
    sums = memory.empty((2, *weight.shape), x.dtype) if learned else np.empty((2, 0))
    if not x.size:
        sums[...] = 0
    else:
        shape = items, 2 * weight.size, 1
        with memory.workspace(learned * math.prod(shape) * x.itemsize) as block:
            partial = block.view(x.dtype).reshape(shape) if learned else None
            module = kernels.module(x.dtype)
            threads.run(
                getattr(module, kernel),
                checks.contiguous(dy).reshape(view),
                checks.contiguous(x).reshape(view),
                None if dx is None else dx.reshape(view),
                None if partial is None else partial.reshape(items, 2, -1),
                weight.reshape(-1),
                *(array.reshape(-1) for array in statistics),
                work=3 * threads.MOVE * x.size,
            )
            if partial is not None:
                count = threads.get_num_threads() if partial.size > threads.SMALL_WORK else 1
                module.channel_sums(partial, sums.reshape(-1), count)
    dbias, dweight = sums
    return dx, dweight if "weight" in wanted else None, dbias if "bias" in wanted else None
