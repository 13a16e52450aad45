"""The smooth rectifier."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise
from fastconv.layers.catalogue import register_layer

__all__ = ["Softplus"]


@register_layer("fastconv.Softplus.v1")
class Softplus(Elementwise):
    """Make every number positive: log(1 + exp(x)), a smooth ReLU.

    It is computed so that it neither overflows nor loses the digits of small results. No temporary
    bytes.

    Examples
    --------
    >>> import numpy as np
    >>> Softplus().apply(np.array([[-1.0, 0.0, 1000.0]])).round(3)
    array([[3.13e-01, 6.93e-01, 1.00e+03]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.Softplus.gives
    overwrites_input = True
    function = activations.Softplus()
    acts_as = function.act
