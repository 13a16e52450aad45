"""Functions with a number for each channel: rescaling and PReLU."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.reference.taps import Array


@quietly
def rescale(x: Array, scale: Any, offset: Any = 0.0) -> Array:
    """Return scale x + offset, each a number or one for each channel."""
    ahead = (slice(None), *[None] * (x.ndim - 2))
    factors = (np.asarray(factor) for factor in (scale, offset))
    scale, offset = (factor[ahead] if factor.ndim else factor for factor in factors)
    return x * scale + offset


@quietly
def prelu(x: Array, weight: Array) -> Array:
    """Return x where it is positive, elsewhere the slope of its channel times it."""
    slopes = weight.reshape(-1, *[1] * (x.ndim - 2))
    return np.where(x > 0, x, slopes * x)


@quietly
def prelu_backward(
    dy: Array, x: Array, weight: Array, needs_x: bool = True
) -> tuple[Array | None, Array]:
    """Return the gradients of the input and of the slopes of `prelu`."""
    slopes = weight.reshape(-1, *[1] * (x.ndim - 2))
    axes = (0, *range(2, x.ndim))
    dx = np.where(x > 0, dy, slopes * dy) if needs_x else None
    return dx, np.where(x > 0, 0, dy * x).sum(axis=axes)
