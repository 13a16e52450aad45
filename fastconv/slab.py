"""Memory from NumPy, and a slab of it that the arrays of a step of training share."""

from __future__ import annotations

import bisect
import random
import threading
from collections.abc import Sequence

import numpy as np

__all__ = ["Loan", "Slab", "aligned", "allocate"]

ALIGNMENT = 64
#: Orders in which a layout is tried.
TRIES = 300


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
    longer than what is computed in it.  Steps are alike: what was lent in one, how much, from
    when to when, is laid out so that it takes little more than what was lent at one time, and
    the next step follows that.  What does not, goes to the smallest hole that fits, or is
    allocated for itself.

        | array | hole | array | array |    hole          |
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.resize(0)

    def resize(self, nbytes: int) -> None:
        self.memory = aligned(nbytes)
        self.holes = [(0, nbytes)] if nbytes else []  # (offset, bytes), in order, none adjacent
        self.lent = 0
        self.returned: list[tuple[int, int, int]] = []  # (offset, bytes, number) of dead arrays
        self.places: list[tuple[int, int]] = []  # (bytes, offset) of the loans to come, in order
        self.loans: list[list[int]] = []  # [bytes, born, died] of the loans since `begin`
        self.clock = self.strangers = 0

    def begin(self) -> None:
        """Lay out what was lent since the last time, if no array is left in it."""
        with self.lock:
            self._collect()
            alike = [nbytes for nbytes, _, _ in self.loans] == [size for size, _ in self.places]
            if self.lent:
                self.strangers = len(self.loans)  # they will die among the loans of the next step
            elif self.loans and not alike:
                places = layout(self.loans)
                needed = max(at + nbytes for nbytes, at in places)
                # a smaller step, such as the last of an epoch, does well in the same memory
                if needed > self.memory.nbytes or 2 * needed < self.memory.nbytes:
                    self.resize(needed)
                    self.places = places
            if not self.lent:
                self.strangers = 0
            self.loans, self.clock = [], 0

    def lend(self, nbytes: int) -> tuple[np.ndarray, tuple[int, int, int], list]:
        """Return memory of at least `nbytes`, what says which it is, and where to put that
        when it is free again.
        """
        with self.lock:
            self._collect()
            number = len(self.loans)
            self.loans.append([nbytes, self.clock, -1])
            self.clock += 1
            self.lent += nbytes
            home = self.returned
            at = self._planned(number, nbytes)
            if at is None:
                fitting = [(size, start) for start, size in self.holes if size >= nbytes]
                at = min(fitting)[1] if fitting else None
            if at is not None:
                self._carve(at, nbytes)
                return self.memory[at : at + nbytes], (at, nbytes, number), home
        try:
            return allocate(nbytes, np.uint8), (-1, nbytes, number), home
        except MemoryError:
            home.append((-1, nbytes, number))
            raise

    def _planned(self, number: int, nbytes: int) -> int | None:
        """Where the layout puts the loan, if it is as expected and the place is free."""
        if number >= len(self.places) or self.places[number][0] != nbytes:
            return None
        at = self.places[number][1]
        hole = bisect.bisect_right(self.holes, (at, self.memory.nbytes)) - 1
        return at if hole >= 0 and sum(self.holes[hole]) >= at + nbytes else None

    def _carve(self, at: int, nbytes: int) -> None:
        place = bisect.bisect_right(self.holes, (at, self.memory.nbytes)) - 1
        start, size = self.holes[place]
        rest = [(start, at - start), (at + nbytes, start + size - at - nbytes)]
        self.holes[place : place + 1] = [hole for hole in rest if hole[1]]

    def _collect(self) -> None:
        # Arrays die at any point of any thread, in the midst of `lend` too: they only queue up.
        while self.returned:
            first, nbytes, number = self.returned.pop()
            self.lent -= nbytes
            if number < len(self.loans) and not self.strangers:
                self.loans[number][2] = self.clock
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


def layout(loans: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return (bytes, offset) for each of `loans` (bytes, born, died; -1: it lives on).

    One after the other is put into the smallest gap that those whose lives it shares leave: the
    largest first, as in Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
    Inference" (2020), and, if that takes more than what lives at one time, in other orders.
    """
    end = 1 + max(born for _, born, _ in loans)
    lives = [(born, died if died >= 0 else end) for _, born, died in loans]
    sizes = [nbytes for nbytes, _, _ in loans]
    bound = max(
        sum(sizes[n] for n, (born, died) in enumerate(lives) if born <= time < died)
        for time in range(end)
    )
    order = sorted(range(len(loans)), key=lambda n: (-sizes[n], lives[n]))
    best = _placed(sizes, lives, order)
    rng = random.Random(0)
    for _ in range(min(TRIES, 10**6 // len(loans) ** 2)):
        if max(map(sum, best)) <= bound:
            break
        # from nearly by size to by chance: what joins two large ones has to come before them
        least = rng.choice((0.3, 0.1, 0.01))
        swapped = sorted(order, key=lambda n: -sizes[n] * rng.uniform(least, 1.0))
        best = min(best, _placed(sizes, lives, swapped), key=lambda places: max(map(sum, places)))
    return best


def _placed(
    sizes: Sequence[int], lives: Sequence[tuple[int, int]], order: Sequence[int]
) -> list[tuple[int, int]]:
    offsets = [0] * len(sizes)
    placed: list[int] = []
    for number in order:
        nbytes, (born, died) = sizes[number], lives[number]
        taken = sorted(
            (offsets[other], sizes[other])
            for other in placed
            if lives[other][0] < died and born < lives[other][1]
        )
        best, at = None, 0
        for start, size in taken:
            if start - at >= nbytes and (best is None or start - at < best[0]):
                best = start - at, at
            at = max(at, start + size)
        offsets[number] = at if best is None else best[1]
        placed.append(number)
    return list(zip(sizes, offsets, strict=True))


class Loan:
    """What an array in the slab stands on; it ends with the last view of the array."""

    home: list[tuple[int, int, int]] | None = None

    def __init__(self, slab: Slab, shape: tuple[int, ...], dtype: np.dtype, nbytes: int):
        self.nbytes = -(-nbytes // ALIGNMENT) * ALIGNMENT
        self.memory, self.place, self.home = slab.lend(self.nbytes)
        self.__array_interface__ = {
            "data": (self.memory.__array_interface__["data"][0], False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }

    def __del__(self) -> None:
        if self.home is not None:
            self.home.append(self.place)
