"""The sum of branches."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.floating import quietly
from fastconv.functional.elementwise import add_relu
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.fusing import is_affine, with_rectifier
from fastconv.layers.merge import Merge
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["Add"]


@register_layer("fastconv.Add.v1")
class Add(Merge):
    """Add two or more inputs of one shape, from the first to the last.

    Examples
    --------
    >>> Add().infer(Spec((16, 8, 8)), Spec((16, 8, 8))).shape
    (16, 8, 8)
    """

    any_batch_axis = True
    gives = "values"
    passes_gradient = property(is_affine)  # type: ignore[assignment]
    output_may_be_overwritten = property(is_affine)  # type: ignore[assignment]
    with_activation = with_rectifier
    is_sum = property(is_affine)  # type: ignore[assignment]
    #: ReLU alone writes its gradient over the one that it is given.
    fuses_in_training = False
    #: "relu" if the layer stands for itself and the ReLU behind it. This is no setting.
    activation: str | None = None

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec that all inputs have."""
        return self.all_equal(specs)

    @quietly
    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return the sum of xs."""
        y = ctx.empty(xs[0].shape, xs[0].dtype)
        total = xs[0]
        for x in xs[1:-1]:
            total = np.add(total, x, out=y)
        if self.activation:
            add_relu(total, xs[-1], out=y)
        else:
            np.add(total, xs[-1], out=y)
        ctx.save(len(xs), y if self.activation else None)
        return y

    def backward(self, ctx: Context, dy: np.ndarray) -> tuple[np.ndarray | None, ...]:
        """Return one array for every input; without ReLU that is dy itself."""
        count, y = ctx.saved
        if y is not None:
            dy = functional.relu_backward(dy, y)
        return tuple(dy if ctx.needs(i) else None for i in range(count))

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return no temporary memory; with ReLU the backward pass reads the output."""
        return LayerCosts(keeps=frozenset({"output"} if self.activation else ()))
