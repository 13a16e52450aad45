"""A thread that makes the next thing while one is used.

::

    caller    asks for 1   gets 1, asks for 2   uses 1          gets 2, asks for 3   uses 2
    thread                 makes 1              makes 2, waits                       makes 3

Whoever runs it has one thing, and the thread makes or holds one more.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

__all__ = ["ahead", "keep_on"]

T = TypeVar("T")

#: Set where the thread that makes things is to end.
_leaving: ContextVar[threading.Event | None] = ContextVar("fastconv_leaving", default=None)
_END = object()


class _Left(BaseException):
    """Ends the thread where nobody waits any more for what it makes."""


def keep_on() -> None:
    """Leave the thread if it is to end; what takes long calls this in between."""
    event = _leaving.get()
    if event is not None and event.is_set():
        raise _Left


def ahead(make: Callable[[], Iterator[T]]) -> Generator[T]:
    """Yield what ``make()`` yields, which runs in a thread that is one thing ahead.

    The order is that of ``make()``, and nothing but time depends on the thread. An error in it is
    raised here, when its turn comes. The thread has NumPy's error state of the caller; it ends with
    this generator, however that is left, as soon as what it is making is made.

    Examples
    --------
    >>> list(ahead(lambda: iter("abc")))
    ['a', 'b', 'c']
    """
    wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
    made: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
    leaving = threading.Event()
    state = np.geterr()

    def work() -> None:
        _leaving.set(leaving)
        with np.errstate(**state):
            _make(make, wanted, made)

    taken: list[T] = []  # the one thing that is yielded next, so that no frame keeps it

    def take() -> bool:
        thing, error = made.get()
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback has this frame
        if thing is _END:
            return False
        wanted.put(True)
        taken.append(thing)
        return True

    thread = threading.Thread(target=work, name="fastconv-ahead", daemon=True)
    try:
        thread.start()
        wanted.put(True)
        while take():
            yield taken.pop()
    finally:
        leaving.set()
        wanted.put(False)
        if thread.ident is not None:  # it was started
            thread.join()


def _make(
    make: Callable[[], Iterator[Any]],
    wanted: queue.SimpleQueue[bool],
    made: queue.SimpleQueue[tuple[Any, BaseException | None]],
) -> None:
    """Make one thing each time that one is wanted."""
    try:
        things: Iterator[Any] | None = None
        while wanted.get():
            if things is None:
                things = make()
            made.put((next(things, _END), None))
    except _Left:
        pass
    except BaseException as error:  # raised by who waits for it
        made.put((None, error))
