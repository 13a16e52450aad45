"""Geometry, costs and the choice of an algorithm, before any array is touched."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from .. import costs, kernels, memory, threads
from ..errors import ArgumentError, ArgumentTypeError, MemoryLimitError, shorten
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


@lru_cache(maxsize=4)
def _target(dtype: np.dtype) -> costs.Target:
    module = kernels.module(dtype)
    return costs.Target(kernels.active_isa(), dtype.itemsize, module.lanes, module.tile_pixels)


@lru_cache(maxsize=4096)
def _costs(g: Conv2DGeometry, on: costs.Target, direction: str, limit: int | None,
           precision: str, count: int) -> costs.ConvolutionCosts:  # fmt: skip
    one = costs.convolution_costs(replace(g, N=1), on, direction, limit, precision, 1)
    table = costs.convolution_costs(g, on, direction, limit, precision, count)
    choice, why = costs.choose(one, limit, on.itemsize, precision)
    return costs.ConvolutionCosts(table, choice, why)


def price(
    g: Conv2DGeometry, dtype: np.dtype, direction: str, limit: int | None, precision: str,
    count: int | None = None,
) -> costs.ConvolutionCosts:  # fmt: skip
    """Return the costs of every algorithm on the active instruction set."""
    count = threads.get_num_threads() if count is None else count
    return _costs(g, _target(dtype), direction, limit, precision, count)


def choose(
    operation: str, g: Conv2DGeometry, dtype: np.dtype, direction: str,
    algorithm: str, workspace_limit: Any, precision: str,
) -> tuple[str, costs.AlgorithmCost]:  # fmt: skip
    """Return the algorithm to run and its cost, within the limit or not at all."""
    check_choice(operation, "algorithm", algorithm, ALGORITHMS)
    check_choice(operation, "precision", precision, PRECISIONS)
    limit = memory.parse_bytes(operation, "workspace_limit", workspace_limit)
    table = price(g, dtype, direction, limit, precision)
    if algorithm == "auto":
        return table.choice, table[table.choice]
    if algorithm not in table:
        raise ArgumentError(
            f"{operation}: algorithm 'winograd' needs a 3x3 kernel, stride 1, dilation 1 and "
            f"groups 1, got {g.R}x{g.S}, {g.stride}, {g.dilation} and {g.groups}; use 'auto'"
        )
    if algorithm == "winograd" and precision == "strict":
        raise ArgumentError(
            f"{operation}: algorithm must not be 'winograd' where precision is 'strict', "
            "for it rounds otherwise; use 'standard' or 'fast'"
        )
    if limit is not None and table[algorithm].least > limit:
        raise MemoryLimitError(
            f"{operation}: algorithm {algorithm!r} needs {table[algorithm].least} bytes of "
            f"workspace, more than workspace_limit={limit}; raise the limit or use 'auto'"
        )
    return algorithm, table[algorithm]


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
        What `winograd` is priced for: a slot of workspace for each; by default as many as
        `get_num_threads` says.

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
    ``im2col`` forward: N OH OW C R S itemsize bytes; ``direct``: none; ``winograd``, which only
    3x3 kernels of stride 1 have: for each thread (m + 2)^2 (C + lanes) numbers for each tile of
    a block.  Backward all need the partial sums of the gradient of the weights.

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
    count = None if threads is None else as_int(operation, "threads", threads, 1)
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind not in (np.float32, np.float64):
        raise ArgumentTypeError(
            f"{operation}: dtype must be float32 or float64, got {shorten(dtype)}"
        )
    g = resolve(operation, x_shape, weight_shape, stride, padding, dilation, groups)
    limit = memory.parse_bytes(operation, "workspace_limit", workspace_limit)
    return price(g, kind, direction, limit, precision, count)
