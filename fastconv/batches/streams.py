"""Iterables of batches: generators, loaders of data, lists of pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastconv.batches.ahead import keep_on
from fastconv.batches.rows import COUNT_RULE, asked, reads
from fastconv.errors import ArgumentError, ArgumentTypeError

__all__ = ["BATCH_SIZE", "Stream", "as_stream", "check_alone", "check_unsized"]

#: What makes a network's inputs, one thing for each, of the x of a batch.
Split = Callable[[Any], Sequence[Any]]

_ROWS = "rows come as two objects, x and y, each with __len__ and __getitem__"


class _Usual(int):
    """A number that nobody asked for, which can be told from the same one that somebody wrote."""


#: How many rows there are at a time where nobody says.
BATCH_SIZE: int = _Usual(100)


def check_alone(operation: str, name: str, value: Any, remedy: str = "") -> None:
    """Raise ArgumentTypeError unless `value`, which each batch must bring itself, is None."""
    if value is not None:
        rule, shown = "must be None where x is an iterable of batches", type(value).__name__
        raise ArgumentTypeError(operation, name, rule, type(value), remedy, shown=shown)


def check_unsized(operation: str, batch_size: int | None, stream: Stream) -> None:
    """Raise ArgumentError if somebody asked for a size of batches that come as they are."""
    if batch_size is not BATCH_SIZE and batch_size is not None:
        raise ArgumentError(
            operation,
            "batch_size",
            "must be left out where x is an iterable of batches, which have sizes of their own",
            batch_size,
            f"if it gives single rows: {_ROWS}" if stream.by_number else "",
        )


class Stream:
    """An iterable of batches.

    Attributes
    ----------
    once : bool
        Whether it can run only once, as iterators do.
    count : int or None
        How many batches it says that it has.
    by_number : bool
        Whether it has no ``__iter__``, and is asked for each by its number.
    """

    def __init__(self, given: Any, split: Split, inputs: int) -> None:
        self._given, self._split, self._several = given, split, inputs > 1
        self.by_number = not _has(given, "__iter__")
        self.once = not self.by_number and self._begun() is given
        self.count: int | None = None
        if _has(given, "__len__"):
            try:
                self.count = asked("Model", "x", COUNT_RULE, len, given)
            except ArgumentTypeError:
                raise
            except TypeError:  # so loaders of data say that they do not know
                pass

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
        if _has(self._given, "__iter__"):
            return self._begun()
        return (self._given[number] for number in range(len(self._given)))

    def _begun(self) -> Iterator[Any]:
        rule = "must have an __iter__ that gives an iterator of batches"
        return iter(asked("Model", "x", rule, iter, self._given))


def _has(thing: Any, method: str) -> bool:
    """Whether Python finds this method, which it looks for in the class alone."""
    return hasattr(type(thing), method)


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
    if _has(x, "__iter__") and not _is_array(x):
        return Stream(x, split, inputs)
    return None


def _is_pair(item: Any) -> bool:
    """Whether `item` is a batch, and not a row of numbers."""
    return isinstance(item, tuple) and len(item) in (2, 3) and not np.isscalar(item[0])


def _is_array(x: Any) -> bool:
    """Whether NumPy makes an array of `x` at once."""
    return any(hasattr(x, name) for name in ("__array__", "__array_interface__", "__dlpack__")) or (
        _has(x, "__len__") and _has(x, "__getitem__")
    )
