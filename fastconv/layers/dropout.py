"""Dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_real, check_rounding
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, PassCosts, Spec

__all__ = ["Dropout"]

RUN = 4096  # numbers of which a mask is made at a time


@register_layer("fastconv.Dropout.v1")
class Dropout(Layer):
    """In training, make a random part of the elements zero and enlarge the rest to match.

    What is left is divided by ``1 - rate``, so that the mean stays and inference does nothing:
    there, the output is the input itself.

    Parameters
    ----------
    rate : float
        The part that is dropped, from 0 to below 1.

    Examples
    --------
    >>> Dropout(0.5).infer(Spec((100,))).shape
    (100,)
    """

    example_config = {"rate": 0.5}
    example_shapes = ((100,),)
    new_gradients = True
    any_batch_axis = True
    gives = "input"

    def __init__(self, rate: float) -> None:
        # in float32, as the random numbers are; a rate of 1 would leave nothing
        self.rate = as_real("Dropout", "rate", rate, "at least 0 and below 1", 0.0, 1 - 2**-25)
        check_rounding("Dropout", "rate", self.rate, np.float32)

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input."""
        return self.one_input(specs)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x."""
        (x,) = xs
        if not ctx.training or self.rate == 0.0:
            return x
        rate = np.float32(self.rate)
        kept = ctx.empty(x.shape, np.bool_) if ctx.needs(0) else None
        with ctx.workspace(4 * x.size) as raw:
            chance = raw.view(np.float32)
            ctx.rng.random(out=chance, dtype=np.float32)
            if kept is None:  # nobody reads the mask again: it lies over what it is made of
                mask = raw[: x.size].view(np.bool_)
                for first in range(0, x.size, RUN):
                    mask[first : first + RUN] = chance[first : first + RUN] >= rate
                return self._drop(x, mask.reshape(x.shape))
            np.greater_equal(chance.reshape(x.shape), rate, out=kept)
        y = self._drop(x, kept)
        ctx.save(kept)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx, of the shape of dy."""
        if not ctx.needs(0):
            return None
        return self._drop(dy, *ctx.saved) if ctx.saved else dy

    def _drop(self, x: np.ndarray, kept: np.ndarray) -> np.ndarray:
        return functional.dropout(x, kept, 1.0 / (1.0 - self.rate))

    def idle(self, training: bool) -> bool:
        """Return whether nothing is dropped."""
        return not training or self.rate == 0.0

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return, in training, the random numbers (float32) and the mask (a byte each)."""
        elements = batch * specs[0].size if training and self.rate else 0
        return LayerCosts(workspace=4 * elements, saved=elements, backward=PassCosts())
