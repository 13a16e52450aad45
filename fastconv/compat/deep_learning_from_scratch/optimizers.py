"""The book's six optimizers: ``update(params, grads)`` changes the arrays of a dict in place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.arguments import as_mapping, as_real
from fastconv.compat.deep_learning_from_scratch.arrays import as_rate, floats
from fastconv.errors import ArgumentError, ShapeError, shorten
from fastconv.functional import updates

__all__ = ["SGD", "AdaGrad", "Adam", "Momentum", "Nesterov", "RMSprop"]

Array = np.ndarray[Any, Any]
Parameters = dict[str, Any]

#: What is added to a root before something is divided by it.
TINY = 1e-7


class _Optimizer:
    """One step for each parameter; numbers may be parameters too, as in the book's chapter 6."""

    #: How many arrays of the size of a parameter are remembered for it.
    slots = 0

    def __init__(self, lr: float) -> None:
        self.lr = as_rate(type(self).__name__, "lr", lr)
        self._states: dict[str, list[Array]] | None = None

    def update(self, params: Parameters, grads: Parameters) -> None:
        """Take one step; `grads` has a gradient for each of `params`."""
        operation = type(self).__name__
        as_mapping(operation, "params", params, "names to arrays")
        as_mapping(operation, "grads", grads, "names to arrays")
        if missing := [key for key in params if key not in grads]:
            rule = f"must have every parameter, {shorten(list(params))}"
            remedy = f"what is missing is {shorten(missing)}"
            raise ArgumentError(operation, "grads", rule, list(grads), remedy)
        if self._states is None:
            self._states = {
                key: [np.zeros(np.size(value), _rows(value).dtype) for _ in range(self.slots)]
                for key, value in params.items()
            }
        self._begin()
        for key, value in params.items():
            row = _rows(value)
            gradient = floats(operation, f"grads[{key!r}]", grads[key], row)
            if gradient.shape != np.shape(value):
                rule = f"must have the shape of the parameter, {np.shape(value)}"
                raise ShapeError(operation, f"grads[{key!r}]", rule, gradient.shape)
            if row.size:
                self._step(row, np.ascontiguousarray(gradient).reshape(-1), *self._states[key])
            if not isinstance(value, np.ndarray):
                params[key] = float(row[0])
            elif not np.may_share_memory(row, value):
                value[...] = row.reshape(value.shape)

    def _begin(self) -> None:
        pass

    def _step(self, value: Array, gradient: Array, *slots: Array) -> None:
        raise NotImplementedError


def _fraction(optimizer: _Optimizer, name: str, value: Any) -> float:
    operation = type(optimizer).__name__
    return as_real(operation, name, value, "at least 0 and below 1", 0.0, 1.0)


def _rows(value: Any) -> Array:
    """Return a parameter as one contiguous row: a view where that is possible."""
    array = floats("update", "params", value)
    return np.require(array, requirements=["C", "A", "W"]).reshape(-1)


class SGD(_Optimizer):
    """``w -= lr g``."""

    def __init__(self, lr: float = 0.01):
        super().__init__(lr)

    def _step(self, value: Array, gradient: Array, *slots: Array) -> None:
        updates.sgd(value, gradient, self.lr)


class Momentum(_Optimizer):
    """``v = momentum v - lr g``; ``w += v``."""

    slots = 1

    def __init__(self, lr: float = 0.01, momentum: float = 0.9):
        super().__init__(lr)
        self.momentum = _fraction(self, "momentum", momentum)

    def _step(self, value: Array, gradient: Array, *slots: Array) -> None:
        updates.momentum(value, gradient, slots[0], self.lr, self.momentum)


class Nesterov(Momentum):
    """``v = momentum v - lr g``; ``w += momentum v - lr g``."""

    def _step(self, value: Array, gradient: Array, *slots: Array) -> None:
        updates.momentum(value, gradient, slots[0], self.lr, self.momentum, True)


class AdaGrad(_Optimizer):
    """``h += g**2``; ``w -= lr g / (sqrt(h) + 1e-7)``."""

    slots = 1

    def __init__(self, lr: float = 0.01):
        super().__init__(lr)

    def _step(self, value: Array, gradient: Array, *slots: Array) -> None:
        updates.by_squares(value, gradient, slots[0], self.lr, 1.0, 1.0, TINY)


class RMSprop(_Optimizer):
    """``h = decay_rate h + (1 - decay_rate) g**2``; ``w -= lr g / (sqrt(h) + 1e-7)``."""

    slots = 1

    def __init__(self, lr: float = 0.01, decay_rate: float = 0.99):
        super().__init__(lr)
        self.decay_rate = _fraction(self, "decay_rate", decay_rate)

    def _step(self, value: Array, gradient: Array, *slots: Array) -> None:
        decay = self.decay_rate
        updates.by_squares(value, gradient, slots[0], self.lr, decay, 1 - decay, TINY)


class Adam(_Optimizer):
    """Adam in the book's form, which adds 1e-7 to the root before the moments are corrected.

    Notes
    -----
    ``m += (1 - beta1) (g - m)``; ``v += (1 - beta2) (g**2 - v)``; ``w -= lr_t m / (sqrt(v) +
    1e-7)`` with ``lr_t = lr sqrt(1 - beta2**iter) / (1 - beta1**iter)``.
    """

    slots = 2

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999):
        super().__init__(lr)
        self.beta1 = _fraction(self, "beta1", beta1)
        self.beta2 = _fraction(self, "beta2", beta2)
        self.iter = 0

    def _begin(self) -> None:
        self.iter += 1

    def _step(self, value: Array, gradient: Array, *slots: Array) -> None:
        corrected = math.sqrt(1 - self.beta2**self.iter) / (1 - self.beta1**self.iter)
        rate = self.lr * corrected
        mean, squares = slots
        updates.adam(value, gradient, mean, squares, rate, (self.beta1, self.beta2), TINY)
