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
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from .arena import Arena, Block
from .arguments import parse_bytes
from .slab import Loan, Slab, aligned, allocate

__all__ = ["Usage", "format_bytes", "parse_bytes", "release", "track"]


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

    __slots__ = ("copies", "output", "packed", "workspace", "workspace_peak")

    def __init__(self) -> None:
        self.workspace = self.workspace_peak = self.packed = self.copies = self.output = 0

    def __repr__(self) -> str:
        return (
            f"Usage(workspace_peak={self.workspace_peak}, packed={self.packed}, "
            f"copies={self.copies}, output={self.output})"
        )

    def _workspace(self, nbytes: int) -> None:
        self.workspace += nbytes
        self.workspace_peak = max(self.workspace_peak, self.workspace)


_trackers: ContextVar[tuple[Usage, ...]] = ContextVar("fastconv_trackers", default=())
_recycling: ContextVar[bool] = ContextVar("fastconv_recycling", default=False)
_frugal: ContextVar[bool] = ContextVar("fastconv_frugal", default=False)


@contextmanager
def track() -> Iterator[Usage]:
    """Count what fastconv takes inside the block; blocks nest, each thread has its own.

    Examples
    --------
    >>> with track() as used:
    ...     pass
    >>> used.workspace_peak
    0
    """
    usage = Usage()
    token = _trackers.set((*_trackers.get(), usage))
    try:
        yield usage
    finally:
        _trackers.reset(token)


_arena = Arena()


#: Bytes from which an array's memory is worth lending.
WORTH_LENDING = 1 << 16
_slab = Slab()


def _renew_locks() -> None:
    """Make the locks anew: in a child after fork the thread that held one may not exist."""
    _arena.renew_locks()
    _slab.lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_locks)


@contextmanager
def recycling() -> Iterator[None]:
    """Let the large outputs of the block share memory with those of the blocks before it.

    The arrays are the caller's like any others: their memory is taken again only after the last
    view of it is gone.
    """
    token = _recycling.set(True)
    _slab.begin()
    try:
        yield
    finally:
        _recycling.reset(token)


@contextmanager
def frugal() -> Iterator[None]:
    """Keep no free memory for later calls while the block runs, and none from before it."""
    token = _frugal.set(True)
    release()
    try:
        yield
    finally:
        _frugal.reset(token)


def release() -> int:
    """Give kept free memory back to the system and return how many bytes it was.

    That is the arena's, and the arrays of the last steps of training.

    Examples
    --------
    >>> _ = release()
    >>> release()
    0
    """
    return _arena.release() + _slab.release()


@contextmanager
def workspace(nbytes: int) -> Iterator[np.ndarray]:
    """Lend `nbytes` of uninitialised memory, a uint8 array aligned to 64 bytes."""
    trackers, keep = _trackers.get(), not _frugal.get()
    block = _arena.take(nbytes, keep=keep)
    for usage in trackers:
        usage._workspace(nbytes)
    try:
        yield block.array
    finally:
        for usage in trackers:
            usage._workspace(-nbytes)
        _arena.give_back(block, keep=keep)


def empty(shape: Sequence[int] | int, dtype: np.dtype | type | str) -> np.ndarray:
    """Return an uninitialised array that will be handed out, counted as output."""
    array = _recycled(shape, dtype) if _recycling.get() else allocate(shape, dtype)
    for usage in _trackers.get():
        usage.output += array.nbytes
    return array


def _recycled(shape: Sequence[int] | int, dtype: np.dtype | type | str) -> np.ndarray:
    dtype = np.dtype(dtype)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < WORTH_LENDING:
        return allocate(shape, dtype)
    return np.asarray(Loan(_slab, shape, dtype, nbytes))


def copied(array: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """Return a C-contiguous native copy of `array`, counted as a copy, cast to `dtype` if given."""
    dtype = array.dtype.newbyteorder("=") if dtype is None else dtype
    copy = np.array(array, dtype=dtype, order="C", copy=True, subok=False)
    for usage in _trackers.get():
        usage.copies += copy.nbytes
    return copy


def packed(nbytes: int, dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised flat array for packed weights, aligned and counted as packed."""
    for usage in _trackers.get():
        usage.packed += nbytes
    return aligned(nbytes).view(dtype)


class Lent:
    """Packed weights that serve one call: memory of the arena, given back at the end of it."""

    __slots__ = ("blocks", "keep")

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.keep = not _frugal.get()

    def packed(self, nbytes: int, dtype: np.dtype) -> np.ndarray:
        """As the function `packed`, but lent until the `with` block ends."""
        for usage in _trackers.get():
            usage.packed += nbytes
        self.blocks.append(_arena.take(nbytes, keep=self.keep))
        return self.blocks[-1].array.view(dtype)

    def __enter__(self) -> Lent:
        return self

    def __exit__(self, *error: object) -> None:
        while self.blocks:
            _arena.give_back(self.blocks.pop(), keep=self.keep)


def format_bytes(nbytes: int) -> str:
    """Return `nbytes` for people, in powers of 1024.

    Examples
    --------
    >>> format_bytes(0), format_bytes(1536), format_bytes(8 * 2**20)
    ('0 B', '1.5 KiB', '8 MiB')
    """
    size, unit = float(nbytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if size == int(size) or size >= 100 else f"{size:.3g} {unit}"
