"""Batch normalisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.checks import as_real
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["BatchNorm"]


@register_layer("fastconv.BatchNorm.v1")
class BatchNorm(Layer):
    """Give each channel (of vectors: each feature) mean 0 and variance 1, then learn others.

    Training takes mean and variance over batch, rows and columns; inference takes the running
    ones, ``running = momentum * running + (1 - momentum) * batch``, as in the book.

    Parameters
    ----------
    momentum : float
        How much of the running statistics stays at each step, from 0 to below 1.
    epsilon : float
        What is added to the variance, above 0.

    Notes
    -----
    Parameters: ``weight`` and ``bias``, the scale and shift (gamma and beta), (C,); statistics:
    ``running_mean`` and ``running_var``, (C,), the variance with divisor N H W. The formula is
    that of Ioffe and Szegedy 2015, algorithm 1. No temporary bytes beside the output.

    Examples
    --------
    >>> BatchNorm().infer(Spec((16, 8, 8))).shape
    (16, 8, 8)
    """

    example_shapes = ((16, 8, 8),)

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        self.momentum = as_real("BatchNorm", "momentum", momentum, "at least 0, below 1", 0.0, 1.0)
        self.epsilon = as_real(
            "BatchNorm", "epsilon", epsilon, "above 0 and below 1", np.finfo(np.float32).tiny, 1.0
        )

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        return self.one_input(specs)

    def build(self, rng: np.random.Generator, *specs: Spec) -> None:
        """Make scale, shift and running statistics."""
        channels = specs[0].shape[:1]
        self.add_param("weight", channels, "ones")
        self.add_param("bias", channels)
        self.add_state("running_mean", channels)
        self.add_state("running_var", channels, 1.0)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x (N, C, ...)."""
        (x,) = xs
        y = ctx.empty(x.shape, x.dtype)
        if ctx.training and x.size:
            mean = _channel_sums(x) / (x.size // x.shape[1])
            np.subtract(x, _along(mean, x), out=y)
            var = _channel_sums(y, y) / (x.size // x.shape[1])
            self._keep_running(ctx, running_mean=mean, running_var=var)
        else:
            mean = self.param("running_mean").value
            var = self.param("running_var").value
            np.subtract(x, _along(mean, x), out=y)
        inverse = 1.0 / np.sqrt(var + self.epsilon)
        y *= _along(self.param("weight").value * inverse, x)
        y += _along(self.param("bias").value, x)
        ctx.save(x, mean, inverse)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx for dy, both of the shape of x.

        In training, with z = (x - mean) * inverse and averages over batch, rows and columns:
        dx = weight * inverse * (dy - mean(dy) - z * mean(dy * z)).
        """
        x, mean, inverse = ctx.saved
        dx = ctx.empty(x.shape, x.dtype)
        np.subtract(x, _along(mean, x), out=dx)
        dbias = _channel_sums(dy)
        dweight = _channel_sums(dy, dx) * inverse
        ctx.add_grad("weight", dweight.astype(x.dtype))
        ctx.add_grad("bias", dbias.astype(x.dtype))
        if not ctx.needs(0):
            return None
        if ctx.training and x.size:
            count = x.size // x.shape[1]
            dx *= _along(-inverse * dweight / count, x)
            dx += dy
            dx -= _along(dbias / count, x)
        else:
            np.copyto(dx, dy)
        dx *= _along(self.param("weight").value * inverse, x)
        return dx

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return the statistics that are saved, two float64 numbers a channel."""
        spec = specs[0]
        return LayerCosts(
            saved=16 * spec.shape[0] if training else 0,
            multiply_adds=batch * spec.size,
            keeps=frozenset({"inputs"}),
        )

    def _keep_running(self, ctx: Context, **batch: np.ndarray) -> None:
        for name, value in batch.items():
            running = self.param(name).value
            mixed = self.momentum * running + (1.0 - self.momentum) * value
            ctx.set_state(name, mixed.astype(running.dtype))


def _channel_sums(*factors: np.ndarray) -> np.ndarray:
    """Return the sums over all axes but 1 of the product of one or two arrays: (C,) float64.

    Each sample's sum is taken in the arrays' dtype, the sum over the batch in float64, and
    always in the same order.
    """
    n, c = factors[0].shape[:2]
    flat = [f.reshape(n, c, math.prod(f.shape[2:])) for f in factors]  # (N, C, H W)
    if len(flat) == 1:
        sums = flat[0].sum(axis=2)
    else:
        sums = np.einsum("ncp,ncp->nc", *flat)
    return sums.sum(axis=0, dtype=np.float64)


def _along(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return `values` (C,) in the dtype of x and as (1, C, 1, ...), so that it lies on axis 1."""
    return values.astype(x.dtype, copy=False).reshape(1, -1, *[1] * (x.ndim - 2))
