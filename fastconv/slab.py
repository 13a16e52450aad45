"""Memory from NumPy, and a slab of it that the arrays of a step of training share."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Sequence

import numpy as np

__all__ = ["Loan", "Slab", "aligned", "allocate"]

ALIGNMENT = 64


def allocate(shape: Sequence[int] | int, dtype: np.dtype | type | str) -> np.ndarray:
    """Return ``np.empty(shape, dtype)``; a size beyond all memory is a MemoryError too."""
    try:
        return np.empty(shape, dtype)
    except ValueError:  # "array is too big": more bytes than an address can hold
        raise MemoryError(f"cannot allocate an array of shape {shape} of {dtype}") from None


def aligned(nbytes: int) -> np.ndarray:
    """Return `nbytes` of uninitialised memory that begins at a whole vector."""
    raw = allocate(nbytes + ALIGNMENT, np.uint8)
    start = -raw.__array_interface__["data"][0] % ALIGNMENT
    return raw[start : start + nbytes]


class Slab:
    """Memory that the large arrays of a step of training share, step after step.

    Memory that is fresh from the system is filled with zeros page by page, which can take
    longer than what is computed in it.  The slab is as large as the arrays of the largest of
    the last steps were at one time; what finds no room in it is allocated for itself.

        | array | hole | array | array |    hole          |     the smallest hole that fits
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.resize(0)

    def resize(self, nbytes: int) -> None:
        self.memory = aligned(nbytes)
        self.holes = [(0, nbytes)] if nbytes else []  # (offset, bytes), in order, none adjacent
        self.lent = self.peak = 0
        self.returned: list[tuple[int, int]] = []  # (offset, bytes) of arrays that have died

    def begin(self) -> None:
        """Fit the size to what was needed since the last time, if no array is left in it."""
        with self.lock:
            self._collect()
            size, wanted = self.memory.nbytes, self.peak
            if not self.lent and (wanted > size or 2 * wanted < size):
                self.resize(wanted)
            self.peak = self.lent

    def lend(self, nbytes: int) -> tuple[np.ndarray, int, list[tuple[int, int]]]:
        """Return memory of at least `nbytes`, its offset in the slab (-1: beside it), and where
        to say that it is free again.
        """
        with self.lock:
            self._collect()
            self.lent += nbytes
            self.peak = max(self.peak, self.lent)
            fitting = [(size, at) for at, size in self.holes if size >= nbytes]
            if fitting:
                size, at = min(fitting)
                place = bisect.bisect_left(self.holes, (at, size))
                self.holes[place : place + 1] = [(at + nbytes, size - nbytes)][: size > nbytes]
                return self.memory[at : at + nbytes], at, self.returned
            home = self.returned
        try:
            return allocate(nbytes, np.uint8), -1, home
        except MemoryError:
            home.append((-1, nbytes))
            raise

    def _collect(self) -> None:
        # Arrays die at any point of any thread, in the midst of `lend` too: they only queue up.
        while self.returned:
            first, nbytes = self.returned.pop()
            self.lent -= nbytes
            if first < 0:
                continue
            last = first + nbytes
            begin = end = bisect.bisect_left(self.holes, (first, 0))
            if begin and sum(self.holes[begin - 1]) == first:
                begin -= 1
                first = self.holes[begin][0]
            if end < len(self.holes) and self.holes[end][0] == last:
                last += self.holes[end][1]
                end += 1
            self.holes[begin:end] = [(first, last - first)]

    def release(self) -> int:
        """Let the memory go, once the arrays in it die; return the bytes that are free."""
        with self.lock:
            self._collect()
            free = sum(size for _, size in self.holes)
            self.resize(0)
        return free


class Loan:
    """What an array in the slab stands on; it ends with the last view of the array."""

    home: list[tuple[int, int]] | None = None

    def __init__(self, slab: Slab, shape: tuple[int, ...], dtype: np.dtype, nbytes: int):
        self.nbytes = -(-nbytes // ALIGNMENT) * ALIGNMENT
        self.memory, self.offset, self.home = slab.lend(self.nbytes)
        self.__array_interface__ = {
            "data": (self.memory.__array_interface__["data"][0], False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }

    def __del__(self) -> None:
        if self.home is not None:
            self.home.append((self.offset, self.nbytes))
