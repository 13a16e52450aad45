"""What all transforms are: a name, settings, and a function of (rng, x, y)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_bool, as_plain_array
from fastconv.errors import ArgumentTypeError, ShapeError

__all__ = ["Transform", "as_images", "filled"]

Array = np.ndarray[Any, Any]
Pair = tuple[Any, Any]


class Transform:
    """A change of a batch, as ``fit(transform=...)`` takes it.

    Parameters
    ----------
    name : str
    settings : mapping of str to JSON values
    apply : callable
        It is called with (rng, x, y), and returns (x, y).
    keeps_y : bool
        Whether it returns the y that it was given. Then ``fit`` looks at all of y before the first
        step; else at that of each batch, once it is transformed.

    Examples
    --------
    >>> from fastconv.data import shift
    >>> shift(2)
    shift(pixels=(2, 2), fill=0, targets=False)
    """

    keeps_y = False  # of one that was pickled before there was this

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        apply: Callable[[np.random.Generator, Any, Any], Pair],
        *,
        keeps_y: bool = False,
    ) -> None:
        if not callable(apply):
            raise ArgumentTypeError("Transform", "apply", "must be callable", apply)
        if not isinstance(settings, Mapping):
            raise ArgumentTypeError("Transform", "settings", "must be a mapping", settings)
        self.name, self.settings, self._apply = name, dict(settings), apply
        self.keeps_y = as_bool("Transform", "keeps_y", keeps_y)

    def __call__(self, rng: np.random.Generator, x: Any, y: Any = None) -> Pair:
        """Return x and y as they are to be learned from.

        Parameters
        ----------
        rng : Generator
        x : ndarray (N, ...)
        y : ndarray (N, ...), or what else the network is compared with
        """
        if not isinstance(rng, np.random.Generator):
            rule = "must be a generator of random numbers"
            remedy = "np.random.default_rng(seed) makes one"
            raise ArgumentTypeError(self.name, "rng", rule, rng, remedy)
        return self._apply(rng, x, y)

    def to_config(self) -> list[Any]:
        """Return name and settings, as JSON has them."""
        return [self.name, self.settings]

    def __repr__(self) -> str:
        listed = ", ".join(f"{key}={value!r}" for key, value in self.settings.items())
        return f"{self.name}({listed})"


def as_images(operation: str, name: str, value: Any, least: int = 3) -> Array:
    """Return `value` as an array (N, ..., H, W) with at least `least` axes."""
    if isinstance(value, (tuple, list)):
        raise ArgumentTypeError(
            operation,
            name,
            "must be one array",
            type(value),
            "for several inputs, call it in a function (rng, x, y) of your own",
            shown=f"{type(value).__name__} of {len(value)}",
        )
    array = as_plain_array(operation, name, value)
    if array.ndim < least:
        rule = "must be images (N, ..., H, W)" if least == 3 else "must be a batch (N, C, ...)"
        raise ShapeError(operation, name, rule, array.shape, shown=f"shape {array.shape}")
    return array


def filled(operation: str, shape: tuple[int, ...], dtype: np.dtype[Any], fill: float) -> Array:
    """Return an array full of `fill`; raise ArgumentTypeError if the dtype cannot have it."""
    array = np.zeros(shape, dtype)
    if fill:
        number = np.array(fill).astype(dtype) if dtype.kind == "f" or fill == int(fill) else None
        if number is None or (dtype.kind != "f" and int(number) != fill):
            rule = f"must be a number that {dtype} has"
            raise ArgumentTypeError(operation, "fill", rule, fill)
        array[...] = number
    return array
