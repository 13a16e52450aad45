"""What layers of averages have in common: both passes and costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import briefly
from fastconv.concurrency import computed_once
from fastconv.layers.context import Context
from fastconv.layers.spatial import Spatial
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["AvgPooling"]


class AvgPooling(Spatial):
    """A layer that takes the mean of each window."""

    new_gradients = True
    count_include_pad: bool

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C, OH, OW) for x (N, C, H, W)."""
        x = self.as_maps(xs[0])
        ctx.save(xs[0].shape)
        return self.as_given(functional.avg_pool2d(x, **self._options))

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, C, OH, OW)."""
        if not ctx.needs(0):
            return None
        (shape,) = ctx.saved
        maps = shape[0], *self.maps(shape[1:])
        return functional.avg_pool2d_backward(self.as_maps(dy), maps, **self._options).reshape(
            shape
        )

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros: the backward pass needs the shape alone."""
        return LayerCosts()

    @computed_once
    def _options(self) -> dict[str, Any]:
        return {
            "pool_size": briefly(self.window.kernel),
            "stride": briefly(self.window.stride),
            "padding": briefly(self.window.padding),
            "ceil_mode": self.window.ceil_mode,
            "count_include_pad": self.count_include_pad,
        }
