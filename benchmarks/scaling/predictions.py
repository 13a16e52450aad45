"""What docs/scale.md asks the model: the machines it is about, and the figures of its tables."""

from __future__ import annotations

from scaling.constants import Cluster, Job, Link, Work
from scaling.measured import Measured, buckets
from scaling.model import furthest, speedup, step, weak

__all__ = ["BATCH", "CORES", "RANKS", "ROWS", "Machines"]

#: Cores of a machine; each computes as the measured one does.
CORES = 8
#: Rows of a step, over all machines (strong scaling), and on each of them (weak scaling).
BATCH, ROWS = 1024, 32
RANKS = tuple(1 << k for k in range(11))


class Machines:
    """Machines as the measured one, but with more cores, and a network between them.

    Parameters
    ----------
    measured : Measured
    link : Link
        The network; what messages cost in the program is added to it.
    """

    def __init__(self, measured: Measured, link: Link) -> None:
        self.measured = measured
        self.link = link

    def cluster(self, ranks: int, ranks_per_machine: int = 1) -> Cluster:
        """Return so many ranks."""
        measured = self.measured
        return Cluster(ranks, self.link, measured.adding, ranks_per_machine, measured.link)

    def work(self, name: str) -> Work:
        """Return what a network computes on one machine."""
        return self.measured.works[name].on_cores(CORES)

    def job(self, work: Work, batch: int, ranks: int, overlap: bool = False) -> Job:
        """Return the job of which each rank has one piece, as long as there are rows."""
        parts = buckets(work.parameter_bytes)
        return Job(batch, min(ranks, batch), "fixed", parts, overlap)

    def strong(self, name: str, batch: int, overlap: bool = False) -> list[float]:
        """Return how many times as fast each number of ranks does the same batch."""
        work = self.work(name)
        return [speedup(work, self.cluster(n), self.job(work, batch, n, overlap)) for n in RANKS]

    def weak(self, name: str, rows: int, overlap: bool = False) -> list[float]:
        """Return how many times as many rows a second there are, with `rows` on every rank."""
        work = self.work(name)
        job = self.job(work, rows, 1, overlap)
        return [weak(work, self.cluster(n), job) for n in RANKS]

    def half_used(self, name: str, batch: int) -> int:
        """Return up to how many machines are used by half, with one batch for all."""
        return furthest(RANKS, self.strong(name, batch))

    def fastest(self, name: str, batch: int) -> int:
        """Return with how many machines a step takes the shortest time."""
        times = self.strong(name, batch)
        return RANKS[times.index(max(times))]

    def sum_alone(self, name: str, ranks: int) -> float:
        """Return the seconds in which gradients are summed over ranks, with nothing to hide it."""
        work = self.work(name)
        return step(work, self.cluster(ranks), self.job(work, ranks, ranks)).waiting
