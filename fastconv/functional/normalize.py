"""Batch normalisation: statistics and values of a channel in one go, from the cache."""

from __future__ import annotations

import numpy as np

from .. import kernels, memory, threads
from ..floating import quietly
from . import checks

__all__ = ["batch_norm", "batch_norm_backward"]

Statistics = tuple[np.ndarray, np.ndarray]


def _planes(x: np.ndarray) -> np.ndarray:
    """View (N, C, ...) as (N, C, P)."""
    return x.reshape(*x.shape[:2], -1)


@quietly
def batch_norm(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float,
    running: Statistics | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Normalise each channel by its mean and variance, or by those of `running`.

    Parameters
    ----------
    x : ndarray (N, C, ...), not empty, float32 or float64
    weight, bias : ndarray (C,)
        Of the dtype of `x`.
    epsilon : float
    running : (mean, variance), optional
        Each (C,).

    Returns
    -------
    y : ndarray of the shape of `x`
        ``(x - mean) * inverse * weight + bias``.
    mean, variance, inverse : ndarray (C,), float64
        ``inverse = 1 / sqrt(variance + epsilon)``; the divisor of the variance is N H W.

    Notes
    -----
    No temporary bytes.  Sums run over 32 vectors in the dtype of `x` and beyond in float64,
    always in the same order.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]])
    >>> y, mean, variance, _ = batch_norm(x, np.ones(1), np.zeros(1), 1e-12)
    >>> y.round(6).tolist(), mean.tolist(), variance.tolist()
    ([[-1.0], [1.0]], [2.0], [1.0])
    """
    if running is None:
        mean, variance, inverse = (np.empty(x.shape[1]) for _ in range(3))
    else:
        mean, variance = (np.array(values, np.float64) for values in running)
        inverse = 1.0 / np.sqrt(variance + epsilon)
    y = memory.empty(x.shape, x.dtype)
    threads.run(
        kernels.module(x.dtype).batch_norm, _planes(checks.contiguous(x)), _planes(y), weight,
        bias, mean, inverse, variance, epsilon, running is None, work=threads.MOVE * x.size,
    )  # fmt: skip
    return y, mean, variance, inverse


@quietly
def batch_norm_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, mean: np.ndarray, inverse: np.ndarray,
    batch: bool, needs_x: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:  # fmt: skip
    """Return (dx, dweight, dbias) of `batch_norm`; `batch` says whose statistics it took.

    Returns
    -------
    dx : ndarray of the shape of `x`, or None
    dweight, dbias : ndarray (C,), of the dtype of `x`

    Notes
    -----
    With z = (x - mean) * inverse and averages over batch, rows and columns: ``dx = weight *
    inverse * (dy - mean(dy) - z * mean(dy * z))``, without the averages where they are not
    those of the batch.
    """
    dx = memory.empty(x.shape, x.dtype) if needs_x else None
    sums = np.empty((2, x.shape[1]))
    threads.run(
        kernels.module(x.dtype).batch_norm_backward, _planes(checks.contiguous(dy)),
        _planes(checks.contiguous(x)), None if dx is None else _planes(dx), weight, mean,
        inverse, sums, batch, work=threads.MOVE * x.size,
    )  # fmt: skip
    dbias, dweight = sums.astype(x.dtype)
    return dx, dweight, dbias
