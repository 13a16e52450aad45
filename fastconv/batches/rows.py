"""Rows that are read from an object when a batch needs them."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array, as_sizes
from fastconv.batches.ahead import keep_on
from fastconv.batches.protocol import Array
from fastconv.errors import ArgumentTypeError, ShapeError

__all__ = ["COUNT_RULE", "Rows", "asked", "is_mapped", "is_read", "reads"]

COUNT_RULE = "must have a __len__ that gives how many there are"


def reads(value: Any) -> bool:
    """Whether the rows of `value` are to be read from it one by one, or some at a time.

    Lists, arrays and everything whose memory NumPy can share, such as a tensor, are arrays at
    once. So are data frames, whose own numbers of rows are labels.
    """
    kind = type(value)
    if isinstance(value, (np.ndarray, np.generic, list, tuple, str, bytes, range, Mapping)):
        return False
    if not (hasattr(kind, "__len__") and hasattr(kind, "__getitem__")):
        return False
    if any(hasattr(value, name) for name in ("__array_interface__", "__dlpack__", "iloc")):
        return False
    try:
        memoryview(value)
    except TypeError:
        return True
    return False


def asked(operation: str, name: str, rule: str, function: Callable[[Any], Any], given: Any) -> Any:
    """Return ``function(given)``; raise ArgumentTypeError if that has the wrong kind for Python.

    What code of the object itself raises tells more, and is let through.
    """
    try:
        return function(given)
    except (TypeError, ValueError, OverflowError) as error:
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            raise
        shown = f"{type(given).__name__}: {error}"
        raise ArgumentTypeError(operation, name, rule, type(given), shown=shown) from None


def is_read(array: Any) -> bool:
    """Whether each batch of `array` takes memory of its own, which it is read into."""
    return isinstance(array, Rows)


def is_mapped(array: Any) -> bool:
    """Whether `array` is in a file that is mapped into memory: what is taken of it is read."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(array, (mmap.mmap, memoryview)) and _is_of_file(array)


def _is_of_file(memory: Any) -> bool:
    return isinstance(memory, mmap.mmap) or isinstance(memory.obj, mmap.mmap)


class Rows:
    """What an object with ``__len__`` and ``__getitem__`` has, as an array that is read.

    An object that has a ``shape`` is called with row numbers, an array of int64 in ascending order,
    as data sets of HDF5 can be. Any other is called with one int for each row. To index this with
    a slice or with numbers gives an array of its own.

    Parameters
    ----------
    operation, name : str
        What errors name.
    given : object

    Attributes
    ----------
    shape : tuple of int
        (N, ...): of an object without one, that of its first row.
    dtype : dtype
    nbytes : int
        0, for nothing of it is in memory.

    Raises
    ------
    ShapeError, ArgumentTypeError
        If the object says a shape that it cannot have, or holds no rows; and later, if a row has
        another shape or dtype than the first one.
    """

    nbytes = 0

    def __init__(self, operation: str, name: str, given: Any) -> None:
        self._operation, self._name, self._given = operation, name, given
        count = asked(operation, name, COUNT_RULE, len, given)
        self._by_numbers = getattr(given, "shape", None) is not None
        if self._by_numbers:
            self.shape = as_sizes(operation, f"{name}.shape", given.shape, 0)
            if self.shape[:1] != (count,):
                rule = f"must begin with its length, {count}"
                raise ShapeError(operation, f"{name}.shape", rule, self.shape)
            dtype = _dtype(given)
            self.dtype = self._asked(np.arange(min(1, count))).dtype if dtype is None else dtype
        else:
            if not count:
                raise ShapeError(operation, name, "must hold at least one row", 0, shown="none")
            first = self._row(0)
            self.shape, self.dtype = (count, *first.shape), first.dtype

    @property
    def ndim(self) -> int:
        """How many axes there are, with that of the rows."""
        return len(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        """Bytes of a row, once it is read."""
        return int(np.prod(self.shape[1:], dtype=object)) * self.itemsize

    @property
    def copies(self) -> int:
        """How many times over a batch is in memory while it is read."""
        return 2 if self._by_numbers else 1

    @property
    def outline(self) -> Array:
        """An array of this shape and dtype that takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | Array) -> Array:
        keep_on()
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        if self._by_numbers:
            order = np.argsort(rows, kind="stable")
            found = self._checked(self._asked(rows[order]), (len(rows), *self.shape[1:]))
            if (rows[1:] > rows[:-1]).all():
                return found
            out = np.empty_like(found)
            out[order] = found
            return out
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for place, row in enumerate(rows.tolist()):
            keep_on()
            out[place] = self._checked(self._row(row), self.shape[1:], f" in row {row}")
        return out

    def _asked(self, rows: Array) -> Array:
        rule = "must give an array for row numbers"
        return as_plain_array(self._operation, self._name, self._given[rows], None, rule=rule)

    def _row(self, row: int) -> Array:
        return np.asarray(
            as_plain_array(self._operation, f"{self._name}[{row}]", self._given[row], None)
        )

    def _checked(self, found: Array, shape: tuple[int, ...], where: str = "") -> Array:
        if found.shape != shape:
            rule = f"must give rows of one shape, {shape}"
            shown = f"shape {found.shape}{where}"
            raise ShapeError(self._operation, self._name, rule, found.shape, shown=shown)
        if found.dtype != self.dtype:
            raise ArgumentTypeError(
                self._operation,
                self._name,
                f"must give rows of one dtype, {self.dtype}",
                found.dtype,
                shown=f"{found.dtype}{where}",
            )
        return found


def _dtype(given: Any) -> np.dtype[Any] | None:
    """Return what `given` says its dtype is, or None if NumPy does not know such a dtype."""
    try:
        return None if given.dtype is None else np.dtype(given.dtype)
    except (AttributeError, TypeError):
        return None
