"""Reads a pickle of a dict of arrays, and never unpickles it.

A pickle is a program for a stack machine, which may import and call anything. This machine knows
the instructions that a dict of arrays is made of. It imports nothing and calls nothing: the names
of NumPy's functions are labels, of which `ARRAYS` says what they stand for. ``pickletools`` cuts
the bytes into instructions; it documents them too.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastconv.errors import shorten

__all__ = ["Unreadable", "read_arrays"]

Array = np.ndarray[Any, Any]

#: A thousand arrays need some 40,000 instructions.
MAX_INSTRUCTIONS = 400_000


class Unreadable(Exception):
    """What a file has that a dict of arrays has not."""


class Label:
    """A name in a module, which is not looked up."""

    def __init__(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str or len(module) + len(name) > 200:
            raise Unreadable("a name of something that is no text")
        self.path = f"{module}.{name}"


class Kind:
    """A dtype that is being made: first its letters, then the order of its bytes."""

    def __init__(self, letters: Any) -> None:
        if type(letters) is not str or letters not in KINDS:
            raise Unreadable(f"an array of dtype {shorten(letters)}, which is no real number")
        self.dtype = np.dtype(letters)

    def build(self, state: Any) -> None:
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise Unreadable("a dtype that is damaged")
        self.dtype = self.dtype.newbyteorder(state[1])


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


class Machine:
    """The stack machine, without any instruction that could do harm."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for count, (name, value) in enumerate(_instructions(content)):
            if count == MAX_INSTRUCTIONS:
                raise Unreadable(f"more than {MAX_INSTRUCTIONS} instructions")
            if name == "STOP":
                break
            if name in PUSHED:
                self.stack.append(PUSHED[name](value))
            elif name in ACTIONS:
                ACTIONS[name](self, value)
            elif name not in ("PROTO", "FRAME"):
                raise Unreadable(f"the instruction {name}, which no dict of arrays needs")
        found = self.pop()
        if self.stack or self.below:
            raise Unreadable("a stack that is not empty at its end")
        return found

    def pop(self) -> Any:
        if not self.stack:
            raise Unreadable("a pickle that takes from an empty stack")
        return self.stack.pop()

    def to_mark(self) -> list[Any]:
        """Return what lies above the last mark, and take it away with the mark."""
        if not self.below:
            raise Unreadable("a pickle that asks for a mark where there is none")
        taken, self.stack = self.stack, self.below.pop()
        return taken

    def mark(self, value: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def put(self, index: Any) -> None:
        taken = self.pop()
        self.stack.append(taken)
        self.memo[len(self.memo) if index is None else index] = taken

    def get(self, index: Any) -> None:
        if index not in self.memo:
            raise Unreadable("a pickle that recalls what it never had")
        self.stack.append(self.memo[index])

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(values)))

    def tuple_to_mark(self, _: Any) -> None:
        values = self.to_mark()  # first: it changes the stack
        self.stack.append(tuple(values))

    def items(self, values: list[Any]) -> None:
        if not self.stack or type(self.stack[-1]) is not dict or len(values) % 2:
            raise Unreadable("a pickle that adds to something other than a dict")
        if not all(type(key) is str for key in values[::2]):
            raise Unreadable("keys other than texts")
        self.stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def item(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self.items([key, value])

    def label(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(Label(module, name))

    def call(self, _: Any) -> None:
        given, label = self.pop(), self.pop()
        path = label.path if type(label) is Label else shorten(label)
        if path not in ARRAYS or type(label) is not Label or type(given) is not tuple:
            raise Unreadable(f"a call of {path}")
        self.stack.append(ARRAYS[path](given))

    def build(self, _: Any) -> None:
        state = self.pop()
        if not self.stack or type(self.stack[-1]) not in (Kind, Being):
            raise Unreadable("the state of something other than an array")
        self.stack[-1].build(state)


def _global(value: Any) -> Label:
    return Label(*value.split(" ", 1))


PUSHED: dict[str, Callable[[Any], Any]] = {
    "EMPTY_DICT": lambda _: {},
    "EMPTY_TUPLE": lambda _: (),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "GLOBAL": _global,
    "BYTEARRAY8": bytes,
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), lambda value: value),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), lambda value: value),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), lambda value: value),
}
ACTIONS: dict[str, Callable[[Machine, Any], None]] = {
    "MARK": Machine.mark,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), Machine.get),
    "TUPLE": Machine.tuple_to_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "SETITEM": Machine.item,
    "SETITEMS": lambda machine, _: machine.items(machine.to_mark()),
    "STACK_GLOBAL": Machine.label,
    "REDUCE": Machine.call,
    "BUILD": Machine.build,
}


def _instructions(content: bytes) -> Iterator[tuple[str, Any]]:
    """Yield name and argument of each instruction."""
    try:
        for opcode, value, _ in pickletools.genops(content):
            yield opcode.name, value
    except (ValueError, Warning) as error:  # a warning of a name with a backslash, made an error
        raise Unreadable(f"no pickle, or a damaged one ({shorten(str(error))[1:-1]})") from None


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
    found = Machine().run(content)
    if type(found) is not dict:
        raise Unreadable(f"a {type(found).__name__} in place of a dict")
    arrays: dict[str, Array] = {}
    for key, value in found.items():
        array = value.value if type(value) is Being else value
        if not isinstance(array, np.ndarray):
            raise Unreadable(f"something other than an array as {shorten(key)}")
        arrays[key] = array
    return arrays
