"""The book's layers of images: nothing is unfolded, and no columns are kept for `backward`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.compat.deep_learning_from_scratch.arrays import bias, floats, parameter
from fastconv.compat.deep_learning_from_scratch.layers import remembered

__all__ = ["Convolution", "Pooling"]

Array = np.ndarray[Any, Any]


class Convolution:
    """Filters over images.

    Parameters
    ----------
    W : ndarray (FN, C, FH, FW)
        It and `b` are kept, not copied; x takes its dtype.
    b : ndarray (FN,)
        Or one number for all filters.
    stride, pad : int or (int, int)

    Attributes
    ----------
    W, b, dW, db : ndarray
        Parameters, and their gradients after `backward`.
    """

    def __init__(self, W: Array, b: Array, stride: Any = 1, pad: Any = 0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad
        self.x: Array | None = None
        self.dW: Array | None = None
        self.db: Array | None = None

    def forward(self, x: Any) -> Array:
        return self._forward_then(None, x)

    def _forward_then(self, activation: str | None, x: Any) -> Array:
        """Return the output after an activation, ``"relu"`` or None."""
        w = parameter("Convolution", "W", self.W, 4)
        self.x = floats("Convolution", "x", x, w)
        b = bias("Convolution", self.b, w, len(w))
        return functional.conv2d(
            self.x, w, b, stride=self.stride, padding=self.pad, activation=activation
        )

    def backward(self, dout: Any) -> Array:
        dx = self.gradients(dout, ("x", "weight", "bias"))
        assert dx is not None
        return dx

    def gradients(self, dout: Any, needs: tuple[str, ...]) -> Array | None:
        """Set `dW` and `db`, and return the gradient of the input if `needs` has ``"x"``."""
        dx, self.dW, self.db = functional.conv2d_backward(
            floats("Convolution", "dout", dout, self.W),
            remembered(self, self.x),
            self.W,
            needs=needs,
            stride=self.stride,
            padding=self.pad,
        )
        return dx


class Pooling:
    """The maximum of each window; padding never wins.

    Parameters
    ----------
    pool_h, pool_w : int
    stride, pad : int or (int, int)
        The stride is 1 unless given, as in the book, and not the size of the window.
    """

    def __init__(self, pool_h: int, pool_w: int, stride: Any = 1, pad: Any = 0):
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad
        self.x: Array | None = None
        self.arg_max: Array | None = None

    def forward(self, x: Any) -> Array:
        self.x = floats("Pooling", "x", x)
        size = self.pool_h, self.pool_w
        y, self.arg_max = functional.max_pool2d_argmax(
            self.x, size, stride=self.stride, padding=self.pad
        )
        return y

    def backward(self, dout: Any) -> Array:
        x = remembered(self, self.x)
        return functional.max_pool2d_argmax_backward(
            floats("Pooling", "dout", dout, x),
            remembered(self, self.arg_max),
            x.shape,
            (self.pool_h, self.pool_w),
            stride=self.stride,
            padding=self.pad,
        )
