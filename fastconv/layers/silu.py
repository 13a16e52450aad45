"""The sigmoid-weighted linear unit, also known as Swish."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise
from fastconv.layers.catalogue import register_layer

__all__ = ["SiLU"]


@register_layer("fastconv.SiLU.v1")
class SiLU(Elementwise):
    """Multiply every number by its logistic function: x / (1 + exp(-x)), also known as Swish.

    Notes
    -----
    Elfwing, Uchibe and Doya 2018. No temporary bytes; the backward pass reads the input.

    Examples
    --------
    >>> import numpy as np
    >>> SiLU().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.269,  0.   ,  1.762]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.SiLU.gives
    function = activations.SiLU()
    acts_as = function.act
