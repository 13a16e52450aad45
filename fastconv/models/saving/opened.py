"""What files of weights have in common while they are open, wherever their bytes are."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple, Self, TypeVar

from fastconv.arguments import as_path, check_regular
from fastconv.errors import ArgumentError, ArgumentTypeError, from_signal

__all__ = ["Opened", "OpenedFile", "Source", "opened"]

T = TypeVar("T")

#: What a network is read from.
Source = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO


class Opened(NamedTuple):
    """A file that is open to be read.

    Attributes
    ----------
    name : str
        What errors call it.
    file : binary file
        It can be read at any place, by ``readinto`` too, and stands at its beginning.
    ours : bool
        Whether it is to be closed when it has been read.
    on_disk : bool
        Whether `name` is its path.
    """

    name: str
    file: Any
    ours: bool
    on_disk: bool

    def head(self, count: int) -> bytes:
        """Return the first `count` bytes, and go back to the beginning."""
        found: bytes = self.file.read(count)
        self.file.seek(0)
        return found

    def close(self) -> None:
        """Close the file, if nobody else has opened it."""
        if self.ours:
            self.file.close()


def opened(operation: str, source: Any) -> Opened:
    """Open what a network is read from: a path, the bytes of a file, or a file.

    Raises
    ------
    ArgumentTypeError, ArgumentError
        If it is nothing of the kind, leads to something other than a file, or is a file of text or
        one that cannot be read.
    OSError
        If the file cannot be opened.
    """
    if isinstance(source, (bytes, bytearray, memoryview)) and not _is_name(source):
        # as one piece also where every other byte of something larger was given
        return Opened("the bytes given", io.BytesIO(bytes(source)), True, False)
    if callable(getattr(source, "read", None)) and not isinstance(source, os.PathLike):
        return _of_file(operation, source)
    name = str(as_path(operation, "path", source))
    check_regular(operation, "path", name)
    return Opened(name, open(name, "rb"), True, True)


def _is_name(content: bytes | bytearray | memoryview) -> bool:
    """Whether bytes are no file but the name of one: a file begins with a length below 2**56."""
    return (
        isinstance(content, bytes) and content.endswith(b".safetensors") and content[7:8] != b"\0"
    )


def _of_file(operation: str, file: Any) -> Opened:
    """Return a file that somebody else has opened; where it has no places, all that it gives."""
    called = getattr(file, "name", None)
    name = called if isinstance(called, str) else "the open file"
    first = _tried(operation, file, lambda: file.read(0))
    if not isinstance(first, bytes):
        rule, remedy = "must be a file that is open in binary mode", "open(path, 'rb')"
        raise ArgumentTypeError(operation, "path", rule, file, remedy, shown=type(file).__name__)
    seekable = getattr(file, "seekable", None)
    if callable(seekable) and _tried(operation, file, seekable) and hasattr(file, "readinto"):
        file.seek(0)
        return Opened(name, file, False, False)
    content = _tried(operation, file, file.read)
    return Opened(name, io.BytesIO(content), True, False)


def _tried(operation: str, file: Any, ask: Callable[[], T]) -> T:
    """Return what `file` is asked; raise ArgumentError if it is closed, or cannot be read."""
    try:
        return ask()
    except ValueError as error:  # io.UnsupportedOperation is one too
        if from_signal(error):
            raise
        rule, remedy = "must be a file that is open to be read", "open(path, 'rb')"
        shown = f"{type(file).__name__}: {error}"
        raise ArgumentError(operation, "path", rule, file, remedy, shown=shown) from error


class OpenedFile(ABC):
    """A file that is open while a ``with`` statement runs; a subclass reads what it says of itself.

    Parameters
    ----------
    operation : str
        The operation that errors name.
    source : str, path, bytes, binary file or Opened

    Attributes
    ----------
    operation : str
    path : str
        The path, or what errors call the file instead.
    on_disk : bool
        Whether `path` is one.
    size : int
        Its bytes.
    """

    def __init__(self, operation: str, source: Any) -> None:
        self.operation = operation
        self._opened = source if isinstance(source, Opened) else opened(operation, source)
        self.path, self._file, _, self.on_disk = self._opened
        try:
            self.size = self._file.seek(0, os.SEEK_END)
            self._file.seek(0)
            self._read_contents()
        except BaseException:
            self._opened.close()
            raise

    @abstractmethod
    def _read_contents(self) -> None:
        """Read what the file holds, and where; close nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()
