"""The time of a step by a formula: what is computed, what travels, what waits.

::

    step = pieces of a rank * (piece + rows of a piece * row)
           + what of the sum is not hidden behind the backward pass + optimizer
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scaling.collectives import seconds
from scaling.constants import Cluster, Job, Link, Work

__all__ = ["BACKWARD", "Step", "alone", "furthest", "speedup", "step", "weak", "window"]

#: The share of a piece's time that its backward pass takes: two products of three.
BACKWARD = 2 / 3


@dataclass(frozen=True)
class Step:
    """The parts of a step, in seconds.

    Attributes
    ----------
    compute : float
        Forward and backward passes of the rank that has most pieces.
    waiting : float
        The sum over ranks, as far as nothing is computed meanwhile.
    update : float
        The optimizer.
    """

    compute: float
    waiting: float
    update: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.compute + self.waiting + self.update


def window(work: Work, job: Job) -> float:
    """Return for how many seconds gradients become ready, one bucket after the other."""
    if not job.overlap:
        return 0.0
    return BACKWARD * (work.piece + job.batch / job.shards * work.row)


def step(work: Work, cluster: Cluster, job: Job) -> Step:
    """Return the parts of a step of which no rank is late."""
    compute = job.pieces(cluster.ranks) * work.piece + job.rows(cluster.ranks) * work.row
    ready = window(work, job)
    each = seconds(job.algorithm, cluster, work.parameter_bytes / job.buckets, job.shards)
    # the sums follow each other: either the last one waits for its bucket, or all for the first
    first = ready * (1 / job.buckets - 1)
    waiting = max(each, first + job.buckets * each)
    return Step(compute, waiting, work.step)


def alone(work: Work, batch: int) -> float:
    """Return the seconds of a step on one rank, the batch as one piece."""
    return step(work, Cluster(1, Link(0.0, 0.0, 1.0)), Job(batch, 1)).seconds


def speedup(work: Work, cluster: Cluster, job: Job) -> float:
    """Return how many times as fast as on one rank the same batch is (strong scaling)."""
    return alone(work, job.batch) / step(work, cluster, job).seconds


def weak(work: Work, cluster: Cluster, job: Job) -> float:
    """Return how many times as many rows a second there are, with a batch of `job` on every rank.

    Parameters
    ----------
    job : Job
        Of one rank: its batch, and its pieces.
    """
    n = cluster.ranks
    grown = replace(job, batch=n * job.batch, shards=n * job.shards)
    return n * alone(work, job.batch) / step(work, cluster, grown).seconds


def furthest(ranks: Iterable[int], speedups: Iterable[float], efficiency: float = 0.5) -> int:
    """Return the largest number of ranks that are used to this share; 1 is always."""
    pairs = zip(ranks, speedups, strict=True)
    return max([1, *(n for n, times in pairs if times >= efficiency * n)])
