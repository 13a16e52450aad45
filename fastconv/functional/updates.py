"""The steps of optimizers: one pass over parameter, gradient and state, in place.

All arrays are one-dimensional, contiguous, not empty, and of one length and dtype: the caller,
`fastconv.training.Optimizer`, makes sure of it.  There are no temporary bytes.  Each element is
computed by itself, so that the bits are the same for every number of threads.
"""

from __future__ import annotations

import numpy as np

from fastconv import kernels, threads

__all__ = ["adam", "by_squares", "momentum", "sgd"]


def _run(kernel: str, value: np.ndarray, *args: object) -> None:
    threads.run(
        getattr(kernels.module(value.dtype), kernel), value, *args, work=threads.MOVE * value.size
    )


def sgd(value: np.ndarray, gradient: np.ndarray, rate: float) -> None:
    """``w -= rate g``.

    Examples
    --------
    >>> w = np.ones(2)
    >>> sgd(w, np.array([1.0, 2.0]), 0.5)
    >>> w.tolist()
    [0.5, 0.0]
    """
    _run("sgd", value, gradient, rate)


def momentum(
    value: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray,
    rate: float,
    decay: float,
    nesterov: bool = False,
) -> None:
    """``v = decay v - rate g``; ``w += v``, or with `nesterov` ``w += decay v - rate g``."""
    _run("momentum", value, gradient, velocity, rate, decay, nesterov)


def by_squares(
    value: np.ndarray,
    gradient: np.ndarray,
    squares: np.ndarray,
    rate: float,
    decay: float,
    fresh: float,
    epsilon: float,
) -> None:
    """``h = decay h + fresh g**2``; ``w -= rate g / (sqrt(h) + epsilon)``."""
    _run("by_squares", value, gradient, squares, rate, decay, fresh, epsilon)


def adam(
    value: np.ndarray,
    gradient: np.ndarray,
    mean: np.ndarray,
    squares: np.ndarray,
    rate: float,
    decay: float,
    decay_squares: float,
    epsilon: float,
) -> None:
    """``m = decay m + (1 - decay) g``; ``h = decay_squares h + (1 - decay_squares) g**2``;
    ``w -= rate m / (sqrt(h) + epsilon)``.
    """
    _run("adam", value, gradient, mean, squares, rate, decay, decay_squares, epsilon)
