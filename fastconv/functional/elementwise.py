"""Activations and their gradients; new arrays, unless `out` says where."""

from __future__ import annotations

import math
import sys

import numpy as np

from .. import kernels, memory, threads
from ..arguments import as_plain_array, as_real, check_rounding
from ..errors import ShapeError
from ..floating import quietly
from . import checks

__all__ = [
    "dropout",
    "log_softmax",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]


def _run(kernel: str, out: np.ndarray, *arrays: object) -> None:
    """Run a kernel over arrays in a row; `arrays` come first, then what is written to."""
    if out.size:
        rows = (checks.contiguous(a).reshape(-1) if isinstance(a, np.ndarray) else a
                for a in arrays)  # fmt: skip
        module = kernels.module(out.dtype)
        threads.run(getattr(module, kernel), *rows, work=threads.MOVE * out.size)


def relu(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return the larger of `x` and 0, element by element; NaN stays NaN.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise.

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    x = checks.as_array("relu", "x", x)
    y = checks.as_output("relu", out, x.shape, x.dtype, x, over=True)
    _run("relu", y, x, y)
    return y


def relu_backward(dy: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return `dy` where the output `y` is positive, 0 elsewhere (where `y` is NaN too).

    `out`, C-contiguous, may be `dy` itself.

    Examples
    --------
    >>> relu_backward(np.array([3.0, np.inf]), np.array([1.0, 0.0])).tolist()
    [3.0, 0.0]
    """
    operation = "relu_backward"
    dy, y = checks.as_array(operation, "dy", dy), checks.as_array(operation, "y", y)
    if not checks.are_of_one_dtype(dy, y):
        checks.of_one_dtype(operation, dy=dy, y=y)
    if dy.shape != y.shape:
        raise ShapeError(operation, "dy", f"must have the shape of the output, {y.shape}", dy.shape)
    dx = checks.as_output(operation, out, y.shape, y.dtype, dy, y, over=True)
    _run(operation, dx, dy, y, dx)
    return dx


def dropout(
    x: np.ndarray, kept: np.ndarray, scale: float, out: np.ndarray | None = None
) -> np.ndarray:
    """Return ``scale x`` where `kept` (bool, of the shape of `x`), elsewhere 0, even for NaN.

    Examples
    --------
    >>> dropout(np.array([1.0, np.inf]), np.array([True, False]), 2.0).tolist()
    [2.0, 0.0]
    """
    operation = "dropout"
    x = checks.as_array(operation, "x", x)
    mask = as_plain_array(
        operation, "kept", kept, (np.bool_,), rule="must be an array of bool", shape=x.shape
    )
    scale = as_real(operation, "scale", scale, "finite", -sys.float_info.max, math.inf)
    check_rounding(operation, "scale", scale, x.dtype)
    y = checks.as_output(operation, out, x.shape, x.dtype, x, over=True)
    _run(operation, y, x, checks.contiguous(mask).view(np.uint8), y, scale)
    return y


@quietly
def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), computed without overflow.

    Examples
    --------
    >>> sigmoid(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    y = memory.empty(x.shape, x.dtype)
    np.multiply(x, x.dtype.type(0.5), out=y)
    np.tanh(y, out=y)  # 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2
    y += 1
    y *= x.dtype.type(0.5)
    return y


@quietly
def sigmoid_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dy y (1 - y), `y` the output."""
    dx = memory.empty(y.shape, y.dtype)
    np.subtract(1, y, out=dx)
    dx *= y
    dx *= dy
    return dx


@quietly
def tanh(x: np.ndarray) -> np.ndarray:
    """Return the hyperbolic tangent.

    Examples
    --------
    >>> tanh(np.array([0.0])).tolist()
    [0.0]
    """
    y = memory.empty(x.shape, x.dtype)
    np.tanh(x, out=y)
    return y


@quietly
def tanh_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return dy (1 - y^2), `y` the output."""
    dx = memory.empty(y.shape, y.dtype)
    np.multiply(y, y, out=dx)
    np.subtract(1, dx, out=dx)
    dx *= dy
    return dx


@quietly
def softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    """Return exp(x) / sum(exp(x)) along `axis`, computed without overflow.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    y = memory.empty(x.shape, x.dtype)
    if y.size:
        np.subtract(x, x.max(axis=axis, keepdims=True), out=y)
        np.exp(y, out=y)
        y /= y.sum(axis=axis, keepdims=True)
    return y


@quietly
def log_softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    """Return the logarithm of `softmax`, exact where the softmax itself would round to 0."""
    y = memory.empty(x.shape, x.dtype)
    if y.size:
        np.subtract(x, x.max(axis=axis, keepdims=True), out=y)
        y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y


@quietly
def softmax_backward(dy: np.ndarray, y: np.ndarray, axis: int = 1) -> np.ndarray:
    """Return y (dy - sum(dy y)) along `axis`, `y` the output."""
    dx = memory.empty(y.shape, y.dtype)
    np.multiply(dy, y, out=dx)
    total = dx.sum(axis=axis, keepdims=True)
    np.subtract(dy, total, out=dx)
    dx *= y
    return dx
