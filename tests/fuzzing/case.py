"""What one case draws: numbers, arrays in odd layouts, threads, and where memory lies."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from fastconv import arena, memory, threads
from fuzzing.geometries import picker
from fuzzing.guard import UNTOUCHED, Memory

RUN = threads.run
#: Numbers that are not finite, and the zero that is not the other.
SPECIAL = (np.nan, np.nan, np.inf, -np.inf, -0.0)


class Case:
    """The case of a number, in which everything comes from a generator of that number.

    Attributes
    ----------
    rng : numpy.random.Generator
    pick : callable
        Gives one of its arguments.
    dtype : str
        ``"float32"`` or ``"float64"``.
    values : str
        What arrays hold: ``"whole"`` numbers, whose sums are exact in any order, the same with
        a few ``"special"`` ones, or ``"real"`` numbers of a normal distribution.
    """

    def __init__(self, number: int, guarded: Memory):
        self.number = number
        self.guarded = guarded
        self.rng = np.random.default_rng(number)
        self.pick = picker(self.rng)
        self.dtype = self.pick("float32", "float64")
        self.values = self.pick("whole", "whole", "special", "real")
        self.scale = self.pick(1, 1, 1, 1e-20, 1e10) if self.values == "real" else 1
        self.odd = self.chance(0.5)  # whether layouts are
        self.given: list[tuple[np.ndarray, bytes]] = []
        self.notes: dict[str, Any] = {"dtype": self.dtype, "values": self.values}

    def chance(self, share: float) -> bool:
        """Return True in `share` of all cases."""
        return bool(self.rng.random() < share)

    @property
    def unit(self) -> float:
        """The largest relative error of one rounding."""
        return float(np.finfo(self.dtype).eps) / 2

    def bound(self, roundings: float, sizes: Any) -> Any:
        """Return what as many roundings explain in numbers of such sizes, however small."""
        return roundings * (self.unit * sizes + float(np.finfo(self.dtype).smallest_subnormal))

    # Numbers

    def numbers(self, shape: Sequence[int], largest: int = 4) -> np.ndarray:
        """Return a plain array of the case's kind of numbers."""
        if self.values == "real":
            return (self.rng.standard_normal(shape) * self.scale).astype(self.dtype)
        array = self.rng.integers(-largest, largest + 1, shape).astype(self.dtype)
        if self.values == "special" and array.size:
            for _ in range(self.pick(0, 1, 1, 2, 5, 1 + array.size // 5)):
                array.flat[int(self.rng.integers(array.size))] = self.pick(*SPECIAL)
        return array

    # Arrays against guard pages

    def array(self, shape: Sequence[int], largest: int = 4) -> np.ndarray:
        """Return an array for a function to read, at times in an odd layout."""
        shape = tuple(shape)
        if self.odd and self.chance(0.1):  # broadcast along some axes
            kept = tuple(1 if n and self.chance(0.4) else n for n in shape)
            array = self.lay(self.numbers(kept, largest))
            return np.broadcast_to(array, shape)
        return self.lay(self.numbers(shape, largest))

    def lay(self, values: np.ndarray, native: bool = False) -> np.ndarray:
        """Return an array that equals `values` and touches a guard page, read-only at times.

        In an odd layout its memory has gaps, axes run backwards or in another order, it begins
        between two elements, or its bytes are in the other order unless `native` forbids it.
        """
        dtype = values.dtype
        if not values.size:
            return np.empty(values.shape, dtype)
        strides, slack = list(_steps(values.shape, dtype.itemsize)), 0
        if self.odd:
            strides = self._odd_strides(values.shape, dtype.itemsize)
            if not native and self.chance(0.1):
                dtype = dtype.newbyteorder()
            if self.chance(0.15):
                slack = int(self.rng.integers(1, values.itemsize + 1))
        reach = [stride * (n - 1) for stride, n in zip(strides, values.shape, strict=True)]
        low = sum(step for step in reach if step < 0)
        extent = sum(map(abs, reach)) + dtype.itemsize
        at_end = self.chance(0.5)
        piece = self.guarded.take(extent + slack, at_end)
        piece[...] = UNTOUCHED
        held = piece[:extent] if at_end else piece[slack:]
        array = np.ndarray(values.shape, dtype, held, -low, strides)
        array[...] = values
        array.flags.writeable = not self.chance(0.3)
        self.given.append((piece, piece.tobytes()))
        return array

    def _odd_strides(self, shape: tuple[int, ...], itemsize: int) -> list[int]:
        order = list(range(len(shape)))
        if self.chance(0.2):
            order = self.rng.permutation(len(shape)).tolist()
        strides, current = [0] * len(shape), itemsize
        for axis in reversed(order):
            step = current * self.pick(1, 1, 1, 1, 2, 3)
            strides[axis] = step * self.pick(1, 1, 1, -1)
            current = step * max(1, shape[axis])
            if self.chance(0.2):  # part of a wider array
                current += itemsize * self.pick(1, 3, 8)
            if self.chance(0.03):  # a field of records
                current += 1
        return strides

    def output(self, shape: Sequence[int], dtype: str | None = None) -> np.ndarray:
        """Return an array to write to, plain, against a guard page, full of what is wrong."""
        kind = np.dtype(dtype or self.dtype)
        shape = tuple(shape)
        piece = self.guarded.take(math.prod(shape) * kind.itemsize, self.chance(0.5))
        piece[...] = UNTOUCHED
        return piece.view(kind).reshape(shape)

    def writable(self, values: np.ndarray) -> np.ndarray:
        """Return a plain copy of `values` that a function may change in place."""
        array = self.output(values.shape, values.dtype.name)
        array[...] = values
        return array

    def check_arrays(self) -> None:
        """Raise unless arrays that were given are as they were, and nothing beside them is not."""
        for piece, before in self.given:
            if piece.tobytes() != before:
                raise AssertionError("a function has changed what it was given to read")
        self.guarded.check()

    # Surroundings

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function of fastconv; memory it takes lies against guard pages too."""
        with np.errstate(all="raise") if self.raises else nullcontext():
            # else the arena would lend what it has, and blocks would have room behind them
            return memory.frugal(partial(function, *args, **options))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """As where nothing is odd: one thread, one slice."""
        before = threads.SMALL_WORK, threads.slice_work, threads._chosen
        threads.SMALL_WORK, threads.slice_work, threads._chosen = 10**18, 10**18, 1
        try:
            yield
        finally:
            threads.SMALL_WORK, threads.slice_work, threads._chosen = before

    @contextmanager
    def surroundings(self) -> Iterator[None]:
        """Threads, slices, NumPy's error state and memory as this case has them."""
        ours = {(threads, "run"): self._run}
        for module in (arena, memory):
            for name, function in (
                ("aligned", self._aligned),
                ("allocate", self._allocate),
                ("fresh", self._allocate),
            ):
                if hasattr(module, name):
                    ours[module, name] = function
        settings = [(threads, name) for name in ("SMALL_WORK", "slice_work", "_chosen")]
        before = {place: getattr(*place) for place in (*ours, *settings)}
        count, self.slices = 1, 1
        if self.chance(0.4):  # as if it were large
            threads.SMALL_WORK = 0
            threads._chosen = count = self.pick(1, 2, 3, 4)
            self.slices = self.pick(1, 1, 2, 3, 7, 20)
        self.notes |= {"threads": count, "slices": self.slices}
        self.raises = self.chance(0.3)
        memory.release()  # what earlier calls left is not of this case
        try:
            for place, function in ours.items():
                setattr(*place, function)
            yield
        finally:
            for place, value in before.items():
                setattr(*place, value)
            memory.release()

    def _run(self, kernel: Callable[..., Any], *args: object, work: int, **most: int) -> Any:
        if self.slices > 1:
            threads.slice_work = max(1, work // self.slices)
        return RUN(kernel, *args, work=work, **most)

    def _aligned(self, nbytes: int) -> np.ndarray:
        piece = self.guarded.take(nbytes, self.chance(0.5), arena.ALIGNMENT)
        piece[...] = UNTOUCHED
        return piece

    def _allocate(self, shape: Sequence[int] | int, dtype: Any) -> np.ndarray:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        return self.output(shape, np.dtype(dtype).name)


def plain(array: np.ndarray) -> np.ndarray:
    """Return a contiguous copy in the machine's byte order, for the reference."""
    return np.array(array, array.dtype.newbyteorder("="), order="C", subok=False)


def _steps(shape: tuple[int, ...], itemsize: int) -> Iterator[int]:
    for axis in range(len(shape)):
        yield itemsize * math.prod(shape[axis + 1 :])
