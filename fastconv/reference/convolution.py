"""Convolution and its gradients."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.geometry import Window2D
from fastconv.reference.elementwise import activate
from fastconv.reference.taps import Array, taps


@quietly
def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
) -> Array:
    """Cross-correlate x (N, C, H, W) with weight (K, C/groups, R, S) to (N, K, OH, OW).

    Examples
    --------
    >>> conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    window = Window2D.make("conv2d", (R, S), stride, padding, dilation)
    output = window.output_size("conv2d", (H, W))
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, K // groups, C // groups, R, S)  # K likewise
    y = np.zeros((N, groups, K // groups, *output), x.dtype)
    for r, s, out, into in taps(window, (H, W), output):
        y[out] += np.einsum("ngchw,gkc->ngkhw", xs[into], ws[..., r, s])
    y = y.reshape(N, K, *output)  # (groups, filters of a group) -> K
    if bias is not None:
        y += bias[:, None, None]
    return activate(y, activation)


@quietly
def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    *,
    needs: Collection[str] = ("x", "weight", "bias"),
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Array | None, Array | None, Array | None]:
    """Return (dx, dweight, dbias) for dy (N, K, OH, OW); None for those not named in `needs`."""
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    window = Window2D.make("conv2d_backward", (R, S), stride, padding, dilation)
    output = window.output_size("conv2d_backward", (H, W))
    xs = x.reshape(N, groups, C // groups, H, W)  # C -> (groups, channels of a group)
    ws = weight.reshape(groups, K // groups, C // groups, R, S)  # K likewise
    dys = dy.reshape(N, groups, K // groups, *output)
    dx, dweight = np.zeros_like(xs), np.zeros_like(ws)
    for r, s, out, into in taps(window, (H, W), output):
        if "x" in needs:
            dx[into] += np.einsum("ngkhw,gkc->ngchw", dys[out], ws[..., r, s])
        if "weight" in needs:
            dweight[..., r, s] = np.einsum("ngkhw,ngchw->gkc", dys[out], xs[into])
    return (
        dx.reshape(x.shape) if "x" in needs else None,  # (groups, channels of a group) -> C
        dweight.reshape(weight.shape) if "weight" in needs else None,
        dy.sum(axis=(0, 2, 3)) if "bias" in needs else None,
    )
