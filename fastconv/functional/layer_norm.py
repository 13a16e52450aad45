"""Layer normalisation: each sample, or each place of it, by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv.arguments import LARGEST, as_bool, as_int, is_sequence
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional import checks
from fastconv.functional.conv2d import check_needs
from fastconv.functional.statistics import (
    POSITIONS,
    SAMPLES,
    Gradients,
    Normalized,
    as_parameter,
    both_statistics,
    normalized,
    of_one_shape,
    slopes,
)

__all__ = ["as_axes", "layer_norm", "layer_norm_backward", "layer_norm_workspace", "span_of_axes"]

Axes = int | Sequence[int]


def as_axes(operation: str, axes: Any) -> int | tuple[int, ...]:
    """Return an axis, or a tuple of them, as integers of which none is the batch's.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If there are none, if one is 0 or comes twice, or if one is no integer.
    """
    rule = "must be an axis, or several different ones"
    if not is_sequence(axes):
        return _as_axis(operation, axes, rule)
    found = tuple(_as_axis(operation, axis, rule) for axis in axes)
    if not found or len(set(found)) < len(found):
        raise ArgumentError(operation, "axes", rule, axes)
    return found


def _as_axis(operation: str, axis: Any, rule: str) -> int:
    axis = as_int(operation, "axes", axis, -LARGEST, rule=rule)
    if axis == 0:
        raise ArgumentError(operation, "axes", "must not hold 0, the axis of the batch", axis)
    return axis


def span_of_axes(operation: str, axes: int | tuple[int, ...], ndim: int) -> tuple[int, int]:
    """Return the first of the axes, as `as_axes` gives them, and the one behind the last.

    Raises
    ------
    ShapeError
        If an array of `ndim` axes has no such axes, or if they do not follow each other.
    """
    given = axes if isinstance(axes, tuple) else (axes,)
    places = sorted(axis % ndim if -ndim <= axis < ndim else 0 for axis in given)
    if places[0] == 0:
        rule = f"must be from 1 to {ndim - 1}, or from {1 - ndim} to -1"
        raise ShapeError(operation, "axes", rule, axes)
    if places != list(range(places[0], places[0] + len(places))):
        rule = "must follow each other, each named once"
        raise ShapeError(operation, "axes", rule, axes, "transpose the input")
    return places[0], places[-1] + 1 if isinstance(axes, tuple) else ndim


class _Split:
    """An array of axes that are normalised, those before them, and those after them."""

    def __init__(self, operation: str, x: np.ndarray, axes: Any):
        if x.ndim < 2 or not math.prod(x.shape[1:]):
            rule = "must have a batch and further axes, its rows not empty"
            raise ShapeError(operation, "x", rule, x.shape)
        first, end = span_of_axes(operation, as_axes(operation, axes), x.ndim)
        self.normalized = x.shape[first:end]
        self.rows = (*x.shape[:first], *x.shape[end:])
        rows, size, places = (
            math.prod(s) for s in (x.shape[:first], self.normalized, x.shape[end:])
        )
        self.apart = places > 1
        self.view = (rows, size, places) if self.apart else (rows, 1, size, 1)

    @property
    def partial_sums(self) -> int:
        """How many partial sums the gradients of weight and bias are made of."""
        if self.apart:
            return self.view[0] * -(-self.view[2] // POSITIONS)
        return -(-self.view[0] // SAMPLES)


def layer_norm_workspace(shape: tuple[int, ...], axes: Any, itemsize: int) -> int:
    """Return the bytes of the partial sums of `layer_norm_backward`, for an input of this shape."""
    if not shape[0]:
        return 0
    split = _Split("layer_norm", np.broadcast_to(np.float32(0), shape), axes)
    return 2 * split.partial_sums * math.prod(split.normalized) * itemsize


def layer_norm(
    x: Any, weight: Any, bias: Any, axes: Axes = 1, epsilon: float = 1e-5, statistics: bool = True
) -> Normalized:
    """Normalise some axes of each sample by their own mean and variance.

    Parameters
    ----------
    x : ndarray (N, ...), float32 or float64
    weight, bias : ndarray of the shape of these axes
        Of the dtype of `x`.
    axes : int or sequence of int
        An integer is the first of the axes; all behind it are normalised too, as ONNX's axis and
        the length of PyTorch's normalized_shape say it.  A sequence names the axes one by one, as
        Keras' does; they must follow each other.  Axis 0 is the batch, -1 the last.
    epsilon : float
        What is added to the variance.
    statistics : bool
        Whether mean and inverse are returned, which the gradients want, or None for each.

    Returns
    -------
    y : ndarray of the shape of `x`
        ``(x - mean) * inverse * weight + bias``.
    mean, inverse : ndarray of the shape of `x` without these axes, float64
        ``inverse = 1 / sqrt(variance + epsilon)``; the divisor of the variance is the number of
        elements that are normalised together.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value; `epsilon` must not round to 0 in the dtype.

    Notes
    -----
    Source: Ba, Kiros and Hinton 2016, equation 4.  The variance is that of a second pass, corrected
    by the mean deviation, so it keeps its digits where the mean is large.  Squares beyond the
    largest number are infinite.  No temporary bytes.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0], [10.0, 30.0]])
    >>> y, mean, _ = layer_norm(x, np.ones(2), np.zeros(2), epsilon=1e-12)
    >>> y.round(6).tolist(), mean.tolist()
    ([[-1.0, 1.0], [-1.0, 1.0]], [2.0, 20.0])
    """
    operation = "layer_norm"
    x = checks.as_array(operation, "x", x)
    split = _Split(operation, x, axes)
    weight = as_parameter(operation, "weight", weight, split.normalized, x.dtype)
    bias = as_parameter(operation, "bias", bias, split.normalized, x.dtype)
    rows = split.rows if as_bool(operation, "statistics", statistics) else None
    kernel = "channel_norm" if split.apart else "group_norm"
    named = kernel, operation
    return normalized(*named, x, split.view, weight, bias, epsilon, rows)


def layer_norm_backward(
    dy: Any,
    x: Any,
    weight: Any,
    mean: Any,
    inverse: Any,
    axes: Axes = 1,
    *,
    needs: Any = ("x", "weight", "bias"),
) -> Gradients:
    """Return the gradients (dx, dweight, dbias) of `layer_norm`, None for those not in `needs`.

    Parameters
    ----------
    dy, x : ndarray (N, ...) of one shape and dtype, float32 or float64
    weight : ndarray of the shape of the normalised axes
    mean, inverse : ndarray of the shape of `x` without these axes
        What `layer_norm` returned.
    axes : int or sequence of int
    needs : sequence of "x", "weight", "bias"

    Returns
    -------
    dx : ndarray of the shape of `x`
    dweight, dbias : ndarray of the shape of `weight`

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If shapes, dtypes or axes do not fit, or `needs` holds other words.

    Notes
    -----
    With z = (x - mean) * inverse, g = weight * dy and averages over the axes: ``dx = inverse * (g -
    mean(g) - z * mean(g * z))``.  Workspace for the gradients of weight and bias: twice as many
    numbers as these have, for each 32 rows or, where axes follow the normalised ones, for each 32
    places of a row.

    Examples
    --------
    >>> x, w = np.array([[1.0, 3.0]]), np.ones(2)
    >>> y, mean, inverse = layer_norm(x, w, w)
    >>> dx, dweight, dbias = layer_norm_backward(np.ones((1, 2)), x, w, mean, inverse)
    >>> dx.tolist(), dweight.round(4).tolist(), dbias.tolist()
    ([[0.0, 0.0]], [-1.0, 1.0], [1.0, 1.0])
    """
    operation = "layer_norm_backward"
    x, dy = of_one_shape(operation, x, dy)
    split = _Split(operation, x, axes)
    weight = as_parameter(operation, "weight", weight, split.normalized, x.dtype)
    statistics = both_statistics(operation, mean, inverse, split.rows)
    wanted = check_needs(operation, needs)
    kernel = "channel_norm_backward" if split.apart else "group_norm_backward"
    return slopes(kernel, dy, x, split.view, weight, statistics, wanted, split.partial_sums)
