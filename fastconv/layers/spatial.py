"""What layers of maps have in common, so that one of signals (C, L) needs no code of its own."""

from __future__ import annotations

import numpy as np

from fastconv.geometry import Window2D
from fastconv.layers.base import Layer
from fastconv.layers.spec import Spec

__all__ = ["Spatial"]


class Spatial(Layer):
    """A layer of maps (C, H, W).

    A layer of signals (C, L) has the axes "CL", and a `window` of one row: it sees (N, C, L) as
    (N, C, 1, L), in the same memory.
    """

    axes = "CHW"
    window: Window2D

    def infer(self, *specs: Spec) -> Spec:
        """Return (C, OH, OW) for (C, H, W); of signals (C, OL) for (C, L)."""
        spec = self.one_input(specs, self.axes)
        return self.spec_of(spec.shape[0], self.output_size(spec), spec.dtype)

    def maps(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """Return the shape of one input, without the batch, as (C, H, W)."""
        return (shape[0], *shape[1:]) if len(shape) == 3 else (shape[0], 1, shape[1])  # type: ignore[return-value]

    def as_maps(self, x: np.ndarray) -> np.ndarray:
        """Return a view (N, C, H, W) of `x`."""
        return x if x.ndim == 4 else x[:, :, None]

    def as_given(self, y: np.ndarray) -> np.ndarray:
        """Return `y` (N, K, OH, OW) as this layer gives it."""
        return y if self.axes == "CHW" else y.reshape(*y.shape[:2], y.shape[3])

    def spec_of(self, channels: int, size: tuple[int, int], dtype: str) -> Spec:
        """Return the Spec of an output of so many channels, rows and columns."""
        return Spec((channels, *size) if self.axes == "CHW" else (channels, size[1]), dtype)

    def output_size(self, spec: Spec) -> tuple[int, int]:
        """Return (OH, OW) for an input; the error for a window that is too large has its shape."""
        owner = type(self).__name__
        if self.axes == "CHW":
            return self.window.output_map(owner, spec.shape)
        return self.window.output_size(owner, self.maps(spec.shape)[1:])
