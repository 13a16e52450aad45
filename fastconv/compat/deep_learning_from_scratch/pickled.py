"""What a pickled dict of arrays may hold beside dicts and texts: NumPy's arrays and dtypes.

The pickle names functions of NumPy, which are labels here: nothing is imported, and nothing is
called. `fastconv.models.saving.unpickling` reads the instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastconv.errors import shorten
from fastconv.models.saving import Label, Unreadable, Vocabulary, read_pickle

__all__ = ["Unreadable", "read_arrays"]

Array = np.ndarray[Any, Any]


class Kind:
    """A dtype that is being made: first its letters, then the order of its bytes."""

    def __init__(self, letters: Any) -> None:
        if type(letters) is not str or letters not in KINDS:
            raise Unreadable(f"an array of dtype {shorten(letters)}, which is no real number")
        self.dtype = np.dtype(letters)

    def build(self, state: Any) -> None:
        order = state[1] if type(state) is tuple and len(state) > 1 else None
        if type(order) is not str or order not in ("<", ">", "|", "="):
            raise Unreadable("a dtype that is damaged")
        self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class Being:
    """An array that is being made: its shape, dtype and bytes come after it."""

    value: Array | None = None

    def build(self, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5:
            raise Unreadable("an array that is damaged")
        _, shape, kind, fortran, content = state
        self.value = array_of(content, kind, shape, "F" if fortran is True else "C")


KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


def array_of(content: Any, kind: Any, shape: Any, order: Any) -> Array:
    """Return an array of `content`, which must have exactly the bytes of its shape."""
    sizes = shape if type(shape) is tuple else ()
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in sizes):
        raise Unreadable("an array of no shape")
    if type(content) is not bytes or type(kind) is not Kind or len(sizes) > 32:
        raise Unreadable("an array of something other than numbers")
    count = 1
    for size in sizes:
        count *= size
    if count * kind.dtype.itemsize != len(content):
        raise Unreadable(f"{len(content)} bytes for an array of shape {sizes}")
    flat = np.frombuffer(content, kind.dtype)
    array = flat.reshape(sizes, order="F" if order == "F" else "C")
    return array.astype(kind.dtype.newbyteorder("="), order="C")


def _empty(given: tuple[Any, ...]) -> Being:
    return Being()


def _kind(given: tuple[Any, ...]) -> Kind:
    return Kind(given[0] if given else None)


def _from_buffer(given: tuple[Any, ...]) -> Array:
    if len(given) != 4:
        raise Unreadable("an array that is damaged")
    return array_of(*given)


def _encoded(given: tuple[Any, ...]) -> bytes:
    """Return the bytes that protocol 2 writes as a text."""
    try:
        text, _ = given
        return bytes(text.encode("latin1"))
    except (ValueError, AttributeError):
        raise Unreadable("bytes that are damaged") from None


def _no_bytes(given: tuple[Any, ...]) -> bytes:
    """Return what protocol 2 writes for no bytes: a call without anything."""
    if given:
        raise Unreadable("bytes that are damaged")
    return b""


#: What the names in a pickle of arrays stand for: functions of ours, of what the pickle gives them.
ARRAYS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "numpy.dtype": _kind,
    "_codecs.encode": _encoded,
    "__builtin__.bytes": _no_bytes,
    **{
        f"numpy.{core}.{name}": function
        for core in ("core", "_core")
        for name, function in (
            ("multiarray._reconstruct", _empty),
            ("numeric._frombuffer", _from_buffer),
        )
    },
}


LABELS = {"numpy.ndarray", *ARRAYS}


def labelled(module: Any, name: Any) -> Label:
    """Return the label of a name in a module, if arrays need it."""
    full = f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else ""
    if full not in LABELS:
        raise Unreadable(f"{full[:100]!r}, which no array needs")
    return Label(full)


def called(label: Any, given: Any) -> Any:
    """Return what a call of a label with the arguments `given` stands for."""
    if type(label) is not Label or label.name not in ARRAYS or type(given) is not tuple:
        raise Unreadable("a call of something other than NumPy's arrays")
    return ARRAYS[label.name](given)


def stored(given: Any) -> None:
    """Raise Unreadable: arrays have no persistent ids."""
    raise Unreadable("a persistent id")


def built(target: Any, state: Any) -> None:
    """Give a dtype or an array that is being made what it is made of."""
    if type(target) not in (Kind, Being):
        raise Unreadable("the state of something other than an array")
    target.build(state)


VOCABULARY = Vocabulary(labelled, called, stored, built, True)


def read_arrays(content: bytes) -> dict[str, Array]:
    """Return the arrays that a pickled dict holds, by their names.

    Raises
    ------
    Unreadable
        If it is cut off, or holds or does anything else.

    Examples
    --------
    >>> import pickle
    >>> read_arrays(pickle.dumps({"b1": np.zeros(2)}))
    {'b1': array([0., 0.])}
    """
    found, _ = read_pickle(content, vocabulary=VOCABULARY)
    if type(found) is not dict:
        raise Unreadable(f"a {type(found).__name__} in place of a dict")
    arrays: dict[str, Array] = {}
    for key, value in found.items():
        array = value.value if type(value) is Being else value
        if type(key) is not str or not isinstance(array, np.ndarray):
            raise Unreadable(f"something other than an array as {shorten(key)}")
        arrays[key] = array
    return arrays
