"""Convolution: check, choose, take memory, call the kernel."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import as_choice
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.functional import checks
from fastconv.functional.algorithms import backward, forward
from fastconv.functional.choosing import decide
from fastconv.functional.packing import ACTIVATIONS, PackedWeight, as_operands
from fastconv.options import as_options

__all__ = ["conv2d", "conv2d_backward"]


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
        Any strides, read-only or byte-swapped; what cannot be read in place is copied.  Lists
        of floats are taken as float64.  Integers, of `weight` and `bias` as well, are taken as
        float32 beside float32, else as float64; one that is not exact there is an error.
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
    algorithm : "auto", "direct", "im2col", "im2col_tiled" or "winograd"
        `direct`, `im2col` and `im2col_tiled` give the same bits on finite data.  `winograd` is
        for 3x3 and 5x5 kernels of stride 1, and takes the faster of its tiles of 2x2 and 4x4
        results.  `precision` "standard" admits F(2x2, 3x3), F(4x4, 3x3) and F(2x2, 5x5) forward,
        and F(2x2, 3x3) in gradients; "fast" admits all three and F(4x4, 5x5) in both.  The
        gradient of 5x5 weights is always summed directly.  An image with a result that is not
        finite is computed again directly.  On maps of a few pixels a 5x5 kernel mostly multiplies
        padding, which must cancel and leaves errors of up to 1e-5 of the largest result, and of
        3e-5 by F(4x4, 5x5); unless `precision` is "fast", `auto` sums directly there.  `auto`
        takes the fastest by a table of constants, shipped or measured by ``fastconv doctor
        --tune``, so with another table its bits may be other ones, unless `precision` is "strict".
    workspace_limit : int or str, optional
        Bytes, or text such as "8 MiB", that the workspace must keep within.  `auto` needs none
        forward; 0 admits `direct` alone.
    precision : "strict", "standard" or "fast"
        What `auto` may take: strictly the algorithms that give the same bits; also Winograd's in
        float32 where its rounding errors are at most four times those of the direct sum; also
        where they are larger: ten times at most in gradients; by 5x5 kernels up to twenty times
        forward, and up to forty in the gradient of the input.  That is so for numbers of like
        size: Winograd's outputs are computed 2x2 or 4x4 together, and one number far above its
        neighbours rounds also those of them that do not see it.
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
        If a named algorithm cannot keep within `workspace_limit`, with the bytes it needs.

    Notes
    -----
    Temporary bytes: ``direct`` none, ``im2col`` N OH OW C R S elements, ``im2col_tiled`` OW C R S
    for each output row of a slab that fits `workspace_limit` and 512 KiB, ``winograd`` a block
    of tiles for each thread; all beside the packed weights, see `conv2d_costs`.  The direct
    algorithm reads the image in place, with the register tile of Zhang, Franchetti and Low,
    "High Performance Zero-Memory Overhead Direct Convolutions" (2018), section 3, turned so
    that channels fill the lanes.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> conv2d(x, np.ones((1, 1, 3, 3)))[0, 0]
    array([[45., 54.],
           [81., 90.]])
    """
    operation = "conv2d"
    x, weight, bias = as_operands(operation, x, weight, bias)
    packed = type(weight) is PackedWeight
    if packed and weight.groups != groups:
        raise ArgumentError(
            operation, "groups", f"must be {weight.groups}, for which weight was prepared", groups
        )
    options = as_options(
        operation, stride, padding, dilation, groups, algorithm, workspace_limit, precision
    )
    decided = decide(
        operation, "forward", x.shape, weight.shape, x.dtype, options, threads.get_num_threads()
    )
    g = decided.geometry
    if bias is not None:
        bias = as_bias(operation, bias, g.K)
    if activation is not None:
        as_choice(operation, "activation", activation, ACTIVATIONS)
    if out is None:
        y = memory.empty(g.output_shape, x.dtype)
    else:
        y = checks.as_output(operation, out, g.output_shape, x.dtype, x, weight, bias)
    if y.size == 0:
        return y
    x = checks.readable(x)
    relu = activation is not None
    if packed:
        forward(decided, x, weight, bias, y, relu)
        return y
    with memory.Lent(decided.cost.together) as lent:
        weight = PackedWeight(weight, g.groups, decided.plain, lent)
        forward(decided, x, weight, bias, y, relu)
    return y


