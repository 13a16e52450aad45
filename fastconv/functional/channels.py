"""Each channel times a number of its own: rescaling, and the rectifier that learns its slopes."""

from __future__ import annotations

import functools
import math
import sys
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_bool, as_plain_array, as_real, is_sequence
from fastconv.errors import ArgumentError, ShapeError
from fastconv.floating import quietly
from fastconv.functional import checks

__all__ = ["as_factors", "prelu", "prelu_backward", "rescale"]

BYTES = np.dtype(np.uint8)


def as_factors(
    operation: str, parameter: str, value: Any, channels: int | None, dtype: np.dtype
) -> np.ndarray:
    """Return a number, or one for each channel, as a contiguous array (1,) or (C,) of `dtype`.

    Raises
    ------
    ArgumentError, ArgumentTypeError, ShapeError
        If a number is not finite or rounds to 0 or infinity, or if there are not `channels` of
        them.
    """
    numbers = value if type(value) is tuple else (value,)
    hashable = all(type(number) is float for number in numbers)
    check = _checked if hashable else _checked.__wrapped__
    factors = check(operation, parameter, value, dtype)
    if len(factors) > 1 and channels is not None and len(factors) != channels:
        rule = f"must be one number, or {channels}, one for each channel"
        raise ShapeError(operation, parameter, rule, len(factors), shown=f"{len(factors)} of them")
    return factors


@functools.lru_cache(maxsize=256)
@quietly
def _checked(operation: str, parameter: str, value: Any, dtype: np.dtype) -> np.ndarray:
    if is_sequence(value) or (isinstance(value, np.ndarray) and value.ndim):
        numbers = checks.as_numbers(operation, parameter, value)
    else:
        number = as_real(operation, parameter, value, "finite", -sys.float_info.max, math.inf)
        numbers = np.array([number])
    if numbers.ndim != 1 or not len(numbers):
        rule = "must be a number, or one for each channel"
        raise ShapeError(operation, parameter, rule, numbers.shape)
    wide = numbers.astype(np.float64)
    factors = wide.astype(dtype)
    wrong = ~np.isfinite(factors) | ((factors == 0) & (wide != 0))
    if wrong.any():
        rule = f"must be finite, and not round to 0 or infinity in {dtype}"
        raise ArgumentError(operation, parameter, rule, float(wide[wrong][0]))
    factors.flags.writeable = False
    return factors


