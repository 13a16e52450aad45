"""Traits of layers that have a weight, a bias and an activation: what they take over from behind.

`Conv2D` and `Dense` take them into their own class, since no subclass inherits them.
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
    """Return a twin of `layer` that has the activation `name`, unless it has one, else None."""
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
    """Return a twin of `layer` that computes `affine` after it, by other weights.

    Parameters
    ----------
    layer : Layer
        With parameters ``weight`` (K, ...) and, if its setting `bias` says so, ``bias`` (K,).
    affine : Affine
        Of K channels.

    Notes
    -----
    scale * (w x + b - mean) + shift = (scale * w) x + scale * (b - mean) + shift, in float64
    until the end.
    """
    weight = layer.param("weight").value
    bias = layer.param("bias").value if layer.bias else np.zeros(len(weight))
    shift = (bias - affine.mean) * affine.scale + affine.shift
    scaled = np.empty_like(weight)
    for row in range(len(weight)):  # one at a time, for float64 takes twice the memory
        scaled[row] = weight[row].astype(np.float64) * affine.scale[row]
    twin = layer.twin()
    twin.bias = True
    twin.parameters = {
        "weight": Parameter(scaled, name="weight"),
        "bias": Parameter(shift.astype(weight.dtype), name="bias"),
    }
    return twin
