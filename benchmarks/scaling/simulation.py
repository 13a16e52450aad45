"""A step as events: every rank computes its buckets, and sends every message of their sums.

Nothing here knows the formulas of `scaling.model`. Where no rank is late, both must come to the
same time; what the simulation adds is what late ranks do to the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from scaling.collectives import Message, rounds
from scaling.constants import Cluster, Job, Work
from scaling.events import Process, Signal, Simulation
from scaling.model import window

__all__ = ["exponential_delays", "simulate"]


def simulate(work: Work, cluster: Cluster, job: Job, late: Sequence[float] | None = None) -> float:
    """Return the seconds of one step.

    Parameters
    ----------
    late : sequence of float, optional
        Seconds that each rank loses while it computes; none by default.
    """
    late = [0.0] * cluster.ranks if late is None else late
    simulation = Simulation()
    sums = _Sums(simulation, work, cluster, job)
    for rank, seconds in enumerate(late):
        ready = [Signal() for _ in range(job.buckets)]
        simulation.start(_computing(simulation, (work, cluster, job), (rank, seconds), ready))
        simulation.start(sums.travelling(rank, ready))
    return simulation.run()


def _computing(
    simulation: Simulation,
    given: tuple[Work, Cluster, Job],
    who: tuple[int, float],
    ready: list[Signal],
) -> Process:
    """Compute the pieces of a rank; the buckets become ready while the last one goes backward."""
    work, cluster, job = given
    rank, late = who
    n, shards = cluster.ranks, job.shards
    pieces = shards * (rank + 1) // n - shards * rank // n
    seconds = pieces * (work.piece + job.batch / shards * work.row)
    backward = window(work, job)
    yield max(seconds - backward, 0.0) + late
    for bucket in ready:
        yield backward / len(ready) if pieces else 0.0
        bucket.give(simulation)


class _Sums:
    """The sums of all buckets, of which each rank does its part."""

    def __init__(self, simulation: Simulation, work: Work, cluster: Cluster, job: Job) -> None:
        self.simulation, self.work, self.cluster = simulation, work, cluster
        part = work.parameter_bytes / job.buckets
        every = [list(each) for each in rounds(job.algorithm, cluster, part, job.shards)]
        #: By rank and round, what it sends and what it receives, in order.
        self.sent = [_by_rank(each, "sender") for each in every]
        self.received = [_by_rank(each, "receiver") for each in every]
        #: When a rank has taken all that has come to it.
        self.free = [0.0] * cluster.ranks
        #: By bucket and message.
        self.arrived: defaultdict[tuple[int, int], Signal] = defaultdict(Signal)

    def travelling(self, rank: int, ready: list[Signal]) -> Process:
        """Send and receive what `rank` has in the sums, bucket after bucket; then update."""
        for bucket, signal in enumerate(ready):
            yield signal
            for sent, received in zip(self.sent, self.received, strict=True):
                for message in sent[rank]:
                    yield message.link.busy(message.nbytes)
                    self.simulation.start(self._arriving(message, bucket))
                for message in received[rank]:
                    yield self.arrived[(bucket, id(message))]
                yield self.cluster.adding * sum(message.added for message in received[rank])
        yield self.work.step

    def _arriving(self, message: Message, bucket: int) -> Process:
        """Begin when the last byte has left; the receiver takes one message after the other."""
        now, to = self.simulation.now, message.receiver
        self.free[to] = max(now, self.free[to] + message.link.busy(message.nbytes))
        yield self.free[to] - now + message.link.latency
        self.arrived[(bucket, id(message))].give(self.simulation)


def _by_rank(messages: Iterable[Message], end: str) -> defaultdict[int, list[Message]]:
    found: defaultdict[int, list[Message]] = defaultdict(list)
    for message in messages:
        found[getattr(message, end)].append(message)
    return found


def exponential_delays(rng: np.random.Generator, mean: float, ranks: int) -> np.ndarray:
    """Return how late each rank is in one step: the times that chance takes, without memory.

    The latest of n is late by ``mean * (1 + 1/2 + ... + 1/n)`` on average.
    """
    return rng.exponential(mean, ranks)
