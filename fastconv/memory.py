"""Every byte that fastconv takes for itself is taken here, and counted.

Three kinds: *workspace*, scratch memory from an arena that calls and layers share; *copies*
of arrays whose layout the kernels cannot read in place; *packed* weights.  Outputs are
ordinary arrays, counted beside them.

>>> import numpy as np, fastconv
>>> x, w = np.ones((1, 3, 8, 8)), np.ones((4, 3, 3, 3))
>>> with fastconv.memory.track() as used:
...     y = fastconv.conv2d(x, w, algorithm="im2col")
>>> used.workspace_peak == 1 * 6 * 6 * 3 * 3 * 3 * 8
True
"""

from __future__ import annotations

import math
import sys
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from typing import TypeVar

import numpy as np

from fastconv.arena import Arena, Block
from fastconv.arguments import as_real, parse_bytes
from fastconv.step_memory import StepMemory, aligned, allocate

__all__ = ["Usage", "format_bytes", "parse_bytes", "release", "track"]

T = TypeVar("T")


class Usage:
    """Bytes that were taken inside a `track` block.

    Attributes
    ----------
    workspace_peak : int
        The largest workspace held at one time, as requested: equal to what
        `conv2d_costs` states.
    packed, copies, output : int
        Totals of packed weights made, of copies of odd layouts, and of outputs.
    """

    __slots__ = ("__weakref__", "_blocks", "copies", "output", "packed", "workspace_peak")

    def __init__(self) -> None:
        self.workspace_peak = self.packed = self.copies = self.output = 0
        self._blocks: list[weakref.ref[Block]] = []

    def __repr__(self) -> str:
        return (
            f"Usage(workspace_peak={self.workspace_peak}, packed={self.packed}, "
            f"copies={self.copies}, output={self.output})"
        )

    @property
    def workspace(self) -> int:
        """Bytes of workspace that are held now."""
        blocks = (ref() for ref in self._blocks)
        return sum(block.array.nbytes for block in blocks if block is not None)

    def _took(self, block: Block) -> None:
        self._blocks = [*(ref for ref in self._blocks if ref() is not None), weakref.ref(block)]
        self.workspace_peak = max(self.workspace_peak, self.workspace)


# An interrupt may end a `with` block before it can clean up, so its tracker is held weakly.  The
# other two variables are set in contexts that end with a call.
_trackers: ContextVar[tuple[weakref.ref[Usage], ...]] = ContextVar("fastconv_trackers", default=())
_recycling: ContextVar[StepMemory | None] = ContextVar("fastconv_recycling", default=None)
_frugal: ContextVar[bool] = ContextVar("fastconv_frugal", default=False)


class track:  # noqa: N801
    """Count what fastconv takes inside the block; blocks nest, each thread has its own.

    Examples
    --------
    >>> with track() as used:
    ...     pass
    >>> used.workspace_peak
    0
    """

    def __enter__(self) -> Usage:
        self._usage = Usage()
        _trackers.set((*_others(None), weakref.ref(self._usage)))
        return self._usage

    def __exit__(self, *error: object) -> None:
        _trackers.set(_others(self._usage))


def _others(usage: Usage | None) -> tuple[weakref.ref[Usage], ...]:
    """Return the trackers that are alive, without that of `usage`."""
    return tuple(ref for ref in _trackers.get() if ref() not in (None, usage))


def _count(kind: str, nbytes: int) -> None:
    for ref in _trackers.get():
        usage = ref()
        if usage is not None:
            setattr(usage, kind, getattr(usage, kind) + nbytes)


#: Makes an array.  Tests put a function here whose memory has guarded ends.
fresh = np.empty
#: Bytes from which an array's memory is worth lending.
WORTH_LENDING = 1 << 16
_arena = Arena()
_kept: list[StepMemory] = []  # of steps that have ended


def recycling(work: Callable[..., T], *args: object) -> T:
    """Return ``work(*args)``, whose large outputs share memory with those of earlier calls.

    The arrays are the caller's like any others: their memory is taken again only after the last
    view of it is gone.
    """
    try:
        shared = _kept.pop()
    except IndexError:
        shared = StepMemory()
    shared.begin()
    context = copy_context()
    context.run(_recycling.set, shared)
    result = context.run(work, *args)
    if shared.whole:  # else, and after an error, it is let go
        _kept.append(shared)
    return result


