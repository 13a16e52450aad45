"""The rectifier."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise
from fastconv.layers.catalogue import register_layer

__all__ = ["ReLU"]


@register_layer("fastconv.ReLU.v1")
class ReLU(Elementwise):
    """Let what is positive through and make the rest zero: max(x, 0); NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> ReLU().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0., 0., 2.]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.ReLU.gives
    overwrites_input = True
    function = activations.ReLU()
    acts_as = function.act
