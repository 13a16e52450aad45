"""Reads the pickle in a file of weights, and never unpickles it.

A pickle is a program for a stack machine, which may import and call anything. This machine knows
the few instructions of which files of weights are made. It imports nothing and calls nothing:
names of functions are labels, of which a vocabulary knows some. Everything else is an error. What
is made is bounded by the size of the pickle, and nothing is walked through recursively.

The instructions are documented in Python's ``pickletools``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from fastconv.models.saving.tensors import Unreadable, built, called, labelled, stored

__all__ = ["MAX_BYTES", "Vocabulary", "read_pickle"]

#: So much is needed for ten thousand tensors. So few instructions take a second and some 50 MB.
MAX_BYTES, _MAX_INSTRUCTIONS = 4 * 2**20, 400_000
_MAX_INTEGER = 16  # bytes


class Vocabulary(NamedTuple):
    """What names, calls, persistent ids and states in a pickle stand for: functions of ours.

    Each raises Unreadable for what it does not know.
    """

    labelled: Callable[[Any, Any], Any]  # of a module and a name
    called: Callable[[Any, Any], Any]  # of a label and the arguments
    stored: Callable[[Any], Any]  # of a persistent id
    built: Callable[[Any, Any], None]  # changes what a state is given to
    has_bytes: bool  # whether bytes stand in the pickle itself


#: That of PyTorch's files.
TENSORS = Vocabulary(labelled, called, stored, built, False)


def read_pickle(
    content: bytes, begin: int = 0, vocabulary: Vocabulary = TENSORS
) -> tuple[Any, int]:
    """Return what the pickle at `begin` holds, and where it ends.

    Returns
    -------
    value
        Made of dict, list, tuple, str, int, float, bool, None, and what the vocabulary makes.
    end : int
        The position behind the pickle.

    Raises
    ------
    Unreadable
        If it is cut off, or does anything that files of weights do not need.

    Examples
    --------
    >>> import pickle
    >>> read_pickle(pickle.dumps({"epoch": 3}, 2))[0]
    {'epoch': 3}
    """
    machine = _Machine(content, begin, vocabulary)
    return machine.run(), machine.at


class _Machine:
    """The stack machine, without any instruction that could do harm."""

    def __init__(self, content: bytes, begin: int, vocabulary: Vocabulary) -> None:
        self.content, self.at, self.words = content, begin, vocabulary
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(_MAX_INSTRUCTIONS):
            code = self.take(1)
            if code == b".":
                break
            act = _INSTRUCTIONS.get(code)
            if act is None or (code in _BYTES and not self.words.has_bytes):
                raise Unreadable(f"instruction {code!r}, which no file of weights needs")
            act(self)
        else:
            raise Unreadable(f"more than {_MAX_INSTRUCTIONS} instructions")
        value = self.pop()
        if self.stack or self.below:
            raise Unreadable("a stack that is not empty at its end")
        return value

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        taken = self.content[self.at : self.at + size]
        if len(taken) < size:
            raise Unreadable("a pickle that is cut off")
        self.at += size
        return taken

    def number(self, form: str) -> int:
        """Return the next number, of a `struct` form."""
        found: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return found

    def line(self) -> str:
        """Return the text up to the next newline."""
        end = self.content.find(b"\n", self.at, self.at + 1000)
        if end < 0:
            raise Unreadable("a name without an end")
        line = self.take(end - self.at)
        self.at += 1
        return _text(line)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise Unreadable("a pickle that takes from an empty stack")
        return self.stack.pop()

    def top(self, kind: type, what: str) -> Any:
        """Return what lies on top, which must be of `kind`."""
        if not self.stack or type(self.stack[-1]) is not kind:
            raise Unreadable(f"a pickle that adds to something other than {what}")
        return self.stack[-1]

    def to_mark(self) -> list[Any]:
        """Return what lies above the last mark, and take it away with the mark."""
        if not self.below:
            raise Unreadable("a pickle that asks for a mark where there is none")
        taken, self.stack = self.stack, self.below.pop()
        return taken

    # Instructions

    def protocol(self) -> None:
        version = self.take(1)[0]
        if not 2 <= version <= 5:
            raise Unreadable(f"a pickle of protocol {version}")

    def frame(self) -> None:
        self.take(8)  # a length, which says nothing new

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def put(self, index: int) -> None:
        if not self.stack:
            raise Unreadable("a pickle that remembers what is not there")
        self.memo[index] = self.stack[-1]

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise Unreadable("a pickle that recalls what it never had")
        self.push(self.memo[index])

    def integer(self) -> None:
        size = self.take(1)[0]
        if size > _MAX_INTEGER:
            raise Unreadable(f"an integer of {size} bytes")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def tuple_of(self, count: int) -> None:
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def label(self) -> None:
        module = self.line()
        self.push(self.words.labelled(module, self.line()))

    def stack_label(self) -> None:
        name, module = self.pop(), self.pop()
        self.push(self.words.labelled(module, name))

    def append(self, values: list[Any]) -> None:
        self.top(list, "a list").extend(values)

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise Unreadable("a key without a value")
        keys = values[::2]
        if not all(type(key) in (str, int) for key in keys):
            raise Unreadable("keys other than texts and integers")
        self.top(dict, "a dict").update(zip(keys, values[1::2], strict=True))

    def set_item(self) -> None:
        value, key = self.pop(), self.pop()
        self.set_items([key, value])

    def build(self) -> None:
        state = self.pop()
        self.words.built(self.stack[-1] if self.stack else None, state)

    def call(self) -> None:
        given, label = self.pop(), self.pop()
        self.push(self.words.called(label, given))


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Unreadable("a text that is not UTF-8") from None


def _texts(form: str) -> Callable[[_Machine], None]:
    """Return the instruction that pushes a text, behind its size in a `struct` form."""
    return lambda m: m.push(_text(m.take(m.number(form))))


def _bytes(form: str) -> Callable[[_Machine], None]:
    """Return the instruction that pushes bytes, behind their size in a `struct` form."""
    return lambda m: m.push(m.take(m.number(form)))


def _constant(value: Any) -> Callable[[_Machine], None]:
    return lambda m: m.push(value)


_BYTES: dict[bytes, Callable[[_Machine], None]] = {
    b"C": _bytes("<B"),
    b"B": _bytes("<I"),
    b"\x8e": _bytes("<Q"),
    b"\x96": _bytes("<Q"),
}
_INSTRUCTIONS: dict[bytes, Callable[[_Machine], None]] = {
    **_BYTES,
    b"\x80": _Machine.protocol,
    b"\x95": _Machine.frame,
    b"(": _Machine.mark,
    b"q": lambda m: m.put(m.take(1)[0]),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"h": lambda m: m.recall(m.take(1)[0]),
    b"j": lambda m: m.recall(m.number("<I")),
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.take(1)[0]),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": _Machine.integer,
    b"G": lambda m: m.push(m.number(">d")),
    b"X": _texts("<I"),
    b"\x8c": _texts("<B"),
    b"\x8d": _texts("<Q"),
    b"T": _texts("<I"),
    b"U": _texts("<B"),
    b")": _constant(()),
    b"t": lambda m: m.push(tuple(m.to_mark())),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"]": lambda m: m.push([]),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.to_mark()),
    b"}": lambda m: m.push({}),
    b"s": _Machine.set_item,
    b"u": lambda m: m.set_items(m.to_mark()),
    b"c": _Machine.label,
    b"\x93": _Machine.stack_label,
    b"R": _Machine.call,
    b"b": _Machine.build,
    b"Q": lambda m: m.push(m.words.stored(m.pop())),
}
