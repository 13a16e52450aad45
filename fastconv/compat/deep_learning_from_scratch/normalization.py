"""The book's BatchNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional
from fastconv.arguments import as_real
from fastconv.compat.deep_learning_from_scratch.arrays import floats
from fastconv.compat.deep_learning_from_scratch.layers import remembered
from fastconv.errors import ShapeError

__all__ = ["BatchNormalization"]

Array = np.ndarray[Any, Any]

EPSILON = 1e-6


class BatchNormalization:
    """Values normalised over the batch.

    Parameters
    ----------
    gamma, beta : ndarray (D,) or number
        Of rows (N, D), one for each column. Of images (N, C, H, W) one for each of the C H W
        activations, as in the book, or one for each channel, whose mean is then over all pixels.
    momentum : float
        How much of the running statistics is kept in a step.
    running_mean, running_var : ndarray (D,), optional
        Zeros unless given.

    Attributes
    ----------
    dgamma, dbeta : ndarray (D,)
        After `backward`.
    """

    def __init__(
        self,
        gamma: Any,
        beta: Any,
        momentum: float = 0.9,
        running_mean: Array | None = None,
        running_var: Array | None = None,
    ):
        self.gamma, self.beta = gamma, beta
        rule = "at least 0 and at most 1"
        self.momentum = as_real("BatchNormalization", "momentum", momentum, rule, 0.0, 1.0 + 1e-12)
        self.running_mean, self.running_var = running_mean, running_var
        self.input_shape: tuple[int, ...] | None = None
        self.dgamma: Array | None = None
        self.dbeta: Array | None = None
        self._kept: tuple[Array, Array, Array] | None = None  # what came in, mean, inverse

    def forward(self, x: Any, train_flg: bool = True) -> Array:
        operation = "BatchNormalization"
        like = self.gamma if isinstance(self.gamma, np.ndarray) else None
        x = floats(operation, "x", x, like)
        if x.ndim < 2 or not x.size:
            rule = "must have a batch and another axis, and not be empty"
            raise ShapeError(operation, "x", rule, x.shape)
        self.input_shape = x.shape
        of_channels = x.ndim == 4 and np.size(self.gamma) == x.shape[1]
        flat = x if of_channels else x.reshape(len(x), -1)  # (N, C, H, W) or (N, D)
        count = flat.shape[1]
        gamma, beta = (
            _of_each(name, floats(operation, name, value, flat), count)
            for name, value in (("gamma", self.gamma), ("beta", self.beta))
        )
        if self.running_mean is None or self.running_var is None:
            self.running_mean = np.zeros(count, x.dtype)
            self.running_var = np.zeros(count, x.dtype)
        running = None if train_flg else (self.running_mean, self.running_var)
        y, mean, variance, inverse = functional.batch_norm(flat, gamma, beta, EPSILON, running)
        if train_flg:
            keep, fresh = self.momentum, 1 - self.momentum
            self.running_mean = (keep * self.running_mean + fresh * mean).astype(x.dtype)
            self.running_var = (keep * self.running_var + fresh * variance).astype(x.dtype)
            self._kept = flat, mean, inverse
        return y.reshape(x.shape)

    def backward(self, dout: Any) -> Array:
        flat, mean, inverse = self._kept or (remembered(self, None),) * 3
        gamma = np.broadcast_to(floats("BatchNormalization", "gamma", self.gamma, flat), mean.shape)
        dy = floats("BatchNormalization", "dout", dout, flat).reshape(flat.shape)
        dx, self.dgamma, self.dbeta = functional.batch_norm_backward(
            dy, flat, gamma, mean, inverse, True
        )
        assert dx is not None and self.input_shape is not None
        return dx.reshape(self.input_shape)


def _of_each(name: str, array: Array, count: int) -> Array:
    """Return one number for each of `count` activations or channels; one is for all."""
    if array.ndim > 1 or array.size not in (1, count):
        rule = f"must have {count} numbers, one for each activation, or one for each channel"
        raise ShapeError("BatchNormalization", name, rule, array.shape)
    return np.broadcast_to(array, (count,))
