"""Sums over ranks: which messages they send, and how long they take by a formula.

Every algorithm is told twice. `rounds` yields its messages, which the simulation sends one by one;
the formula beside it counts them. A test holds both against each other.

n ranks sum P bytes. One after the other, each rank sends

::

    ring           2 (n - 1) messages of P / n, and adds n - 1 times P / n
    tree           2 log2(n) messages of P, and adds log2(n) times P
    hierarchical   a ring within each machine, and one between machines for each slice
    fixed          k (n - 1) messages of P / n, all at once; it adds k n - 1 times P / n, and sends
                   n - 1 messages of P / n, all at once

`fixed` is what fastconv does: the k partial sums of every rank go to the ranks that own their
slices, each of which adds all k n of them in one binary tree over the pieces, so that no order
depends on n.

Sources: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
2009 (ring); Thakur, Rabenseifner and Gropp, "Optimization of collective communication operations in
MPICH", 2005 (tree, and the sums that are scattered and gathered).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import ceil, log2

from fastconv.training.sharding.cutting import owned
from fastconv.training.sharding.tree import whole_nodes
from scaling.constants import Cluster, Link

__all__ = ["ALGORITHMS", "Message", "Round", "leaving", "partial_sums", "rounds", "seconds"]


@dataclass(frozen=True)
class Message:
    """Bytes that one rank sends to another, and what the receiver then adds."""

    sender: int
    receiver: int
    nbytes: float
    link: Link
    added: float = 0.0


#: Messages that do not wait for each other. A rank sends its own in order, and has received all
#: that are for it before it begins the next round.
Round = list[Message]


@cache
def partial_sums(shards: int, ranks: int) -> int:
    """Return how many partial sums a rank sends, at most.

    They are the largest nodes of the tree over all pieces that its own pieces make.

    Examples
    --------
    >>> partial_sums(16, 4)  # four pieces, one node
    1
    >>> partial_sums(16, 3)  # pieces 5 to 9 are the nodes 5, 6 to 7, 8 to 9
    3
    """
    return max(len(whole_nodes(owned(shards, rank, ranks), shards)) for rank in range(ranks))


def rounds(algorithm: str, cluster: Cluster, nbytes: float, shards: int) -> Iterator[Round]:
    """Yield the rounds of one sum of `nbytes`, in order."""
    yield from ALGORITHMS[algorithm].rounds(cluster, nbytes, shards)


def seconds(algorithm: str, cluster: Cluster, nbytes: float, shards: int) -> float:
    """Return how long one sum of `nbytes` takes if all ranks begin together."""
    return ALGORITHMS[algorithm].seconds(cluster, nbytes, shards)


def leaving(algorithm: str, cluster: Cluster, nbytes: float, shards: int) -> float:
    """Return the bytes that leave the machine from which most do."""
    sent = [0.0] * cluster.machines
    for messages in rounds(algorithm, cluster, nbytes, shards):
        for message in messages:
            here, there = (
                rank // cluster.ranks_per_machine for rank in (message.sender, message.receiver)
            )
            if here != there:
                sent[here] += message.nbytes
    return max(sent)


# Ring.


def _ring(ranks: list[int], nbytes: float, link: Link, turns: int, adds: bool) -> Iterator[Round]:
    part = nbytes / len(ranks)
    for _ in range(turns):
        yield [
            Message(ranks[i - 1], rank, part, link, part if adds else 0.0)
            for i, rank in enumerate(ranks)
        ]


def _ring_rounds(cluster: Cluster, nbytes: float, shards: int) -> Iterator[Round]:
    ranks = list(range(cluster.ranks))
    for adds in (True, False):
        yield from _ring(ranks, nbytes, cluster.link, cluster.ranks - 1, adds)


def _ring_seconds(cluster: Cluster, nbytes: float, shards: int) -> float:
    n, part = cluster.ranks, nbytes / cluster.ranks
    return (n - 1) * (2 * cluster.link.message(part) + cluster.adding * part)


# Tree.


def _tree_rounds(cluster: Cluster, nbytes: float, shards: int) -> Iterator[Round]:
    n, link = cluster.ranks, cluster.link
    distances = [1 << k for k in range(_levels(n))]
    for distance in distances:
        yield [
            Message(rank, rank - distance, nbytes, link, nbytes)
            for rank in range(distance, n, 2 * distance)
        ]
    for distance in reversed(distances):
        yield [
            Message(rank - distance, rank, nbytes, link)
            for rank in range(distance, n, 2 * distance)
        ]


def _tree_seconds(cluster: Cluster, nbytes: float, shards: int) -> float:
    return _levels(cluster.ranks) * (2 * cluster.link.message(nbytes) + cluster.adding * nbytes)


def _levels(ranks: int) -> int:
    return ceil(log2(ranks))


# Hierarchical: reduce-scatter in each machine, rings between machines, allgather in each machine.


def _hierarchical_rounds(cluster: Cluster, nbytes: float, shards: int) -> Iterator[Round]:
    g, m = cluster.ranks_per_machine, cluster.machines
    inside = [list(range(first, first + g)) for first in range(0, cluster.ranks, g)]
    across = [list(range(first, cluster.ranks, g)) for first in range(g)]
    link = cluster.link.shared(g)
    yield from _together(inside, nbytes, cluster.within, (g - 1, True))
    for adds in (True, False):
        yield from _together(across, nbytes / g, link, (m - 1, adds))
    yield from _together(inside, nbytes, cluster.within, (g - 1, False))


def _together(
    rings: list[list[int]], nbytes: float, link: Link, turns: tuple[int, bool]
) -> Iterator[Round]:
    """Yield the rounds of several rings that turn at once."""
    for each in zip(*(_ring(ring, nbytes, link, *turns) for ring in rings), strict=True):
        yield [message for messages in each for message in messages]


def _hierarchical_seconds(cluster: Cluster, nbytes: float, shards: int) -> float:
    g, m = cluster.ranks_per_machine, cluster.machines
    inside, across = nbytes / g, nbytes / g / m
    adding = cluster.adding
    within = (g - 1) * (2 * cluster.within.message(inside) + adding * inside)
    return within + (m - 1) * (2 * cluster.link.shared(g).message(across) + adding * across)


# Fixed: alltoall of slices, a tree over the pieces, allgather.


def _fixed_rounds(cluster: Cluster, nbytes: float, shards: int) -> Iterator[Round]:
    n, part = cluster.ranks, nbytes / cluster.ranks
    partials = partial_sums(shards, n)
    added = (partials * n - 1) / (partials * (n - 1)) * part if n > 1 else 0.0
    for copies, each in ((partials, added), (1, 0.0)):
        yield [
            Message(rank, to, part, _way(cluster, rank, to), each)
            for distance in range(1, n)
            for rank in range(n)
            for to in [(rank + distance) % n] * copies
        ]


def _way(cluster: Cluster, here: int, there: int) -> Link:
    g = cluster.ranks_per_machine
    return cluster.within if here // g == there // g else cluster.link.shared(g)


def _fixed_seconds(cluster: Cluster, nbytes: float, shards: int) -> float:
    n, part = cluster.ranks, nbytes / cluster.ranks
    if n == 1:
        return 0.0
    partials, link = partial_sums(shards, n), cluster.link.shared(cluster.ranks_per_machine)
    wire = (partials + 1) * (n - 1) * link.busy(part) + 2 * link.latency
    return wire + (partials * n - 1) * cluster.adding * part


@dataclass(frozen=True)
class _Algorithm:
    rounds: Callable[[Cluster, float, int], Iterator[Round]]
    seconds: Callable[[Cluster, float, int], float]


ALGORITHMS = {
    "ring": _Algorithm(_ring_rounds, _ring_seconds),
    "tree": _Algorithm(_tree_rounds, _tree_seconds),
    "hierarchical": _Algorithm(_hierarchical_rounds, _hierarchical_seconds),
    "fixed": _Algorithm(_fixed_rounds, _fixed_seconds),
}
