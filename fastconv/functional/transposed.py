"""Transposed convolution: the gradient of the input of a convolution, as an operation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastconv import kernels, memory, threads
from fastconv.arguments import LARGEST, as_choice, as_pair, check_axes
from fastconv.errors import ArgumentError, ShapeError
from fastconv.functional import checks
from fastconv.functional.algorithms import backward, forward
from fastconv.functional.choosing import Decision, decide
from fastconv.functional.conv2d import as_bias, check_needs
from fastconv.functional.packing import ACTIVATIONS, PackedWeight
from fastconv.geometry import Window2D
from fastconv.options import ConvOptions, as_options

__all__ = ["as_output_padding", "conv2d_transpose", "conv2d_transpose_backward", "transposed"]

Pair = tuple[int, int]


def as_output_padding(operation: str, value: Any, options: ConvOptions) -> Pair:
    """Return `value` as (vertical, horizontal), less than the stride, which it tells apart.

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If it is not, or if it is not 0 though the padding is "same".
    """
    pair = as_pair(operation, "output_padding", value, 0)
    if any(size >= step for size, step in zip(pair, options.stride, strict=True)):
        rule = f"must be less than the stride, {options.stride}"
        raise ArgumentError(operation, "output_padding", rule, value)
    if isinstance(options.padding, str) and any(pair):
        rule = "must be 0 where padding is 'same', which says how large the output is"
        raise ArgumentError(operation, "output_padding", rule, value)
    return pair


@lru_cache(maxsize=1024)
def transposed(
    operation: str, size: Pair, kernel: Pair, options: ConvOptions, output_padding: Pair
) -> tuple[Pair, ConvOptions]:
    """Return (OH, OW), and the options of the convolution that makes (H, W) of them.

    Raises
    ------
    ShapeError
        If the output would be empty, or too large to count.
    """
    window = Window2D(kernel, options.stride, options.padding, options.dilation)
    if isinstance(options.padding, str):
        output = size[0] * options.stride[0], size[1] * options.stride[1]
    else:
        rows, columns = (
            (n - 1) * step + span + more - sum(sides)
            for n, step, span, more, sides in zip(
                size, options.stride, window.extent, output_padding, options.padding, strict=True
            )
        )
        output = rows, columns
    if min(output) < 1:
        shown = f"{output[0]}x{output[1]}"
        rule = "must have at least one row and one column"
        raise ShapeError(operation, "the output", rule, output, "take less padding", shown=shown)
    if max(output) > LARGEST:
        rule = f"must be at most {LARGEST} long"
        raise ShapeError(operation, "the output", rule, max(output), "take a smaller stride")
    return output, options._replace(padding=window.resolve(output))


def _decide(
    operation: str,
    directions: tuple[str, ...],
    x: np.ndarray,
    weight: np.ndarray,
    options: ConvOptions,
    output_padding: Any,
) -> list[Decision]:
    """Return what is decided for a convolution from the output to `x`, in some directions."""
    check_axes(operation, "x", x.shape, "NCHW")
    check_axes(operation, "weight", weight.shape, "CKRS")
    (n, c, *size), (channels, k, *kernel) = x.shape, weight.shape
    if c != channels:
        rule = f"must be for the {c} channels of x, {x.shape}"
        raise ShapeError(operation, "weight", rule, channels)
    if c % options.groups:
        rule = f"must divide the channels (= {c})"
        raise ShapeError(operation, "groups", rule, options.groups)
    more = as_output_padding(operation, output_padding, options)
    output, options = transposed(operation, tuple(size), tuple(kernel), options, more)
    shape = n, k * options.groups, *output
    count = threads.get_num_threads()
    return [
        decide(operation, direction, shape, weight.shape, x.dtype, options, count)
        for direction in directions
    ]


def conv2d_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
    workspace_limit: int | str | None = None,
    precision: str = "standard",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Spread each pixel over a window by filters: a convolution turned around.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
        Lists and integers as in `conv2d`.
    weight : ndarray (C, K/groups, R, S)
        As PyTorch and ONNX have it: that of the convolution which this one turns around.
    bias : ndarray (K,), optional
    stride, dilation : int or (int, int)
        Steps between windows of the output, and between the taps of one.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        What is cut off at the sides of the output; "same" gives H stride rows.
    output_padding : int or (int, int)
        Rows and columns more below and to the right, less than the stride: a convolution makes
        equally many windows of them.
    groups : int
        Divides C and K.
    activation : None or "relu"
        Applied as the bias is added.
    algorithm, workspace_limit, precision
        As of the gradient of the input in `conv2d_backward`, which this is.
    out : ndarray (N, K, OH, OW), optional
        C-contiguous, of the dtype of `x`, not overlapping an input.

    Returns
    -------
    ndarray (N, K, OH, OW)
        OH = (H - 1) stride + dilation (R - 1) + 1 - top - bottom + output_padding.

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        Naming the parameter, the rule and the value.
    MemoryLimitError
        If a named algorithm cannot keep within `workspace_limit`, with the bytes it needs.

    Notes
    -----
    Temporary bytes: those of `conv2d_costs` for the shape of the output as `x_shape`, and the
    direction "input". Dumoulin and Visin, "A guide to convolution arithmetic for deep learning"
    (2016), chapter 4.

    Examples
    --------
    >>> import numpy as np
    >>> conv2d_transpose(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), stride=2)[0, 0].tolist()
    [[1.0, 1.0, 2.0, 2.0]]
    """
    operation = "conv2d_transpose"
    x, weight = checks.as_numbers(operation, "x", x), checks.as_numbers(operation, "weight", weight)
    if bias is not None:
        bias = checks.as_numbers(operation, "bias", bias)
    x, weight, bias = checks.of_one_dtype(operation, x=x, weight=weight, bias=bias)
    options = as_options(
        operation, stride, padding, dilation, groups, algorithm, workspace_limit, precision
    )
    (decided,) = _decide(operation, ("input",), x, weight, options, output_padding)
    g = decided.geometry
    if bias is not None:
        bias = as_bias(operation, bias, g.C)
    if activation is not None:
        as_choice(operation, "activation", activation, ACTIVATIONS)
    shape = g.N, g.C, g.H, g.W
    y = checks.as_output(operation, out, shape, x.dtype, x, weight, bias)
    if y.size:
        backward(decided, checks.contiguous(x), y, checks.contiguous(weight), y, None)
        if bias is not None or activation is not None:
            threads.run(
                kernels.module(x.dtype).add_channel_bias,
                y.reshape(g.N, g.C, g.H * g.W),
                bias,
                activation is not None,
                work=threads.MOVE * y.size,
            )
    return y


