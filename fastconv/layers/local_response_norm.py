"""Local response normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.functional.local_response import local_response
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["LocalResponseNorm"]


@register_layer("fastconv.LocalResponseNorm.v1")
class LocalResponseNorm(Layer):
    """Divide each element by a power of the squares around it, over neighbouring channels.

    ``y = x / (k + alpha / size * (sum of x**2 over the window)) ** beta``, at every place of the
    map by itself.

    Parameters
    ----------
    size : int
        The channels of a window, from 1 to 1024: half of them before the element's own. Those
        beyond the first and last channel count as zeros.
    alpha : float
        The weight of the mean square, at least 0. It is divided by `size`.
    beta : float
        The power, at least 0.
    k : float
        What is added to the weighted mean square, above 0.

    Notes
    -----
    Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3. There alpha is not divided: the
    paper's settings are ``size=5, alpha=5e-4, beta=0.75, k=2.0``. No temporary bytes beside the
    output; the backward pass reads the input.

    Examples
    --------
    >>> LocalResponseNorm(5).infer(Spec((96, 27, 27))).shape
    (96, 27, 27)
    """

    example_config = {"size": 5}
    example_shapes = ((16, 8, 8),)
    new_gradients = True
    gives = "values"
    output_may_be_overwritten = True

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        settings = local_response("LocalResponseNorm", size, alpha, beta, k)
        self.size, self.alpha, self.beta, self.k = self.settings = settings

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        return self.one_input(specs)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x (N, C, ...)."""
        (x,) = xs
        ctx.save(x)
        return functional.local_response_norm(x, *self.settings)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx for dy, both of the shape of x."""
        if not ctx.needs(0):
            return None
        (x,) = ctx.saved
        return functional.local_response_norm_backward(dy, x, *self.settings)

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return no temporary memory; the backward pass reads the input."""
        (spec,) = specs
        adds = min(self.size, spec.shape[0])
        return LayerCosts(multiply_adds=batch * spec.size * adds, keeps=frozenset({"inputs"}))
