"""Starting values of parameters: callables of ``(rng, shape, fan_in, dtype)``.

``fan_in`` is the number of inputs that one output adds up. With a variance of 1/fan_in (Xavier),
outputs have the same variance as inputs. ReLU halves it, and so He starts with twice as much.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastconv import registry
from fastconv.arguments import as_real, check_rounding
from fastconv.errors import ArgumentError, ArgumentTypeError
from fastconv.floating import quietly

__all__ = ["Constant", "Gaussian", "He", "Initializer", "Ones", "Xavier", "Zeros", "resolve"]

# In quotes, since to name numpy.random has NumPy import it.
Initializer = Callable[["np.random.Generator", "tuple[int, ...]", int, Any], np.ndarray]


def resolve(spec: object, operation: str) -> Initializer:
    """Return the initializer that a name, ``(name, {...})`` or a callable stands for.

    Examples
    --------
    >>> resolve(("gaussian", {"std": 0.1}), "Dense")
    Gaussian(std=0.1)
    """
    initializer = registry.resolve(registry.initializers, spec, operation)
    if not callable(initializer):
        raise ArgumentTypeError(
            operation,
            "initializer",
            "must be a name, (name, {...}) or a callable of (rng, shape, fan_in, dtype)",
            spec,
        )
    return initializer


@dataclass(frozen=True)
class _Plain:
    """An initializer without settings: all objects of a class are equal."""


@registry.initializers.register("he")
class He(_Plain):
    """Gaussian of variance 2/fan_in, for layers before ReLU (He et al. 2015, section 2.2)."""

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: Any
    ) -> np.ndarray:
        """Return starting values of `shape` and `dtype`."""
        return _gaussian(rng, shape, math.sqrt(2.0 / max(fan_in, 1)), dtype)


@registry.initializers.register("xavier")
class Xavier(_Plain):
    """Gaussian of variance 1/fan_in, for sigmoid and tanh ("Deep Learning from Scratch", 6.2)."""

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: Any
    ) -> np.ndarray:
        """Return starting values of `shape` and `dtype`."""
        return _gaussian(rng, shape, math.sqrt(1.0 / max(fan_in, 1)), dtype)


@registry.initializers.register("gaussian")
@dataclass(frozen=True)
class Gaussian:
    """Gaussian of one standard deviation, whatever the layer; `std` is 0.01 in the book.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `std` is not a finite number of at least 0.
    """

    std: float = 0.01

    def __post_init__(self) -> None:
        if _finite("gaussian", "std", self.std) < 0:
            raise ArgumentError("gaussian", "std", "must be at least 0", self.std)

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: Any
    ) -> np.ndarray:
        """Return starting values; raise ArgumentError if `dtype` rounds `std` to 0 or infinity."""
        check_rounding("gaussian", "std", self.std, dtype)
        return _gaussian(rng, shape, self.std, dtype)


@registry.initializers.register("constant")
@dataclass(frozen=True)
class Constant:
    """One value everywhere.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If `value` is not a finite number.
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        _finite("constant", "value", self.value)

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: Any
    ) -> np.ndarray:
        """Return starting values; raise ArgumentError if `dtype` rounds them to 0 or infinity."""
        check_rounding("constant", "value", self.value, dtype)
        return _full(shape, self.value, dtype)


@registry.initializers.register("zeros")
class Zeros(_Plain):
    """Zero everywhere."""

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: Any
    ) -> np.ndarray:
        """Return starting values of `shape` and `dtype`."""
        return np.zeros(shape, dtype)


@registry.initializers.register("ones")
class Ones(_Plain):
    """One everywhere."""

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: Any
    ) -> np.ndarray:
        """Return starting values of `shape` and `dtype`."""
        return np.ones(shape, dtype)


def _finite(operation: str, parameter: str, value: object) -> float:
    return as_real(operation, parameter, value, "finite", -sys.float_info.max, math.inf)


@quietly
def _full(shape: tuple[int, ...], value: float, dtype: Any) -> np.ndarray:
    return np.full(shape, value, dtype)


@quietly
def _gaussian(
    rng: np.random.Generator, shape: tuple[int, ...], std: float, dtype: Any
) -> np.ndarray:
    values: np.ndarray = rng.standard_normal(shape, dtype=np.dtype(dtype).type)
    values *= std
    return values
