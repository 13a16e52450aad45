"""A cheap form of Swish."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise
from fastconv.layers.catalogue import register_layer

__all__ = ["HardSwish"]


@register_layer("fastconv.HardSwish.v1")
class HardSwish(Elementwise):
    """Multiply every number by relu6(x + 3) / 6: 0 below -3, x itself from 3 on.

    Notes
    -----
    Howard et al. 2019 (MobileNetV3), section 5.2. No temporary bytes; the backward pass reads the
    input.

    Examples
    --------
    >>> import numpy as np
    >>> HardSwish().apply(np.array([[-4.0, -1.0, 3.0]])).round(3)
    array([[-0.   , -0.333,  3.   ]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.HardSwish.gives
    function = activations.HardSwish()
    acts_as = function.act
