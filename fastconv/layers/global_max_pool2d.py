"""Max pooling over whole maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.layers.catalogue import register_layer
from fastconv.layers.fusing import with_rectifier
from fastconv.layers.max_pooling import MaxPooling
from fastconv.layers.spec import Spec

__all__ = ["GlobalMaxPool2D"]


@register_layer("fastconv.GlobalMaxPool2D.v1")
class GlobalMaxPool2D(MaxPooling):
    """Take the largest element of each channel, which leaves a vector that `Dense` takes.

    Notes
    -----
    The gradient goes to the first maximum of a channel, whose place is kept as in `MaxPool2D`.

    Examples
    --------
    >>> GlobalMaxPool2D().infer(Spec((64, 7, 7))).shape
    (64,)
    """

    example_shapes = ((8, 7, 6),)
    gives = "elements"
    output_may_be_overwritten = True
    commutes_with = frozenset({"relu"})
    with_activation = with_rectifier

    def infer(self, *specs: Spec) -> Spec:
        """Return (C,) for (C, H, W)."""
        spec = self.one_input(specs, "CHW")
        return Spec(spec.shape[:1], spec.dtype)

    def as_given(self, y: np.ndarray) -> np.ndarray:
        """Return `y` (N, C, 1, 1) as (N, C)."""
        return y.reshape(y.shape[:2])

    def taps(self, spec: Spec) -> int:
        """Return the elements of a map."""
        return spec.shape[1] * spec.shape[2]

    def options_for(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return a window over the whole map."""
        return {"pool_size": shape[2:]}
