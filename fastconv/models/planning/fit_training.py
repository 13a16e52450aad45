"""Keeps a step of training within a number of bytes, by computing activations again."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from fastconv.layers.spec import LayerCosts
from fastconv.models.planning.calls import beside, forward_bytes, packing_bytes
from fastconv.models.planning.prices import Fitted, LeastBytes, Prices
from fastconv.models.planning.segments import Segmenter
from fastconv.models.running import Allowance, Program, Segment

__all__ = ["TrainingFit"]

#: How many beginnings are kept, and of how many operations at most: a segmenter has four tables of
#: a number for each pair of them.
_KEPT, _SMALL = 4, 256


class _Begin(NamedTuple):
    """What an attempt begins with, which is the same for every limit.

    Attributes
    ----------
    costs : list of LayerCosts
    limits : list of (int, int)
        The workspace limits of each operation, forward and backward.
    lends : list of bool
        Whether each operation packs its weights for the call.
    segmenter : Segmenter
    """

    costs: list[LayerCosts]
    limits: list[tuple[int, int]]
    lends: list[bool]
    segmenter: Segmenter


class TrainingFit:
    """Looks for the program of a step of training.

    Parameters
    ----------
    prices : Prices
    """

    def __init__(self, prices: Prices) -> None:
        self.prices, self.operations = prices, prices.operations

    def within(self, limit: int) -> Fitted:
        """Return a program that keeps within `limit` bytes and computes little again.

        Raises
        ------
        LeastBytes
            If there is none.
        """
        prices = self.prices
        least = []
        for kept in dict.fromkeys(
            (
                frozenset(prices.constant) & prices.packing_names,
                frozenset(prices.released) & prices.packing_names,
            )
        ):
            for liked in (True, False):
                found = self._attempt(limit, liked, kept)
                if isinstance(found, Fitted):
                    return found
                least.append(found)
        raise LeastBytes(min(least))

    def _attempt(self, limit: int, liked: bool, kept: frozenset[str]) -> Fitted | int:
        """Return a program that fits, or the least bytes that one would take.

        Its operations have their preferred algorithms if `liked`, else those of the smallest
        workspace.  The layers `kept` keep their packed weights.
        """
        prices, known = self.prices, self.prices.shared.steps
        key = prices.batch, prices.input_bytes, prices.measured, liked, kept
        # Taken out, so that no other thread works on its tables meanwhile.
        begin = known.pop(key, None) or self._begin(liked, kept)
        segments = begin.segmenter.within(limit)
        least = begin.segmenter.least()[1] if segments is None else 0
        if len(self.operations) <= _SMALL:
            known[key] = begin
            for oldest in list(known)[:-_KEPT]:
                known.pop(oldest, None)
        return least if segments is None else self._widened(limit, segments, begin, liked)

    def _begin(self, liked: bool, kept: frozenset[str]) -> _Begin:
        """Return what an attempt begins with; see `_attempt`."""
        batch, count = self.prices.batch, len(self.operations)
        lends = [op.name not in kept for op in self.operations]
        costs, limits = [], []
        for at in range(count):
            best = self.prices.cost(at, batch, None if liked else 0)
            forward, backward = best.lowest_limit, (best.backward or best).lowest_limit
            limits.append((forward, backward))
            costs.append(self._both(at, forward, backward))
        segmenter = Segmenter(
            self.prices.tally(batch),
            costs,
            [forward_bytes(cost, lent) for cost, lent in zip(costs, lends, strict=True)],
            [(cost.backward or cost).temporary for cost in costs],
            packing_bytes(self.operations, costs, kept),
            (self.prices.measured.loss_bytes(batch), self.prices.measured.metric_bytes(batch)),
        )
        return _Begin(costs, limits, lends, segmenter)

    def _both(self, at: int, forward: int, backward: int) -> LayerCosts:
        """Return the costs of an operation whose passes have limits of their own."""
        cost = self.prices.cost(at, self.prices.batch, forward)
        if cost.backward is None or forward == backward:
            return cost
        other = self.prices.cost(at, self.prices.batch, backward)
        return replace(cost, backward=other.backward, backward_algorithm=other.backward_algorithm)

    def _widened(
        self, limit: int, segments: tuple[Segment, ...], begin: _Begin, liked: bool
    ) -> Fitted:
        """Return a program in which each operation gets the workspace that there is room for."""
        costs, limits, lends = list(begin.costs), begin.limits, begin.lends
        always = begin.segmenter.always
        found = self.prices.traced(costs, segments)
        allowances = []
        for at, (forward, backward) in enumerate(limits):
            if liked:
                live = always + max(found.forward[at], found.again[at])
                room = (
                    limit - live - beside(costs[at])
                    if lends[at] or not costs[at].packed
                    else limit - live
                )
                forward = self._if_it_fits(at, forward, max(forward, room), lends[at], limit - live)
                live = always + found.backward[at]
                back = costs[at].backward or costs[at]
                room = max(backward, limit - live - beside(back))
                cost = self.prices.cost(at, self.prices.batch, room)
                if (cost.backward or cost).temporary <= limit - live:
                    backward = room
            allowances.append(Allowance(forward, backward, lends[at]))
            costs[at] = self._both(at, forward, backward)
        return Fitted(Program(self.prices.batch, tuple(allowances), segments), tuple(costs))

    def _if_it_fits(self, at: int, lowest: int, wanted: int, lends: bool, room: int) -> int:
        cost = self.prices.cost(at, self.prices.batch, wanted)
        return wanted if forward_bytes(cost, lends) <= room else lowest
