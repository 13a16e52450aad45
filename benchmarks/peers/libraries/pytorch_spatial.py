"""PyTorch's side of the spatial layers: pairs of calls, forward and backward, in plain NCHW.

Gradients are those of its operators, without autograd.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from peers.cases import pair

__all__ = ["padded", "scaled", "signals", "transposed", "whole"]

Both = tuple[Callable[[], Any], Callable[[], Any]]
operators = torch.ops.aten


def transposed(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, dy: np.ndarray, options: dict[str, Any]
) -> Both:
    """Return `conv_transpose2d` and its three gradients."""
    image, filters, shift, slope = map(torch.from_numpy, (x, weight, bias, dy))
    stride, padding = pair(options.get("stride", 1)), pair(options.get("padding", 0))
    rest = [len(bias)], stride, padding, [1, 1], True, [0, 0], 1, [True] * 3
    return (
        partial(F.conv_transpose2d, image, filters, shift, **options),
        partial(operators.convolution_backward, slope, image, filters, *rest),
    )


def scaled(x: np.ndarray, dy: np.ndarray, scale: int, mode: str) -> Both:
    """Return `interpolate` and its gradient."""
    image, slope = map(torch.from_numpy, (x, dy))
    sizes = list(dy.shape[2:]), list(x.shape)
    if mode == "nearest":
        return (
            partial(F.interpolate, image, scale_factor=scale),
            partial(operators.upsample_nearest2d_backward, slope, *sizes),
        )
    return (
        partial(F.interpolate, image, scale_factor=scale, mode=mode, align_corners=False),
        partial(operators.upsample_bilinear2d_backward, slope, *sizes, False),
    )


def padded(x: np.ndarray, dy: np.ndarray, zeros: int) -> Both:
    """Return `pad`, and as its gradient a `pad` by less than nothing, as autograd computes it."""
    image, slope = map(torch.from_numpy, (x, dy))
    return partial(F.pad, image, [zeros] * 4), partial(F.pad, slope, [-zeros] * 4)


def signals(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, dy: np.ndarray, options: dict[str, Any]
) -> Both:
    """Return `conv1d` and its three gradients."""
    signal, filters, shift, slope = map(torch.from_numpy, (x, weight, bias, dy))
    padding, dilation = [options.get("padding", 0)], [options.get("dilation", 1)]
    rest = [len(bias)], [1], padding, dilation, False, [0], 1, [True] * 3
    return (
        partial(F.conv1d, signal, filters, shift, **options),
        partial(operators.convolution_backward, slope, signal, filters, *rest),
    )


def whole(x: np.ndarray, dy: np.ndarray) -> Both:
    """Return `adaptive_max_pool2d` to one place, and its gradient."""
    image, slope = map(torch.from_numpy, (x, dy))
    _, places = operators.adaptive_max_pool2d(image, [1, 1])
    return (
        partial(F.adaptive_max_pool2d, image, 1),
        partial(operators.adaptive_max_pool2d_backward, slope, image, places),
    )
