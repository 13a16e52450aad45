"""A run of many steps on machines that fail: checkpoints, restarts, and how often to write.

A failure ends the job, as MPI has it. It begins again from the newest checkpoint, and what came
after that is computed once more. Machines fail independently of each other, each once in `lifetime`
on average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heapreplace
from math import exp, expm1, sqrt

import numpy as np

__all__ = ["Faults", "Outcome", "daly", "expected", "run", "young"]


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and what it costs.

    Attributes
    ----------
    machines : int
        How many take part; the job ends when one of them fails.
    lifetime : float
        Seconds between failures of one machine.
    checkpoint : float
        Seconds to write a checkpoint, during which nothing is computed.
    restart : float
        Seconds from a failure until steps are computed again. It may fail too.
    """

    machines: int
    lifetime: float
    checkpoint: float
    restart: float

    @property
    def between(self) -> float:
        """Seconds between failures of the whole job."""
        return self.lifetime / self.machines


def young(faults: Faults) -> float:
    """Return the seconds of work between checkpoints after which writing costs least.

    Notes
    -----
    Young, "A first order approximation to the optimum checkpoint interval", 1974.
    """
    return sqrt(2 * faults.checkpoint * faults.between)


def daly(faults: Faults) -> float:
    """Return the same to a higher order, for failures that are not much rarer than checkpoints.

    Notes
    -----
    Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", 2006,
    equation 37.
    """
    cost, between = faults.checkpoint, faults.between
    if cost >= 2 * between:
        return between
    ratio = cost / (2 * between)
    return sqrt(2 * cost * between) * (1 + sqrt(ratio) / 3 + ratio / 9) - cost


def expected(work: float, interval: float, faults: Faults) -> float:
    """Return the seconds that `work` seconds of steps take on average.

    Parameters
    ----------
    work : float
        Seconds of steps, all told; a multiple of `interval`.
    interval : float
        Seconds of steps between checkpoints.

    Notes
    -----
    Exact where times between failures have an exponential distribution; Daly, 2006, equation 20.
    """
    between = faults.between
    each = between * exp(faults.restart / between)
    return each * expm1((interval + faults.checkpoint) / between) * work / interval


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its seconds, its failures, and the steps that were begun in vain."""

    seconds: float
    failures: int
    again: int


def run(
    steps: int, every: int, faults: Faults, step: Callable[[], float], rng: np.random.Generator
) -> Outcome:
    """Simulate a run of `steps` steps with a checkpoint after each `every` of them.

    Parameters
    ----------
    step : callable
        Returns the seconds of the next step; called again for those that are computed again.
    """
    machines, now = _Machines(faults, rng), 0.0
    done, failures, again = 0, 0, 0
    while done < steps:
        wanted, begun = min(every, steps - done), 0
        while begun < wanted and now <= machines.next:
            now, begun = now + step(), begun + 1
        now += faults.checkpoint
        if now <= machines.next:
            done += wanted
        else:
            now, failed = machines.restarted()
            failures, again = failures + failed, again + begun
    return Outcome(now, failures, again)


class _Machines:
    """The times at which machines fail next, the first one in front."""

    def __init__(self, faults: Faults, rng: np.random.Generator) -> None:
        self.faults, self.rng = faults, rng
        self.times = list(rng.exponential(faults.lifetime, faults.machines))
        heapify(self.times)

    @property
    def next(self) -> float:
        """When one of them fails."""
        return self.times[0]

    def restarted(self) -> tuple[float, int]:
        """Let the next one fail; return when steps are computed again, and how many failed."""
        failures = 0
        while True:
            failed = self.times[0]
            heapreplace(self.times, failed + self.rng.exponential(self.faults.lifetime))
            failures += 1
            back = failed + self.faults.restart
            if back <= self.times[0]:
                return back, failures
