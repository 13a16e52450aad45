"""Traits of layers with a weight, a bias and an activation: they take over the layer behind.

`Conv2D` and `Dense` take these functions into their own class, since subclasses do not inherit
such traits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.functional.packing import ACTIVATIONS
from fastconv.layers.parameter import Parameter
from fastconv.layers.traits import Affine

__all__ = ["fold", "is_affine", "with_activation"]


def with_activation(layer: Any, name: str) -> Any:
    """Return a twin of `layer` with the activation `name`; None if `layer` has one already."""
    if layer.activation or name not in ACTIVATIONS:
        return None
    twin = layer.twin()
    twin.activation = name
    return twin


def is_affine(layer: Any) -> bool:
    """Return whether nothing comes between the sums of `layer` and its output."""
    return layer.activation is None


@quietly
def fold(layer: Any, affine: Affine) -> Any:
    """Return a twin of `layer` whose own weights compute `layer` and then `affine`.

    Parameters
    ----------
    layer : Layer
        It has the parameters ``weight`` (K, ...) and, if its setting `bias` is true, ``bias``
        (K,).
    affine : Affine
        It has K channels.

    Notes
    -----
    scale * (w x + b - mean) + shift = (scale * w) x + scale * (b - mean) + shift, in float64
    until the end.
    """
    weight = layer.param("weight").value
    bias = layer.param("bias").value if layer.bias else np.zeros(len(weight))
    shift = (bias - affine.mean) * affine.scale + affine.shift
    scaled = np.empty_like(weight)
    for row in range(len(weight)):  # one at a time, since float64 takes twice the memory
        scaled[row] = weight[row].astype(np.float64) * affine.scale[row]
    twin = layer.twin()
    twin.bias = True
    twin.parameters = {
        "weight": Parameter(scaled, name="weight"),
        "bias": Parameter(shift.astype(weight.dtype), name="bias"),
    }
    return twin
