"""Brings the sums of all ranks together while later ones are still computed.

::

    rank 0   a | b       each rank sends every other one its part of what it has,
    rank 1   c | d       adds what it got for its own part in the order of the tree,
                         and sends the sum to all
             a+c | b+d

Nothing is copied but by the messages themselves: they read and write the blocks of the sums. The
traffic of a rank is that of the best algorithms for a sum of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastconv.floating import quietly
from fastconv.training.sharding.layout import IN_FLIGHT, Bucket, Layout
from fastconv.training.sharding.ranks import Ranks
from fastconv.training.sharding.tree import Node, joined
from fastconv.training.trainable import Array

__all__ = ["Travel"]

#: Tags of messages may be small numbers only. Buckets as far apart as this never meet.
_TAGS = 1 << 13


@dataclass
class _Flight:
    """A bucket on its way: its messages, and what was received of each node of other ranks."""

    bucket: Bucket
    number: int
    waiting: list[Any] = field(default_factory=list)
    parts: dict[Node, Array] = field(default_factory=dict)
    scratch: list[Array] = field(default_factory=list)
    is_sum: bool = False


class Travel:
    """The exchange of one step.

    Parameters
    ----------
    ranks : Ranks
        More than one.
    layout : Layout
        Equal on all ranks.
    nodes : list of list of Node
        Of each rank, those that it has the sums of.
    scratch : list of ndarray
        Memory of earlier exchanges, which serves again.
    """

    def __init__(
        self, ranks: Ranks, layout: Layout, nodes: Sequence[Sequence[Node]], scratch: list[Array]
    ) -> None:
        self._ranks, self._nodes = ranks, nodes
        self._buckets = layout.buckets()
        self._root = (0, max(node[1] for group in nodes for node in group))
        self._flights: list[_Flight] = []
        self._started = 0
        self._final = 0  # how many arrays are final, with all those before them
        self._ready: set[int] = set()
        self._scratch = scratch
        self.blocks: list[Array] = []

    def final(self, number: int) -> None:
        """Note that an array of this rank is final; what waited for it sets out."""
        self._ready.add(number)
        while self._final in self._ready:
            self._ready.discard(self._final)
            self._final += 1
        self._set_out()
        self.poll()

    def poll(self) -> None:
        """Let what has arrived go on."""
        for flight in list(self._flights):
            self._go_on(flight)

    def finish(self) -> None:
        """Return when everything has arrived, in the first of the blocks."""
        self._final = 1 << 62
        while self._started < len(self._buckets) or self._flights:
            self._set_out()
            if self._flights:  # else what set out has arrived already
                self._go_on(self._flights[0], wait=True)

    def _set_out(self) -> None:
        while self._started < len(self._buckets) and len(self._flights) < IN_FLIGHT:
            bucket = self._buckets[self._started]
            if bucket.last >= self._final:
                return
            self._depart(_Flight(bucket, self._started % _TAGS))
            self._started += 1

    def _depart(self, flight: _Flight) -> None:
        """Ask for the others' sums of this rank's part, and send them theirs of their parts."""
        ranks, bucket = self._ranks, flight.bucket
        comm, own = ranks.comm, self._nodes[ranks.rank]
        for other in self._others():
            for node in self._nodes[other]:
                room = self._room(bucket)
                flight.scratch.append(room)
                part = room[: bucket.part(self.blocks[0], ranks.rank, ranks.ranks).nbytes]
                flight.parts[node] = part.view(bucket.dtype)
                if part.size:
                    flight.waiting.append(comm.Irecv(flight.parts[node], other, 2 * flight.number))
        for other in self._others():
            for block in self.blocks[: len(own)]:
                part = bucket.part(block, other, ranks.ranks)
                if part.size:
                    flight.waiting.append(comm.Isend(part, other, 2 * flight.number))
        for node, block in zip(own, self.blocks, strict=False):
            flight.parts[node] = bucket.part(block, ranks.rank, ranks.ranks)
        self._flights.append(flight)
        self._go_on(flight)

    def _others(self) -> list[int]:
        """The other ranks, each beginning with the one behind itself, so that none is crowded."""
        ranks = self._ranks
        return [(ranks.rank + step) % ranks.ranks for step in range(1, ranks.ranks)]

    def _room(self, bucket: Bucket) -> Array:
        """Return memory for a rank's part of any bucket like this one."""
        nbytes = (-(-bucket.size // self._ranks.ranks)) * bucket.dtype.itemsize
        for at, block in enumerate(self._scratch):
            if block.nbytes >= nbytes:
                return self._scratch.pop(at)
        return np.empty(nbytes, np.uint8)

    def _go_on(self, flight: _Flight, wait: bool = False) -> None:
        while True:
            for at, request in enumerate(flight.waiting):
                if wait:
                    request.Wait()
                elif not request.Test():
                    del flight.waiting[:at]
                    return
            flight.waiting = []
            if flight.is_sum:
                self._flights.remove(flight)
                return
            self._return(flight)

    def _return(self, flight: _Flight) -> None:
        """Add this rank's part, and send it to all; what it was made of is free."""
        ranks, bucket, result = self._ranks, flight.bucket, self.blocks[0]
        own = bucket.part(result, ranks.rank, ranks.ranks)
        self._add(flight.parts, own)
        self._scratch += flight.scratch
        flight.parts, flight.scratch, flight.is_sum = {}, [], True
        for other in self._others():
            part = bucket.part(result, other, ranks.ranks)
            if part.size:
                flight.waiting.append(ranks.comm.Irecv(part, other, 2 * flight.number + 1))
            if own.size:
                flight.waiting.append(ranks.comm.Isend(own, other, 2 * flight.number + 1))

    @quietly
    def _add(self, parts: dict[Node, Array], result: Array) -> None:
        """Add the parts in the order of the tree; they are written over."""
        found = joined(parts, lambda left, right: np.add(left, right, out=left), self._root)
        if found is not result and found.size:
            if not np.may_share_memory(found, result):
                result[...] = found
