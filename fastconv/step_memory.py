"""Memory from NumPy, and the memory that the large arrays of a step of training share."""

from __future__ import annotations

import bisect
import math
import weakref
from collections.abc import Sequence

import numpy as np

__all__ = ["Loan", "StepMemory", "aligned", "allocate"]

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


class Loan:
    """What an array in the step memory stands on; it ends with the last view of the array."""

    __slots__ = ("__array_interface__", "__weakref__", "memory")

    def __init__(self, memory: np.ndarray, shape: tuple[int, ...], dtype: np.dtype):
        self.memory = memory
        self.__array_interface__ = {
            "data": (memory.__array_interface__["data"][0], False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }


class Place(weakref.ref[Loan]):
    """Where a loan is.

    When the loan ends, its place is put into a list without any Python code: an interrupt could be
    raised in such code, and the place lost.
    """

    __slots__ = ("at", "nbytes", "number")
    at: int  # offset in the step memory, or -1 for memory of its own
    nbytes: int
    number: int  # in its step


class StepMemory:
    """Memory that the large arrays of a step of training share, step after step.

    The system fills fresh memory with zeros page by page, which can take longer than what is
    computed in it.  Steps are alike, so the loans of one step are known from the last: how many
    bytes each has, and from when to when it lives.  They are laid out in little more memory than
    what was lent at one time, and the next step follows this layout.  A loan that is not in it
    goes to the smallest hole that it fits, or gets memory of its own.

        | array | hole | array | array |    hole          |

    A step memory serves one step at a time, in one thread; arrays may die in any thread.  Where
    an interrupt ends `lend` in the middle, or a signal handler calls it there, the memory is not
    `whole`: it lends no more, and lives as long as the arrays in it.
    """

    def __init__(self) -> None:
        self.whole = True
        self.resize(0)

    def resize(self, nbytes: int) -> None:
        self.memory = aligned(0)  # let go before there is more
        self.holes: list[tuple[int, int]] = []  # (offset, bytes), in order, none adjacent
        self.lent = 0
        self.returned: list[Place] = []  # of dead arrays
        self.places: list[tuple[int, int]] = []  # (bytes, offset) of the loans to come, in order
        self.loans: list[list[int]] = []  # [bytes, born, died] of the loans since `begin`
        self.out: dict[int, Place] = {}  # of living arrays, by identity
        self.clock = self.strangers = 0
        if nbytes:
            self.memory = aligned(nbytes)
            self.holes = [(0, nbytes)]

    def begin(self) -> None:
        """Begin a step; if no array is left, lay the memory out for loans like the last ones."""
        self._collect()
        alike = [nbytes for nbytes, _, _ in self.loans] == [size for size, _ in self.places]
        if self.lent:
            self.strangers = len(self.loans)  # they will die among the loans of the next step
        elif self.loans and not alike:
            places = layout(self.loans)
            needed = max(at + nbytes for nbytes, at in places)
            # a smaller step, such as the last of an epoch, does well in the same memory
            if needed > self.memory.nbytes or 2 * needed < self.memory.nbytes:
                try:
                    self.resize(needed)
                    self.places = places
                except MemoryError:  # there may be room for its arrays one by one
                    pass
        if not self.lent:
            self.strangers = 0
        self.loans, self.clock = [], 0

    def lend(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
        """Return an array, or None if the memory is not whole.

        Raises
        ------
        MemoryError
            If there is room neither here nor beside it; it lends no more then.
        """
        if not self.whole:
            return None
        self.whole = False
        nbytes = -(-math.prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT
        self._collect()
        number = len(self.loans)
        self.loans.append([nbytes, self.clock, -1])
        self.clock += 1
        self.lent += nbytes
        at = self._planned(number, nbytes)
        if at is None:
            fitting = [(size, start) for start, size in self.holes if size >= nbytes]
            at = min(fitting)[1] if fitting else -1
        if at >= 0:
            self._carve(at, nbytes)
        memory = self.memory[at : at + nbytes] if at >= 0 else allocate(nbytes, np.uint8)
        loan = Loan(memory, shape, dtype)
        place = Place(loan, self.returned.append)
        place.at, place.nbytes, place.number = at, nbytes, number
        self.out[id(place)] = place
        self.whole = True
        return np.asarray(loan)

    def _planned(self, number: int, nbytes: int) -> int | None:
        """Return where the layout puts the loan, if it is as expected and its place is free."""
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
        # Arrays die at any point of any thread, also within `lend`, so dead ones only queue up.
        while self.returned:
            place = self.returned.pop()
            del self.out[id(place)]
            self.lent -= place.nbytes
            if place.number < len(self.loans) and not self.strangers:
                self.loans[place.number][2] = self.clock
            if place.at < 0:
                continue
            first, last = place.at, place.at + place.nbytes
            begin = end = bisect.bisect_left(self.holes, (first, 0))
            if begin and sum(self.holes[begin - 1]) == first:
                begin -= 1
                first = self.holes[begin][0]
            if end < len(self.holes) and self.holes[end][0] == last:
                last += self.holes[end][1]
                end += 1
            self.holes[begin:end] = [(first, last - first)]

    @property
    def free(self) -> int:
        """Bytes in which no array lies."""
        self._collect()
        return sum(size for _, size in self.holes)


def layout(loans: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return (bytes, offset) for each of `loans` (bytes, born, died; -1: it lives on).

    The loans are placed one by one.  Each goes into the smallest gap between those that live at
    the same time.  The largest are placed first, as in Pisarchyk and Lee, "Efficient Memory
    Management for Deep Neural Net Inference" (2020).  If that takes more memory than what lives at
    one time, other orders are tried.
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
    import random  # few plans come so far

    rng = random.Random(0)
    for _ in range(min(TRIES, 10**6 // len(loans) ** 2)):
        if max(map(sum, best)) <= bound:
            break
        # orders from nearly by size to random: a loan between two large ones may have to come first
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
