"""Transforms of the numbers themselves: noise, and normalisation."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array, as_real
from fastconv.data.transforms.transform import Array, Pair, Transform, as_images
from fastconv.errors import ArgumentError, ArgumentTypeError, ShapeError
from fastconv.floating import is_finite

__all__ = ["noise", "normalise"]


def noise(scale: float) -> Transform:
    """Return a transform that adds Gaussian noise to every number of x.

    Parameters
    ----------
    scale : float
        Its standard deviation.

    Returns
    -------
    Transform
        It takes x of float32 or float64, and makes an array of the same shape and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> x = noise(0.1)(np.random.default_rng(0), np.zeros((2, 500)))[0]
    >>> round(float(x.std()), 2)
    0.1
    """
    scale = as_real("noise", "scale", scale, "at least 0 and finite", 0.0, np.inf)
    return Transform("noise", {"scale": scale}, partial(_noisy, scale), keeps_y=True)


def _noisy(scale: float, rng: np.random.Generator, x: Any, y: Any) -> Pair:
    x = as_images("noise", "x", x, 1)
    if x.dtype not in (np.float32, np.float64):
        remedy = "normalise, before it in compose, makes float32 of integers"
        raise ArgumentTypeError("noise", "x", "must be float32 or float64", x.dtype, remedy)
    added = rng.standard_normal(x.shape, x.dtype.type)
    added *= scale
    added += x
    return added, y


def normalise(mean: Any = 0.0, std: Any = 1.0) -> Transform:
    """Return a transform of x to ``(x - mean) / std``.

    Parameters
    ----------
    mean, std : float, or one for each channel (C,)

    Returns
    -------
    Transform
        It takes x (N, C, ...), and makes an array of the same shape: float64 if x is, else float32.

    Notes
    -----
    What is learned from is all that `fit` transforms. Rows for validation, `evaluate` and `predict`
    need the same by hand, ``x, _ = normalise(mean, std)(rng, x, None)``, or a layer that does
    it for all of them: Rescaling or BatchNorm.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0, 255]], np.uint8)
    >>> normalise(0, 255)(np.random.default_rng(0), x)[0].tolist()
    [[0.0, 1.0]]
    """
    means, stds = _numbers("mean", mean), _numbers("std", std)
    if not (stds > 0).all():
        raise ArgumentError("normalise", "std", "must be above 0", float(stds[~(stds > 0)][0]))
    settings = {"mean": means.tolist(), "std": stds.tolist()}
    return Transform("normalise", settings, partial(_normalised, means, stds), keeps_y=True)


def _numbers(name: str, value: Any) -> Array:
    array = as_plain_array("normalise", name, value).astype(np.float64)
    if array.ndim > 1 or not array.size:
        rule = "must be a number, or one for each channel, (C,)"
        raise ShapeError("normalise", name, rule, array.shape, shown=f"shape {array.shape}")
    if not is_finite(array):
        wrong = float(array[~np.isfinite(array)][0])
        raise ArgumentError("normalise", name, "must be finite", wrong)
    return array


def _normalised(mean: Array, std: Array, rng: np.random.Generator, x: Any, y: Any) -> Pair:
    x = as_images("normalise", "x", x, 1)
    out = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
    for name, numbers in (("mean", mean), ("std", std)):
        if numbers.ndim and (x.ndim < 2 or len(numbers) not in (1, x.shape[1])):
            channels = x.shape[1] if x.ndim > 1 else 0
            rule = f"must have one number for each channel of x, {channels}"
            raise ShapeError("normalise", name, rule, len(numbers))
        each = numbers.astype(out.dtype).reshape((-1,) + (1,) * (x.ndim - 2) * bool(numbers.ndim))
        if name == "mean":
            out -= each
        else:
            out /= each
    return out, y
