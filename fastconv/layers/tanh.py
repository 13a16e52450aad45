"""The hyperbolic tangent."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise
from fastconv.layers.catalogue import register_layer

__all__ = ["Tanh"]


@register_layer("fastconv.Tanh.v1")
class Tanh(Elementwise):
    """Squeeze every number into -1 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> Tanh().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.762,  0.   ,  0.964]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.Tanh.gives
    overwrites_input = True
    function = activations.Tanh()
    acts_as = function.act
