"""What layers of maxima have in common: both passes, the fused rectifier, and costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import briefly
from fastconv.concurrency import computed_once
from fastconv.layers.context import Context
from fastconv.layers.spatial import Spatial
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["MaxPooling"]


class MaxPooling(Spatial):
    """A layer that takes the largest element of each window."""

    new_gradients = True
    #: "relu" if the layer stands for itself and the ReLU behind it. This is no setting.
    activation: str | None = None

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C, OH, OW) for x (N, C, H, W)."""
        x = self.as_maps(xs[0])
        options = self.options_for(x.shape)
        if not ctx.needs(0):
            y: Any = functional.max_pool2d(x, **options)
            y = functional.relu(y, out=y) if self.activation else y
        else:
            y, argmax = functional.max_pool2d_argmax(x, activation=self.activation, **options)
            ctx.save(argmax, xs[0].shape)
        return self.as_given(y)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, C, OH, OW)."""
        if not ctx.needs(0):
            return None
        argmax, shape = ctx.saved
        maps = shape[0], *self.maps(shape[1:])
        dx = functional.max_pool2d_argmax_backward(
            dy.reshape(argmax.shape), argmax, maps, **self.options_for(maps)
        )
        return dx.reshape(shape)

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return, in training, the places of the maxima."""
        position = 1 if self.taps(specs[0]) + bool(self.activation) <= 256 else 4
        outputs = batch * self.infer(*specs).size
        return LayerCosts(saved=position * outputs if training else 0)

    def taps(self, spec: Spec) -> int:
        """Return the elements of a window."""
        return self.window.taps

    def options_for(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return the options of `fastconv.max_pool2d` for an input (N, C, H, W)."""
        return self._options

    @computed_once
    def _options(self) -> dict[str, Any]:
        return {
            "pool_size": briefly(self.window.kernel),
            "stride": briefly(self.window.stride),
            "padding": briefly(self.window.padding),
            "dilation": briefly(self.window.dilation),
            "ceil_mode": self.window.ceil_mode,
        }
