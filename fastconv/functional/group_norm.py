"""Group normalisation: each group of channels of a sample by itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.arguments import as_bool, as_int
from fastconv.errors import ShapeError
from fastconv.functional import checks
from fastconv.functional.conv2d import check_needs
from fastconv.functional.statistics import (
    SAMPLES,
    Gradients,
    Normalized,
    as_parameter,
    both_statistics,
    normalized,
    of_one_shape,
    slopes,
)

__all__ = ["check_groups", "group_norm", "group_norm_backward", "group_norm_workspace"]


def check_groups(operation: str, groups: int, channels: int) -> None:
    """Raise ShapeError unless `groups` divides the channels."""
    if channels % groups:
        rule = f"must divide the channels of the input (= {channels})"
        raise ShapeError(operation, "groups", rule, groups)


def _view(operation: str, x: np.ndarray, groups: Any) -> tuple[int, int, int, int]:
    """Return the shape (N, G, D, P) of x (N, C, ...)."""
    if x.ndim < 2 or not math.prod(x.shape[1:]):
        raise ShapeError(operation, "x", "must have shape (N, C, ...), its rows not empty", x.shape)
    groups = as_int(operation, "groups", groups, 1)
    check_groups(operation, groups, x.shape[1])
    return x.shape[0], groups, x.shape[1] // groups, math.prod(x.shape[2:])


def _partial_sums(samples: int, places: int) -> int:
    """Return how many partial sums the gradients of weight and bias are made of."""
    return samples if places > 1 else -(-samples // SAMPLES)


def group_norm_workspace(shape: tuple[int, ...], itemsize: int) -> int:
    """Return the bytes of those of an input of this `shape`."""
    return 2 * _partial_sums(shape[0], math.prod(shape[2:])) * shape[1] * itemsize


def group_norm(
    x: Any, weight: Any, bias: Any, groups: int, epsilon: float = 1e-5, statistics: bool = True
) -> Normalized:
    """Normalise groups of channels of each sample by their own mean and variance.

    Parameters
    ----------
    x : ndarray (N, C, ...), float32 or float64
    weight, bias : ndarray (C,)
        Of the dtype of `x`.
    groups : int
        How many groups of neighbouring channels there are; it divides C.
    epsilon : float
        What is added to the variance.
    statistics : bool
        Whether mean and inverse are returned, which the gradients want, or None for each.

    Returns
    -------
    y : ndarray of the shape of `x`
        ``(x - mean) * inverse * weight + bias``.
    mean, inverse : ndarray (N, groups), float64
        ``inverse = 1 / sqrt(variance + epsilon)``; the divisor of the variance is the number of
        elements of a group.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value; `epsilon` must not round to 0 in the dtype.

    Notes
    -----
    Source: Wu and He 2018, equation 7.  With as many groups as channels it is instance
    normalisation.  The variance is that of a second pass, corrected by the mean deviation, so it
    keeps its digits where the mean is large (Chan, Golub and LeVeque 1983).  Squares beyond the
    largest number are infinite.  No temporary bytes.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0, 10.0, 30.0]])
    >>> y, mean, _ = group_norm(x, np.ones(4), np.zeros(4), 2, 1e-12)
    >>> y.round(6).tolist(), mean.tolist()
    ([[-1.0, 1.0, -1.0, 1.0]], [[2.0, 20.0]])
    """
    operation = "group_norm"
    x = checks.as_array(operation, "x", x)
    view = _view(operation, x, groups)
    weight = as_parameter(operation, "weight", weight, x.shape[1:2], x.dtype)
    bias = as_parameter(operation, "bias", bias, x.shape[1:2], x.dtype)
    rows = view[:2] if as_bool(operation, "statistics", statistics) else None
    return normalized(operation, operation, x, view, weight, bias, epsilon, rows)


def group_norm_backward(
    dy: Any, x: Any, weight: Any, mean: Any, inverse: Any, *, needs: Any = ("x", "weight", "bias")
) -> Gradients:
    """Return the gradients (dx, dweight, dbias) of `group_norm`, None for those not in `needs`.

    Parameters
    ----------
    dy, x : ndarray (N, C, ...) of one shape and dtype, float32 or float64
    weight : ndarray (C,)
    mean, inverse : ndarray (N, groups)
        What `group_norm` returned.
    needs : sequence of "x", "weight", "bias"

    Returns
    -------
    dx : ndarray of the shape of `x`
    dweight, dbias : ndarray (C,)

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If shapes or dtypes do not fit, or `needs` holds other words.

    Notes
    -----
    With z = (x - mean) * inverse, g = weight * dy and averages over a group: ``dx = inverse * (g -
    mean(g) - z * mean(g * z))``.  Workspace for the gradients of weight and bias: 2 C numbers for
    each sample, or for each 32 samples of vectors (N, C).

    Examples
    --------
    >>> x, w = np.array([[1.0, 3.0]]), np.ones(2)
    >>> y, mean, inverse = group_norm(x, w, w, 1)
    >>> dx, dweight, dbias = group_norm_backward(np.ones((1, 2)), x, w, mean, inverse)
    >>> dx.tolist(), dweight.round(4).tolist(), dbias.tolist()
    ([[0.0, 0.0]], [-1.0, 1.0], [1.0, 1.0])
    """
    operation = "group_norm_backward"
    x, dy = of_one_shape(operation, x, dy)
    mean = checks.as_array(operation, "mean", mean)
    if mean.ndim != 2 or not mean.shape[1]:
        raise ShapeError(operation, "mean", "must have shape (N, groups)", mean.shape)
    view = _view(operation, x, mean.shape[1])
    weight = as_parameter(operation, "weight", weight, x.shape[1:2], x.dtype)
    statistics = both_statistics(operation, mean, inverse, view[:2])
    items, wanted = _partial_sums(view[0], view[3]), check_needs(operation, needs)
    return slopes(operation, dy, x, view, weight, statistics, wanted, items)