def rescale(x: Any, scale: Any, offset: Any = 0.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return ``scale x + offset``, each a number or one for each channel.

    Parameters
    ----------
    x : ndarray (N, C, ...) or, with numbers alone, of any shape
        float32 or float64; integers and bool become float32.  Bytes are read as they are.
    scale, offset : float or sequence of C floats
        Axis 1 has the channels.
    out : ndarray of the shape of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape of `x`, float32 or float64
        Rounded once on instruction sets that fuse multiplication and addition, elsewhere twice.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If `x` is no such array, or `out` another one, or overlaps `x` otherwise; if a number is
        not finite, or rounds to 0 or infinity; if there are not C of them.

    Notes
    -----
    No temporary bytes.

    Examples
    --------
    >>> rescale(np.array([[0, 51, 255]], np.uint8), 1 / 255).round(6).tolist()
    [[0.0, 0.20000000298023224, 1.0]]
    >>> rescale(np.ones((1, 2)), [2.0, 3.0], [0.0, 0.5]).tolist()
    [[2.0, 3.5]]
    """
    operation = "rescale"
    whole = isinstance(x, np.ndarray) and x.dtype.kind in "iub"
    if whole:
        x = as_plain_array(operation, "x", x, (np.integer, np.bool_))
    else:
        x = checks.as_array(operation, "x", x)
    dtype = np.dtype(np.float32) if whole else x.dtype
    channels = x.shape[1] if x.ndim > 1 else None
    factors = [
        as_factors(operation, name, value, channels, dtype)
        for name, value in (("scale", scale), ("offset", offset))
    ]
    count = max(map(len, factors))
    if count > 1 and channels is None:
        rule = "must have shape (N, C, ...) for numbers of channels"
        raise ShapeError(operation, "x", rule, x.shape)
    y = checks.as_output(operation, out, x.shape, dtype, x, over=True)
    if not y.size:
        return y
    if whole and x.dtype != BYTES:
        np.copyto(y, x, casting="unsafe")
        x = y
    shape = (x.shape[0], count, -1) if count > 1 else (1, 1, -1)
    kernel = "rescale_bytes" if x.dtype == BYTES else "rescale"
    _run(
        kernel,
        checks.contiguous(x).reshape(shape),
        y.reshape(shape),
        *(f if len(f) == count else np.repeat(f, count) for f in factors),
    )
    return y


def _run(kernel: str, x: np.ndarray, y: Any, *factors: np.ndarray) -> None:
    module = kernels.module(factors[0].dtype)
    threads.run(getattr(module, kernel), x, y, *factors, work=threads.MOVE * x.size)


def _with_slopes(operation: str, x: Any, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return x (N, C, ...) and its slopes (C,), of one dtype."""
    x, weight = checks.as_array(operation, "x", x), checks.as_array(operation, "weight", weight)
    if not checks.are_of_one_dtype(x, weight):
        checks.of_one_dtype(operation, x=x, weight=weight)
    if x.ndim < 2:
        raise ShapeError(operation, "x", "must have shape (N, C, ...)", x.shape)
    if weight.shape != x.shape[1:2]:
        raise ShapeError(operation, "weight", f"must have shape {x.shape[1:2]}", weight.shape)
    return x, checks.contiguous(weight)


def _planes(x: np.ndarray) -> np.ndarray:
    """View (N, C, ...) as (N, C, P)."""
    return x.reshape(*x.shape[:2], -1)


def prelu(x: Any, weight: Any, out: np.ndarray | None = None) -> np.ndarray:
    """Return each element that is positive, and the slope of its channel times each other one.

    Parameters
    ----------
    x : ndarray (N, C, ...), float32 or float64
    weight : ndarray (C,), of the dtype of `x`
        The slopes, any numbers.
    out : ndarray of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself.

    Returns
    -------
    ndarray of the shape and dtype of `x`
        Rounded once.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        If shapes or dtypes do not fit, or `out` is another array, or overlaps an input otherwise.

    Notes
    -----
    No temporary bytes.  He et al., "Delving Deep into Rectifiers" (2015), section 2.1.

    Examples
    --------
    >>> prelu(np.array([[-2.0, -2.0], [1.0, 1.0]]), np.array([0.25, -1.0])).tolist()
    [[-0.5, 2.0], [1.0, 1.0]]
    """
    x, weight = _with_slopes("prelu", x, weight)
    y = checks.as_output("prelu", out, x.shape, x.dtype, x, weight, over=True)
    if y.size:
        _run("prelu", _planes(checks.contiguous(x)), _planes(y), weight)
    return y


@quietly
def prelu_backward(
    dy: Any, x: Any, weight: Any, needs_x: bool = True
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the gradients of the input and of the slopes of `prelu`.

    Parameters
    ----------
    dy, x : ndarray (N, C, ...), float32 or float64
    weight : ndarray (C,)
    needs_x : bool
        Whether `dx` is asked for.

    Returns
    -------
    dx : ndarray of the shape of `x`, or None
        `dy` where `x` is positive, elsewhere the slope times it.
    dweight : ndarray (C,)
        The sum of ``dy x`` where `x` is not positive.

    Raises
    ------
    ShapeError, ArgumentTypeError
        If shapes or dtypes do not fit.

    Notes
    -----
    No temporary bytes beside C float64 numbers.  Sums run over at most 32 vectors in the dtype of
    `x` and beyond in float64, always in the same order.

    Examples
    --------
    >>> x, dy = np.array([[-2.0], [1.0]]), np.array([[3.0], [5.0]])
    >>> dx, dweight = prelu_backward(dy, x, np.array([0.5]))
    >>> dx.tolist(), dweight.tolist()
    ([[1.5], [5.0]], [-6.0])
    """
    operation = "prelu_backward"
    x, weight = _with_slopes(operation, x, weight)
    dy, x = checks.as_gradient(operation, dy, x, "x")
    needed = as_bool(operation, "needs_x", needs_x)
    dx = memory.empty(x.shape, x.dtype) if needed else None
    sums = np.zeros(weight.shape)
    if x.size:
        gradient, values = _planes(checks.contiguous(dy)), _planes(checks.contiguous(x))
        target = None if dx is None else _planes(dx)
        module = kernels.module(x.dtype)
        work = threads.MOVE * x.size
        threads.run(module.prelu_backward, gradient, values, target, weight, sums, work=work)
    return dx, sums.astype(x.dtype)
