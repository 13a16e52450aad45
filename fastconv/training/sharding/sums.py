"""Adds the gradients of a rank's pieces in the order of the tree, with few of them in memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable

import numpy as np

from fastconv.step_memory import Loan, aligned
from fastconv.training.sharding.layout import BUCKET, IN_FLIGHT, Layout
from fastconv.training.sharding.tree import Node, merges, most_kept
from fastconv.training.trainable import Array, Trainable

__all__ = ["Blocks", "Sums", "bytes_of_sums", "layout_of", "statistic"]

WIDE = np.dtype(np.float64)


def statistic(key: str) -> Hashable:
    """Return the key of a statistic where those of gradients are too."""
    return "statistic", key


def layout_of(model: Trainable) -> Layout:
    """Return where the gradients of a model lie, and behind them its statistics, as float64."""
    learned, states = model.learned_in_order()
    entries = [(key, p.shape, p.dtype) for key, p in learned.items()]
    return Layout([*entries, *((statistic(key), p.shape, WIDE) for key, p in states.items())])


def bytes_of_sums(model: Trainable, pieces: int) -> int:
    """Return the bytes of the sums that a step keeps, and of those that are on their way.

    They are those of one process. Of several, each has fewer pieces, and receives parts of some
    buckets beside; so many bytes are enough for both.
    """
    nbytes = layout_of(model).nbytes
    kept = most_kept(merges([(0, pieces)]))
    return max(1, kept) * nbytes + 2 * min(nbytes, IN_FLIGHT * BUCKET)


class Blocks:
    """Blocks of memory that steps use one after the other, as long as nobody else reads them.

    Gradients that somebody keeps stay what they are: the next step then takes another block.
    """

    def __init__(self) -> None:
        #: Memory for what is received.
        self.scratch: list[Array] = []
        self._lent: list[tuple[Array, weakref.ref[Loan]]] = []

    def taken(self, count: int, nbytes: int) -> list[Array]:
        """Return `count` blocks of `nbytes` each; forget all others."""
        free = [memory for memory, loan in self._lent if loan() is None and memory.nbytes == nbytes]
        self._lent, found = [], []
        for _ in range(count):
            memory = free.pop() if free else aligned(nbytes)
            loan = Loan(memory, (nbytes,), memory.dtype)
            self._lent.append((memory, weakref.ref(loan)))
            found.append(np.asarray(loan))
        return found


class Sums:
    """The sums of what a rank's pieces give, each in a place of its own.

    Parameters
    ----------
    layout : Layout
    nodes : list of Node
        The nodes of the tree that the rank's pieces make; see `whole_nodes`.
    blocks : Blocks
    final : callable
        It is called with the number of each array of the layout once all of these pieces have
        given theirs.

    Attributes
    ----------
    kept : list of ndarray
        Blocks. In the end the first ones have the sums of `nodes`. There is at least one.
    """

    def __init__(
        self, layout: Layout, nodes: list[Node], blocks: Blocks, final: Callable[[int], None]
    ) -> None:
        self.layout, self._final = layout, final
        self._merges = merges(nodes)
        self._below = [0]  # how many sums there are when a piece comes
        for count in self._merges:
            self._below.append(self._below[-1] + 1 - count)
        self.kept = blocks.taken(max(1, most_kept(self._merges)), layout.nbytes)

    def add(self, at: int, key: Hashable, array: Array) -> None:
        """Add what the rank's piece `at`, counted from 0, has for `key`; pieces come in order."""
        place, below, count = self.layout.places[key], self._below[at], self._merges[at]
        if count:
            below -= 1
            into = place.of(self.kept[below])
            np.add(into, array, out=into)
            for top in range(below, below - count + 1, -1):
                into = place.of(self.kept[top - 1])
                np.add(into, place.of(self.kept[top]), out=into)
        else:
            place.of(self.kept[below])[...] = array
        if at + 1 == len(self._merges):
            self._final(place.number)
