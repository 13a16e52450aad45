"""Numbers brought to another scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.functional.channels import as_factors
from fastconv.layers.base import Layer
from fastconv.layers.catalogue import register_layer
from fastconv.layers.context import Context
from fastconv.layers.spec import DTYPES, LayerCosts, Spec

__all__ = ["Rescaling"]

#: The most that pixels may become for networks to learn from them.
USUAL = 32.0


@register_layer("fastconv.Rescaling.v1")
class Rescaling(Layer):
    """Multiply by a number and add another: scale x + offset. So pixels become numbers to 1.

    After ``Input((3, 32, 32), "uint8")`` it reads the bytes as they are, and gives float32; after
    an Input of floats, which casts what it is given, it gives these. ``scale=1 / 255`` makes 0
    to 1 of bytes; ``scale=1 / 127.5, offset=-1.0`` makes -1 to 1.

    Parameters
    ----------
    scale, offset : float, or a sequence of a float for each channel
        To take away a mean and divide by a deviation, 1 / deviation and -mean / deviation.

    Notes
    -----
    Integers other than bytes are cast first. No temporary bytes.

    Examples
    --------
    >>> Rescaling(1 / 255).infer(Spec((3, 32, 32), "uint8")).dtype
    'float32'
    """

    example_config = {"scale": 1 / 127.5, "offset": -1.0}
    example_shapes = ((3, 32, 32),)
    takes = DTYPES
    new_gradients = True
    gives = "values"

    def __init__(self, scale: Any, offset: Any = 0.0) -> None:
        self.scale, self.offset = (
            tuple(as_factors("Rescaling", name, value, None, np.dtype(np.float64)).tolist())
            for name, value in (("scale", scale), ("offset", offset))
        )
        self._factors(np.dtype(np.float32), None)

    @property
    def normalizes(self) -> bool:  # type: ignore[override]
        """Whether pixels to 255 become numbers of a usual scale."""
        scale, offset = self._factors(np.dtype(np.float64), None)
        return bool(np.abs(np.stack([offset, 255.0 * scale + offset])).max() <= USUAL)

    def infer(self, *specs: Spec) -> Spec:
        """Return the Spec of the input, with float32 in place of integers."""
        spec = self.one_input(specs)
        self._factors(np.dtype(np.float32), spec.shape[0])
        return spec if spec.is_float else Spec(spec.shape)

    def forward(self, ctx: Context, *xs: np.ndarray) -> np.ndarray:
        """Return y, of the shape of x (N, C, ...)."""
        return functional.rescale(xs[0], self.scale, self.offset)

    def backward(self, ctx: Context, dy: np.ndarray) -> np.ndarray | None:
        """Return dx, of the shape of dy."""
        if not ctx.needs(0):
            return None
        minus = np.float64(-0.0)  # adding it keeps the sign of a zero
        return functional.rescale(dy, self.scale, minus)

    def costs(self, batch: int, *specs: Spec, training: bool = False, **limit: Any) -> LayerCosts:
        """Return no temporary memory; the backward pass reads nothing."""
        return LayerCosts(multiply_adds=batch * specs[0].size)

    def _factors(self, dtype: np.dtype, channels: int | None) -> list[np.ndarray]:
        """Return scale and offset as arrays of one length."""
        scale, offset = (
            as_factors("Rescaling", name, value, channels, dtype)
            for name, value in (("scale", self.scale), ("offset", self.offset))
        )
        if len(scale) > 1 < len(offset):
            as_factors("Rescaling", "offset", self.offset, len(scale), dtype)
        return list(np.broadcast_arrays(scale, offset))
