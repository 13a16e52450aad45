"""Convolution: check, choose, take memory, call the kernel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import costs, kernels, memory, threads
from ..errors import ArgumentError, ArgumentTypeError, MemoryLimitError, ShapeError, shorten
from ..geometry import SUM_LENGTH, Conv2DGeometry, as_int, as_shape
from . import checks
from .packing import (
    ALGORITHMS,
    PRECISIONS,
    PackedWeight,
    check_choice,
    few_filters,
    pack_backward,
)

__all__ = ["conv2d", "conv2d_backward", "conv2d_costs"]

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


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
    workspace_limit: int | str | None = None,
    precision: str = "standard",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Convolve a batch of images with filters (cross-correlation, as in every framework).

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
        Any strides, read-only or byte-swapped; what cannot be read in place is copied.
    weight : ndarray (K, C/groups, R, S) or PackedWeight
        Of the dtype of `x`.
    bias : ndarray (K,), optional
    stride, dilation : int or (int, int)
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the image; "same" gives ceil(H / stride) rows, as ONNX SAME_UPPER.
    groups : int
        Divides C and K; C groups of one channel make a depthwise convolution.
    activation : None or "relu"
        Applied as the results are stored.
    algorithm : "auto", "direct" or "im2col"
        All give the same bits on finite data.
    workspace_limit : int or str, optional
        Bytes, or text such as "8 MiB", that the workspace must keep within.
    precision : "strict", "standard" or "fast"
        Which algorithms `auto` may take; the two of today are exact to the bit in all.
    out : ndarray (N, K, OH, OW), optional
        C-contiguous, of the dtype of `x`, not overlapping an input.

    Returns
    -------
    ndarray (N, K, OH, OW)
        OH = floor((H + top + bottom - dilation (R - 1) - 1) / stride) + 1.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value.
    MemoryLimitError
        If a named algorithm cannot keep within `workspace_limit`.

    Notes
    -----
    Temporary bytes: ``direct`` none, ``im2col`` N OH OW C R S elements; both beside the
    packed weights, see `conv2d_costs`.  The direct algorithm reads the image in place, with
    the register tile of Zhang, Franchetti and Low, "High Performance Zero-Memory Overhead
    Direct Convolutions" (2018), section 3, turned so that channels fill the lanes.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> conv2d(x, np.ones((1, 1, 3, 3)))[0, 0]
    array([[45., 54.],
           [81., 90.]])
    """
    operation = "conv2d"
    x = checks.as_array(operation, "x", x)
    if type(weight) is not PackedWeight:
        weight = checks.as_array(operation, "weight", weight)
    elif weight.groups != groups:
        raise ArgumentError(
            f"{operation}: weight was prepared for groups={weight.groups}, got {groups!r}"
        )
    checks.same_dtype(operation, "x", x, "weight", weight)
    g = resolve(operation, x.shape, weight.shape, stride, padding, dilation, groups)
    if bias is not None:
        bias = as_bias(operation, bias, g.K, x)
    if activation is not None and activation != "relu":
        raise ArgumentError(
            f"{operation}: activation must be None or 'relu', got {shorten(activation)}"
        )
    chosen = choose(operation, g, x.dtype, "forward", algorithm, workspace_limit, precision)
    inputs = [a for a in (x, weight, bias) if isinstance(a, np.ndarray)] if out is not None else []
    y = checks.as_output(operation, out, g.output_shape, x.dtype, *inputs)
    if y.size == 0:
        return y
    x = checks.readable(x)
    if type(weight) is not PackedWeight:
        weight = PackedWeight(weight, groups, few_filters(weight, groups), keep=False)
    relu = activation is not None
    if chosen == "im2col":
        im2col_forward(g, x, weight, bias, y, relu)
        if not g.padded or weight.is_finite():
            return y
        # an infinite or NaN weight times a padded zero is NaN: the direct sum has no padding
    direct_forward(g, x, weight, bias, y, relu)
    return y


def as_bias(operation: str, bias: Any, filters: int, x: np.ndarray) -> np.ndarray:
    """Return a checked, contiguous bias (K,)."""
    bias = checks.as_array(operation, "bias", bias)
    if bias.shape != (filters,):
        raise ShapeError(f"{operation}: bias must have shape ({filters},), got {bias.shape}")
    checks.same_dtype(operation, "x", x, "bias", bias)
    return checks.contiguous(bias)


def direct_forward(
    g: Conv2DGeometry, x: np.ndarray, weight: PackedWeight, bias: Any, y: np.ndarray, relu: bool
) -> None:
    """Convolve in place, without workspace."""
    if g.R == g.S == 1 and g.stride == (1, 1) and not g.padded and x.flags.c_contiguous:
        # a matrix product: the map is one long row, cut without regard to its rows
        x = x.reshape(g.N, g.C, 1, g.H * g.W)
        y = y.reshape(g.N, g.K, 1, g.H * g.W)
    threads.run(
        kernels.module(x.dtype).conv2d, x, weight.data, bias, y, g.R, g.S, g.stride, g.pad,
        g.dilation, g.groups, g.channels_per_sum, relu, weight.planes, work=g.multiply_adds,
    )  # fmt: skip


