"""Local response normalisation over windows of channels, and its gradient."""

from __future__ import annotations

import numpy as np

from fastconv.floating import quietly
from fastconv.reference.taps import Array


def _windows_of_channels(channels: int, size: int) -> Array:
    """Return the matrix (C, C) that is 1 where the window of the row has the column's channel."""
    away = np.arange(channels) - np.arange(channels)[:, None]
    return ((-(size // 2) <= away) & (away <= (size - 1) // 2)).astype(np.float64)


@quietly
def local_response_norm(
    x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Return x divided by (k + alpha / size * sum of x**2 over a window of channels) ** beta."""
    return x / base(x, size, alpha, k) ** beta


@quietly
def local_response_norm_backward(
    dy: Array, x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Return the gradient of the input of `local_response_norm`."""
    scale = base(x, size, alpha, k)
    turned = _windows_of_channels(x.shape[1], size).T
    terms = _over_channels(turned, dy * x / scale ** (beta + 1))
    return dy / scale**beta - 2 * alpha * beta / size * x * terms


def _over_channels(windows: Array, x: Array) -> Array:
    """Return the sums of x (N, C, ...) over windows of channels; each adds its own terms alone."""
    sums = [x[:, row != 0].sum(axis=1) for row in windows]
    return np.stack(sums, axis=1)


def base(x: Array, size: int, alpha: float, k: float) -> Array:
    """Return what `local_response_norm` raises to a power."""
    return k + alpha / size * _over_channels(_windows_of_channels(x.shape[1], size), x * x)
