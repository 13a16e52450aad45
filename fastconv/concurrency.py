"""What threads, signals and forks need: a mutex that nothing can leave locked, and no other lock.

Ordinary locks fail in three ways.  A signal handler may raise between any two steps of a program,
and then a lock is never given back.  It may also call something that waits for the lock that its
own thread holds.  And a child of fork has the locks that other threads held, but not these threads.
So fastconv has one mutex, for changes and copies of weights.  Everything else that threads share is
replaced in one step.
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

#: After so many seconds a waiting thread looks again, in case nobody has woken it.
PATIENCE = 1.0


class _Holder:
    """An object that lives as long as its thread has a mutex or waits for it."""

    __slots__ = ("__weakref__",)


class Place(weakref.ref[_Holder]):
    """A place in the line for a mutex; its thread has left it when the holder has died.

    Only the thread that stands there ever refers to the holder.  No other thread may, not even to
    see whether the holder lives: it would live on while that thread looks.  If its own thread came
    back meanwhile, it would think that it still has the place that it has left.  That is why the
    callback is looked at: a reference whose object has died has none.
    """

    __slots__ = ("gate", "thread")
    gate: queue.SimpleQueue[None]
    thread: int

    @property
    def left(self) -> bool:
        """Whether nobody stands there any more."""
        return self.__callback__ is None or not self.thread


class Mutex:
    """Lets one thread at a time run something; the same thread may enter again inside.

    Threads that come stand in a line.  The first one has the mutex until its holder, an object,
    dies.  The holder lies on the stack of a running expression, so it dies with that expression,
    however this ends.  There is no step that unlocks, and so none that an exception could prevent.
    Threads are served in the order in which they came.  In a child of fork, the threads that do not
    exist there have left the line.

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
        # The holder has no name, since a traceback would keep alive what a name refers to.
        return (self._enter(), work(*args))[1]

    def mine(self) -> Place | None:
        """Return the place by which this thread has the mutex, or None if it does not have it."""
        first = self._first()
        return first if first is not None and first.thread == get_ident() else None

    def _enter(self) -> _Holder:
        held = [_Holder()]  # the holder itself has no name, see `run`
        try:
            gate: queue.SimpleQueue[None] = queue.SimpleQueue()
            # the callback that runs when the holder dies is no Python code
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
    """Wait until `place` is left; it does no harm to return too early."""
    try:
        place.gate.get(timeout=PATIENCE)
    except queue.Empty:
        return
    place.gate.put(None)  # others may wait for the same place


_mutexes: weakref.WeakSet[Mutex] = weakref.WeakSet()


def _after_fork() -> None:
    for mutex in list(_mutexes):
        mutex._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


class computed_once(Generic[T]):  # noqa: N801
    """A property that is computed when it is first read, and kept in the instance.

    It is like `functools.cached_property`, which in Python 3.11 holds a lock while it computes.
    Here two threads may both compute the value; all threads get the first one.

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
    """The results that were made last; copies of a cache are empty.

    There is no lock: each step is one operation on a dict.  Threads that come at once may both make
    an entry that is missing; the first one is kept.

    Parameters
    ----------
    make : callable
        Makes the entry that is missing from its key, a tuple of arguments, unless `found` is given
        another function for it.
    size : int
        How many entries the cache may have.
    """

    def __init__(self, make: Callable[..., Any], size: int = 32) -> None:
        super().__init__()
        self._make, self._size = make, size

    def __missing__(self, key: tuple[Any, ...]) -> Any:
        return self.found(key, functools.partial(self._make, *key))

    def found(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the entry of `key`; if it is missing, `make` makes it."""
        entry = self.get(key)
        if entry is None:
            entry = self.setdefault(key, make())
            for oldest in list(self.keys())[: -self._size]:
                self.pop(oldest, None)
        return entry  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        return BoundedCache, (self._make, self._size)
