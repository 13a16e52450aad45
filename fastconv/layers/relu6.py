"""The rectifier with a ceiling."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise
from fastconv.layers.catalogue import register_layer

__all__ = ["ReLU6"]


@register_layer("fastconv.ReLU6.v1")
class ReLU6(Elementwise):
    """Keep every number within 0 and 6: min(max(x, 0), 6); NaN stays NaN.

    It is what MobileNets use (Howard et al. 2017).  No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> ReLU6().apply(np.array([[-1.0, 2.0, 8.0]]))
    array([[0., 2., 6.]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.ReLU6.gives
    overwrites_input = True
    function = activations.ReLU6()
    acts_as = function.act
