"""The matrix product of dense layers: a 1x1 convolution whose pixels are the samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_choice, check_axes
from fastconv.errors import ShapeError
from fastconv.functional import checks
from fastconv.functional.conv2d import as_bias, check_needs
from fastconv.functional.packing import ACTIVATIONS, PackedWeight, as_operands
from fastconv.geometry import SUM_LENGTH

__all__ = ["dense", "dense_backward"]

ONES, ZEROS = (1, 1), (0, 0)


def as_pixels(matrix: np.ndarray) -> np.ndarray:
    """View (samples, features) as an image (1, features, 1, samples), without a copy."""
    return matrix.T[None, :, None, :]


def dense(
    x: Any, weight: Any, bias: Any = None, *, activation: str | None = None, out: Any = None
) -> np.ndarray:
    """Return ``x @ weight.T + bias``.

    Parameters
    ----------
    x : ndarray (N, I), float32 or float64
    weight : ndarray (U, I) or PackedWeight of `prepare_dense`
    bias : ndarray (U,), optional
    activation : None or "relu"
    out : ndarray (N, U), optional

    Returns
    -------
    ndarray (N, U)
        The same bits for every batch size, layout and number of threads.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value.

    Notes
    -----
    No temporary bytes beyond the packed weights.

    Examples
    --------
    >>> import numpy as np
    >>> dense(np.ones((2, 3)), np.ones((4, 3))).tolist()
    [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    operation = "dense"
    x, weight, bias = as_operands(operation, x, weight, bias, checks.as_array)
    packed = type(weight) is PackedWeight
    check_axes(operation, "x", x.shape, "NI")
    if not packed:
        check_axes(operation, "weight", weight.shape, "UI")
    elif weight.shape[2:] != (1, 1) or weight.groups != 1:
        raise _not_for_dense(operation, weight)
    units, inputs = weight.shape[:2]
    if inputs != x.shape[1]:
        raise _not_for_features(operation, weight, x)
    if bias is not None:
        bias = as_bias(operation, bias, units)
    if activation is not None:
        as_choice(operation, "activation", activation, ACTIVATIONS)
    shape = x.shape[0], units
    if out is None:
        y = memory.empty(shape, x.dtype)
    else:
        y = checks.as_output(operation, out, shape, x.dtype, x, weight, bias)
    if y.size == 0:
        return y
    module = kernels.module(x.dtype)
    x, relu, work = checks.readable(x), activation is not None, y.size * inputs
    if packed:
        threads.run(
            module.conv2d,
            as_pixels(x),
            weight.data,
            bias,
            as_pixels(y),
            1,
            1,
            ONES,
            ZEROS,
            ONES,
            1,
            SUM_LENGTH,
            relu,
            False,
            True,
            work=work,
        )
    else:
        threads.run(
            module.matrix_product,
            x,
            checks.readable(weight).T,
            bias,
            y,
            SUM_LENGTH,
            relu,
            work=work,
        )
    return y


def _not_for_dense(operation: str, weight: PackedWeight) -> ShapeError:
    rule = "must have shape (U, I), or be what prepare_dense returned"
    remedy = "functional.prepare_dense prepares weights of dense layers"
    return ShapeError(operation, "weight", rule, weight.shape, remedy)


def _not_for_features(operation: str, weight: Any, x: np.ndarray) -> ShapeError:
    rule, inputs = f"must be for the {x.shape[1]} features of x, {x.shape}", weight.shape[1]
    shown = f"{inputs} (shape {weight.shape[:2]})"
    return ShapeError(operation, "weight", rule, inputs, shown=shown)


def dense_backward(
    dy: Any, x: Any, weight: Any, *, needs: Any = ("x", "weight", "bias")
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return the gradients (dx, dweight, dbias) of `dense`, None for those not in `needs`.

    Parameters
    ----------
    dy : ndarray (N, U)
    x : ndarray (N, I)
    weight : ndarray (U, I)
    needs : sequence of "x", "weight", "bias"

    Returns
    -------
    dx : ndarray (N, I)
    dweight : ndarray (U, I)
    dbias : ndarray (U,)

    Raises
    ------
    ShapeError, ArgumentTypeError
        If shapes or dtypes do not fit.

    Notes
    -----
    No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> dx, dw, db = dense_backward(np.ones((2, 1)), np.ones((2, 3)), np.ones((1, 3)))
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], [[2.0, 2.0, 2.0]], [2.0])
    """
    operation = "dense_backward"
    dy = checks.as_array(operation, "dy", dy)
    x = checks.as_array(operation, "x", x)
    weight = checks.as_array(operation, "weight", weight)
    check_axes(operation, "x", x.shape, "NI")
    check_axes(operation, "weight", weight.shape, "UI")
    if not checks.are_of_one_dtype(x, weight, dy):
        checks.of_one_dtype(operation, x=x, weight=weight, dy=dy)
    wanted = check_needs(operation, needs)
    (units, inputs), samples = weight.shape, x.shape[0]
    if x.shape[1] != inputs or dy.shape != (samples, units):
        raise ShapeError(
            operation,
            "dy, x and weight",
            "must have shapes (N, U), (N, I) and (U, I)",
            (dy.shape, x.shape, weight.shape),
            shown=f"{dy.shape}, {x.shape} and {weight.shape}",
        )
    dx = memory.empty(x.shape, x.dtype) if "x" in wanted else None
    dweight = memory.empty(weight.shape, x.dtype) if "weight" in wanted else None
    dbias = memory.empty(units, x.dtype) if "bias" in wanted else None
    if samples == 0:
        for gradient in (dweight, dbias):
            if gradient is not None:
                gradient[...] = 0
        return dx, dweight, dbias
    dy, x, weight = checks.contiguous(dy), checks.readable(x), checks.readable(weight)
    kernel, work = kernels.module(x.dtype), samples * units * inputs
    if dbias is not None:
        kernel.channel_sums(dy.reshape(samples, units, 1), dbias, 1)
    if dx is not None:
        threads.run(kernel.matrix_product, dy, weight, None, dx, SUM_LENGTH, False, work=work)
    if dweight is not None:
        threads.run(kernel.matrix_product, dy.T, x, None, dweight, 0, False, work=work)
    return dx, dweight, dbias
