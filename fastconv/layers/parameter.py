"""Arrays that a layer owns: learned parameters and running statistics."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Hashable, Sequence
from threading import get_ident
from typing import Any, TypeVar

import numpy as np

from fastconv.arguments import as_plain_array
from fastconv.concurrency import Mutex, Place
from fastconv.errors import FastconvError

__all__ = ["Parameter", "assign_all", "exclusively"]

T = TypeVar("T")
Array = np.ndarray[Any, Any]

# One for all networks, since a layer may stand in several of them.
_mutex = Mutex()


def exclusively(work: Callable[..., T], *args: Any) -> T:
    """Return ``work(*args)``, run while no other thread changes or copies parameters.

    Whatever changes several parameters together, or copies what belongs together, must run in
    it.  `work` should do no more than that, for other threads wait for it.  A signal handler that
    interrupts `work` on its own thread, and changes or copies parameters, does not wait: it sees
    what has been written so far.

    Examples
    --------
    >>> p = Parameter(np.ones(2))
    >>> exclusively(lambda: np.multiply(p.value, 3, out=p.writable()))
    array([3., 3.])
    """
    return _mutex.run(work, *args)


def assign_all(arrays: Sequence[tuple[Parameter, Array]]) -> None:
    """Copy arrays, which `Parameter.checked` gave, into parameters, as one change.

    They may be views of the parameters' own values: those are read before anything is written.
    """
    exclusively(_assign_all, arrays)


def _assign_all(arrays: Sequence[tuple[Parameter, Array]]) -> None:
    values = {id(parameter.value) for parameter, _ in arrays}
    if len(arrays) > 1:  # NumPy copies a single one correctly, however it overlaps
        arrays = [
            (parameter, array if array.flags.owndata and id(array) not in values else array.copy())
            for parameter, array in arrays
        ]
    for parameter, array in arrays:
        parameter.writable()[...] = array


class _Forms:
    """The packed forms of one content of a value.

    Every change begins with a new object, so that nothing packed from an older value comes into
    it.  The object stays empty while the change runs.  The place of the changing thread in the
    line tells when the change has ended, so that nothing is left to be done after the last write.
    """

    __slots__ = ("change", "kept", "version")

    def __init__(self, version: int, change: Place | None) -> None:
        self.version = version
        self.change = change
        self.kept: dict[Hashable, Any] = {}

    @property
    def settled(self) -> bool:
        """Whether the change that made this object has ended."""
        return self.change is None or self.change.left


class Parameter:
    """A learned array (or, with ``trainable=False``, a statistic) and its packed forms.

    Any number of threads may read the value and ask for packed forms.  Changes and copies come
    one after the other.  A change that is interrupted leaves what it has written until then, and
    no packed form of any other content.

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
        Raised by every change.

    Methods
    -------
    assign(array)
        Copy new values in; a wrong shape or dtype is an error.
    writable()
        Return `value` to be written to; within `exclusively` alone.
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

    _forms: _Forms
    _handed: dict[int, weakref.ref[Array]]

    def __init__(self, value: np.ndarray, *, name: str = "value", trainable: bool = True) -> None:
        plain = as_plain_array("Parameter", "value", value, (np.floating,))
        self._value: Array | None = np.array(plain, order="C")
        self.name = name
        self.shape: tuple[int, ...] = self._value.shape
        self.dtype: np.dtype = self._value.dtype
        self.trainable = trainable
        self._forms = _Forms(0, None)
        self._handed = {}

    @property
    def value(self) -> Array:
        """The owned array, to be read; see `writable`."""
        if self._value is None:
            raise FastconvError(
                self.name,
                "the plain value",
                "must be kept to be read, and was dropped when it was packed for inference",
                remedy="use the network it was made from",
            )
        return self._value

    @property
    def view(self) -> Array:
        """A read-only view of the value."""
        view = self.value.view()
        view.flags.writeable = False
        return view

    @property
    def version(self) -> int:
        """How many changes there were."""
        return self._forms.version

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
        return sum(int(packed.nbytes) for packed in list(self._forms.kept.values()))

    # Changes

    def checked(self, array: object, operation: str, parameter: str = "") -> Array:
        """Return `array` in the shape and dtype of the value, without changing anything.

        Parameters
        ----------
        array : array-like
        operation : str
            What errors begin with.
        parameter : str, optional
            What errors call the array; by default its name.

        Raises
        ------
        ShapeError
            If the shape differs; nothing is broadcast.
        ArgumentTypeError
            If `array` is not made of real numbers, or a finite one does not fit the dtype.
        """
        if type(array) is np.ndarray and (array.shape, array.dtype) == (self.shape, self.dtype):
            return array  # the usual case, quickly
        return as_plain_array(
            operation,
            parameter or self.name,
            array,
            (np.integer, np.floating),
            shape=self.shape,
            dtype=self.dtype,
            remedy=f"use .astype({self.dtype.name!r})",
        )

    def assign(self, array: object, operation: str = "assign") -> None:
        """Copy `array` into the value; errors as `checked`."""
        assign_all([(self, self.checked(array, operation))])

    def writable(self) -> Array:
        """Return the value, to be written to until the function that `exclusively` runs ends.

        A value that may only be read, since a pickle was mapped from a file, becomes a copy.

        Raises
        ------
        FastconvError
            Outside of `exclusively`, or if the value is released.
        """
        place, value = _mutex.mine(), self.value
        if place is None:
            raise FastconvError(
                self.name,
                "the value",
                "must be written to by a function that exclusively runs",
                remedy="call exclusively(function), or assign(array)",
            )
        self._forms = _Forms(self._forms.version + 1, place)
        if not value.flags.writeable:
            value = self._value = np.array(value, order="C")
        return value

    def bump(self) -> None:
        """Say that the value was changed in place; what was packed from it is let go.

        An interrupt that comes before this call leaves what was packed from the older value.
        `writable` has no such gap.
        """
        if self._value is not None:  # else the packed forms are all there is
            self._forms = _Forms(self._forms.version + 1, _mutex.mine())

    # Packed forms

    def packed(self, key: Hashable, make: Callable[[Array], Any]) -> Any:
        """Return ``make(value)``, kept for each `key` until a change.

        No lock is held while `make` runs.  Two threads that ask at once may both make the form,
        but both get the same one.  What is made while the value changes serves only one call.
        """
        forms = self._forms
        found = forms.kept.get(key)
        if found is None:
            settled = forms.settled  # before the value is read
            found = make(self.value)
            if settled:
                found = forms.kept.setdefault(key, found)
        return found

    def shares(self, array: Any) -> bool:
        """Whether `array` may lie in the memory of the value."""
        value = self._value
        if value is None or array is value:
            return value is not None
        return getattr(array, "base", None) is not None and np.may_share_memory(array, value)

    def unpack(self, most: int = 0) -> None:
        """Drop the packed forms if they take more than `most` bytes and the value is kept."""
        if self.packed_nbytes > most and self._value is not None:
            self._forms.kept.clear()

    def release(self) -> None:
        """Drop the plain value; from now on only the packed forms are there."""
        self._value = None

    # Copies

    def copied(self, *, plain: bool = True) -> Parameter:
        """Return a parameter with a copy of the value and the forms that are packed from it.

        Call it within `exclusively`, or a change may come in between.  If `plain` is false and
        packed forms take bytes, the value is left out as if it were released.
        """
        twin: Parameter = object.__new__(type(self))
        vars(twin).update(vars(self))
        twin._forms, twin._handed = _Forms(self.version, None), {}
        if self._forms.settled:
            twin._forms.kept.update(self._forms.kept)
        released = self._value is None or (twin.packed_nbytes and not plain)
        twin._value = None if released else self.value.copy()
        return twin

    def hand_out(self, *, again: bool = True) -> Array | None:
        """Return a copy of the value, which pickles of this thread hold as long as it lives.

        A network or a layer takes such copies of all its parameters at one moment, before they
        are pickled one by one.  Return None if there is no value, or if this thread has such a
        copy already and `again` is false.
        """
        if self._value is None:
            return None
        if not again and self._handed.get(get_ident(), lambda: None)() is not None:
            return None
        array = self._value.copy()
        self._handed[get_ident()] = weakref.ref(array)
        return array

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        twin = exclusively(self.copied)
        if twin._value is not None:  # copies leave behind what can be made again
            twin._forms.kept.clear()
        return twin

    def __getstate__(self) -> dict[str, Any]:
        state = {key: item for key, item in vars(self).items() if not key.startswith("_")}
        handed = self._handed.get(get_ident(), lambda: None)()
        if self._value is None:  # the packed forms are all there is
            state["packed"] = dict(self._forms.kept)
        else:
            state["value"] = exclusively(self._value.copy) if handed is None else handed
        return {**state, "version": self.version}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self._value = state.pop("value", None)
        self._forms = _Forms(state.pop("version"), None)
        self._handed = {}
        self._forms.kept.update(state.pop("packed", {}))
        vars(self).update(state)

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, {self.shape}, {self.dtype}, version {self.version})"
