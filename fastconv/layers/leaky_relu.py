"""The rectifier that lets a part of the negative numbers through."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise, acts_as
from fastconv.layers.catalogue import register_layer

__all__ = ["LeakyReLU"]


@register_layer("fastconv.LeakyReLU.v1")
class LeakyReLU(Elementwise):
    """Let what is positive through, and multiply the rest by one number.

    Parameters
    ----------
    negative_slope : float
        That number, at least 0. Keras took 0.3 before its version 3; many GANs take 0.2.

    Notes
    -----
    Maas, Hannun and Ng 2013. No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(0.25).apply(np.array([[-2.0, 0.0, 2.0]]))
    array([[-0.5,  0. ,  2. ]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.LeakyReLU.gives
    overwrites_input = True
    acts_as = property(acts_as)  # type: ignore[assignment]

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.function = activations.LeakyReLU(negative_slope)
