"""The book's functions of arrays: activations, losses, and the gradient by differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_plain_array
from fastconv.compat.deep_learning_from_scratch.arrays import floats
from fastconv.errors import ArgumentTypeError, ShapeError

__all__ = [
    "cross_entropy_error",
    "identity_function",
    "mean_squared_error",
    "numerical_gradient",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]

Array = np.ndarray[Any, Any]

#: What is added to a probability before its logarithm is taken.
TINY = 1e-7
#: How far from a point the two values of a difference are taken.
STEP = 1e-4


def identity_function(x: Any) -> Any:
    """Return `x`."""
    return x


def step_function(x: Any) -> Array:
    """Return 1 where `x` is positive, else 0, as integers."""
    return (floats("step_function", "x", x) > 0).astype(int)


def sigmoid(x: Any) -> Array:
    """Return ``1 / (1 + exp(-x))``."""
    return functional.sigmoid(floats("sigmoid", "x", x))


def sigmoid_grad(x: Any) -> Array:
    """Return the derivative of `sigmoid` at `x`."""
    y = sigmoid(x)
    return functional.sigmoid_backward(np.ones_like(y), y)


def relu(x: Any) -> Array:
    """Return the larger of `x` and 0."""
    return functional.relu(floats("relu", "x", x))


def relu_grad(x: Any) -> Array:
    """Return 1 where `x` is at least 0, else 0."""
    x = floats("relu_grad", "x", x)
    return (x >= 0).astype(x.dtype)


def softmax(x: Any) -> Array:
    """Return probabilities along the last axis; `x` may be one row, too.

    Examples
    --------
    >>> softmax([0.3, 2.9, 4.0]).round(4).tolist()
    [0.0182, 0.2452, 0.7366]
    """
    x = floats("softmax", "x", x)
    if not x.ndim:
        raise ShapeError("softmax", "x", "must have an axis of classes", x.shape)
    rows = x.reshape(-1, x.shape[-1]) if x.size else x.reshape(0, 1)  # (N, classes)
    return functional.softmax(rows).reshape(x.shape)


def sum_squared_error(y: Any, t: Any) -> float:
    """Return half of the sum of the squares of ``y - t``."""
    operation = "sum_squared_error"
    y, t = floats(operation, "y", y), floats(operation, "t", t)
    if y.shape != t.shape:
        raise ShapeError(operation, "t", f"must have the shape of y, {y.shape}", t.shape)
    return float(0.5 * np.sum((y - t) ** 2))


#: The name that the first chapters have for it.
mean_squared_error = sum_squared_error


def labels(operation: str, t: Any, shape: tuple[int, ...]) -> Array:
    """Return the classes (N,) of `t`, which holds them or is one-hot, of the `shape` of outputs.

    Raises
    ------
    ShapeError
        If there is not one for each of the N rows.
    ArgumentTypeError
        If classes are not integers.
    """
    t = as_plain_array(operation, "t", t)
    if t.size == shape[0] * shape[1]:
        return t.reshape(shape).argmax(axis=1)
    if t.size != shape[0]:
        rule = f"must hold {shape[0]} classes, or have the shape {shape}"
        raise ShapeError(operation, "t", rule, t.shape)
    if t.dtype.kind not in "iu":
        rule = "must be integers, or one-hot"
        raise ArgumentTypeError(operation, "t", rule, t.dtype, shown=str(t.dtype))
    found = t.reshape(-1)
    if found.size and not 0 <= found.min() <= found.max() < shape[1]:
        ends = f"{found.min()} to {found.max()}"
        rule = f"must lie between 0 and {shape[1] - 1}"
        raise ShapeError(operation, "t", rule, shown=ends)
    return found


def cross_entropy_error(y: Any, t: Any) -> float:
    """Return the mean of ``-log(y + 1e-7)`` at the right classes.

    Parameters
    ----------
    y : array-like (N, classes) or (classes,)
        Probabilities.
    t : array-like
        Classes (N,), or one-hot, of the shape of `y`.

    Examples
    --------
    >>> round(cross_entropy_error([0.1, 0.05, 0.6, 0.25], [0, 0, 1, 0]), 4)
    0.5108
    """
    operation = "cross_entropy_error"
    y = np.atleast_2d(floats(operation, "y", y))
    if y.ndim != 2 or not y.size:
        raise ShapeError(operation, "y", "must have shape (N, classes), or (classes,)", y.shape)
    right = y[np.arange(len(y)), labels(operation, t, y.shape)]
    return -float(np.sum(functional.log(right + TINY)) / len(y))


def softmax_loss(x: Any, t: Any) -> float:
    """Return `cross_entropy_error` of the `softmax` of `x`."""
    return cross_entropy_error(softmax(x), t)


def numerical_gradient(f: Callable[[Array], Any], x: Array) -> Array:
    """Return the gradient of `f` at `x` by central differences, 1e-4 to both sides.

    Parameters
    ----------
    f : function of an array
        Called twice for each element.
    x : ndarray of floats
        Changed for each call of `f`, in place, and set back.

    Examples
    --------
    >>> numerical_gradient(lambda x: (x**2).sum(), np.array([3.0, 4.0])).round(6).tolist()
    [6.0, 8.0]
    """
    if not callable(f):
        raise ArgumentTypeError("numerical_gradient", "f", "must be a function of an array", f)
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        rule = "must be an array of floats, which is changed in place"
        shown = f"dtype {x.dtype}" if isinstance(x, np.ndarray) else type(x).__name__
        remedy = "take np.array(x, float)"
        raise ArgumentTypeError("numerical_gradient", "x", rule, x, remedy, shown=shown)
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        value = x[place]
        try:
            x[place] = value + STEP
            above = _value(f, x)
            x[place] = value - STEP
            below = _value(f, x)
        finally:
            x[place] = value
        gradient[place] = (above - below) / (2 * STEP)
    return gradient


def _value(f: Callable[[Array], Any], x: Array) -> float:
    """Return what `f` gives for `x`, which must be a number."""
    value = f(x)
    try:
        return float(value)
    except TypeError:
        rule = "must return a number"
        raise ArgumentTypeError("numerical_gradient", "f", rule, value) from None
