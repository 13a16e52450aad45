"""A small discrete-event simulator: processes that wait for a time or for a signal.

A process is a generator. What it yields says what it waits for: a number of seconds, or a `Signal`.

>>> simulation = Simulation()
>>> ready = Signal()
>>> def early():
...     yield 2.0
...     ready.give(simulation)
>>> def late():
...     yield ready
...     yield 1.5
>>> simulation.start(early())
>>> simulation.start(late())
>>> simulation.run()
3.5
"""

from __future__ import annotations

from collections.abc import Generator
from heapq import heappop, heappush
from itertools import count

__all__ = ["Process", "Signal", "Simulation"]


class Signal:
    """Something that happens once; those who wait for it go on then."""

    def __init__(self) -> None:
        self.given = False
        self.waiting: list[Process] = []

    def give(self, simulation: Simulation) -> None:
        """Let all who wait go on, at this time."""
        self.given = True
        for process in self.waiting:
            simulation.resume(process)
        self.waiting.clear()


Process = Generator[float | Signal, None, None]


class Simulation:
    """A clock, and the processes that will go on at some time.

    Attributes
    ----------
    now : float
        Seconds since the simulation began.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Process]] = []
        self._order = count()  # of two at one time, the one that came first
        self._waiting = 0

    def start(self, process: Process) -> None:
        """Let a process run, from this time on."""
        self._later(0.0, process)

    def resume(self, process: Process) -> None:
        """Let a process go on that has waited for a signal."""
        self._waiting -= 1
        self._later(0.0, process)

    def _later(self, seconds: float, process: Process) -> None:
        heappush(self._queue, (self.now + seconds, next(self._order), process))

    def run(self) -> float:
        """Run until no process has anything left to do; return the time.

        Raises
        ------
        RuntimeError
            If processes wait for signals that nobody will give.
        """
        while self._queue:
            self.now, _, process = heappop(self._queue)
            for wanted in process:
                if isinstance(wanted, Signal):
                    if wanted.given:
                        continue
                    wanted.waiting.append(process)
                    self._waiting += 1
                else:
                    self._later(wanted, process)
                break
        if self._waiting:
            raise RuntimeError(f"Simulation: {self._waiting} processes wait for ever")
        return self.now
