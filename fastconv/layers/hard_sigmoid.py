"""A straight line in place of the logistic function."""

from __future__ import annotations

from fastconv import activations
from fastconv.layers.activation import Elementwise, acts_as
from fastconv.layers.catalogue import register_layer

__all__ = ["HardSigmoid"]


@register_layer("fastconv.HardSigmoid.v1")
class HardSigmoid(Elementwise):
    """Keep alpha x + beta within 0 and 1; NaN stays NaN.

    Parameters
    ----------
    alpha, beta : float
        By default those of PyTorch and Keras 3; ONNX and Keras 2 have an alpha of 0.2.

    Notes
    -----
    No temporary bytes.

    Examples
    --------
    >>> import numpy as np
    >>> HardSigmoid().apply(np.array([[-4.0, 0.0, 1.5]]))
    array([[0.  , 0.5 , 0.75]])
    """

    any_batch_axis = True
    new_gradients = True
    gives = activations.HardSigmoid.gives
    overwrites_input = True
    acts_as = property(acts_as)  # type: ignore[assignment]

    def __init__(self, alpha: float = 1 / 6, beta: float = 0.5) -> None:
        self.function = activations.HardSigmoid(alpha, beta)
