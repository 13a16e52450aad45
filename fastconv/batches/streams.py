"""Iterables of batches: generators, loaders of data, lists of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv.batches.ahead import keep_on
from fastconv.batches.rows import reads
from fastconv.errors import ArgumentTypeError

__all__ = ["Stream", "as_stream"]

#: What makes a network's inputs, one thing for each, of the x of a batch.
Split = Callable[[Any], Sequence[Any]]

_ROWS = "rows come as two objects, x and y, each with __len__ and __getitem__"


class Stream:
    """An iterable of batches.

    Attributes
    ----------
    once : bool
        Whether it can run only once, as iterators do.
    count : int or None
        How many batches it says that it has.
    """

    def __init__(self, given: Any, split: Split, inputs: int) -> None:
        self._given, self._split, self._several = given, split, inputs > 1
        self.once = iter(given) is given if hasattr(given, "__iter__") else False
        try:
            self.count: int | None = len(given)
        except TypeError:
            self.count = None

    def triples(self, operation: str) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
        """Yield inputs, targets, and the weights of the rows or None, of one batch at a time."""
        for number, item in enumerate(self._items()):
            keep_on()
            if not _is_triple(item):
                raise ArgumentTypeError(
                    operation,
                    "x",
                    "must give batches (x, y) or (x, y, sample_weight)",
                    remedy=_ROWS if not number else "",
                    shown=f"{_kind(item)} as batch {number + 1}",
                )
            x, y, *weights = item
            if np.isscalar(y) or getattr(y, "shape", None) == ():
                raise ArgumentTypeError(
                    operation,
                    "x",
                    "must give batches of rows",
                    remedy=_ROWS,
                    shown=f"a single row as item {number + 1}",
                )
            yield tuple(self._split(x)), y, weights[0] if weights else None

    def inputs(self) -> Iterator[tuple[Any, ...]]:
        """Yield the inputs of one batch at a time, of which answers may or may not be a part."""
        for item in self._items():
            keep_on()
            if _is_triple(item) and (not self._several or isinstance(item[0], (tuple, list, dict))):
                item = item[0]
            yield tuple(self._split(item))

    def _items(self) -> Iterator[Any]:
        if hasattr(self._given, "__iter__"):
            return iter(self._given)
        return (self._given[number] for number in range(len(self._given)))


def _is_triple(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and len(item) in (2, 3)


def _kind(item: Any) -> str:
    if isinstance(item, (tuple, list)):
        return f"{type(item).__name__} of {len(item)}"
    return type(item).__name__


def as_stream(x: Any, split: Split, inputs: int, *, alone: bool) -> Stream | None:
    """Return `x` as an iterable of batches, or None if it is none.

    Parameters
    ----------
    split : callable
        Makes `inputs` things, one for each input of the network, of the x of a batch.
    alone : bool
        Whether x comes without y, and must bring it. Then lists of pairs, and objects that give
        batches by number, are iterables of batches too; else they are rows.
    """
    if isinstance(x, (np.ndarray, np.generic, str, bytes, tuple, range, Mapping)):
        return None
    if isinstance(x, list):
        return Stream(x, split, inputs) if alone and x and all(map(_is_pair, x)) else None
    if reads(x):
        return Stream(x, split, inputs) if alone else None
    if hasattr(x, "__iter__") and not _is_array(x):
        return Stream(x, split, inputs)
    return None


def _is_pair(item: Any) -> bool:
    """Whether `item` is a batch, and not a row of numbers."""
    return isinstance(item, tuple) and len(item) in (2, 3) and not np.isscalar(item[0])


def _is_array(x: Any) -> bool:
    """Whether NumPy makes an array of `x` at once."""
    return any(hasattr(x, name) for name in ("__array__", "__array_interface__", "__dlpack__")) or (
        hasattr(type(x), "__len__") and hasattr(type(x), "__getitem__")
    )