def unfolded(g: Conv2DGeometry, x: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Unfold the whole batch into `block` and return it as (N, C R S, 1, OH OW)."""
    col = block.view(x.dtype)
    threads.run(
        kernels.module(x.dtype).unfold, x, col, (g.R, g.S), g.stride, g.pad, g.dilation,
        g.OH, g.OW, False, work=threads.MOVE * col.size,
    )  # fmt: skip
    return col.reshape(g.N, g.C * g.R * g.S, g.OH, g.OW)


def im2col_forward(
    g: Conv2DGeometry, x: np.ndarray, weight: PackedWeight, bias: Any, y: np.ndarray, relu: bool
) -> None:
    """Unfold the batch, then one matrix product: a 1x1 convolution with C R S channels."""
    with memory.workspace(g.im2col_bytes(x.itemsize)) as block:
        col = unfolded(g, x, block)
        pixels = g.OH * g.OW
        threads.run(
            kernels.module(x.dtype).conv2d, col.reshape(g.N, -1, 1, pixels), weight.data, bias,
            y.reshape(g.N, g.K, 1, pixels), 1, 1, (1, 1), (0, 0), (1, 1), g.groups,
            g.channels_per_sum * g.R * g.S, relu, weight.planes, work=g.multiply_adds,
        )  # fmt: skip


def conv2d_backward(
    dy: Any,
    x: Any,
    weight: Any,
    *,
    needs: Any = ("x", "weight", "bias"),
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
    workspace_limit: int | str | None = None,
    precision: str = "standard",
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return the gradients (dx, dweight, dbias) of `conv2d`, None for those not in `needs`.

    Parameters
    ----------
    dy : ndarray (N, K, OH, OW)
        Gradient of the output, of the dtype of `x`.
    x : ndarray (N, C, H, W), float32 or float64
    weight : ndarray (K, C/groups, R, S)
    needs : sequence of "x", "weight", "bias"
    stride, padding, dilation, groups, algorithm, workspace_limit, precision
        As in `conv2d`.

    Returns
    -------
    dx : ndarray (N, C, H, W)
        Sums over filters in blocks of 512, in each of them over taps, as col2im adds them.
    dweight : ndarray (K, C/groups, R, S)
        Sums over the pixels of the batch through a number of partial sums that the geometry
        fixes (at most 16); they are its workspace.
    dbias : ndarray (K,)

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError, MemoryLimitError
        As `conv2d`; ShapeError too if `dy` has not the shape of the output.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = conv2d_backward(np.ones((1, 1, 2, 2)), x, w)
    >>> dx[0, 0].tolist(), db.tolist()
    ([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], [4.0])
    """
    operation = "conv2d_backward"
    dy = checks.as_array(operation, "dy", dy)
    x = checks.as_array(operation, "x", x)
    if isinstance(weight, PackedWeight):
        weight = weight.unpacked()
    weight = checks.as_array(operation, "weight", weight)
    checks.same_dtype(operation, "x", x, "weight", weight)
    checks.same_dtype(operation, "x", x, "dy", dy)
    wanted = check_needs(operation, needs)
    g = resolve(operation, x.shape, weight.shape, stride, padding, dilation, groups)
    if dy.shape != g.output_shape:
        raise ShapeError(
            f"{operation}: dy must have the shape of the output, {g.output_shape}, got {dy.shape}"
        )
    chosen = choose(operation, g, x.dtype, "backward", algorithm, workspace_limit, precision)
    dx = memory.empty(x.shape, x.dtype) if "x" in wanted else None
    dweight = memory.empty(weight.shape, x.dtype) if "weight" in wanted else None
    dbias = memory.empty(g.K, x.dtype) if "bias" in wanted else None
    if dy.size == 0:
        for gradient in (dx, dweight, dbias):
            if gradient is not None:
                gradient[...] = 0
        return dx, dweight, dbias
    dy, x, weight = checks.contiguous(dy), checks.readable(x), checks.contiguous(weight)
    if dbias is not None:
        kernels.module(x.dtype).channel_sums(
            dy.reshape(g.N, g.K, g.OH * g.OW), dbias,
            threads.get_num_threads() if dy.size > threads.SMALL_WORK else 1,
        )  # fmt: skip
    if chosen == "im2col":
        im2col_backward(g, dy, x, weight, dx, dweight)
        if dweight is not None and g.padded and not np.isfinite(dy).all():
            direct_weight(g, dy, x, dweight)  # no NaN from an infinite dy and a padded zero
        return dx, dweight, dbias
    if dx is not None:
        direct_input(g, dy, weight, dx)
    if dweight is not None:
        direct_weight(g, dy, x, dweight)
    return dx, dweight, dbias


def check_needs(operation: str, needs: Any) -> frozenset[str]:
    """Return the set of gradients that are wanted."""
    words = frozenset((needs,) if isinstance(needs, str) else needs)
    unknown = words - {"x", "weight", "bias"}
    if unknown:
        raise ArgumentError(
            f"{operation}: needs must be of 'x', 'weight' and 'bias', got {shorten(needs)}"
        )
    return words


def direct_input(g: Conv2DGeometry, dy: np.ndarray, weight: np.ndarray, dx: np.ndarray) -> None:
    """dx without workspace: a convolution of dy, one for each phase of the stride."""
    data, planes = pack_backward(weight, g.groups)
    if g.R == g.S == 1 and g.stride == (1, 1) and not g.padded:
        dy = dy.reshape(g.N, g.K, 1, g.OH * g.OW)
        dx = dx.reshape(g.N, g.C, 1, g.H * g.W)
    threads.run(
        kernels.module(dx.dtype).conv2d_backward_input, dy, data, dx, g.R, g.S, g.stride, g.pad,
        g.dilation, g.groups, SUM_LENGTH, planes, work=g.multiply_adds,
    )  # fmt: skip


def direct_weight(g: Conv2DGeometry, dy: np.ndarray, x: np.ndarray, dweight: np.ndarray) -> None:
    """dweight through partial sums in the workspace."""
    lanes = kernels.lanes(x.dtype)
    planes = costs.few(g.K // g.groups, lanes)
    size = 0 if planes else g.weight_gradient_bytes(x.itemsize, lanes)
    with memory.workspace(size) as block:
        threads.run(
            kernels.module(x.dtype).conv2d_backward_weight, x, dy, block.view(x.dtype), dweight,
            g.stride, g.pad, g.dilation, g.groups, g.partial_sums(lanes), planes,
            work=g.multiply_adds,
        )  # fmt: skip


def im2col_backward(
    g: Conv2DGeometry, dy: np.ndarray, x: np.ndarray, weight: np.ndarray,
    dx: np.ndarray | None, dweight: np.ndarray | None,
) -> None:  # fmt: skip
    """Both gradients through the unfolded batch, which one block of workspace holds in turn."""
    kernel = kernels.module(x.dtype)
    lanes = kernels.lanes(x.dtype)
    ones, zeros = (1, 1), (0, 0)
    with memory.workspace(g.im2col_bytes(x.itemsize)) as block:
        if dweight is not None:
            col = unfolded(g, x, block)
            planes = costs.few(g.K // g.groups, lanes)
            size = 0 if planes else g.weight_gradient_bytes(x.itemsize, lanes)
            with memory.workspace(size) as sums:
                threads.run(
                    kernel.conv2d_backward_weight, col, dy, sums.view(x.dtype),
                    dweight.reshape(g.K, g.taps, 1, 1), ones, zeros, ones, g.groups,
                    g.partial_sums(lanes), planes, work=g.multiply_adds,
                )  # fmt: skip
        if dx is None:
            return
        col = block.view(x.dtype).reshape(g.N, g.C * g.R * g.S, 1, g.OH * g.OW)
        flat = dy.reshape(g.N, g.K, 1, g.OH * g.OW)
        dx[...] = 0
        filters = g.K // g.groups
        for first in range(0, filters, SUM_LENGTH):
            last = min(first + SUM_LENGTH, filters)
            for group in range(1 if filters <= SUM_LENGTH else g.groups):
                # all groups at once where a block holds all filters of a group
                groups = g.groups if filters <= SUM_LENGTH else 1
                rows = slice(group * filters + first, (group + groups - 1) * filters + last)
                share = weight[rows].reshape(-1, g.taps, 1, 1)
                data, planes = pack_backward(share, groups)
                channels = slice(group * g.taps, (group + groups) * g.taps)
                threads.run(
                    kernel.conv2d_backward_input, flat[:, rows], data, col[:, channels], 1, 1,
                    ones, zeros, ones, groups, SUM_LENGTH, planes,
                    work=g.multiply_adds * (last - first) // g.K * groups,
                )  # fmt: skip
            threads.run(
                kernel.fold, block.view(x.dtype), dx, (g.R, g.S), g.stride, g.pad, g.dilation,
                g.OH, g.OW, False, work=threads.MOVE * col.size,
            )  # fmt: skip


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
        kind = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind not in (np.float32, np.float64):
        raise ArgumentTypeError(
            f"{operation}: dtype must be float32 or float64, got {shorten(dtype)}"
        )
    g = resolve(operation, x_shape, weight_shape, stride, padding, dilation, groups)
    limit = memory.parse_bytes(operation, "workspace_limit", workspace_limit)
    return price(g, kind, direction, limit)
