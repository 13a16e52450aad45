"""What threads, signals and forks need: a mutex that nothing can leave locked, and no other lock.

A signal handler may raise between any two steps of a program, so that a lock is never given
back; it may call what waits for the lock that its own thread holds; and a child of fork has the
locks that other threads held, but not these threads.  So fastconv has one mutex, for changes and
copies of weights, and whatever else threads share is replaced in one step.
"""

from __future__ import annotations

import functools
import os
import queue
import weakref
from collections.abc import Callable, Hashable
from threading import get_ident
from typing import Any, Generic, TypeVar, overload

__all__ = ["BoundedCache", "Mutex", "Place", "computed_once"]

T = TypeVar("T")

#: Seconds after which who waits looks again, should nobody have woken it.
PATIENCE = 1.0


class _Holder:
    """Lives as long as somebody has, or waits for, a mutex."""

    __slots__ = ("__weakref__",)


class Place(weakref.ref[_Holder]):
    """A place in the line for a mutex, which is left when its holder dies.

    Nobody but the thread that stands there ever has the holder, not even to look whether it lives:
    it would live as long as they look, and its thread, that comes anew, would take the place it
    has left for one that it still has.  A reference whose object has died has no callback.
    """

    __slots__ = ("gate", "thread")
    gate: queue.SimpleQueue[None]
    thread: int

    @property
    def left(self) -> bool:
        """Whether nobody stands there any more."""
        return self.__callback__ is None or not self.thread


class Mutex:
    """Lets one thread at a time run something; the same thread may do so again inside.

    Who comes stands in a line, and who is first has the mutex until its holder, an object, dies.
    The holder lies on the stack of a running expression, so it dies with that however it ends:
    there is no step that unlocks, which an exception could keep from being taken.  Threads are
    served in the order in which they came.  In a child of fork the threads that do not exist
    there have left the line.

    Examples
    --------
    >>> Mutex().run(max, 2, 3)
    3
    """

    def __init__(self) -> None:
        self._line: list[Place] = []
        _mutexes.add(self)

    def run(self, work: Callable[..., T], *args: Any) -> T:
        """Return ``work(*args)``, run while no other thread is inside."""
        # The holder has no name, for a traceback would keep what a name stands for.
        return (self._enter(), work(*args))[1]

    def mine(self) -> Place | None:
        """Return the place by which this thread has the mutex, or None if it has it not."""
        first = self._first()
        return first if first is not None and first.thread == get_ident() else None

    def _enter(self) -> _Holder:
        held = [_Holder()]  # and not a name for it, see `run`
        try:
            gate: queue.SimpleQueue[None] = queue.SimpleQueue()
            # what ends a holder runs no Python code
            place = Place(held[0], functools.partial(gate.put, None))
            place.gate, place.thread = gate, get_ident()
            self._line.append(place)
            while (first := self._first()) is not None and first.thread != place.thread:
                _wait_for(first)
            return held.pop()
        except BaseException:
            held.clear()
            raise

    def _first(self) -> Place | None:
        line = self._line
        for place in line[:]:
            if not place.left:
                return place
            try:
                line.remove(place)
            except ValueError:  # another thread was quicker
                pass
        return None

    def _after_fork(self) -> None:
        here = get_ident()
        for place in self._line:
            if place.thread != here:
                place.thread = 0


def _wait_for(place: Place) -> None:
    """Wait until `place` is left; too early is right too."""
    try:
        place.gate.get(timeout=PATIENCE)
    except queue.Empty:
        return
    place.gate.put(None)  # others wait for the same


_mutexes: weakref.WeakSet[Mutex] = weakref.WeakSet()


def _after_fork() -> None:
    for mutex in list(_mutexes):
        mutex._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class computed_once(Generic[T]):  # noqa: N801
    """A property that is computed when it is first read, and kept in the instance.

    As `functools.cached_property`, which in Python 3.11 holds a lock while it computes.  Two
    threads may compute the same; the first value is the one that all get.

    Examples
    --------
    >>> class Circle:
    ...     radius = 2
    ...     @computed_once
    ...     def area(self):
    ...         return 3.14 * self.radius**2
    >>> circle = Circle()
    >>> circle.area, vars(circle)
    (12.56, {'area': 12.56})
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> computed_once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return instance.__dict__.setdefault(self._name, self._compute(instance))


class BoundedCache(dict[Hashable, Any]):
    """The results made last; copies of it are empty.

    There is no lock: each step is one operation on a dict, and threads that come at once may
    both make what is not there, of which the first is kept.

    Parameters
    ----------
    make : callable
        Makes of a key, a tuple of arguments, what `found` was not given a function for.
    size : int
        The most entries.
    """

    def __init__(self, make: Callable[..., Any], size: int = 32) -> None:
        super().__init__()
        self._make, self._size = make, size

    def __missing__(self, key: tuple[Any, ...]) -> Any:
        return self.found(key, functools.partial(self._make, *key))

    def found(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the entry of `key`, made by `make` when it is not there."""
        entry = self.get(key)
        if entry is None:
            entry = self.setdefault(key, make())
            for oldest in list(self.keys())[: -self._size]:
                self.pop(oldest, None)
        return entry  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundedCache, (self._make, self._size)
