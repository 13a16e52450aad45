"""The steps of optimizers: one pass over parameter, gradient and state, in place.

All arrays are one-dimensional, contiguous, not empty, and of one length and dtype: the caller,
`fastconv.training.Optimizer`, makes sure of it.  There are no temporary bytes.  Each element is
computed by itself, so that the bits are the same for every number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from fastconv import kernels, threads

__all__ = ["UNCHANGED", "Change", "adam", "by_squares", "momentum", "norm", "sgd"]

#: A run of `sum_squares`; a sum is added up in float64 within it, and exactly from run to run.
RUN = 4096


class Change(NamedTuple):
    """What happens to gradient and parameter before a step, in the same pass.

    The step sees ``g = min(max(scale g, -limit), limit) + weight_decay w``; then ``w -= shrink w``.
    """

    scale: float = 1.0
    limit: float = math.inf
    weight_decay: float = 0.0
    shrink: float = 0.0


UNCHANGED = Change()


def _run(kernel: str, value: np.ndarray, *args: object) -> None:
    threads.run(
        getattr(kernels.module(value.dtype), kernel), value, *args, work=threads.MOVE * value.size
    )


def norm(gradients: Iterable[np.ndarray]) -> float:
    """Return the Euclidean norm of all `gradients` together.

    Notes
    -----
    Squares are added in float64. Numbers whose squares float64 cannot hold are scaled by a power
    of two. The order within an array is fixed, and the sums of its runs are added exactly, so the
    result depends neither on threads nor on the order of the arrays. Beside one number for each
    4096 there are no temporary bytes.

    Examples
    --------
    >>> norm([np.array([3.0]), np.array([[0.0, 4.0]])])
    5.0
    >>> norm([np.array([3.0, 4.0]) * 2.0**1000]) == 5.0 * 2.0**1000
    True
    """
    arrays = [gradient.reshape(-1) for gradient in gradients if gradient.size]
    total = _squares(arrays, 1.0)
    if 1e-280 < total < math.inf or total == 0 and not any(array.any() for array in arrays):
        return math.sqrt(total)
    factor = 2.0**-540 if total > 1 else 2.0**900
    return math.sqrt(_squares(arrays, factor)) / factor


def _squares(arrays: Iterable[np.ndarray], factor: float) -> float:
    """Return the sum of all ``(factor g)**2``."""
    found: list[float] = []
    for array in arrays:
        sums = np.empty(-(-array.size // RUN))
        _run("sum_squares", array, sums, factor)
        found += sums.tolist()
    try:
        return math.fsum(found)
    except OverflowError:
        return math.inf


def sgd(value: np.ndarray, gradient: np.ndarray, rate: float, change: Change = UNCHANGED) -> None:
    """``w -= rate g``.

    Examples
    --------
    >>> w = np.ones(2)
    >>> sgd(w, np.array([1.0, 2.0]), 0.5)
    >>> w.tolist()
    [0.5, 0.0]
    >>> sgd(w, np.array([8.0, 1.0]), 0.5, Change(limit=2.0, weight_decay=1.0))
    >>> w.tolist()
    [-0.75, -0.5]
    """
    _run("sgd", value, gradient, rate, change)


def momentum(
    value: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray,
    rate: float,
    decay: float,
    nesterov: bool = False,
    change: Change = UNCHANGED,
) -> None:
    """``v = decay v - rate g``; ``w += v``, or with `nesterov` ``w += decay v - rate g``."""
    _run("momentum", value, gradient, velocity, rate, decay, nesterov, change)


def by_squares(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray,
    rate: float,
    decay: float,
    fresh: float,
    epsilon: float,
    change: Change = UNCHANGED,
) -> None:
    """``h = decay h + fresh g**2``; ``w -= rate g / (sqrt(h) + epsilon)``."""
    _run("by_squares", value, gradient, squares, rate, decay, fresh, epsilon, change)


def adam(
    value: np.ndarray,
    gradient: np.ndarray,
    mean: np.ndarray,
    squares: np.ndarray,
    rate: float,
    decays: tuple[float, float],
    epsilon: float,
    change: Change = UNCHANGED,
) -> None:
    """``m = a m + (1 - a) g``; ``h = b h + (1 - b) g**2`` for the decays a and b;
    ``w -= rate m / (sqrt(h) + epsilon)``.
    """
    _run("adam", value, gradient, mean, squares, rate, *decays, epsilon, change)
