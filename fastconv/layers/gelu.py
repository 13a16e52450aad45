"""The Gaussian error linear unit."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise, acts_as
from fastconv.layers.catalogue import register_layer

__all__ = ["GELU"]


@register_layer("fastconv.GELU.v1")
class GELU(Elementwise):
    """Multiply every number by the share of the normal distribution that lies below it.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        ``"tanh"`` computes x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), which differs by up
        to 5e-4, as networks have it that were trained so.

    Notes
    -----
    Hendrycks and Gimpel 2016. No temporary bytes; the backward pass reads the input.

    Examples
    --------
    >>> import numpy as np
    >>> GELU().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.159,  0.   ,  1.954]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.GELU.gives
    acts_as = property(acts_as)  # type: ignore[assignment]

    def __init__(self, approximate: str = "none") -> None:
        self.function = activations.GELU(approximate)
