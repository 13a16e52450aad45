"""Geometry, costs and the choice of an algorithm, before any array is touched."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import costs, kernels, memory
from ..errors import ArgumentTypeError, MemoryLimitError, shorten
from ..geometry import Conv2DGeometry, as_int, as_shape
from .packing import ALGORITHMS, PRECISIONS, check_choice

__all__ = ["choose", "conv2d_costs", "resolve"]

DIRECTIONS = ("forward", "backward")


@lru_cache(maxsize=4096, typed=True)
def _geometry(operation: str, x: tuple, weight: tuple, *window: Any) -> Conv2DGeometry:
    return Conv2DGeometry.make(operation, x, weight, *window)


def resolve(
    operation: str, x: tuple, weight: tuple, stride: Any, padding: Any, dilation: Any, groups: Any
) -> Conv2DGeometry:
    """Return the checked geometry; plain integers and words, the usual case, are cached."""
    plain = (int, str)
    if type(stride) in plain and type(padding) in plain and type(dilation) in plain:
        try:
            return _geometry(operation, x, weight, stride, padding, dilation, groups)
        except TypeError as error:
            if isinstance(error, ArgumentTypeError):
                raise
    return Conv2DGeometry.make(operation, x, weight, stride, padding, dilation, groups)


@lru_cache(maxsize=4096)
def _costs(g: Conv2DGeometry, itemsize: int, lanes: int, isa: str, direction: str,
           limit: int | None) -> costs.ConvolutionCosts:  # fmt: skip
    table = costs.convolution_costs(g, itemsize, lanes, isa, direction)
    return costs.ConvolutionCosts(table, *costs.choose(table, limit))


def price(g: Conv2DGeometry, dtype: np.dtype, direction: str, limit: int | None):
    """Return the costs of every algorithm on the active instruction set."""
    isa = kernels.active_isa()
    return _costs(g, dtype.itemsize, kernels.lanes(dtype), isa, direction, limit)


def choose(
    operation: str, g: Conv2DGeometry, dtype: np.dtype, direction: str,
    algorithm: str, workspace_limit: Any, precision: str,
) -> str:  # fmt: skip
    """Return the algorithm to run, within the limit or not at all."""
    check_choice(operation, "algorithm", algorithm, ALGORITHMS)
    check_choice(operation, "precision", precision, PRECISIONS)
    limit = memory.parse_bytes(operation, "workspace_limit", workspace_limit)
    if limit is None and algorithm != "auto":
        return algorithm
    table = price(g, dtype, direction, limit)
    if algorithm == "auto":
        return table.choice
    if table[algorithm].workspace > limit:
        raise MemoryLimitError(
            f"{operation}: algorithm {algorithm!r} needs {table[algorithm].workspace} bytes of "
            f"workspace, more than workspace_limit={limit}; raise the limit or use 'auto'"
        )
    return algorithm


def conv2d_costs(
    x_shape: Any,
    weight_shape: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    dtype: Any = "float32",
    direction: str = "forward",
    workspace_limit: int | str | None = None,
    precision: str = "standard",
    threads: int | None = None,
) -> costs.ConvolutionCosts:
    """Return what each algorithm would take for a convolution, without any data.

    Parameters
    ----------
    x_shape : (N, C, H, W)
    weight_shape : (K, C/groups, R, S)
    stride, padding, dilation, groups, workspace_limit, precision
        As in `conv2d`.
    dtype : "float32" or "float64"
    direction : "forward" or "backward"
        The latter covers all three gradients.
    threads : int, optional
        Bytes do not depend on it.

    Returns
    -------
    ConvolutionCosts
        A mapping from algorithm to ``.workspace``, ``.packed`` and ``.output`` in bytes and
        ``.multiply_adds``; ``.choice`` and ``.why`` say what `auto` takes.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `conv2d`.

    Notes
    -----
    ``im2col`` forward: N OH OW C R S itemsize bytes; ``direct``: none.  Backward both add the
    partial sums of the gradient of the weights.

    Examples
    --------
    >>> found = conv2d_costs((1, 64, 224, 224), (64, 64, 3, 3), padding=1)
    >>> found["im2col"].workspace, found["direct"].workspace
    (115605504, 0)
    """
    operation = "conv2d_costs"
    x_shape = as_shape(operation, "x_shape", x_shape, "NCHW")
    weight_shape = as_shape(operation, "weight_shape", weight_shape, "KCRS")
    check_choice(operation, "direction", direction, DIRECTIONS)
    check_choice(operation, "precision", precision, PRECISIONS)
    if threads is not None:
        as_int(operation, "threads", threads, 1)
    try:
        kind = None if dtype is None else np.dtype(dtype)  # NumPy takes None for float64
    except TypeError:
        kind = None
    if kind not in (np.float32, np.float64):
        raise ArgumentTypeError(
            f"{operation}: dtype must be float32 or float64, got {shorten(dtype)}"
        )
    g = resolve(operation, x_shape, weight_shape, stride, padding, dilation, groups)
    limit = memory.parse_bytes(operation, "workspace_limit", workspace_limit)
    return price(g, kind, direction, limit)
