"""Arrays that a layer owns: learned parameters and running statistics."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from fastconv.arguments import as_plain_array
from fastconv.errors import FastconvError
from fastconv.kernels import active_isa

__all__ = ["Parameter"]


class Parameter:
    """A learned array (or, with ``trainable=False``, a statistic) and its packed forms.

    Parameters
    ----------
    value : ndarray, float32 or float64
        The starting value; a C-contiguous copy is owned.
    name : str
        What errors call it.
    trainable : bool
        Whether optimizers change it.

    Attributes
    ----------
    value : ndarray
        The owned array, which `forward` and `backward` of a layer read.
    view : ndarray
        A read-only view of it, for users.
    shape, dtype, size, nbytes
        As of the array.
    trainable : bool
        Whether optimizers change it.
    version : int
        Raised by every change, so that what was packed from an older value is known to be old.

    Methods
    -------
    assign(array)
        Copy new values in; a wrong shape or dtype is an error.
    bump()
        Say that `value` was written to in place.
    packed(key, make)
        Return ``make(value)``, made anew only after a change.

    Examples
    --------
    >>> p = Parameter(np.zeros(2, "float32"), name="bias")
    >>> p.assign([1, 2])
    >>> p.view, p.version
    (array([1., 2.], dtype=float32), 1)
    """

    _lock: threading.Lock
    _packed: dict[Hashable, Any]
    _stamp: tuple[int, str] | None

    def __init__(self, value: np.ndarray, *, name: str = "value", trainable: bool = True) -> None:
        self._value: np.ndarray | None = np.array(value, order="C")
        self.name = name
        self.shape: tuple[int, ...] = self._value.shape
        self.dtype: np.dtype = self._value.dtype
        self.trainable = trainable
        self.version = 0
        self._forget()

    @property
    def value(self) -> np.ndarray:
        """The owned array. Who writes into it calls `bump` afterwards."""
        if self._value is None:
            raise FastconvError(
                f"{self.name}: the plain value must be kept to be read, and was dropped when it "
                "was packed for inference; use the network it was made from"
            )
        return self._value

    @property
    def view(self) -> np.ndarray:
        """A read-only view of the value."""
        view = self.value.view()
        view.flags.writeable = False
        return view

    @property
    def size(self) -> int:
        """Elements of the value, kept or released."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the plain value; 0 once it is released."""
        return 0 if self._value is None else self._value.nbytes

    @property
    def packed_nbytes(self) -> int:
        """Bytes of the packed forms that are cached."""
        with self._lock:
            return sum(int(packed.nbytes) for packed in self._packed.values())

    def checked(self, array: object, operation: str) -> np.ndarray:
        """Return `array` in the shape and dtype of the value, without changing anything.

        Raises
        ------
        ShapeError
            If the shape differs; nothing is broadcast.
        ArgumentTypeError
            If `array` is not made of real numbers, or a finite one does not fit the dtype.
        """
        return as_plain_array(
            operation, self.name, array, (np.integer, np.floating), shape=self.shape,
            dtype=self.dtype, remedy=f"use .astype({self.dtype.name!r})",
        )  # fmt: skip

    def assign(self, array: object, operation: str = "assign") -> None:
        """Copy `array` into the value; errors as `checked`."""
        self.value[...] = self.checked(array, operation)
        self.bump()

    def bump(self) -> None:
        """Say that the value was changed in place; what was packed from it is let go."""
        with self._lock:
            self.version += 1
            if self._value is not None:  # else the packed forms are all there is
                self._packed.clear()

    def twin(self) -> Parameter:
        """Return another parameter on the same array and the forms packed so far."""
        twin = copy.copy(self)
        with self._lock:
            if self._stamp == (self.version, active_isa()):
                twin._packed, twin._stamp = dict(self._packed), self._stamp
        return twin

    def packed(self, key: Hashable, make: Callable[[np.ndarray], Any]) -> Any:
        """Return ``make(value)``, made once for each `key`, version and instruction set."""
        stamp = (self.version, active_isa())
        with self._lock:
            if self._stamp != stamp and self._value is not None:  # a released value is constant
                self._packed.clear()
                self._stamp = stamp
            if key not in self._packed:
                self._packed[key] = make(self.value)
            return self._packed[key]

    def unpack(self, most: int = 0) -> None:
        """Drop the packed forms if they take more than `most` bytes and the value is kept."""
        if self.packed_nbytes > most:
            with self._lock:
                if self._value is not None:
                    self._packed.clear()

    def release(self) -> None:
        """Drop the plain value and live from the packed forms alone."""
        with self._lock:
            self._value = None

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._packed = {}
        self._stamp = None

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        del state["_lock"], state["_stamp"]
        if self._value is not None:  # else the packed forms are all there is
            del state["_packed"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._forget()
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, {self.shape}, {self.dtype}, version {self.version})"
