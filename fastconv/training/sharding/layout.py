"""Where each gradient lies in one block of memory, which travels in buckets, without a copy."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np

from fastconv.step_memory import ALIGNMENT
from fastconv.training.trainable import Array

__all__ = ["BUCKET", "IN_FLIGHT", "Bucket", "Layout", "Place"]

#: The most bytes of a bucket. Fewer would be many messages; more would leave later what could go.
BUCKET = 4 << 20
#: How many buckets are on their way at the most.
IN_FLIGHT = 4

#: What is to lie there: its key, shape and dtype.
Entry = tuple[Hashable, tuple[int, ...], np.dtype[Any]]


class Place(NamedTuple):
    """Where an array lies: its number among all, its first byte and the one behind its last."""

    number: int
    begin: int
    end: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def of(self, block: Array) -> Array:
        """Return the array in `block`, a view."""
        return block[self.begin : self.end].view(self.dtype).reshape(self.shape)


class Bucket(NamedTuple):
    """Neighbouring bytes of one dtype, of which the array of number `last` is the last."""

    begin: int
    end: int
    dtype: np.dtype[Any]
    last: int

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return (self.end - self.begin) // self.dtype.itemsize

    def part(self, block: Array, rank: int, ranks: int) -> Array:
        """Return the numbers in `block` that `rank` adds, a view."""
        here = block[self.begin : self.end].view(self.dtype)
        return here[self.size * rank // ranks : self.size * (rank + 1) // ranks]


class Layout:
    """Arrays one after the other in a block of memory, in the order in which they become known.

    Attributes
    ----------
    places : dict of key to Place
    nbytes : int
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.places: dict[Hashable, Place] = {}
        self.nbytes = 0
        for number, (key, shape, dtype) in enumerate(entries):
            begin = -(-self.nbytes // ALIGNMENT) * ALIGNMENT
            self.nbytes = begin + math.prod(shape) * dtype.itemsize
            self.places[key] = Place(number, begin, self.nbytes, shape, dtype)

    def buckets(self, most: int = BUCKET) -> list[Bucket]:
        """Return the buckets of at most `most` bytes each, in order.

        What lies between two arrays travels along; nobody reads it.
        """
        found: list[Bucket] = []
        open_at, before = -1, None
        for place in self.places.values():
            if before is None or before.dtype != place.dtype or place.end - open_at > most:
                open_at = place.begin
                for begin in range(place.begin, place.end, most):
                    end = min(begin + most, place.end)
                    found.append(Bucket(begin, end, place.dtype, place.number))
                    open_at = begin
            else:
                found[-1] = Bucket(open_at, place.end, place.dtype, place.number)
            before = place if place.end > place.begin else before
        return found