def apart(work: Callable[..., T], *args: object) -> T:
    """Return ``work(*args)``, whose arrays are all new: for many that live for a moment each."""
    context = copy_context()
    context.run(_recycling.set, None)
    return context.run(work, *args)


def frugal(work: Callable[..., T], *args: object) -> T:
    """Return ``work(*args)``; keep no free memory for later calls, and none from before it."""
    release()
    context = copy_context()
    context.run(_frugal.set, True)
    return context.run(work, *args)


def release() -> int:
    """Give kept free memory back to the system and return how many bytes it was.

    That is the arena's, and the arrays of the last steps of training.

    Examples
    --------
    >>> _ = release()
    >>> release()
    0
    """
    released = _arena.release()
    while True:
        try:
            released += _kept.pop().free
        except IndexError:
            return released


def _or_release(make: Callable[..., T], *args: object) -> T:
    """Return ``make(*args)``; if memory runs out, release what is kept and try once more."""
    try:
        return make(*args)
    except MemoryError:
        if not release():
            raise
    return make(*args)


def _lend(nbytes: int, room: int) -> Block:
    return _or_release(_arena.take, nbytes, not _frugal.get(), room)


class workspace:  # noqa: N801
    """Lend `nbytes` of uninitialised memory, a uint8 array aligned to 64 bytes.

    `room` is what will be lent at one time, if more follows within the block.
    """

    __slots__ = ("_block", "_nbytes", "_room")

    def __init__(self, nbytes: int, room: int = 0) -> None:
        self._nbytes, self._room = nbytes, room
        self._block: Block | None = None

    def __enter__(self) -> np.ndarray:
        block = self._block = _lend(self._nbytes, self._room)
        for ref in _trackers.get():
            usage = ref()
            if usage is not None:
                usage._took(block)
        return block.array

    def __exit__(self, *error: object) -> None:
        self._block = None


def empty(shape: Sequence[int] | int, dtype: np.dtype | type | str) -> np.ndarray:
    """Return an uninitialised array that will be handed out, counted as output."""
    shared = _recycling.get()
    array = None if shared is None else _recycled(shared, shape, dtype)
    if array is None:
        try:
            array = fresh(shape, dtype)  # the usual case, quickly
        except (MemoryError, ValueError):
            array = _or_release(allocate, shape, dtype)
    if _trackers.get():
        _count("output", array.nbytes)
    return array


def _recycled(
    shared: StepMemory, shape: Sequence[int] | int, dtype: np.dtype | type | str
) -> np.ndarray | None:
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if math.prod(shape) * dtype.itemsize < WORTH_LENDING:
        return None
    try:
        return shared.lend(shape, dtype)
    except MemoryError:  # it lends no more
        return None


def copied(array: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a C-contiguous native copy of `array`, counted as a copy, cast to `dtype` if given."""
    dtype = array.dtype.newbyteorder("=") if dtype is None else dtype
    copy = _or_release(allocate, array.shape, dtype)
    copy[...] = array
    _count("copies", copy.nbytes)
    return copy


def packed(nbytes: int, dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised flat array for packed weights, aligned and counted as packed."""
    _count("packed", nbytes)
    return _or_release(aligned, nbytes).view(dtype)


class Lent:
    """Packed weights that serve one call: memory of the arena, free again at the end of it.

    `room` is as for `workspace`.
    """

    __slots__ = ("blocks", "room")

    def __init__(self, room: int = 0) -> None:
        self.room = room

    def packed(self, nbytes: int, dtype: np.dtype) -> np.ndarray:
        """As the function `packed`, but lent until the `with` block ends."""
        _count("packed", nbytes)
        self.blocks.append(_lend(nbytes, self.room))
        return self.blocks[-1].array.view(dtype)

    def __enter__(self) -> Lent:
        self.blocks: list[Block] = []
        return self

    def __exit__(self, *error: object) -> None:
        self.blocks.clear()


def format_bytes(nbytes: int) -> str:
    """Return `nbytes` for people, in powers of 1024.

    Examples
    --------
    >>> format_bytes(0), format_bytes(1536), format_bytes(8 * 2**20)
    ('0 B', '1.5 KiB', '8 MiB')
    """
    most = sys.float_info.max
    size, unit = as_real("format_bytes", "nbytes", nbytes, "finite", -most, math.inf), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if size == int(size) or size >= 100 else f"{size:.3g} {unit}"
