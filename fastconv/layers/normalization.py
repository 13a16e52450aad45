"""What layer and group normalisation have in common: a learned scale and shift, and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.arguments import as_real
from fastconv.functional.statistics import Normalized
from fastconv.layers.base import Layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, PassCosts, Spec

__all__ = ["Normalization"]


class Normalization(Layer):
    """The base of layers that take statistics of each sample; a subclass computes them."""

    epsilon: float

    def normalize(
        self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, statistics: bool
    ) -> Normalized:
        """Return y, and the mean and inverse that the gradients want."""
        raise NotImplementedError(f"{type(self).__name__}: normalize must be defined")

    def slopes(self, dy: np.ndarray, x: np.ndarray, *given: Any, needs: Any) -> tuple[Any, ...]:
        """Return dx, dweight and dbias, those in `needs`; weight, mean and inverse are given."""
        raise NotImplementedError(f"{type(self).__name__}: slopes must be defined")

    def rows(self, spec: Spec) -> int:
        """Return how many means a sample has."""
        raise NotImplementedError(f"{type(self).__name__}: rows must be defined")

    def workspace(self, shape: tuple[int, ...], itemsize: int) -> int:
        """Return the bytes that the gradients of weight and bias take."""
        raise NotImplementedError(f"{type(self).__name__}: workspace must be defined")

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        return self.one_input(specs)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x."""
        (x,) = xs
        weight, bias = self.param("weight").value, self.param("bias").value
        y, mean, inverse = self.normalize(x, weight, bias, ctx.differentiated)
        ctx.save(x, mean, inverse)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx for dy, both of the shape of x."""
        x, mean, inverse = ctx.saved
        needs = [name for name in ("weight", "bias") if ctx.needs_param(name)]
        needs += ["x"] if ctx.needs(0) else []
        weight = self.param("weight").value
        dx: np.ndarray | None
        dx, dweight, dbias = self.slopes(dy, x, weight, mean, inverse, needs=needs)
        ctx.add_grad("weight", dweight)
        ctx.add_grad("bias", dbias)
        return dx

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return the statistics that are saved, and the partial sums of the gradients."""
        spec = self.infer(*specs)
        learns = training and not self.frozen
        sums = self.workspace((batch, *spec.shape), spec.numpy_dtype.itemsize) if learns else 0
        return LayerCosts(
            saved=16 * batch * self.rows(spec) if training else 0,
            multiply_adds=2 * batch * spec.size,
            keeps=frozenset({"inputs"}),
            backward=PassCosts(workspace=sums),
        )


def as_epsilon(owner: str, epsilon: Any) -> float:
    """Return what a layer adds to a variance, checked."""
    least = float(np.finfo(np.float32).tiny)
    return as_real(owner, "epsilon", epsilon, "above 0 and below 1", least, 1.0)
