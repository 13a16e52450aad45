"""What the book's networks have in common: forward, loss, gradients, accuracy, files."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from fastconv.arguments import as_int
from fastconv.compat.deep_learning_from_scratch.arrays import floats, rows_of
from fastconv.compat.deep_learning_from_scratch.files import read_params, write_params
from fastconv.compat.deep_learning_from_scratch.functions import numerical_gradient
from fastconv.compat.deep_learning_from_scratch.images import Convolution, Pooling
from fastconv.compat.deep_learning_from_scratch.layers import (
    Affine,
    Dropout,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
)
from fastconv.compat.deep_learning_from_scratch.normalization import BatchNormalization
from fastconv.errors import ShapeError

__all__ = ["Network", "gaussian"]

Array = np.ndarray[Any, Any]
Gradients = dict[str, Any]

#: What behaves differently in training.
TRAINED = (Dropout, BatchNormalization)
#: What makes a gradient of its own in each backward pass, and does not keep it.
OWN = (Affine, BatchNormalization, Convolution, Dropout, Pooling, Relu, Sigmoid, SoftmaxWithLoss)


def _is_own(layer: Any, *kinds: type) -> bool:
    """Whether a layer is one of `kinds` as it stands here: no subclass, no method replaced."""
    return type(layer) in kinds and vars(layer).keys().isdisjoint(("forward", "backward"))


def gaussian(scale: float, *shape: int, dtype: Any) -> Array:
    """Return normal random numbers times `scale`, which ``np.random.seed`` fixes."""
    values: Array = scale * np.random.randn(*shape)
    return values.astype(dtype, copy=False)


class Network:
    """Layers in a row, and a loss at the end.

    Attributes
    ----------
    params : dict of str to ndarray
        ``W1``, ``b1`` and so on: the very arrays that the layers have.
    layers : OrderedDict of str to layer, or list of them
    last_layer : SoftmaxWithLoss
    """

    #: The factor of half the sum of the squares of all W in the loss.
    weight_decay_lambda: float = 0
    layers: Any
    #: The shape (C, H, W) of an image, where that was said.
    _example: tuple[int, ...] | None = None

    def __init__(self) -> None:
        self.params: dict[str, Array] = {}
        self.layers = OrderedDict()
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x: Any, train_flg: bool = False) -> Array:
        """Return the scores of a batch, before softmax.

        Raises
        ------
        ShapeError
            If `x` does not fit; the message says how to reshape.
        """
        try:
            return self._through(x, train_flg)
        except ShapeError as error:
            shape, example = np.shape(x), self._example
            if example is None or shape[1:] == example:
                raise
            remedy, name = "", type(self).__name__
            if len(shape) == 4:
                remedy = f"{name}(input_dim={shape[1:]}) is made for such images"
            if math.prod(shape[1:]) == math.prod(example) and (len(shape) == 2 or example[0] == 1):
                remedy = f"x.reshape(-1, {', '.join(map(str, example))}) has it"
                remedy += ", and so has load_mnist(flatten=False)" if len(shape) == 2 else ""
            rule = f"must have shape (N, {', '.join(map(str, example))})"
            raise ShapeError(name, "x", rule, shape, remedy) from error

    def _through(self, x: Any, train_flg: bool) -> Array:
        """Return what the layers make of a batch, one after the other."""
        layers = iter(pairwise([*self._in_order(), None]))
        for layer, after in layers:
            if isinstance(layer, TRAINED):
                x = layer.forward(x, train_flg)
            elif _is_own(layer, Convolution) and _is_own(after, Relu):
                x = after.y = layer._forward_then("relu", x)
                next(layers)  # which is done
            else:
                x = layer.forward(x)
        return x  # type: ignore[no-any-return]

    def loss(self, x: Any, t: Any, train_flg: bool = False) -> float:
        """Return the loss of a batch; `t` has classes or one-hot rows."""
        loss = self.last_layer.forward(self.predict(x, train_flg), t)
        if not self.weight_decay_lambda:
            return loss
        squares = sum(float(np.sum(w**2)) for key, w in self.params.items() if key[:1] == "W")
        return loss + 0.5 * self.weight_decay_lambda * squares

    def accuracy(self, x: Any, t: Any, batch_size: int = 100) -> float:
        """Return the share of rows whose largest score is at the class of `t`; all rows count."""
        batch_size = as_int("accuracy", "batch_size", batch_size, 1)
        x, t = rows_of("accuracy", x, t)
        classes = t if t.ndim == 1 else t.reshape(len(t), -1).argmax(axis=1)
        right = 0
        for begin in range(0, len(x), batch_size):
            rows = slice(begin, begin + batch_size)
            right += int(np.sum(self.predict(x[rows]).argmax(axis=1) == classes[rows]))
        return right / len(x)

    def gradient(self, x: Any, t: Any) -> Gradients:
        """Return the gradient of the loss for every parameter, by backpropagation."""
        self.loss(x, t, train_flg=True)
        dout = self.last_layer.backward(1)
        # what layers of others return may be theirs to keep, ours make a gradient that is read once
        source = self.last_layer
        for number, layer in reversed(list(enumerate(self._in_order()))):
            if not number and _is_own(layer, Convolution):
                layer.gradients(dout, ("weight", "bias"))  # nobody asks for that of the images
            elif _is_own(layer, Relu) and _is_own(source, *OWN):
                dout = layer._backward_over(dout)
            else:
                dout = layer.backward(dout)
            source = layer
        found = {}
        for key, layer, name in self._parameters():
            found[key] = getattr(layer, f"d{name}")
            if self.weight_decay_lambda and name == "W":
                found[key] = found[key] + self.weight_decay_lambda * layer.W
        return found

    def numerical_gradient(self, x: Any, t: Any) -> Gradients:
        """Return the same by differences, two forward passes for each number of each parameter."""

        def loss(_: Array) -> float:
            return self.loss(x, t, train_flg=True)

        return {key: numerical_gradient(loss, value) for key, value in self.params.items()}

    def save_params(self, file_name: Any = "params.pkl") -> None:
        """Write `params` as a pickle, as the book does, which its own code can read."""
        write_params(file_name, self.params)

    def load_params(self, file_name: Any = "params.pkl") -> None:
        """Read what `save_params`, or the book's, has written; nothing in the file can run.

        Raises
        ------
        FormatError
            If the file holds anything but a dict of arrays.
        ShapeError
            If an array is missing, or has another shape than the network's. Nothing is changed.
        """
        found = read_params(file_name)
        for key, value in self.params.items():
            shape = found[key].shape if key in found else None
            if shape != value.shape:
                shown = "none" if shape is None else f"shape {shape}"
                rule = f"must have shape {value.shape}"
                raise ShapeError("load_params", key, rule, shown=shown)
        for key, value in self.params.items():
            value[...] = floats("load_params", key, found[key], value)

    def _in_order(self) -> list[Any]:
        return list(self.layers.values() if isinstance(self.layers, dict) else self.layers)

    def _parameters(self) -> Iterator[tuple[str, Any, str]]:
        """Yield key, layer and attribute of each parameter; numbers count layers of weights."""
        number = 0
        for layer in self._in_order():
            if isinstance(layer, (Affine, Convolution)):
                number += 1
                yield f"W{number}", layer, "W"
                yield f"b{number}", layer, "b"
            elif isinstance(layer, BatchNormalization):
                yield f"gamma{number}", layer, "gamma"
                yield f"beta{number}", layer, "beta"

    def _number_params(self) -> None:
        """Fill `params` with the arrays of the layers."""
        self.params.update((key, getattr(layer, name)) for key, layer, name in self._parameters())
