"""A step as events: every rank computes its buckets, and sends every message of their sums.

Nothing here knows the formulas of `scale.model`. Where no rank is late, both must come to the same
time; what the simulation adds is what late ranks do to the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from scale.collectives import Message, rounds
from scale.constants import Cluster, Job, Work
from scale.events import Process, Signal, Simulation
from scale.model import local, window

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
    most = job.pieces(n)
    seconds = pieces * (work.piece + job.batch / shards * work.row)
    backward = window(work, job)
    adding = local(cluster, job) * work.parameter_bytes * cluster.adding * pieces / most
    yield max(seconds - backward, 0.0) + late + adding
    for bucket in ready:
        yield backward / len(ready) if pieces else 0.0
        bucket.give(simulation)


class _Sums:
    """The sums of all buckets, of which each rank does its part."""

    def __init__(self, simulation: Simulation, work: Work, cluster: Cluster, job: Job) -> None:
        self.simulation, self.work, self.cluster = simulation, work, cluster
        part = work.parameter_bytes / job.buckets
        every = list(rounds(job.algorithm, cluster, part, job.shards))
        #: By rank, for every round in which it takes part: the round, and its messages.
        self.turns: list[list[tuple[int, list[Message]]]] = [[] for _ in range(cluster.ranks)]
        for number, messages in enumerate(every):
            own: defaultdict[int, list[Message]] = defaultdict(list)
            for message in messages:
                own[message.sender].append(message)
                own[message.receiver].append(message)
            for rank, mine in own.items():
                self.turns[rank].append((number, mine))
        #: By bucket, round and receiver.
        self.awaited: defaultdict[tuple[int, int, int], Signal] = defaultdict(Signal)
        self.arrived: defaultdict[tuple[int, int, int], Signal] = defaultdict(Signal)

    def travelling(self, rank: int, ready: list[Signal]) -> Process:
        """Send and receive what `rank` has in the sums, bucket after bucket; then update."""
        for bucket, signal in enumerate(ready):
            yield signal
            for number, messages in self.turns[rank]:
                added = 0.0
                for message in messages:
                    key = bucket, number, message.receiver
                    if message.receiver == rank:
                        self.awaited[key].give(self.simulation)
                    else:
                        self.simulation.start(self._message(message, key))
                for message in messages:
                    yield self.arrived[(bucket, number, message.receiver)]
                    added += message.added if message.receiver == rank else 0.0
                yield self.cluster.adding * added
        yield self.work.step

    def _message(self, message: Message, key: tuple[int, int, int]) -> Process:
        """Travel when the receiver waits for it, and keep both busy until it is there."""
        yield self.awaited[key]
        yield message.link.message(message.nbytes)
        self.arrived[key].give(self.simulation)


def exponential_delays(rng: np.random.Generator, mean: float, ranks: int) -> np.ndarray:
    """Return how late each rank is in one step: the times that chance takes, without memory.

    The latest of n is late by ``mean * (1 + 1/2 + ... + 1/n)`` on average.
    """
    return rng.exponential(mean, ranks)
