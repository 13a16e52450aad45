"""Geometry, costs and the choice of an algorithm, before any array is touched."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastconv import costs, engines, kernels
from fastconv.arguments import as_choice, as_int, as_shape
from fastconv.errors import ArgumentTypeError, MemoryLimitError, from_signal
from fastconv.geometry import Conv2DGeometry
from fastconv.options import ConvOptions, as_options
from fastconv.threads import get_num_threads

__all__ = ["Decision", "conv2d_costs", "decide"]

DIRECTIONS = ("forward", "backward", "input", "weight")


class Decision(NamedTuple):
    """What a call decides before it looks at data."""

    geometry: Conv2DGeometry
    algorithm: str
    cost: costs.AlgorithmCost
    plain: bool  # whether weights stay plain, since groups have too few filters to pack


@lru_cache(maxsize=1024)
def decide(
    operation: str,
    direction: str,
    x: tuple,
    weight: tuple,
    dtype: np.dtype,
    options: ConvOptions,
    count: int,
) -> Decision:
    """Return the geometry of a call and its algorithm, chosen within the limit.

    `direction` is one of those of `conv2d_costs`.  `x` and `weight` are shapes, and `count` is the
    number of threads.  The last thousand sets of arguments are remembered with their decisions.

    Raises
    ------
    ArgumentError, ShapeError, MemoryLimitError
        Naming `operation`, the parameter, the rule and the value.
    """
    g = options.geometry(operation, x, weight)
    options.check_named(operation, (g.R, g.S))
    table = price(g, dtype, direction, options, count)
    algorithm, limit = options.algorithm, options.workspace_limit
    chosen = table.choice if algorithm == "auto" else algorithm
    if limit is not None and table[chosen].least > limit:
        raise MemoryLimitError(
            operation,
            "workspace_limit",
            f"must be at least {table[chosen].least} bytes with algorithm {algorithm!r}"
            f"{_purpose(table, chosen)}",
            limit,
            f"raise the limit{_remedy(table, algorithm, limit)}",
            least=table[chosen].least,
        )
    plain = engines.few(g.K // g.groups, kernels.lanes(dtype))
    return Decision(g, chosen, table[chosen], plain)


def _purpose(table: costs.ConvolutionCosts, chosen: str) -> str:
    direct = table["direct"].least
    if not direct:
        return ""
    if chosen == "direct":
        return ", for the partial sums of the gradient of the weights"
    return f", {direct} of them for the partial sums of the gradient of the weights"


def _remedy(table: costs.ConvolutionCosts, algorithm: str, limit: int) -> str:
    """Return what fits instead of a named algorithm, as the end of a sentence."""
    fitting = [
        f"{name!r} (from {table[name].least} bytes)"
        for name in ("im2col_tiled", "direct")
        if name != algorithm and table[name].least <= limit
    ]
    return "" if algorithm == "auto" or not fitting else f", or use {' or '.join(fitting)}"


def target(dtype: np.dtype) -> costs.Target:
    """Return what the cost model must know of the active kernels for `dtype`."""
    module = kernels.module(dtype)
    table = costs.active(kernels.active_isa())
    return costs.Target(
        table,
        dtype.itemsize,
        module.lanes,
        module.tile_pixels,
        module.folded_taps,
        module.folded_width,
    )


def price(
    g: Conv2DGeometry, dtype: np.dtype, direction: str, options: ConvOptions, count: int
) -> costs.ConvolutionCosts:
    """Return the costs of every algorithm on the active instruction set."""
    on = target(dtype)
    table = costs.convolution_costs(g, on, direction, options, count)
    typical = costs.compared(g, direction)
    estimates = costs.convolution_costs(typical, on, direction, options, 1)
    for name, cost in table.items():  # the limit is for the batch
        estimates[name] = replace(estimates[name], least=cost.least)
    choice, why = costs.choose(estimates, typical.N, g.R, options, on.itemsize)
    return costs.ConvolutionCosts(table, choice, why)


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
    direction : "forward", "backward", "input" or "weight"
        ``"backward"`` covers all three gradients, ``"input"`` that of the input alone, and
        ``"weight"`` that of the weights alone, with or without that of the bias.
    threads : int, optional
        The threads that run, for each of which `winograd` takes a slot of workspace; by default
        as many as `get_num_threads` says.

    Returns
    -------
    ConvolutionCosts
        A mapping from algorithm to ``.workspace``, ``.packed`` and ``.output`` in bytes,
        ``.multiply_adds``, and ``.least``, the smallest `workspace_limit` it can keep, which for
        `winograd` counts transformed weights too, and so may be above ``.workspace``;
        ``.choice`` and ``.why`` say what `auto` takes, whose estimates are those of one thread
        for one image forward and eight for gradients, whatever N is.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `conv2d`.

    Notes
    -----
    Forward, the workspace in elements is: for ``direct`` none; for ``im2col`` N OH OW C R S; for
    ``im2col_tiled`` OW C R S for each output row of a slab, which has as many rows as fit
    `workspace_limit` and 512 KiB, at least one; for ``winograd``, which only 3x3 and 5x5 kernels
    of stride 1 have, (m + R - 1)^2 (C + lanes) for each tile of a block and each thread.

    Backward, all algorithms need the partial sums of the gradient of the weights besides.  A slab
    has at least the rows of one chunk of these sums: 128 pixels, or a row.  For 3x3 kernels
    ``winograd`` then takes (m + 2)^2 (C + K) for each of 64 to 256 tiles, and (m + 2)^2 C K more if
    there are more tiles than that; lanes round C and K up.  The gradient of 5x5 weights it sums
    directly, and with another precision than "fast" that of the input too.

    Examples
    --------
    >>> found = conv2d_costs((1, 64, 224, 224), (64, 64, 3, 3), padding=1)
    >>> found["im2col"].workspace, found["im2col_tiled"].workspace, found["direct"].workspace
    (115605504, 516096, 0)
    """
    operation = "conv2d_costs"
    x_shape = as_shape(operation, "x_shape", x_shape, "NCHW")
    weight_shape = as_shape(operation, "weight_shape", weight_shape, "KCRS")
    as_choice(operation, "direction", direction, DIRECTIONS)
    options = as_options(
        operation, stride, padding, dilation, groups, "auto", workspace_limit, precision
    )
    count = None if threads is None else as_int(operation, "threads", threads, 1)
    try:
        kind = None if dtype is None else np.dtype(dtype)  # NumPy takes None for float64
    except Exception as error:  # whatever NumPy, or what others define, makes of it
        if from_signal(error):
            raise
        kind = None
    if kind not in (np.float32, np.float64):
        raise ArgumentTypeError(operation, "dtype", "must be float32 or float64", dtype)
    g = options.geometry(operation, x_shape, weight_shape)
    return price(g, kind, direction, options, count or get_num_threads())
