"""Batch normalisation: statistics and values of a channel at once, while it is in the cache."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_bool, as_real, check_rounding
from fastconv.errors import ArgumentTypeError, ShapeError
from fastconv.floating import quietly
from fastconv.functional import checks

__all__ = ["batch_norm", "batch_norm_backward"]

WIDE = np.dtype(np.float64)
Statistics = tuple[np.ndarray, np.ndarray]


def _planes(x: np.ndarray) -> np.ndarray:
    """View (N, C, ...) as (N, C, P)."""
    return x.reshape(*x.shape[:2], -1)


def _batch(operation: str, parameter: str, value: Any) -> np.ndarray:
    x = checks.as_array(operation, parameter, value)
    if x.ndim < 2 or not x.size:
        rule = "must have shape (N, C, ...) and not be empty"
        raise ShapeError(operation, parameter, rule, x.shape)
    return x


def _of_channels(
    operation: str, parameter: str, value: Any, x: np.ndarray, *, statistic: bool = False
) -> np.ndarray:
    """Return a number for each channel of `x`, contiguous and of its dtype.

    A statistic is of float64, whatever x is of; it may be given as float32.
    """
    array = checks.as_array(operation, parameter, value)
    if not statistic and not checks.are_of_one_dtype(x, array):
        checks.of_one_dtype(operation, **{"x": x, parameter: array})
    if array.shape != x.shape[1:2]:
        raise ShapeError(operation, parameter, f"must have shape {x.shape[1:2]}", array.shape)
    return np.ascontiguousarray(checks.contiguous(array), WIDE if statistic else None)


def _pair(operation: str, running: Any) -> list[tuple[str, Any]]:
    if not isinstance(running, (tuple, list)) or len(running) != 2:
        rule = "must be the pair (mean, variance), or None"
        raise ArgumentTypeError(operation, "running", rule, running)
    return list(zip(("running mean", "running variance"), running, strict=True))


@quietly
def batch_norm(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    epsilon: float,
    running: Statistics | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Normalise each channel by its mean and variance, or by those of `running`.

    Parameters
    ----------
    x : ndarray (N, C, ...), not empty, float32 or float64
    weight, bias : ndarray (C,)
        Of the dtype of `x`.
    epsilon : float
    running : (mean, variance), optional
        Each (C,), of float32 or float64.

    Returns
    -------
    y : ndarray of the shape of `x`
        ``(x - mean) * inverse * weight + bias``.
    mean, variance, inverse : ndarray (C,), float64
        ``inverse = 1 / sqrt(variance + epsilon)``; the divisor of the variance is N H W.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value; `epsilon` must not round to 0 in the dtype.

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
    operation = "batch_norm"
    x = _batch(operation, "x", x)
    weight = _of_channels(operation, "weight", weight, x)
    bias = _of_channels(operation, "bias", bias, x)
    epsilon = as_real(operation, "epsilon", epsilon, "positive and finite", math.ulp(0.0), math.inf)
    check_rounding(operation, "epsilon", epsilon, x.dtype)
    if running is None:
        mean, variance, inverse = (np.empty(x.shape[1]) for _ in range(3))
    else:
        mean, variance = (
            _of_channels(operation, name, values, x, statistic=True).copy()
            for name, values in _pair(operation, running)
        )
        inverse = 1.0 / np.sqrt(variance + epsilon)
    y = memory.empty(x.shape, x.dtype)
    threads.run(
        kernels.module(x.dtype).batch_norm,
        _planes(checks.contiguous(x)),
        _planes(y),
        weight,
        bias,
        mean,
        inverse,
        variance,
        epsilon,
        running is None,
        work=threads.MOVE * x.size,
    )
    return y, mean, variance, inverse


@quietly
def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    mean: np.ndarray,
    inverse: np.ndarray,
    batch: bool,
    needs_x: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
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
    operation = "batch_norm_backward"
    x, dy = _batch(operation, "x", x), checks.as_array(operation, "dy", dy)
    if not checks.are_of_one_dtype(x, dy):
        checks.of_one_dtype(operation, x=x, dy=dy)
    if dy.shape != x.shape:
        raise ShapeError(operation, "dy", f"must have the shape of x, {x.shape}", dy.shape)
    weight = _of_channels(operation, "weight", weight, x)
    mean = _of_channels(operation, "mean", mean, x, statistic=True)
    inverse = _of_channels(operation, "inverse", inverse, x, statistic=True)
    as_bool(operation, "batch", batch)
    as_bool(operation, "needs_x", needs_x)
    dx = memory.empty(x.shape, x.dtype) if needs_x else None
    sums = np.empty((2, x.shape[1]))
    threads.run(
        kernels.module(x.dtype).batch_norm_backward,
        _planes(checks.contiguous(dy)),
        _planes(checks.contiguous(x)),
        None if dx is None else _planes(dx),
        weight,
        mean,
        inverse,
        sums,
        batch,
        work=threads.MOVE * x.size,
    )
    dbias, dweight = sums.astype(x.dtype)
    return dx, dweight, dbias
