"""The logistic function."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise
from fastconv.layers.catalogue import register_layer

__all__ = ["Sigmoid"]


@register_layer("fastconv.Sigmoid.v1")
class Sigmoid(Elementwise):
    """Squeeze every number into 0 to 1: 1 / (1 + exp(-x)).

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0.269, 0.5  , 0.881]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.Sigmoid.gives
    overwrites_input = True
    function = activations.Sigmoid()
    acts_as = function.act
