"""Up-sampling by whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_choice
from fastconv.functional.resampling import MODES, as_scale
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import LayerCosts, Spec

__all__ = ["UpSampling2D"]


@register_layer("fastconv.UpSampling2D.v1")
class UpSampling2D(Layer):
    """Make maps larger by a whole number of times.

    Parameters
    ----------
    scale : int or (int, int)
        How many times as many rows and columns there are afterwards, at most 512.
    mode : {"nearest", "bilinear"}
        Nearest repeats every element. Bilinear mixes the four nearest ones, by the distances of
        the middles of pixels, as PyTorch's ``align_corners=False`` and ONNX' ``half_pixel`` do.

    Examples
    --------
    >>> UpSampling2D(2).infer(Spec((64, 14, 14))).shape
    (64, 28, 28)
    """

    example_config = {"scale": 2}
    example_shapes = ((3, 4, 5),)
    new_gradients = True
    gives = "input"
    output_may_be_overwritten = True

    def __init__(self, scale: int | tuple[int, int], mode: str = "nearest") -> None:
        self.scale = as_scale("UpSampling2D", scale)
        self.mode = as_choice("UpSampling2D", "mode", mode, MODES)

    def infer(self, *specs: Spec) -> Spec:
        """Return (C, H scale, W scale) for (C, H, W)."""
        c, h, w = (spec := self.one_input(specs, "CHW")).shape
        return Spec((c, h * self.scale[0], w * self.scale[1]), spec.dtype)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y (N, C, H scale, W scale) for x (N, C, H, W)."""
        return functional.upsample2d(xs[0], self.scale, self.mode)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx (N, C, H, W) for dy (N, C, H scale, W scale)."""
        return functional.upsample2d_backward(dy, self.scale, self.mode) if ctx.needs(0) else None

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return zeros: the backward pass needs no array but `dy`."""
        return LayerCosts()
