"""Normalisation of each sample by itself: of layers and of groups of channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.reference.taps import Array


def _last(x: Array, axes: int | tuple[int, ...]) -> Array:
    """Return a view of x with the normalised axes at the end, in their order."""
    if isinstance(axes, int):
        axes = tuple(range(axes % x.ndim, x.ndim))
    places = sorted(axis % x.ndim for axis in axes)
    return np.moveaxis(x, places, range(-len(places), 0))


@quietly
def layer_norm(
    x: Array, weight: Array, bias: Array, axes: Any = 1, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return y, mean and 1 / sqrt(variance + epsilon) of the normalised axes."""
    y = np.empty_like(x)
    rows, out = _last(x, axes), _last(y, axes)
    over = tuple(range(-weight.ndim, 0))
    mean = rows.mean(over, keepdims=True)
    inverse = 1 / np.sqrt(((rows - mean) ** 2).mean(over, keepdims=True) + epsilon)
    out[...] = (rows - mean) * inverse * weight + bias
    return y, mean.squeeze(over), inverse.squeeze(over)


@quietly
def layer_norm_backward(
    dy: Array, x: Array, weight: Array, mean: Array, inverse: Array, axes: Any = 1
) -> tuple[Array, Array, Array]:
    """Return (dx, dweight, dbias) of `layer_norm`."""
    dx = np.empty_like(x)
    rows, slopes = _last(x, axes), _last(dy, axes)
    over = tuple(range(-weight.ndim, 0))
    mean, inverse = (a.reshape(*a.shape, *[1] * weight.ndim) for a in (mean, inverse))
    z, g = (rows - mean) * inverse, slopes * weight
    away = g.mean(over, keepdims=True) + z * (g * z).mean(over, keepdims=True)
    _last(dx, axes)[...] = inverse * (g - away)
    others = tuple(range(x.ndim - weight.ndim))
    return dx, (slopes * z).sum(others), slopes.sum(others)


def _grouped(x: Array, groups: int) -> Array:
    """View x (N, C, ...) as (N, groups, elements)."""
    return x.reshape(x.shape[0], groups, math.prod(x.shape[1:]) // groups)


def _by_element(values: Array, x: Array) -> Array:
    """Return the values of channels, (C,), for each element of x (N, C, ...)."""
    return np.broadcast_to(values.reshape(1, -1, *[1] * (x.ndim - 2)), x.shape)


@quietly
def group_norm(
    x: Array, weight: Array, bias: Array, groups: int, epsilon: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Return y, mean and 1 / sqrt(variance + epsilon) of each group of channels."""
    rows = _grouped(x, groups)
    plain = np.ones(rows.shape[2]), np.zeros(rows.shape[2])
    z, mean, inverse = layer_norm(rows, *plain, axes=2, epsilon=epsilon)
    return z.reshape(x.shape) * _by_element(weight, x) + _by_element(bias, x), mean, inverse


@quietly
def group_norm_backward(
    dy: Array, x: Array, weight: Array, mean: Array, inverse: Array
) -> tuple[Array, Array, Array]:
    """Return (dx, dweight, dbias) of `group_norm`."""
    rows, g = (_grouped(a, mean.shape[1]) for a in (x, dy * _by_element(weight, x)))
    plain = np.ones(rows.shape[2])
    dx = layer_norm_backward(g, rows, plain, mean, inverse, axes=2)[0]
    z = ((rows - mean[..., None]) * inverse[..., None]).reshape(x.shape)
    over = (0, *range(2, x.ndim))
    return dx.reshape(x.shape), (dy * z).sum(over), dy.sum(over)
