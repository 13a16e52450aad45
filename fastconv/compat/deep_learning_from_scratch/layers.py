"""The book's layers of matrices: each remembers what its backward pass needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_plain_array, as_real
from fastconv.compat.deep_learning_from_scratch.arrays import bias, floats, parameter
from fastconv.compat.deep_learning_from_scratch.functions import (
    cross_entropy_error,
    labels,
    softmax,
)
from fastconv.errors import ShapeError

__all__ = ["Affine", "Dropout", "Relu", "Sigmoid", "SoftmaxWithLoss"]

Array = np.ndarray[Any, Any]


class Relu:
    """The larger of x and 0; `backward` leaves the gradient that it is given as it is."""

    y: Array | None = None

    @property
    def mask(self) -> Array | None:
        """Where the last input was not positive; None before there was one."""
        return None if self.y is None else self.y <= 0

    def forward(self, x: Any) -> Array:
        self.y = functional.relu(floats("Relu", "x", x))
        return self.y

    def backward(self, dout: Any) -> Array:
        return functional.relu_backward(
            floats("Relu", "dout", dout, self.y), remembered(self, self.y)
        )

    def _backward_over(self, dout: Array) -> Array:
        """Return what `backward` does, in the memory of `dout`, which nobody else reads."""
        y = remembered(self, self.y)
        dout = floats("Relu", "dout", dout, y)
        return functional.relu_backward(dout, y, out=dout)


class Sigmoid:
    """``1 / (1 + exp(-x))``."""

    out: Array | None = None

    def forward(self, x: Any) -> Array:
        self.out = functional.sigmoid(floats("Sigmoid", "x", x))
        return self.out

    def backward(self, dout: Any) -> Array:
        dy = floats("Sigmoid", "dout", dout, self.out)
        return functional.sigmoid_backward(dy, remembered(self, self.out))


class Affine:
    """``x W + b``; images become rows, and `backward` gives them their shape again.

    Parameters
    ----------
    W : ndarray (inputs, units)
        The transposed weight of fastconv's Dense. It and `b` are kept, not copied.
    b : ndarray (units,)
        Or one number for all units.

    Attributes
    ----------
    W, b, dW, db : ndarray
        Parameters, and their gradients after `backward`.
    """

    def __init__(self, W: Array, b: Array):
        self.W, self.b = W, b
        self.x: Array | None = None
        self.original_x_shape: tuple[int, ...] | None = None
        self.dW: Array | None = None
        self.db: Array | None = None

    def forward(self, x: Any) -> Array:
        w = parameter("Affine", "W", self.W, 2)
        x = floats("Affine", "x", x, w)
        self.original_x_shape = x.shape
        if x.ndim < 2 or x.size != len(x) * len(w):
            rule = f"must have {len(w)} numbers in a row, as W has rows"
            raise ShapeError("Affine", "x", rule, x.shape)
        self.x = x.reshape(len(x), len(w))  # (N, inputs)
        b = bias("Affine", self.b, w, w.shape[1])
        # W lies as the weight of a dense layer from units to inputs, of which y is the gradient of
        # the input; so nothing is transposed
        y = np.empty((len(x), w.shape[1]), w.dtype)
        found = functional.dense_backward(self.x, y, w, needs="x")[0]
        assert found is not None
        found += b
        return found

    def backward(self, dout: Any) -> Array:
        x = remembered(self, self.x)
        dy = floats("Affine", "dout", dout, self.W)
        # of that layer, dx is the output, and the gradient is that of W with x and dout exchanged
        _, self.dW, _ = functional.dense_backward(x, dy, self.W, needs="weight")
        self.db = dy.sum(axis=0)
        dx = functional.dense(dy, self.W)
        assert self.original_x_shape is not None
        return dx.reshape(self.original_x_shape)


class SoftmaxWithLoss:
    """`softmax`, and the mean `cross_entropy_error` against classes or one-hot rows.

    Attributes
    ----------
    loss : float
    y : ndarray (N, classes)
        Probabilities.
    t : ndarray
        As given.
    """

    loss: float | None = None
    y: Array | None = None
    t: Array | None = None

    def forward(self, x: Any, t: Any) -> float:
        self.t = as_plain_array("SoftmaxWithLoss", "t", t)
        self.y = softmax(np.atleast_2d(floats("SoftmaxWithLoss", "x", x)))
        self.loss = cross_entropy_error(self.y, self.t)
        return self.loss

    def backward(self, dout: float = 1) -> Array:
        y = remembered(self, self.y)
        dx = y.copy()
        dx[np.arange(len(y)), labels("SoftmaxWithLoss", self.t, y.shape)] -= 1
        dx *= dout / len(y)
        return dx


class Dropout:
    """Zeros at random places in training; afterwards everything times ``1 - dropout_ratio``.

    Notes
    -----
    fastconv's own Dropout divides in training, and does nothing afterwards. ``np.random.seed``
    fixes the places.
    """

    def __init__(self, dropout_ratio: float = 0.5):
        rule = "at least 0 and below 1"
        self.dropout_ratio = as_real("Dropout", "dropout_ratio", dropout_ratio, rule, 0.0, 1.0)
        self.mask: Array | None = None

    def forward(self, x: Any, train_flg: bool = True) -> Array:
        x = floats("Dropout", "x", x)
        if not train_flg:
            return x * x.dtype.type(1 - self.dropout_ratio)
        self.mask = np.random.rand(*x.shape) > self.dropout_ratio
        return functional.dropout(x, self.mask, 1.0)

    def backward(self, dout: Any) -> Array:
        return functional.dropout(floats("Dropout", "dout", dout), remembered(self, self.mask), 1.0)


def remembered(layer: object, value: Array | None) -> Array:
    """Return what the `forward` of a layer has remembered.

    Raises
    ------
    ShapeError
        If there was no forward pass.
    """
    if value is None:
        operation, remedy = f"{type(layer).__name__}.backward", "forward(x) comes first"
        raise ShapeError(operation, "the layer", "must have run forward before", remedy=remedy)
    return value