def conv2d_transpose_backward(
    dy: Any,
    x: Any,
    weight: Any,
    *,
    needs: Any = ("x", "weight", "bias"),
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
    workspace_limit: int | str | None = None,
    precision: str = "standard",
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return the gradients (dx, dweight, dbias) of `conv2d_transpose`, None for those not needed.

    Parameters
    ----------
    dy : ndarray (N, K, OH, OW)
        Gradient of the output, of the dtype of `x`.
    x : ndarray (N, C, H, W), float32 or float64
        Lists and integers as in `conv2d`.
    weight : ndarray (C, K/groups, R, S)
    needs : sequence of "x", "weight", "bias"
    stride, padding, output_padding, dilation, groups, algorithm, workspace_limit, precision
        As in `conv2d_transpose`.

    Returns
    -------
    dx : ndarray (N, C, H, W)
        The convolution of `dy` that was turned around.
    dweight : ndarray (C, K/groups, R, S)
        The gradient of the weights of that convolution, with `x` as the gradient of its output.
    dbias : ndarray (K,)

    Raises
    ------
    ArgumentError, ShapeError, ArgumentTypeError
        As `conv2d_transpose`; ShapeError too if `dy` has not the shape of the output.
    MemoryLimitError
        If the algorithm, for `auto` any, cannot keep within `workspace_limit`.

    Notes
    -----
    Temporary bytes: the larger of those of `conv2d_costs` for the directions "forward" and
    "weight", with the shape of the output as `x_shape`.

    Examples
    --------
    >>> import numpy as np
    >>> dy, x, weight = np.ones((1, 1, 2, 2)), np.array([[[[3.0]]]]), np.ones((1, 1, 2, 2))
    >>> dx, dweight, dbias = conv2d_transpose_backward(dy, x, weight)
    >>> dx.item(), dweight[0, 0].tolist(), dbias.tolist()
    (4.0, [[3.0, 3.0], [3.0, 3.0]], [4.0])
    """
    operation = "conv2d_transpose_backward"
    arrays = {"x": x, "weight": weight, "dy": dy}
    arrays = {name: checks.as_numbers(operation, name, a) for name, a in arrays.items()}
    x, weight, dy = checks.of_one_dtype(operation, **arrays)
    wanted = check_needs(operation, needs)
    options = as_options(
        operation, stride, padding, dilation, groups, algorithm, workspace_limit, precision
    )
    # only what is wanted keeps within the limit; without either it is the geometry that is needed
    pairs = (("x", "forward"), ("weight", "weight"))
    directions = tuple(direction for name, direction in pairs if name in wanted)
    if not directions:
        directions, options = ("weight",), options._replace(workspace_limit=None)
    found = _decide(operation, directions, x, weight, options, output_padding)
    of_input, of_weight = found[0], found[-1]
    g = of_input.geometry
    if dy.shape != (g.N, g.C, g.H, g.W):
        rule = f"must have the shape of the output, {(g.N, g.C, g.H, g.W)}"
        raise ShapeError(operation, "dy", rule, dy.shape)
    dx = memory.empty(x.shape, x.dtype) if "x" in wanted else None
    dweight = memory.empty(weight.shape, x.dtype) if "weight" in wanted else None
    dbias = memory.empty(g.C, x.dtype) if "bias" in wanted else None
    if not dy.size:
        for gradient in (dx, dweight, dbias):
            if gradient is not None:
                gradient[...] = 0
        return dx, dweight, dbias
    if dbias is not None:
        kernels.module(x.dtype).channel_sums(
            checks.contiguous(dy).reshape(g.N, g.C, g.H * g.W),
            dbias,
            threads.get_num_threads() if dy.size > threads.SMALL_WORK else 1,
        )
    dy, x, weight = checks.readable(dy), checks.contiguous(x), checks.contiguous(weight)
    if dx is not None:
        _input_gradient(of_input, dy, weight, dx)
    if dweight is not None:
        backward(of_weight, x, dy, weight, None, dweight)
    return dx, dweight, dbias


def _input_gradient(decided: Decision, dy: np.ndarray, weight: np.ndarray, dx: np.ndarray) -> None:
    """Write dx, a forward pass of `dy`; its packed weights end with this function, and their memory
    serves what follows."""
    with memory.Lent(decided.cost.together) as lent:
        packed = PackedWeight(weight, decided.geometry.groups, decided.plain, lent)
        forward(decided, dy, packed, None, dx, False)
