"""Batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_real
from fastconv.errors import ArgumentError
from fastconv.floating import quietly
from fastconv.layers.base import Layer
from fastconv.layers.batch_moments import gradient_of_input, merged, moments
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec
from fastconv.layers.traits import Affine

__all__ = ["BatchNorm"]


@register_layer("fastconv.BatchNorm.v1")
class BatchNorm(Layer):
    """Give each channel (of vectors: each feature) mean 0 and variance 1, then learn others.

    Training takes mean and variance over batch, rows and columns; inference takes the running
    ones, ``running = momentum * running + (1 - momentum) * batch``, as in the book. So does
    training where scale and shift are both frozen, and the running ones stay; where one of them
    still learns, the layer is trained as any other.

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

    A batch must hold two values a channel to have a variance: for vectors, two rows. Where ``fit``
    cuts batches into pieces, each piece takes its own mean and variance, or with
    ``batch_norm="synchronised"`` those of the batch. Then the gradient of x takes an array of its
    size besides.

    Examples
    --------
    >>> BatchNorm().infer(Spec((16, 8, 8))).shape
    (16, 8, 8)
    """

    example_shapes = ((16, 8, 8),)
    new_gradients = True
    gives = "values"
    normalizes = True
    output_may_be_overwritten = True
    channel_affine = True
    synchronises = True

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5) -> None:
        self.momentum = as_real("BatchNorm", "momentum", momentum, "at least 0, below 1", 0.0, 1.0)
        least = float(np.finfo(np.float32).tiny)
        self.epsilon = as_real("BatchNorm", "epsilon", epsilon, "above 0 and below 1", least, 1.0)

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
        if not x.size:
            return ctx.empty(x.shape, x.dtype)
        running = None
        if not ctx.training:
            running = self.param("running_mean").value, self.param("running_var").value
        elif ctx.moments is not None:
            count, mean, spread = ctx.moments
            running = mean, spread / count
        weight, bias = self.param("weight").value, self.param("bias").value
        y, mean, variance, inverse = functional.batch_norm(x, weight, bias, self.epsilon, running)
        if ctx.training:
            self._keep_running(ctx, running_mean=mean, running_var=variance)
        if self._reads_input(ctx):
            ctx.save(x, mean, inverse)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx for dy, both of the shape of x."""
        if not dy.size:
            for name, parameter in self.parameters.items():
                ctx.add_grad(name, np.zeros(parameter.shape, parameter.dtype))
            return dy if ctx.needs(0) else None
        if not self._reads_input(ctx):
            return self._scaled(dy) if ctx.needs(0) else None
        x, mean, inverse = ctx.saved
        weight = self.param("weight").value
        if (
            ctx.moments is not None and ctx.slopes is not None
        ):  # `gradient_sums` gave the other gradients
            if not ctx.needs(0):
                return None
            return gradient_of_input(dy, x, weight, ctx.moments, ctx.slopes, self.epsilon)
        dx, dweight, dbias = functional.batch_norm_backward(
            dy, x, weight, mean, inverse, ctx.training, ctx.needs(0)
        )
        ctx.add_grad("weight", dweight)
        ctx.add_grad("bias", dbias)
        return dx

    def moments(self, *xs: np.ndarray) -> np.ndarray:
        """Return count, mean and spread of each channel, (3, C); see `Traits`."""
        return moments(xs[0])

    def merged(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the moments of two pieces together; see `Traits`."""
        return merged(one, other)

    def gradient_sums(self, ctx: Context, dy: np.ndarray) -> np.ndarray:
        """Return the sums of dy, and of dy times the normalised x, (2, C); see `Traits`."""
        x, mean, inverse = ctx.saved
        weight = self.param("weight").value
        _, dweight, dbias = functional.batch_norm_backward(
            dy, x, weight, mean, inverse, False, False
        )
        ctx.add_grad("weight", dweight)
        ctx.add_grad("bias", dbias)
        return np.stack([dbias, dweight]).astype(np.float64)

    def _reads_input(self, ctx: Context) -> bool:
        """Whether a gradient depends on x; if statistics are constant, that of x does not."""
        return ctx.training or ctx.needs_param("weight") or ctx.needs_param("bias")

    def _scaled(self, dy: np.ndarray) -> np.ndarray:
        """Return ``dy * weight * inverse``: the layer without its shifts."""
        weight, variance = self.param("weight").value, self.param("running_var").value
        none = np.zeros_like(weight)
        # adding -0 changes nothing, not even the sign of a zero
        return functional.batch_norm(dy, weight, -none, self.epsilon, (none, variance))[0]

    @quietly
    def affine(self) -> Affine:
        """Return the Affine that the running statistics, the scale and the shift make."""
        weight, bias, mean, variance = (
            self.param(name).value.astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        return Affine(mean, weight / np.sqrt(variance + self.epsilon), bias)

    def least_rows(self, *specs: Spec) -> int:
        """Return 2 if a row has only one value for each channel, else 1."""
        (spec,) = specs
        if spec.numpy_dtype.type(self.momentum) >= 1:
            raise ArgumentError(
                "BatchNorm",
                "momentum",
                f"must be below 1 in {spec.dtype}",
                self.momentum,
                "the running statistics would never move; take 0.999 or less",
            )
        return 2 if spec.size == spec.shape[0] else 1

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return the statistics that are saved, two float64 numbers a channel."""
        (spec,) = specs
        reads = not (training and self.frozen)
        return LayerCosts(
            saved=16 * spec.shape[0] if training and reads else 0,
            multiply_adds=batch * spec.size,
            keeps=frozenset({"inputs"} if reads else ()),
        )

    @quietly
    def _keep_running(self, ctx: Context, **batch: np.ndarray) -> None:
        for name, value in batch.items():
            running = self.param(name).value
            mixed = self.momentum * running + (1.0 - self.momentum) * value
            ctx.set_state(name, mixed.astype(running.dtype))
