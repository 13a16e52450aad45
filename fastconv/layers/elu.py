"""The exponential linear unit."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise, acts_as
from fastconv.layers.catalogue import register_layer

__all__ = ["ELU"]


@register_layer("fastconv.ELU.v1")
class ELU(Elementwise):
    """Let what is positive through, and make the rest alpha (exp(x) - 1), which ends at -alpha.

    Parameters
    ----------
    alpha : float
        Minus the limit for minus infinity, at least 0.

    Notes
    -----
    Clevert, Unterthiner and Hochreiter 2016, equation 15. No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> ELU().apply(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.632,  0.   ,  2.   ]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.ELU.gives
    overwrites_input = True
    acts_as = property(acts_as)  # type: ignore[assignment]

    def __init__(self, alpha: float = 1.0) -> None:
        self.function = activations.ELU(alpha)