def as_bias(operation: str, bias: np.ndarray, filters: int) -> np.ndarray:
    """Return a contiguous bias, which must be (K,)."""
    if bias.shape != (filters,):
        raise ShapeError(operation, "bias", f"must have shape ({filters},)", bias.shape)
    return checks.contiguous(bias)


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
        Lists and integers as in `conv2d`.
    weight : ndarray (K, C/groups, R, S)
    needs : sequence of "x", "weight", "bias"
        `auto` takes what is fastest for these, so without "x" another algorithm may give dweight
        its last bits.
    stride, padding, dilation, groups, algorithm, workspace_limit, precision
        As in `conv2d`.

    Returns
    -------
    dx : ndarray (N, C, H, W)
        Sums over filters in blocks of 512, in each of them over taps, as col2im adds them.
    dweight : ndarray (K, C/groups, R, S)
        Sums over the pixels of the batch through a number of partial sums that the geometry
        fixes (at most 16); they are its workspace, which no algorithm can do without.  With
        ``winograd`` sums over blocks of tiles, again directly if one of them is not finite.
    dbias : ndarray (K,)

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `conv2d`; ShapeError too if `dy` has not the shape of the output.
    MemoryLimitError
        If the algorithm, for `auto` any, cannot keep within `workspace_limit`.

    Notes
    -----
    ``winograd`` is minimal filtering (Lavin and Gray, "Fast Algorithms for Convolutional Neural
    Networks", 2015) of both gradients, or of that which it is faster for; the other is summed
    directly.  Temporary bytes: see `conv2d_costs`.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = conv2d_backward(np.ones((1, 1, 2, 2)), x, w)
    >>> dx[0, 0].tolist(), db.tolist()
    ([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], [4.0])
    """
    operation = "conv2d_backward"
    dy = checks.as_numbers(operation, "dy", dy)
    x = checks.as_numbers(operation, "x", x)
    if isinstance(weight, PackedWeight):
        weight = weight.unpacked()
    weight = checks.as_numbers(operation, "weight", weight)
    if not checks.are_of_one_dtype(x, weight, dy):
        x, weight, dy = checks.of_one_dtype(operation, x=x, weight=weight, dy=dy)
    wanted = check_needs(operation, needs)
    options = as_options(
        operation, stride, padding, dilation, groups, algorithm, workspace_limit, precision
    )
    if not wanted & {"x", "weight"}:  # that of the bias takes no workspace
        options = options._replace(workspace_limit=None)
    decided = decide(
        operation,
        direction_of(wanted),
        x.shape,
        weight.shape,
        x.dtype,
        options,
        threads.get_num_threads(),
    )
    g = decided.geometry
    if dy.shape != g.output_shape:
        raise ShapeError(
            operation, "dy", f"must have the shape of the output, {g.output_shape}", dy.shape
        )
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
            dy.reshape(g.N, g.K, g.OH * g.OW),
            dbias,
            threads.get_num_threads() if dy.size > threads.SMALL_WORK else 1,
        )
    if dx is not None or dweight is not None:
        backward(decided, dy, x, weight, dx, dweight)
    return dx, dweight, dbias


def direction_of(wanted: frozenset[str]) -> str:
    """Return the direction of `conv2d_costs` that covers the gradients that are wanted."""
    if "weight" not in wanted:
        return "input"
    return "backward" if "x" in wanted else "weight"


def check_needs(operation: str, needs: Any) -> frozenset[str]:
    """Return the set of gradients that are wanted."""
    words = (needs,) if isinstance(needs, str) else needs
    collection = isinstance(words, Collection) and not isinstance(words, np.ndarray)
    if not collection or not all(isinstance(word, str) for word in words):
        rule = "must be a sequence of 'x', 'weight' and 'bias'"
        raise ArgumentTypeError(operation, "needs", rule, needs)
    unknown = frozenset(words) - {"x", "weight", "bias"}
    if unknown:
        raise ArgumentError(operation, "needs", "must hold only 'x', 'weight' and 'bias'", needs)
    return frozenset(words)
