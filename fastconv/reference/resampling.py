"""Maps made larger: upsampling and a border of zeros."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.geometry import Window2D
from fastconv.reference.taps import Array


def _readers(size: int, scale: int, mode: str) -> Iterator[tuple[int, int, float]]:
    """Yield (output, input, weight) for an axis of `size` that is made `scale` times as long."""
    for output in range(size * scale):
        middle = output // scale
        if mode == "nearest":
            yield output, middle, 1.0
            continue
        # from the middle of that input, in inputs
        apart = (2 * (output % scale) + 1 - scale) / (2 * scale)
        other = middle + (apart > 0) - (apart < 0)
        yield output, middle, 1 - abs(apart)
        if apart:
            yield output, min(max(other, 0), size - 1), abs(apart)


@quietly
def upsample2d(x: Array, scale: Any, mode: str = "nearest") -> Array:
    """Make (N, C, H, W) `scale` times as high and wide.

    Examples
    --------
    >>> upsample2d(np.array([[[[0.0, 4.0]]]]), (1, 2), "bilinear")
    array([[[[0., 1., 3., 4.]]]])
    """
    N, C, H, W = x.shape
    rows, columns = scale if isinstance(scale, tuple) else (scale, scale)
    if mode == "nearest":
        return x.repeat(rows, axis=2).repeat(columns, axis=3)
    high = np.zeros((N, C, H * rows, W), x.dtype)
    for i, h, weight in _readers(H, rows, mode):
        high[:, :, i] += x[:, :, h] * x.dtype.type(weight)
    y = np.zeros((N, C, H * rows, W * columns), x.dtype)
    for j, w, weight in _readers(W, columns, mode):
        y[..., j] += high[..., w] * x.dtype.type(weight)
    return y


@quietly
def upsample2d_backward(dy: Array, scale: Any, mode: str = "nearest") -> Array:
    """Return the gradient of the input of `upsample2d`."""
    N, C, OH, OW = dy.shape
    rows, columns = scale if isinstance(scale, tuple) else (scale, scale)
    H, W = OH // rows, OW // columns
    wide = np.zeros((N, C, H, OW), dy.dtype)
    for i, h, weight in _readers(H, rows, mode):
        wide[:, :, h] += dy[:, :, i] * dy.dtype.type(weight)
    dx = np.zeros((N, C, H, W), dy.dtype)
    for j, w, weight in _readers(W, columns, mode):
        dx[..., w] += wide[..., j] * dy.dtype.type(weight)
    return dx


def _sides(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return Window2D.make("zero_padding2d", 1, 1, padding).resolve((1, 1))


def zero_padding2d(x: Array, padding: Any) -> Array:
    """Put zeros around (N, C, H, W)."""
    return np.pad(x, ((0, 0), (0, 0), *_sides(padding)))


def zero_padding2d_backward(dy: Array, padding: Any) -> Array:
    """Return what lies within the padding of (N, C, OH, OW)."""
    (top, bottom), (left, right) = _sides(padding)
    return dy[:, :, top : dy.shape[2] - bottom, left : dy.shape[3] - right].copy()
