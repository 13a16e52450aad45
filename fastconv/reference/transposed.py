"""Transposed convolution and its gradients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.geometry import Window2D
from fastconv.reference.elementwise import activate
from fastconv.reference.taps import Array, taps


def _transposed_output(window: Window2D, size: tuple[int, int], more: Any) -> tuple[int, int]:
    """Return (OH, OW) of a transposed convolution of a map of `size`."""
    if window.padding == "same":
        return size[0] * window.stride[0], size[1] * window.stride[1]
    more = more if isinstance(more, tuple) else (more, more)
    pads = window.resolve(size)
    rows, columns = (
        (size[axis] - 1) * window.stride[axis] + window.extent[axis] - sum(pads[axis]) + more[axis]
        for axis in (0, 1)
    )
    return rows, columns


@quietly
def conv2d_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    """Spread x (N, C, H, W) by weight (C, K/groups, R, S) over (N, K, OH, OW).

    Examples
    --------
    >>> conv2d_transpose(np.array([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 2)), stride=2)[0, 0]
    array([[1., 1., 2., 2.]])
    """
    N, C, H, W = x.shape
    _, filters, R, S = weight.shape
    window = Window2D.make("conv2d_transpose", (R, S), stride, padding, dilation)
    output = _transposed_output(window, (H, W), output_padding)
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, C // groups, filters, R, S)
    y = np.zeros((N, groups, filters, *output), x.dtype)
    for r, s, out, into in taps(window, output, (H, W)):
        y[into] += np.einsum("ngchw,gck->ngkhw", xs[out], ws[..., r, s])
    y = y.reshape(N, groups * filters, *output)  # (groups, filters of a group) -> K
    if bias is not None:
        y += bias[:, None, None]
    return activate(y, activation)


@quietly
def conv2d_transpose_backward(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    needs: Collection[str] = ("x", "weight", "bias"),
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Array | None, Array | None, Array | None]:
    """Return (dx, dweight, dbias) for dy (N, K, OH, OW); None for those not named in `needs`."""
    N, C, H, W = x.shape
    _, filters, R, S = weight.shape
    window = Window2D.make("conv2d_transpose_backward", (R, S), stride, padding, dilation)
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, C // groups, filters, R, S)
    dys = dy.reshape(N, groups, filters, *dy.shape[2:])
    dx, dweight = np.zeros_like(xs), np.zeros_like(ws)
    for r, s, out, into in taps(window, (dy.shape[2], dy.shape[3]), (H, W)):
        dx[out] += np.einsum("ngkhw,gck->ngchw", dys[into], ws[..., r, s])
        dweight[..., r, s] = np.einsum("ngchw,ngkhw->gck", xs[out], dys[into])
    return (
        dx.reshape(x.shape) if "x" in needs else None,  # (groups, channels of a group) -> C
        dweight.reshape(weight.shape) if "weight" in needs else None,
        dy.sum(axis=(0, 2, 3)) if "bias" in needs else None,
    )
