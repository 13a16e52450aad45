"""Average pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_bool, briefly
from fastconv.concurrency import computed_once
from fastconv.geometry import Window2D
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["AvgPool2D"]


@register_layer("fastconv.AvgPool2D.v1")
class AvgPool2D(Layer):
    """Take the mean of each window.

    Parameters
    ----------
    pool_size : int or (int, int)
        Rows and columns of a window.
    stride : int, (int, int) or None
        Steps between windows; None is `pool_size`.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the image.
    ceil_mode : bool
        Whether a last window that overhangs the padded image counts.
    count_include_pad : bool
        Whether the zeros of the padding count as elements.

    Examples
    --------
    >>> AvgPool2D(2).infer(Spec((30, 24, 24))).shape
    (30, 12, 12)
    """

    example_config = {"pool_size": 2}
    example_shapes = ((16, 28, 28),)
    new_gradients = True
    gives = "input"
    output_may_be_overwritten = True

    def __init__(
        self,
        pool_size: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] | None = None,
        padding: int | str | tuple[Any, Any] = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = False,
    ) -> None:
        stride = pool_size if stride is None else stride
        self.window = Window2D.make(
            "AvgPool2D", pool_size, stride, padding, 1, ceil_mode, "pool_size"
        )
        self.count_include_pad = as_bool("AvgPool2D", "count_include_pad", count_include_pad)

    def infer(self, *specs: Spec) -> Spec:
        """Return (C, OH, OW) for (C, H, W)."""
        spec = self.one_input(specs, "CHW")
        return Spec((spec.shape[0], *self.window.output_map("AvgPool2D", spec.shape)), spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C, OH, OW) for x (N, C, H, W)."""
        (x,) = xs
        ctx.save(x.shape)
        return functional.avg_pool2d(x, **self._options)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, C, OH, OW)."""
        if not ctx.needs(0):
            return None
        (shape,) = ctx.saved
        return functional.avg_pool2d_backward(dy, shape, **self._options)

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
